/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resize: every mode is, along each axis, a few taps of the input per output index; they
 * are worked out once, in prepare (resize_taps.c). Nearest has one tap and moves elements
 * of any type; the others sum the products of all axes' taps.
 *
 * DESIGN. An item of work is one output index of all resized axes but the last: the rows of
 * the input that it is made of are summed by the products of their weights, in long runs, and
 * then the last axis is done tap by tap over what follows it (the inner run).
 */
#include "exec/cpu/nn/resize_taps.h"

#include <math.h>
#include <string.h>
#include "exec/cpu/types.h"

struct resize_state {
	struct split split; /* of items as above */
	int rank;
	int64_t in[RANK_MAX], out[RANK_MAX], stride[RANK_MAX]; /* axes after merging */
	struct resize_taps axis[RANK_MAX];
	int64_t bytes;
	bool doubles; /* nearest: 4-byte elements all stand twice along the last axis */
	float extrapolation;
};

/* -- run --------------------------------------------------------------------------------------- */

/* Output indices of an item, of all axes but the last two (resized, inner). */
static bool item_index(const struct resize_state *s, int64_t item, int64_t *index)
{
	bool outside = false;
	for (int i = s->rank - 3; i >= 0; i--) {
		index[i] = item % s->out[i];
		item /= s->out[i];
		outside |= s->axis[i].outside && s->axis[i].outside[index[i]];
	}
	return outside;
}

static void move_row(char *dst, const char *src, const int32_t *index, int64_t n, int64_t bytes)
{
	switch (bytes) {
		/* Sizes that the compiler knows: a number, a block of 8 floats, one of 16. */
#define MOVE(bytes) \
	case bytes: \
		for (int64_t i = 0; i < n; i++) \
			memcpy(dst + i * bytes, src + (int64_t)index[i] * bytes, bytes); \
		break;
		MOVE(1)
		MOVE(4)
		MOVE(32)
		MOVE(64)
#undef MOVE
	default:
		for (int64_t i = 0; i < n; i++)
			memcpy(dst + i * bytes, src + index[i] * bytes, (size_t)bytes);
	}
}

/* Numbers that all stand twice. */
static void double_row(uint32_t *restrict dst, const uint32_t *restrict src, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		dst[2 * i] = dst[2 * i + 1] = src[i];
}

static void run_nearest(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct resize_state *s = a->state;
	int last = s->rank - 2;
	int64_t from, to, index[RANK_MAX], row = s->out[last] * s->stride[last] * s->bytes, before = -1;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		int64_t offset = 0;
		item_index(s, item, index);
		for (int i = 0; i < last; i++)
			offset += s->axis[i].index[index[i]] * s->stride[i];
		char *dst = (char *)a->out[0].data + item * row;
		const char *src = (const char *)a->in[0].data + offset * s->bytes;
		if (offset == before)
			memcpy(dst, dst - row, (size_t)row);
		else if (s->doubles)
			double_row((uint32_t *)dst, (const uint32_t *)src, s->in[last]);
		else
			move_row(dst, src, s->axis[last].index, s->out[last], s->stride[last] * s->bytes);
		before = offset;
	}
}

