/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IntegerConv and IntegerMatMul on qproduct_bands.h
 *
 * DESIGN
 *
 * The zero point of x may come with it: the bias is made when it is there.
 */
#include "exec/cpu/int8/qproduct_bands.h"

#include "base/checked.h"

enum { IN_X, IN_W, IN_X_ZERO, IN_W_ZERO };

struct sums_state {
	struct qbands bands;
	size_t scratch_bias;
};

static void run_sums(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct sums_state *s = a->state;
	int32_t *bias = (int32_t *)((char *)a->scratch + s->scratch_bias);
	int32_t zero = args_has_in(a, IN_X_ZERO) ? (int32_t)tensor_int(&a->in[IN_X_ZERO], 0) : 0;
	zero += s->bands.flip;
	for (int64_t m = 0; m < s->bands.channels; m++)
		bias[m] = (int32_t)(0 - (uint32_t)zero * (uint32_t)s->bands.column[m]);
	for (int64_t u = begin; u < end; u++) {
		struct qband band = qbands_band(&s->bands, u);
		struct qproduct_job j = qbands_job(&s->bands, a, &band, zero);
		j.bias = bias;
		j.sums = (int32_t *)a->out[0].data + band.at;
		qbands_run(&s->bands, a, j);
	}
}

/* -- prepare ----------------------------------------------------------------------------------- */

static enum err_code prepare_sums(struct prep *p, bool conv, struct kernel *ret, struct err *err)
{
	struct qweights w;
	struct sums_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(qbands_known(p, 1u << IN_W | 1u << IN_W_ZERO, err));
	if (conv)
		TRY(qbands_conv(p, &s->bands, &w, err));
	else
		TRY(qbands_matmul(p, false, &s->bands, &w, err));
	TRY(qbands_pack(p, ret, &s->bands, &w, IN_W_ZERO, err));
	s->scratch_bias = round_up(ret->scratch_bytes, ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->scratch_bias + (size_t)qbands_room(w.m) * sizeof(int32_t);
	ret->run = run_sums;
	ret->out_layout = conv ? LAYOUT_NHWC : LAYOUT_PLAIN;
	return ERR_OK;
}

enum err_code prepare_integer_conv(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_sums(p, true, ret, err);
}

enum err_code prepare_integer_matmul(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_sums(p, false, ret, err);
}
