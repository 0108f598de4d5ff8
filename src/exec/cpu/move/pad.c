/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pad, all modes, any element, and CenterCropPad, which is one. Prepare maps every index of
 * each output axis to an index of the input, or to none where the constant goes; run builds
 * the output row by row.
 */
#include "exec/cpu/cpu.h"

#include <string.h>
#include "exec/infer/move_geometry.h"

#define NOWHERE (-1)

struct pad_state {
	struct split split; /* of output rows */
	int rank;           /* at least 1 */
	int64_t out[RANK_MAX], stride[RANK_MAX];
	const int64_t *map[RANK_MAX];
	int64_t run_from, run_to; /* of the last axis: where the map counts up by one */
	size_t elem;
};

static int64_t wrap_index(int64_t i, int64_t period)
{
	i %= period;
	return i < 0 ? i + period : i;
}

/* Where output index i - begin falls in an axis of n. */
static int64_t pad_source(struct slice mode, int64_t i, int64_t n)
{
	if (i >= 0 && i < n)
		return i;
	if (n == 0 || slice_is(mode, "constant"))
		return NOWHERE;
	if (slice_is(mode, "edge"))
		return i < 0 ? 0 : n - 1;
	if (slice_is(mode, "wrap"))
		return wrap_index(i, n);
	/* reflect: the edge itself is not repeated */
	if (n == 1)
		return 0;
	int64_t at = wrap_index(i, 2 * (n - 1));
	return at < n ? at : 2 * (n - 1) - at;
}

/* What is there already, again and again. */
static void fill(char *dst, const void *value, int64_t n, size_t elem)
{
	size_t there = n > 0 ? elem : 0, bytes = (size_t)n * elem;
	memcpy(dst, value, there);
	for (; there < bytes; there += there)
		memcpy(dst + there, dst, there < bytes - there ? there : bytes - there);
}

/* Elements [from, to) of a row, all before the run or all behind it: constants, or mapped. */
static void pad_edge(const struct pad_state *s, char *dst, const char *src, const void *value,
	int64_t from, int64_t to)
{
	const int64_t *map = s->map[s->rank - 1], e = (int64_t)s->elem;
	if (from < to && map[from] == NOWHERE) {
		fill(dst + from * e, value, to - from, s->elem);
		return;
	}
	for (int64_t i = from; i < to; i++)
		memcpy(dst + i * e, src + map[i] * e, s->elem);
}

static void pad_row(const struct pad_state *s, char *dst, const char *src, const void *value)
{
	int64_t n = s->out[s->rank - 1], e = (int64_t)s->elem, from = s->run_from, to = s->run_to;
	if (from >= to) {
		pad_edge(s, dst, src, value, 0, n);
		return;
	}
	pad_edge(s, dst, src, value, 0, from);
	memcpy(dst + from * e, src + s->map[s->rank - 1][from] * e, (size_t)((to - from) * e));
	pad_edge(s, dst, src, value, to, n);
}

static void run_pad(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct pad_state *s = a->state;
	static const char zero[16]; /* of every type; a string's is the empty one */
	const void *value = args_has_in(a, 2) ? a->in[2].data : zero;
	int64_t from, to, n = s->out[s->rank - 1], e = (int64_t)s->elem;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		int64_t rest = row, offset = 0;
		bool outside = false;
		for (int i = s->rank - 2; i >= 0; i--) {
			int64_t at = s->map[i][rest % s->out[i]];
			rest /= s->out[i];
			outside |= at == NOWHERE;
			offset += at * s->stride[i];
		}
		char *dst = (char *)a->out[0].data + row * n * e;
		if (outside)
			fill(dst, value, n, s->elem);
		else
			pad_row(s, dst, (const char *)a->in[0].data + offset * e, value);
	}
}

/* Neighbouring axes without padding are one axis; those of one element are none. */
static void collapse(struct pad_geometry *g, struct shape *x)
{
	int n = 0;
	for (int i = 0; i < g->rank; i++) {
		bool plain = g->begin[i] == 0 && g->end[i] == 0;
		if (plain && x->dim[i] == 1)
			continue;
		if (n && plain && g->begin[n - 1] == 0 && g->end[n - 1] == 0) {
			x->dim[n - 1] *= x->dim[i];
			g->out[n - 1] *= g->out[i];
			continue;
		}
		x->dim[n] = x->dim[i];
		g->out[n] = g->out[i];
		g->begin[n] = g->begin[i];
		g->end[n] = g->end[i];
		n++;
	}
	if (n == 0) {
		x->dim[0] = g->out[0] = 1;
		g->begin[0] = g->end[0] = 0;
		n = 1;
	}
	g->rank = x->rank = n;
}

static enum err_code
prepare_geometry(struct prep *p, struct pad_geometry *g, struct kernel *ret, struct err *err)
{
	struct pad_state *s = kernel_state(p, ret, sizeof(*s));
	struct shape x = p->in[0].shape;
	if (!s)
		return err_oom(err);
	collapse(g, &x);
	struct slice mode = node_string(p->node, "mode", "constant");
	s->rank = g->rank;
	s->elem = dtype_bytes(p->in[0].dtype);
	shape_strides(&x, s->stride);
	int64_t rows = 1;
	for (int i = 0; i < g->rank; i++) {
		int64_t *map = prep_alloc(p, (size_t)g->out[i] * sizeof(*map) + 1);
		if (!map)
			return err_oom(err);
		for (int64_t k = 0; k < g->out[i]; k++)
			map[k] = pad_source(mode, k - g->begin[i], x.dim[i]);
		s->map[i] = map;
		s->out[i] = g->out[i];
		rows *= i < g->rank - 1 ? g->out[i] : 1;
	}
	int last = g->rank - 1;
	s->run_from = max_i64(g->begin[last], 0);
	s->run_to = min_i64(g->begin[last] + x.dim[last], g->out[last]);
	s->split = split_work(p, ret, g->out[last] ? rows : 0, 20 + (double)g->out[last] * 2);
	ret->run = run_pad;
	return ERR_OK;
}

enum err_code prepare_pad(struct prep *p, struct kernel *ret, struct err *err)
{
	struct pad_geometry g;
	enum err_code rc = pad_geometry(
		&p->in[0].shape, &p->in[1], prep_has_in(p, 3) ? &p->in[3] : NULL, &g, err);
	return rc == ERR_OK ? prepare_geometry(p, &g, ret, err) : rc;
}

enum err_code prepare_center_crop_pad(struct prep *p, struct kernel *ret, struct err *err)
{
	struct pad_geometry g;
	enum err_code rc = center_geometry(p->node, &p->in[0].shape, &p->in[1], &g, err);
	return rc == ERR_OK ? prepare_geometry(p, &g, ret, err) : rc;
}