#define RESIZE(id, T, U, LOW, HIGH) \
	/* sum += weight times a row of the input. */ \
	static void add_row_##T(double *sum, const T *x, int64_t n, double weight) \
	{ \
		IVDEP for (int64_t i = 0; i < n; i++) \
			sum[i] += weight * (double)x[i]; \
	} \
	static T clamp_##T(double v) \
	{ \
		return (T)(v < LOW ? LOW : v > HIGH ? HIGH : v); \
	} \
	/* Two taps: of single elements, and of runs. */ \
	static void finish_pairs_##T(const struct resize_taps *t, T *restrict y, const double *restrict sum, \
		int64_t n) \
	{ \
		for (int64_t o = 0; o < n; o++) \
			y[o] = clamp_##T((double)t->weight[2 * o] * sum[t->index[2 * o]] + \
					 (double)t->weight[2 * o + 1] * sum[t->index[2 * o + 1]]); \
	} \
	static void finish_runs_##T(const struct resize_taps *t, T *restrict y, const double *restrict sum, \
		int64_t n, int64_t inner) \
	{ \
		for (int64_t o = 0; o < n; o++, y += inner) { \
			const double *a = sum + t->index[2 * o] * inner, *b = sum + t->index[2 * o + 1] * inner; \
			double first = (double)t->weight[2 * o], second = (double)t->weight[2 * o + 1]; \
			for (int64_t i = 0; i < inner; i++) \
				y[i] = clamp_##T(first * a[i] + second * b[i]); \
		} \
	} \
	/* The last resized axis, from the sum of rows. */ \
	static void finish_row_##T(const struct resize_state *s, T *y, const double *sum) \
	{ \
		int last = s->rank - 2; \
		const struct resize_taps *t = &s->axis[last]; \
		int64_t inner = s->stride[last]; \
		if (t->n == 2 && inner == 1) { \
			finish_pairs_##T(t, y, sum, s->out[last]); \
			return; \
		} \
		if (t->n == 2) { \
			finish_runs_##T(t, y, sum, s->out[last], inner); \
			return; \
		} \
		for (int64_t o = 0; o < s->out[last]; o++) { \
			const int32_t *index = t->index + o * t->n; \
			const float *weight = t->weight + o * t->n; \
			for (int64_t i = 0; i < inner; i++) { \
				double v = 0; \
				for (int64_t k = 0; k < t->n; k++) \
					v += (double)weight[k] * sum[index[k] * inner + i]; \
				y[o * inner + i] = clamp_##T(v); \
			} \
		} \
	} \
	static void extrapolate_##T(const struct resize_state *s, T *y, bool whole) \
	{ \
		int last = s->rank - 2; \
		const bool *off = s->axis[last].outside; \
		int64_t inner = s->stride[last]; \
		for (int64_t i = 0; i < s->out[last] * inner && (whole || off); i++) \
			if (whole || off[i / inner]) \
				y[i] = clamp_##T((double)s->extrapolation); \
	} \
	static void sum_rows_##T(const struct resize_state *s, const T *x, const int64_t *index, double *sum) \
	{ \
		int last = s->rank - 2; \
		int64_t tap[RANK_MAX] = { 0 }, row = s->in[last] * s->stride[last]; \
		memset(sum, 0, (size_t)row * sizeof(*sum)); \
		for (bool more = true; more;) { \
			double weight = 1; \
			int64_t offset = 0; \
			for (int i = 0; i < last; i++) { \
				int64_t k = index[i] * s->axis[i].n + tap[i]; \
				weight *= (double)s->axis[i].weight[k]; \
				offset += s->axis[i].index[k] * s->stride[i]; \
			} \
			if (weight != 0) \
				add_row_##T(sum, x + offset, row, weight); \
			more = false; \
			for (int i = last - 1; i >= 0 && !more; i--) { \
				more = ++tap[i] < s->axis[i].n; \
				tap[i] = more ? tap[i] : 0; \
			} \
		} \
	} \
	static void run_resize_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct resize_state *s = a->state; \
		int64_t from, to, row = s->out[s->rank - 2] * s->stride[s->rank - 2]; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			int64_t index[RANK_MAX]; \
			T *y = (T *)a->out[0].data + item * row; \
			bool outside = item_index(s, item, index); \
			sum_rows_##T(s, a->in[0].data, index, a->scratch); \
			finish_row_##T(s, y, a->scratch); \
			extrapolate_##T(s, y, outside); \
		} \
	}
RESIZE(F32, float, float, -INFINITY, INFINITY)
RESIZE(F64, double, double, -INFINITY, INFINITY)
RESIZE(U8, uint8_t, uint32_t, 0, UINT8_MAX)
RESIZE(I8, int8_t, uint32_t, INT8_MIN, INT8_MAX)
RESIZE(I32, int32_t, uint32_t, INT32_MIN, INT32_MAX)

static const run_fn runs[DTYPE_COUNT_] = {
	[DTYPE_F32] = run_resize_float,
	[DTYPE_F64] = run_resize_double,
	[DTYPE_U8] = run_resize_uint8_t,
	[DTYPE_I8] = run_resize_int8_t,
	[DTYPE_I32] = run_resize_int32_t,
};

/* -- prepare ------------------------------------------------------------------------------------- */

static bool stays(const struct resize_geometry *g, int axis)
{
	return g->in[axis] == g->out[axis] && g->scale[axis] == 1 &&
	       (g->coord != RESIZE_TF_CROP ||
		       (g->roi_start[axis] == 0 && g->roi_end[axis] == 1));
}

/* Neighbouring axes that stay are one; the last one is the inner run, made if there is none. */
static enum err_code
merge_axes(struct prep *p, struct resize_state *s, const struct resize_geometry *g, struct err *err)
{
	bool kept = false;
	for (int i = 0; i < g->rank; i++) {
		bool keeps = stays(g, i);
		if (keeps && kept) {
			s->in[s->rank - 1] = s->out[s->rank - 1] *= g->in[i];
		} else {
			s->in[s->rank] = g->in[i];
			s->out[s->rank] = g->out[i];
			if (!keeps) {
				enum err_code rc = resize_taps_make(p, g, i, &s->axis[s->rank], err);
				if (rc != ERR_OK)
					return rc;
			}
			s->rank++;
		}
		kept = keeps;
	}
	if (!kept && s->rank == RANK_MAX)
		return prep_fail(p, err, ERR_INVALID_ARGUMENT, "the last of %d axes is resized, of so many it must stay",
			RANK_MAX);
	if (!kept) {
		s->in[s->rank] = s->out[s->rank] = 1;
		s->rank++;
	}
	return ERR_OK;
}

