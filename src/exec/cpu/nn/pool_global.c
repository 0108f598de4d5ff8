/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools over whole images as they come, each channel one run of floats; those that say so and
 * those whose window it is. Compiled once per
 * instruction set.
 */
#include "exec/cpu/math/vec_sums.h"

#include "exec/infer/conv_geometry.h"

struct pool_state {
	struct split split; /* of channels */
	int64_t image;	    /* elements of one */
};

static void run_average(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct pool_state *s = a->state;
	const float *x = a->in[0].data;
	float *y = a->out[0].data;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++)
		y[i] = sum_powers(x + i * s->image, s->image, 0, false) / (float)s->image;
}

static void run_max(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct pool_state *s = a->state;
	const float *x = a->in[0].data;
	float *y = a->out[0].data;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++)
		y[i] = most_of(x + i * s->image, s->image, false);
}

/* Of a pool that is not global: is its one window the whole image? */
static bool covers_image(const struct conv_geometry *g)
{
	for (int i = 0; i < g->spatial; i++)
		if (g->kernel[i] != g->in[i] || g->dilation[i] != 1 || g->out[i] != 1 ||
			g->pad_begin[i] || g->pad_end[i])
			return false;
	return true;
}

enum err_code VEC_NAME(prepare_pool_global)(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	enum op_id op = p->node->op;
	if (op == OP_AVERAGE_POOL || op == OP_MAX_POOL) {
		struct conv_geometry g;
		TRY(pool_geometry(p->node, x, &g, err));
		if (!covers_image(&g) || p->n_out > 1)
			return prep_refuse(err, "windows within an image, or indices");
	}
	int64_t image = shape_count_range(x, 2, x->rank);
	if (image == 0)
		return prep_refuse(err, "the reference knows what an image without pixels gives");
	struct pool_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->image = image;
	s->split = split_work(p, ret, shape_count_range(x, 0, 2), 20 + (double)image * 0.1);
	ret->run = op == OP_GLOBAL_MAX_POOL || op == OP_MAX_POOL ? run_max : run_average;
	return ERR_OK;
}
