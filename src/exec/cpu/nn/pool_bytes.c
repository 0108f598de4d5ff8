/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool of 8-bit images whose channels lie side by side, and QuantizedGlobalAveragePool of
 * any: the channels of a pixel are one run of bytes.
 */
#include "exec/cpu/types.h"
#include "exec/cpu/int8/qproduct.h"
#include "exec/cpu/conv/window.h"

#include <string.h>

/* -- MaxPool ----------------------------------------------------------------------------------- */

struct max_state {
	struct split split; /* of output rows: image, row */
	struct window w;
};

/* Rows below each other first, as long as they are, then the pixels of windows. */
#define MAX_POOL(T, lowest) \
	static void max_into_##T(T *restrict y, const T *restrict x, int64_t n) \
	{ \
		for (int64_t i = 0; i < n; i++) \
			y[i] = x[i] > y[i] ? x[i] : y[i]; \
	} \
	/* Of n runs `step` apart; of none: the lowest. */ \
	static void max_of_##T(T *restrict y, const T *restrict x, int64_t n, int64_t step, \
		int64_t run) \
	{ \
		if (n) \
			memcpy(y, x, (size_t)run * sizeof(T)); \
		else \
			memset(y, (uint8_t)(lowest), (size_t)run * sizeof(T)); \
		for (int64_t i = 1; i < n; i++) \
			max_into_##T(y, x + i * step, run); \
	} \
	static void max_row_##T(const struct window *w, T *y, const T *image, int64_t row, \
		T *tall) \
	{ \
		const struct conv_geometry *g = &w->g; \
		int64_t n = w->c_in, width = g->in[AXIS_W] * n; \
		struct reach h = window_reach(w, false, AXIS_H, row); \
		max_of_##T(tall, image + (h.start + h.from * g->dilation[AXIS_H]) * width, \
			h.to - h.from, g->dilation[AXIS_H] * width, width); \
		for (int64_t o = 0; o < g->out[AXIS_W]; o++, y += n) { \
			struct reach at = window_reach(w, false, AXIS_W, o); \
			max_of_##T(y, tall + (at.start + at.from * g->dilation[AXIS_W]) * n, \
				at.to - at.from, g->dilation[AXIS_W] * n, n); \
		} \
	} \
	static void run_max_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct max_state *s = a->state; \
		const struct conv_geometry *g = &s->w.g; \
		int64_t from, to, rows = g->out[AXIS_H]; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t i = from; i < to; i++) \
			max_row_##T(&s->w, (T *)a->out[0].data + i * g->out[AXIS_W] * s->w.c_in, \
				(const T *)a->in[0].data + i / rows * window_image(&s->w) * \
				s->w.c_in, i % rows, a->scratch); \
	}
MAX_POOL(uint8_t, 0)
MAX_POOL(int8_t, INT8_MIN)

enum err_code prepare_max_pool_bytes(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_geometry g;
	if (p->in[0].layout != LAYOUT_NHWC ||
		(p->n_out > 1 && p->out[1].shape.rank != RANK_UNKNOWN))
		return prep_refuse(err, "channels do not lie side by side, or indices are wanted");
	struct max_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc = pool_geometry(p->node, &p->in[0].shape, &g, err);
	if (rc == ERR_OK)
		rc = window_init(&s->w, &g, &p->in[0].shape, &p->out[0].shape, err);
	if (rc != ERR_OK)
		return rc;
	int64_t row = s->w.g.out[AXIS_W] * s->w.c_in;
	ret->scratch_bytes = (size_t)(s->w.g.in[AXIS_W] * s->w.c_in);
	s->split = split_work(p, ret, row ? s->w.n * s->w.g.out[AXIS_H] : 0,
		(double)(row * window_taps(&s->w)) / 16 + 20);
	ret->run = p->in[0].dtype == DTYPE_I8 ? run_max_int8_t : run_max_uint8_t;
	ret->out_layout = LAYOUT_NHWC;
	return ERR_OK;
}

/* -- QuantizedGlobalAveragePool ---------------------------------------------------------------- */

struct average_state {
	struct requant requant;
	int64_t channels, pixels;
	bool nhwc;
	float factor; /* of a sum */
};

static void add_pixel(
	int32_t *restrict sum, const uint8_t *restrict x, int64_t channels, uint8_t flip)
{
	for (int64_t c = 0; c < channels; c++)
		sum[c] += x[c] ^ flip;
}

static int32_t sum_plane(const uint8_t *x, int64_t n, uint8_t flip)
{
	int32_t sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += x[i] ^ flip;
	return sum;
}

/* A unit is one image. */
static void run_average(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct average_state *s = a->state;
	const struct requant *r = &s->requant;
	int32_t *sum = a->scratch;
	for (int64_t n = begin; n < end; n++) {
		const uint8_t *x = (const uint8_t *)a->in[0].data + n * s->channels * s->pixels;
		uint8_t *y = (uint8_t *)a->out[0].data + n * s->channels;
		memset(sum, 0, (size_t)s->channels * sizeof(*sum));
		for (int64_t i = 0; s->nhwc && i < s->pixels; i++)
			add_pixel(sum, x + i * s->channels, s->channels, r->x_flip);
		for (int64_t c = 0; c < s->channels; c++) {
			if (!s->nhwc)
				sum[c] = sum_plane(x + c * s->pixels, s->pixels, r->x_flip);
			int32_t centred = sum[c] - (int32_t)s->pixels * r->x_zero;
			y[c] = (uint8_t)requant_one(r, centred, s->factor, NULL);
		}
	}
}

#define AVERAGE_PIXELS_MAX (INT32_MAX / 512)

enum err_code prepare_quantized_global_pool(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct tensor *x = &p->in[0];
	struct average_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (x->layout != LAYOUT_PLAIN && x->layout != LAYOUT_NHWC)
		return prep_refuse(err, "blocks of channels");
	requant_init(&s->requant, p->node, x, &p->out[0], NULL);
	s->nhwc = x->layout == LAYOUT_NHWC;
	s->channels = x->shape.dim[1];
	s->pixels = shape_count_range(&x->shape, 2, x->shape.rank);
	if (s->pixels < 1 || s->pixels > AVERAGE_PIXELS_MAX)
		return prep_fail(p, err, ERR_INVALID_ARGUMENT,
			"an image has %lld pixels, an average is of 1 to %d", (long long)s->pixels,
			AVERAGE_PIXELS_MAX);
	s->factor = node_float(p->node, "factor", 1) / (float)s->pixels;
	ret->run = run_average;
	ret->scratch_bytes = (size_t)s->channels * sizeof(int32_t);
	ret->units = x->shape.dim[0];
	ret->unit_cost_ns = s->channels * s->pixels / 8 + 1;
	return ERR_OK;
}