/* Axes that stay, but for the inner run, have one tap of weight 1 like the others. */
static enum err_code identity_taps(struct prep *p, struct resize_state *s, struct err *err)
{
	for (int i = 0; i < s->rank - 1; i++) {
		struct resize_taps *t = &s->axis[i];
		if (t->n)
			continue;
		t->n = 1;
		t->index = prep_alloc(p, (size_t)s->out[i] * sizeof(*t->index) + 1);
		t->weight = prep_alloc(p, (size_t)s->out[i] * sizeof(*t->weight) + 1);
		if (!t->index || !t->weight)
			return err_oom(err);
		for (int64_t k = 0; k < s->out[i]; k++) {
			t->index[k] = (int32_t)k;
			t->weight[k] = 1;
		}
	}
	return ERR_OK;
}

/* What is in blocks has one axis more: the channels of a block, which stay. */
static bool split_blocks(enum layout layout, struct resize_geometry *g)
{
	int64_t block = layout_block(layout);
	if (layout == LAYOUT_PLAIN)
		return true;
	if (layout == LAYOUT_NHWC || !stays(g, 1))
		return false;
	g->in[1] /= block;
	g->out[1] /= block;
	int last = g->rank++;
	g->in[last] = g->out[last] = block;
	g->scale[last] = g->roi_end[last] = 1;
	g->roi_start[last] = 0;
	return true;
}

static bool all_double(const struct resize_state *s)
{
	int last = s->rank - 2;
	bool doubles = s->stride[last] * s->bytes == sizeof(uint32_t) && s->out[last] == 2 * s->in[last];
	for (int64_t o = 0; doubles && o < s->out[last]; o++)
		doubles = s->axis[last].index[o] == o / 2;
	return doubles;
}

enum err_code prepare_resize(struct prep *p, struct kernel *ret, struct err *err)
{
	struct resize_geometry g;
	enum err_code rc = resize_geometry(p->node, &p->in[0].shape, prep_has_in(p, 1) ? &p->in[1] : NULL,
		prep_has_in(p, 2) ? &p->in[2] : NULL, prep_has_in(p, 3) ? &p->in[3] : NULL, &g, err);
	if (rc != ERR_OK)
		return rc;
	if (!split_blocks(p->in[0].layout, &g))
		return prep_refuse(err, "channels that are resized, or innermost");
	bool nearest = g.mode == RESIZE_NEAREST && g.coord != RESIZE_TF_CROP;
	if (!nearest && !runs[p->in[0].dtype])
		return prep_refuse(err, "no loop for this type");
	for (int i = 0; i < g.rank; i++)
		if (g.in[i] > INT32_MAX || (g.in[i] == 0 && g.out[i] != 0))
			return prep_refuse(err, "an axis is empty, or longer than 2^31");
	struct resize_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	rc = merge_axes(p, s, &g, err);
	if (rc == ERR_OK && s->rank == 1) { /* nothing is resized: the run is all there is */
		s->in[1] = s->in[0];
		s->out[1] = s->out[0];
		s->in[0] = s->out[0] = 1;
		s->rank = 2;
	}
	if (rc == ERR_OK)
		rc = identity_taps(p, s, err);
	if (rc != ERR_OK)
		return rc;
	struct shape in = shape_from(s->rank, s->in);
	shape_strides(&in, s->stride);
	s->bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	s->extrapolation = g.extrapolation;
	s->doubles = nearest && all_double(s);
	int last = s->rank - 2;
	double taps = 1;
	int64_t items = 1, row = s->out[last] * s->stride[last];
	for (int i = 0; i < last; i++)
		items *= s->out[i];
	for (int i = 0; i <= last; i++)
		taps *= (double)s->axis[i].n;
	double source = (double)(s->in[last] * s->stride[last]) * taps / (double)s->axis[last].n;
	s->split = split_work(p, ret, row ? items : 0, 20 + source / 2 + (double)(row * s->axis[last].n));
	ret->run = nearest ? run_nearest : runs[p->in[0].dtype];
	ret->out_layout = p->in[0].layout;
	ret->scratch_bytes = nearest ? 0 : (size_t)(s->in[last] * s->stride[last]) * sizeof(double);
	return ERR_OK;
}
