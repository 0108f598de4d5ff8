/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IntegerConv and IntegerMatMul on qproduct_bands.h
 *
 * DESIGN
 *
 * (x - zx) (w - zw) is x w, less zx times the sum of a channel's weights, which goes into the bias
 * as soon as zx is there, less zw times what a window adds up to beyond zx: a number per pixel,
 * by one more channel whose weights are ones, and seldom needed, for weights mostly have no zero
 * point.
 */
#include "exec/cpu/nn/qproduct_bands.h"

#include "base/checked.h"

enum { IN_X, IN_W, IN_X_ZERO, IN_W_ZERO };

struct sums_state {
	struct qbands bands;
	int64_t depth;   /* products of a sum */
	int32_t *column; /* sums of weights, flipped */
	int32_t *w_zero; /* of flipped numbers; NULL: all are zero */
	const void *ones; /* with w_zero */
	size_t scratch_bias, scratch_sums;
};

static void fill_bias(const struct sums_state *s, int32_t x_zero, int32_t *bias)
{
	uint32_t zero = (uint32_t)x_zero, depth = (uint32_t)s->depth;
	for (int64_t m = 0; m < s->bands.channels; m++) {
		uint32_t beyond = s->w_zero ? (uint32_t)s->w_zero[m] * depth : 0;
		bias[m] = (int32_t)(zero * (beyond - (uint32_t)s->column[m]));
	}
}

/* j: of the results from y on. */
static void take_w_zero(
	const struct sums_state *s, const struct qproduct_job *j, int32_t *y, int32_t *sums)
{
	static const int32_t no_bias[QPRODUCT_PANEL];
	struct qproduct_job ones = *j;
	ones.w = s->ones;
	ones.bias = no_bias;
	ones.channels = ones.y_pixel = 1;
	ones.y_row = ones.pixels;
	ones.sums = sums;
	s->bands.product->run(&ones);
	for (int64_t i = 0; i < j->rows * j->pixels; i++, y += j->channels)
		for (int64_t m = 0; m < j->channels; m++)
			y[m] = (int32_t)((uint32_t)y[m] - (uint32_t)sums[i] * (uint32_t)s->w_zero[m]);
}

static void run_sums(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct sums_state *s = a->state;
	char *scratch = a->scratch;
	int32_t *bias = (int32_t *)(scratch + s->scratch_bias);
	int32_t zero = args_has_in(a, IN_X_ZERO) ? (int32_t)tensor_int(&a->in[IN_X_ZERO], 0) : 0;
	zero += s->bands.flip;
	fill_bias(s, zero, bias);
	for (int64_t u = begin; u < end; u++) {
		struct qband band = qbands_band(&s->bands, u);
		struct qproduct_job j = qbands_job(&s->bands, a, &band, zero);
		j.bias = bias;
		j.sums = (int32_t *)a->out[0].data + band.at;
		s->bands.product->run(&j);
		if (s->w_zero)
			take_w_zero(s, &j, j.sums, (int32_t *)(scratch + s->scratch_sums));
	}
}

/* -- prepare ------------------------------------------------------------------------------------ */

/* The zero point of channel m; one may be for all. */
static int32_t w_zero_at(const struct prep *p, int64_t m)
{
	const struct tensor *zero = &p->in[IN_W_ZERO];
	return prep_has_in(p, IN_W_ZERO) ? (int32_t)tensor_int(zero, tensor_count(zero) == 1 ? 0 : m) : 0;
}

static enum err_code read_channels(
	struct prep *p, struct sums_state *s, const struct qweights *w, struct err *err)
{
	int32_t *w_zero = prep_alloc(p, (size_t)w->m * sizeof(*w_zero));
	s->column = prep_alloc(p, (size_t)w->m * sizeof(*s->column));
	if (!w_zero || !s->column)
		return err_oom(err);
	s->depth = w->c * w->kernel[0] * w->kernel[1];
	for (int64_t m = 0; m < w->m; m++) {
		s->column[m] = qweights_sum(w, m);
		w_zero[m] = w_zero_at(p, m) - (int32_t)w->flip;
		if (w_zero[m])
			s->w_zero = w_zero;
	}
	return s->w_zero ? qbands_ones(p, w, &s->ones, err) : ERR_OK;
}

static void lay_out(struct sums_state *s, struct kernel *ret)
{
	const struct qbands *b = &s->bands;
	int64_t panels = (b->channels + QPRODUCT_PANEL - 1) / QPRODUCT_PANEL;
	s->scratch_bias = round_up(ret->scratch_bytes, ARENA_ALIGN_TENSOR);
	size_t bias = (size_t)(panels * QPRODUCT_PANEL) * sizeof(int32_t);
	s->scratch_sums = s->scratch_bias + round_up(bias, ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->scratch_sums;
	if (s->w_zero)
		ret->scratch_bytes += (size_t)(b->band * b->out[1]) * sizeof(int32_t);
}

static bool operands_known(const struct prep *p)
{
	return p->in[IN_W].data && (!prep_has_in(p, IN_W_ZERO) || p->in[IN_W_ZERO].data);
}

static enum err_code prepare_sums(struct prep *p, struct kernel *ret, struct sums_state *s,
	const struct qweights *w, struct err *err)
{
	TRY(read_channels(p, s, w, err));
	TRY(qbands_pack(p, ret, &s->bands, w, err));
	lay_out(s, ret);
	ret->run = run_sums;
	return ERR_OK;
}

enum err_code prepare_integer_conv(struct prep *p, struct kernel *ret, struct err *err)
{
	struct qweights w;
	struct sums_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (!operands_known(p))
		return prep_refuse(err, "unknown weights");
	TRY(qbands_conv(p, &s->bands, &w, err));
	ret->out_layout = LAYOUT_NHWC;
	return prepare_sums(p, ret, s, &w, err);
}

enum err_code prepare_integer_matmul(struct prep *p, struct kernel *ret, struct err *err)
{
	struct qweights w;
	struct sums_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (!operands_known(p))
		return prep_refuse(err, "unknown weights");
	TRY(qbands_matmul(p, false, &s->bands, &w, err));
	return prepare_sums(p, ret, s, &w, err);
}
