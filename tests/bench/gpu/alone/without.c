/* SPDX-License-Identifier: Apache-2.0 */
/*
 * without.c -- kernels of the CPU's that want a library, where the executor is built alone: they
 * refuse
 */
#include "exec/cpu/cpu.h"
#include "exec/cpu/onednn/onednn.h"

const char *onednn_version(void) { return "none"; }

enum err_code onednn_conv(
	struct prep *p, const struct onednn_conv *c, struct onednn_op **ret, struct err *err)
{
	(void)p, (void)c, (void)ret;
	return prep_refuse(err, "built without oneDNN");
}

enum err_code onednn_reorder(struct prep *p, const struct onednn_image *from,
	const struct onednn_image *to, struct onednn_op **ret, struct err *err)
{
	(void)p, (void)from, (void)to, (void)ret;
	return prep_refuse(err, "built without oneDNN");
}

enum err_code onednn_pack(struct prep *p, const struct onednn_op *op, const float *weights,
	const void **ret, struct err *err)
{
	(void)p, (void)op, (void)weights, (void)ret;
	return prep_refuse(err, "built without oneDNN");
}

/* Of ops, which there are none of. */
void onednn_run(struct onednn_op *op, const struct onednn_args *a) { (void)op, (void)a; }
size_t onednn_scratch_bytes(const struct onednn_op *op) { return (void)op, 0; }
size_t onednn_image_bytes(const struct onednn_image *i) { return (void)i, 0; }
int64_t onednn_image_pixels(const struct onednn_image *i) { return (void)i, 1; }
size_t onednn_image_at(const struct onednn_image *i, int64_t channel, int64_t row)
{
	return (void)i, (void)channel, (void)row, 0;
}

#define WITHOUT(prepare, what) \
	enum err_code prepare(struct prep *p, struct kernel *ret, struct err *err) \
	{ \
		(void)p, (void)ret; \
		return prep_refuse(err, "built without " what); \
	}
WITHOUT(prepare_image_decoder, "libraries of images")
WITHOUT(prepare_regex, "PCRE2")
WITHOUT(prepare_tokenizer, "PCRE2")
