/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools over whole images as they come, each channel one run of floats. Compiled once per
 * instruction set.
 */
#include "exec/cpu/math/vec_sums.h"

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

/* NaN wins, as in the reference; max_of() passes it over. */
static bool has_nan(const float *x, int64_t n)
{
	vec_mask odd = { 0 };
	int64_t k = 0;
	bool any = false;
	for (; k + VEC_FLOATS <= n; k += VEC_FLOATS) {
		vec v = *(const vec *)(x + k);
		odd |= v != v;
	}
	for (int i = 0; i < VEC_FLOATS; i++)
		any |= odd[i] != 0;
	for (; k < n; k++)
		any |= x[k] != x[k];
	return any;
}

static void run_max(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct pool_state *s = a->state;
	const float *x = a->in[0].data;
	float *y = a->out[0].data;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		const float *row = x + i * s->image;
		y[i] = has_nan(row, s->image) ? NAN : max_of(row, s->image);
	}
}

enum err_code VEC_NAME(prepare_pool_global)(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int64_t image = shape_count_range(x, 2, x->rank);
	if (image == 0)
		return prep_refuse(err, "the reference knows what an image without pixels gives");
	struct pool_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->image = image;
	s->split = split_work(p, ret, shape_count_range(x, 0, 2), 20 + (double)image * 0.1);
	ret->run = p->node->op == OP_GLOBAL_MAX_POOL ? run_max : run_average;
	return ERR_OK;
}
