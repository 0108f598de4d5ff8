/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of images in a blocked layout: a block of channels is one vector. Compiled once per
 * instruction set; ISA is avx2 (blocks of 8) or avx512 (of 16).
 */
#include "exec/cpu/vec_isa.h"
#include "exec/cpu/nn/window.h"

#include <math.h>

struct pool_state {
	struct split split; /* of output rows: image, block, row */
	struct window w;    /* with blocks for channels */
	bool count_pad;
};

/* NaN wins, as in the reference. */
static inline vec max_step(vec best, vec x)
{
	return vec_select((x > best) | (x != x), x, best);
}

static inline vec sum_step(vec sum, vec x)
{
	return sum + x;
}

#define POOL(name, first, step, last) \
	static void name(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct pool_state *s = a->state; \
		const struct window *w = &s->w; \
		const struct conv_geometry *g = &w->g; \
		int64_t from, to, width = g->out[AXIS_W], image = window_image(w); \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			struct window_row r = window_row(w, item); \
			const vec *x = (const vec *)a->in[0].data + (r.n * w->c_in + r.c) * image; \
			vec *y = (vec *)a->out[0].data + item * width; \
			struct reach h = window_reach(&s->w, s->count_pad, AXIS_H, r.h); \
			for (int64_t o = 0; o < width; o++) { \
				struct reach c = window_reach(&s->w, s->count_pad, AXIS_W, o); \
				vec v = vec_all(first); \
				for (int64_t kh = h.from; kh < h.to; kh++) { \
					const vec *row = x + (h.start + kh * g->dilation[AXIS_H]) * \
								     g->in[AXIS_W] + c.start; \
					for (int64_t kw = c.from; kw < c.to; kw++) \
						v = step(v, row[kw * g->dilation[AXIS_W]]); \
				} \
				y[o] = last; \
			} \
		} \
	}
POOL(run_max, -INFINITY, max_step, v)
POOL(run_average, 0, sum_step,
	v / vec_all((float)max_i64(h.counted * c.counted, 1)))

/* One window as large as the image. */
static void global_geometry(const struct shape *x, struct conv_geometry *g)
{
	*g = (struct conv_geometry){ .spatial = 2, .group = 1 };
	for (int i = 0; i < 2; i++) {
		g->in[i] = g->kernel[i] = x->dim[i + 2];
		g->out[i] = g->stride[i] = g->dilation[i] = 1;
	}
}

enum err_code VEC_NAME(prepare_pool_blocked)(struct prep *p, struct kernel *ret, struct err *err)
{
	enum op_id op = p->node->op;
	bool max = op == OP_MAX_POOL || op == OP_GLOBAL_MAX_POOL;
	bool global = op == OP_GLOBAL_MAX_POOL || op == OP_GLOBAL_AVERAGE_POOL;
	if (p->in[0].layout != VEC_LAYOUT)
		return prep_refuse(err, "input is not in this machine's blocked layout");
	for (int i = 1; i < p->n_out; i++)
		if (p->out[i].shape.rank != RANK_UNKNOWN)
			return prep_refuse(err, "indices are the reference's");
	struct conv_geometry g;
	enum err_code rc = ERR_OK;
	if (global)
		global_geometry(&p->in[0].shape, &g);
	else
		rc = pool_geometry(p->node, &p->in[0].shape, &g, err);
	if (rc != ERR_OK)
		return rc;
	struct pool_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	rc = window_init(&s->w, &g, &p->in[0].shape, &p->out[0].shape, err);
	if (rc != ERR_OK)
		return rc;
	s->w.c_in = s->w.c_out = s->w.c_in / VEC_FLOATS;
	s->count_pad = node_int(p->node, "count_include_pad", 0) != 0;
	int64_t width = s->w.g.out[AXIS_W];
	s->split = split_work(p, ret, width ? window_rows(&s->w) : 0,
		20 + (double)(window_taps(&s->w) * width) * 0.7);
	ret->run = max ? run_max : run_average;
	/* One pixel is the same in both layouts, and plain suits whoever comes next. */
	ret->out_layout = s->w.g.out[AXIS_H] * width == 1 ? LAYOUT_PLAIN : VEC_LAYOUT;
	return ERR_OK;
}
