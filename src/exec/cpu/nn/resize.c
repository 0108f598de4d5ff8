/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resize: every mode is, along each axis, a few taps of the input per output index; they
 * are worked out once, in prepare (resize_taps.c). Nearest has one tap and moves elements
 * of any type; the others sum the products of all axes' taps.
 *
 * DESIGN. An item of work is one output index of all resized axes but the last; resize_loops.c
 * does one of taps.
 */
#include "exec/cpu/nn/resize_loops.h"

#include <string.h>

/* -- run --------------------------------------------------------------------------------------- */

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
	int64_t from, to, index[RANK_MAX], row = s->out[last] * s->stride[last] * s->bytes,
					   before = -1;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		int64_t offset = 0;
		resize_index(s, item, index);
		for (int i = 0; i < last; i++)
			offset += s->axis[i].index[index[i]] * s->stride[i];
		char *dst = (char *)a->out[0].data + item * row;
		const char *src = (const char *)a->in[0].data + offset * s->bytes;
		if (offset == before)
			memcpy(dst, dst - row, (size_t)row);
		else if (s->doubles)
			double_row((uint32_t *)dst, (const uint32_t *)src, s->in[last]);
		else
			move_row(dst, src, s->axis[last].index, s->out[last],
				s->stride[last] * s->bytes);
		before = offset;
	}
}

/* -- prepare ----------------------------------------------------------------------------------- */

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
				enum err_code rc =
					resize_taps_make(p, g, i, &s->axis[s->rank], err);
				if (rc != ERR_OK)
					return rc;
			}
			s->rank++;
		}
		kept = keeps;
	}
	if (!kept && s->rank == RANK_MAX)
		return prep_fail(p, err, ERR_INVALID_ARGUMENT,
			"the last of %d axes is resized, of so many it must stay", RANK_MAX);
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
	bool doubles =
		s->stride[last] * s->bytes == sizeof(uint32_t) && s->out[last] == 2 * s->in[last];
	for (int64_t o = 0; doubles && o < s->out[last]; o++)
		doubles = s->axis[last].index[o] == o / 2;
	return doubles;
}

enum err_code prepare_resize(struct prep *p, struct kernel *ret, struct err *err)
{
	struct resize_geometry g;
	enum err_code rc = resize_geometry(p->node, &p->in[0].shape,
		prep_has_in(p, 1) ? &p->in[1] : NULL, prep_has_in(p, 2) ? &p->in[2] : NULL,
		prep_has_in(p, 3) ? &p->in[3] : NULL, &g, err);
	if (rc != ERR_OK)
		return rc;
	if (!split_blocks(p->in[0].layout, &g))
		return prep_refuse(err, "channels that are resized, or innermost");
	bool nearest = g.mode == RESIZE_NEAREST && g.coord != RESIZE_TF_CROP;
	if (!nearest && !CPU_BEST(resize_runs)[p->in[0].dtype])
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
	s->split = split_work(
		p, ret, row ? items : 0, 20 + source / 2 + (double)(row * s->axis[last].n));
	ret->run = nearest ? run_nearest : CPU_BEST(resize_runs)[p->in[0].dtype];
	ret->out_layout = p->in[0].layout;
	ret->scratch_bytes = nearest ? 0 : (size_t)(s->in[last] * s->stride[last]) * sizeof(double);
	return ERR_OK;
}
