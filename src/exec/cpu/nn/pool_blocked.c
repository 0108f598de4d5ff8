/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of images and volumes in a blocked layout: a block of channels is one vector. Compiled once
 * per instruction set; ISA is avx2 (blocks of 8) or avx512 (of 16, of bfloat16 too).
 */
#include "exec/cpu/nn/pool_vec.h"
#include "exec/cpu/conv/window.h"

#include <math.h>

/* Those of an output plane, row or column that lie in the image. */
struct taps {
	int64_t first, n; /* in pixels from the image's begin, without other axes; how many */
	int64_t counted;  /* for an average */
};

struct pool_state {
	struct split split; /* of output rows: image, block, plane, row */
	struct window w;    /* with blocks for channels */
	/* Of each output plane, then of each row and column: to work them out takes longer than a
	   window. */
	struct taps taps[];
};

/* A block of bfloat16. */
typedef uint16_t bits
	__attribute__((vector_size(VEC_FLOATS * sizeof(uint16_t)), aligned(2), may_alias));
typedef uint32_t wide_bits __attribute__((vector_size(VEC_FLOATS * sizeof(uint32_t))));

static inline vec widened(bits x)
{
	return (vec)(__builtin_convertvector(x, wide_bits) << 16);
}

/* Of what was one before. */
static inline bits narrowed(vec x)
{
	return __builtin_convertvector((wide_bits)x >> 16, bits);
}

#define POOL(name, IN, OUT, get, first_value, step, last) \
	static void name(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct pool_state *s = a->state; \
		const struct conv_geometry *g = &s->w.g; \
		const struct taps *rows = s->taps + g->out[AXIS_D], \
			*columns = rows + g->out[AXIS_H]; \
		int64_t from, to, width = g->out[AXIS_W], image = window_image(&s->w); \
		int64_t dh = g->dilation[AXIS_H] * g->in[AXIS_W], dw = g->dilation[AXIS_W]; \
		int64_t dd = g->dilation[AXIS_D] * g->in[AXIS_H] * g->in[AXIS_W]; \
		split_range(&s->split, begin, end, &from, &to); \
		OUT *y = (OUT *)a->out[0].data + from * width; \
		for (int64_t item = from; item < to; item++) { \
			int64_t plane = item / g->out[AXIS_H]; \
			const struct taps *h = &rows[item % g->out[AXIS_H]], \
				*d = &s->taps[plane % g->out[AXIS_D]]; \
			const IN *x = (const IN *)a->in[0].data + plane / g->out[AXIS_D] * image + \
				d->first; \
			for (const struct taps *c = columns; c < columns + width; c++) { \
				vec v = vec_all(first_value); \
				for (int64_t kd = 0; kd < d->n; kd++) \
					for (int64_t kh = 0; kh < h->n; kh++) { \
						const IN *row = x + (kd * dd + h->first + \
							kh * dh + c->first); \
						for (int64_t kw = 0; kw < c->n; kw++) \
							v = step(v, get(row[kw * dw])); \
					} \
				*y++ = last; \
			} \
		} \
	}
#define MEAN v / vec_all((float)max_i64(d->counted * h->counted * c->counted, 1))
POOL(run_max, vec, vec, (vec), -INFINITY, max_step, v)
POOL(run_average, vec, vec, (vec), 0, sum_step, MEAN)
POOL(run_max_bf16, bits, vec, widened, -INFINITY, max_step, v)
POOL(run_average_bf16, bits, vec, widened, 0, sum_step, MEAN)
POOL(run_max_in_bf16, bits, bits, widened, -INFINITY, max_step, narrowed(v))

/* The largest of rounded numbers is one of them; sums are left as floats. */
static void choose_run(const struct prep *p, bool max, bool pixel, struct kernel *ret)
{
	bool bf16 = layout_is_bf16(p->in[0].layout),
	     stays = bf16 && max && !pixel && p->bf16_wanted;
	ret->run = max ? run_max : run_average;
	if (bf16)
		ret->run = stays ? run_max_in_bf16 : max ? run_max_bf16 : run_average_bf16;
	/* One pixel is the same in all layouts, and plain suits whoever comes next. */
	ret->out_layout = pixel ? LAYOUT_PLAIN : stays ? LAYOUT_NCHW16C_BF16 : VEC_LAYOUT;
}

/* One window as large as the image. */
static void global_geometry(const struct shape *x, struct conv_geometry *g)
{
	*g = (struct conv_geometry){ .spatial = x->rank - 2, .group = 1 };
	for (int i = 0; i < g->spatial; i++) {
		g->in[i] = g->kernel[i] = x->dim[i + 2];
		g->out[i] = g->stride[i] = g->dilation[i] = 1;
	}
}

static void fill_taps(struct pool_state *s, bool count_pad)
{
	const struct conv_geometry *g = &s->w.g;
	struct taps *t = s->taps;
	int64_t pixels = window_image(&s->w);
	for (int axis = AXIS_D; axis <= AXIS_W; axis++) {
		pixels /= max_i64(g->in[axis], 1);
		for (int64_t o = 0; o < g->out[axis]; o++) {
			struct reach r = window_reach(&s->w, count_pad, axis, o);
			int64_t first = (r.start + r.from * g->dilation[axis]) * pixels;
			*t++ = (struct taps){ .first = first, .n = r.to - r.from,
				.counted = r.counted };
		}
	}
}

enum err_code VEC_NAME(prepare_pool_blocked)(struct prep *p, struct kernel *ret, struct err *err)
{
	enum op_id op = p->node->op;
	bool max = op == OP_MAX_POOL || op == OP_GLOBAL_MAX_POOL;
	bool global = op == OP_GLOBAL_MAX_POOL || op == OP_GLOBAL_AVERAGE_POOL;
	if (layout_block(p->in[0].layout) != VEC_FLOATS)
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
	struct window w;
	TRY(window_init(&w, &g, &p->in[0].shape, &p->out[0].shape, err));
	w.c_in = w.c_out = w.c_in / VEC_FLOATS;
	int64_t depth = w.g.out[AXIS_D], height = w.g.out[AXIS_H], width = w.g.out[AXIS_W];
	struct pool_state *s = kernel_state(
		p, ret, sizeof(*s) + (size_t)(depth + height + width) * sizeof(s->taps[0]));
	if (!s)
		return err_oom(err);
	s->w = w;
	fill_taps(s, node_int(p->node, "count_include_pad", 0) != 0);
	s->split = split_work(p, ret, width ? window_rows(&s->w) : 0,
		20 + (double)(window_taps(&s->w) * width) * 0.7);
	choose_run(p, max, depth * height * width == 1, ret);
	return ERR_OK;
}
