/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizedConv and QuantizedMatMul on qproduct_bands.h
 */
#include "exec/cpu/int8/qproduct_bands.h"

#include <string.h>
#include "base/checked.h"

enum { IN_X, IN_W, IN_FACTOR, IN_BIAS, IN_Z, IN_W_ZERO };

struct qconv_state {
	struct qbands bands;
	struct requant requant;
	int32_t *bias;
	float *factor;
	struct qstrides z;
	bool copy_z, z_in;
	size_t scratch_z;
};

static const uint8_t *find_sum(
	const struct kernel_args *a, const struct qconv_state *s, const struct qband *band)
{
	const struct qbands *b = &s->bands;
	if (!s->z_in)
		return NULL;
	const uint8_t *z =
		(const uint8_t *)a->in[IN_Z].data + band->image * s->z.n + band->row * s->z.h;
	if (!s->copy_z)
		return z;
	uint8_t *to = (uint8_t *)a->scratch + s->scratch_z;
	for (int64_t h = 0; h < band->rows; h++)
		qbands_copy_pixels(to + h * b->out[1] * b->channels, z + h * s->z.h, &s->z,
			b->out[1], b->channels, 0);
	return to;
}

static void run_quantized(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct qconv_state *s = a->state;
	for (int64_t u = begin; u < end; u++) {
		struct qband band = qbands_band(&s->bands, u);
		struct qproduct_job j = qbands_job(&s->bands, a, &band, s->requant.x_zero);
		j.z = find_sum(a, s, &band);
		j.y = (uint8_t *)a->out[0].data + band.at;
		j.bias = s->bias;
		j.factor = s->factor;
		j.requant = &s->requant;
		qbands_run(&s->bands, a, j);
	}
}

/* -- prepare ----------------------------------------------------------------------------------- */

static enum err_code read_channels(struct prep *p, struct qconv_state *s, struct err *err)
{
	int64_t channels = s->bands.channels;
	size_t filled = (size_t)qbands_room(channels);
	s->bias = prep_alloc(p, filled * sizeof(*s->bias));
	s->factor = prep_alloc(p, filled * sizeof(*s->factor));
	if (!s->bias || !s->factor)
		return err_oom(err);
	memcpy(s->factor, p->in[IN_FACTOR].data, (size_t)channels * sizeof(*s->factor));
	for (int64_t m = 0; m < channels; m++) {
		int32_t bias =
			prep_has_in(p, IN_BIAS) ? ((const int32_t *)p->in[IN_BIAS].data)[m] : 0;
		s->bias[m] = (int32_t)((uint32_t)bias -
				       (uint32_t)s->requant.x_zero * (uint32_t)s->bands.column[m]);
	}
	return ERR_OK;
}

/* Where what is added lies, and whether it has to be copied to lie as the result does. */
static void place_sum(const struct prep *p, bool conv, struct qconv_state *s)
{
	s->z_in = prep_has_in(p, IN_Z);
	s->copy_z = conv && s->z_in && p->in[IN_Z].layout != LAYOUT_NHWC;
	if (!conv)
		s->z = (struct qstrides){ 0, s->bands.channels, s->bands.channels, 1 };
	else if (s->z_in)
		s->z = qstrides_of(&p->in[IN_Z], !s->copy_z);
}

static enum err_code prepare_quantized(
	struct prep *p, bool conv, struct kernel *ret, struct err *err)
{
	const uint32_t known = 1u << IN_W | 1u << IN_FACTOR | 1u << IN_BIAS | 1u << IN_W_ZERO;
	struct qweights w;
	struct qconv_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(qbands_known(p, known, err));
	if (conv)
		TRY(qbands_conv(p, &s->bands, &w, err));
	else
		TRY(qbands_matmul(p, node_int(p->node, "trans_b", 0) != 0, &s->bands, &w, err));
	place_sum(p, conv, s);
	requant_init(&s->requant, p->node, &p->in[IN_X], &p->out[0], s->z_in ? &p->in[IN_Z] : NULL);
	TRY(qbands_pack(p, ret, &s->bands, &w, IN_W_ZERO, err));
	TRY(read_channels(p, s, err));
	s->scratch_z = round_up(ret->scratch_bytes, ARENA_ALIGN_TENSOR);
	if (s->copy_z)
		ret->scratch_bytes = s->scratch_z +
				     (size_t)(s->bands.band * s->bands.out[1] * s->bands.channels);
	ret->run = run_quantized;
	ret->out_layout = conv ? LAYOUT_NHWC : LAYOUT_PLAIN;
	/* Those apart make some pixels twice. */
	ret->inplace = s->z_in && !s->copy_z && !s->bands.apart;
	ret->inplace_in = IN_Z;
	return ERR_OK;
}

enum err_code prepare_quantized_conv(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_quantized(p, true, ret, err);
}

enum err_code prepare_quantized_matmul(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_quantized(p, false, ret, err);
}
