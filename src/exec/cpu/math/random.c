/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RandomUniform, RandomNormal and their Likes, Bernoulli, Multinomial, Dropout that trains.
 *
 * DESIGN
 * Element i of a result is made of half i % 2 of the generator's block i / 2, so splitting
 * changes nothing. A node with a seed draws the same numbers in every run. One without has
 * a key of its own, made when it is prepared, and the number of the run as the high half of
 * its counter: an atomic, the one thing that runs of a plan share.
 */
#include "exec/cpu/cpu.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include "exec/cpu/math/philox.h"
#include "exec/cpu/minifloat.h"

/* Where one node's numbers come from. */
struct source {
	uint64_t key;
	atomic_ullong *runs; /* NULL: it has a seed */
};

struct random_state {
	struct split split; /* of elements; of rows for Multinomial */
	struct source source;
	double a, b; /* low and high, or mean and scale */
	int64_t n_class, n_sample;
};

static enum err_code source_init(
	struct source *s, struct prep *p, const struct attr *seed, struct err *err)
{
	if (seed && seed->kind == ATTR_INT) {
		s->key = (uint64_t)seed->i;
		return ERR_OK;
	}
	if (seed) {
		uint32_t bits;
		memcpy(&bits, &seed->f, sizeof(bits));
		s->key = bits;
		return ERR_OK;
	}
	s->runs = prep_alloc(p, sizeof(*s->runs));
	if (!s->runs)
		return err_oom(err);
	if (getrandom(&s->key, sizeof(s->key), 0) != (ssize_t)sizeof(s->key))
		return err_set(
			err, ERR_INTERNAL, "the system has no random numbers: %s", strerror(errno));
	return ERR_OK;
}

/* The number of a run, or of a part of one: no two are drawn for alike. */
static uint64_t source_run(const struct source *s)
{
	return s->runs ? atomic_fetch_add_explicit(s->runs, 1, memory_order_relaxed) : 0;
}

static double draw(const struct source *s, uint64_t run, int64_t i)
{
	struct philox p = philox(s->key, run, (uint64_t)i / 2);
	return philox_unit(&p, (int)(i % 2));
}

/* Any type of numbers, float8 too. */
static double number_at(const struct tensor *t, int64_t i)
{
	if (dtype_is_minifloat(t->dtype))
		return (double)minifloat_decode(t->dtype, ((const uint8_t *)t->data)[i]);
	return tensor_float(t, i);
}

static struct random_state *random_state(
	struct prep *p, struct kernel *ret, run_fn run, int64_t items, double ns, struct err *err)
{
	struct random_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s) {
		err_oom(err);
		return NULL;
	}
	if (source_init(&s->source, p, node_attr(p->node, "seed"), err) != ERR_OK)
		return NULL;
	s->split = split_work(p, ret, items, ns);
	ret->run = run;
	return s;
}

/* -- uniform and normal ------------------------------------------------------------------------ */

static void run_uniform(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct random_state *s = a->state;
	uint64_t run = source_run(&s->source);
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++)
		tensor_set(&a->out[0], i, s->a + (s->b - s->a) * draw(&s->source, run, i));
}

enum err_code prepare_random_uniform(struct prep *p, struct kernel *ret, struct err *err)
{
	struct random_state *s =
		random_state(p, ret, run_uniform, tensor_count(&p->out[0]), 20, err);
	if (!s)
		return err->code;
	s->a = (double)node_float(p->node, "low", 0);
	s->b = (double)node_float(p->node, "high", 1);
	return ERR_OK;
}

/* Box and Muller: two independent normal numbers of two uniform ones. */
static double draw_normal(const struct source *s, uint64_t run, int64_t i)
{
	struct philox p = philox(s->key, run, (uint64_t)i / 2);
	double radius = sqrt(-2 * log(1 - philox_unit(&p, 0)));
	double angle = 2 * M_PI * philox_unit(&p, 1);
	return radius * (i % 2 ? sin(angle) : cos(angle));
}

static void run_normal(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct random_state *s = a->state;
	uint64_t run = source_run(&s->source);
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++)
		tensor_set(&a->out[0], i, s->a + s->b * draw_normal(&s->source, run, i));
}

enum err_code prepare_random_normal(struct prep *p, struct kernel *ret, struct err *err)
{
	struct random_state *s =
		random_state(p, ret, run_normal, tensor_count(&p->out[0]), 60, err);
	if (!s)
		return err->code;
	s->a = (double)node_float(p->node, "mean", 0);
	s->b = (double)node_float(p->node, "scale", 1);
	return ERR_OK;
}

/* -- by given probabilities -------------------------------------------------------------------- */

static void run_bernoulli(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct random_state *s = a->state;
	uint64_t run = source_run(&s->source);
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++)
		tensor_set(&a->out[0], i, draw(&s->source, run, i) < tensor_float(&a->in[0], i));
}

enum err_code prepare_bernoulli(struct prep *p, struct kernel *ret, struct err *err)
{
	const void *state =
		random_state(p, ret, run_bernoulli, tensor_count(&p->out[0]), 25, err);
	return state ? ERR_OK : err->code;
}

/* The running sums of exp(x - largest) of a row; false: that is no distribution. */
static bool sum_up(const struct tensor *x, int64_t row, int64_t n, double *sum)
{
	double largest = -INFINITY, all = 0;
	for (int64_t k = 0; k < n; k++)
		largest = fmax(largest, tensor_float(x, row * n + k));
	for (int64_t k = 0; k < n; k++)
		sum[k] = all += exp(tensor_float(x, row * n + k) - largest);
	return isfinite(all) && all > 0;
}

/* The first class whose running sum is above v. */
static int64_t find_class(const double *sum, int64_t n, double v)
{
	int64_t low = 0, high = n - 1;
	while (low < high) {
		int64_t mid = (low + high) / 2;
		if (sum[mid] > v)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static void run_multinomial(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct random_state *s = a->state;
	uint64_t run = source_run(&s->source);
	int64_t from, to;
	double *sum = a->scratch;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		if (!sum_up(&a->in[0], row, s->n_class, sum)) {
			kernel_fault(a, FAULT_DISTRIBUTION, row);
			return;
		}
		for (int64_t k = row * s->n_sample; k < (row + 1) * s->n_sample; k++) {
			double v = draw(&s->source, run, k) * sum[s->n_class - 1];
			tensor_set(&a->out[0], k, (double)find_class(sum, s->n_class, v));
		}
	}
}

enum err_code prepare_multinomial(struct prep *p, struct kernel *ret, struct err *err)
{
	int64_t rows = p->out[0].shape.dim[0], n_sample = p->out[0].shape.dim[1];
	int64_t n_class = p->in[0].shape.dim[1];
	struct random_state *s = random_state(p, ret, run_multinomial, n_sample ? rows : 0,
		20 * (double)n_class + 30 * (double)n_sample, err);
	if (!s)
		return err->code;
	s->n_class = n_class;
	s->n_sample = n_sample;
	ret->scratch_bytes = (size_t)n_class * sizeof(double);
	return ERR_OK;
}

/* -- Dropout: in training with the probability of the ratio, the rest scaled up ---------------- */

/* What stays as it is: all of it, when it does not train. */
static void keep_all(const struct kernel_args *a, int64_t from, int64_t to)
{
	size_t bytes = dtype_bytes(a->in[0].dtype), at = (size_t)from * bytes;
	if (a->out[0].data != a->in[0].data && to > from)
		memcpy((char *)a->out[0].data + at, (const char *)a->in[0].data + at,
			(size_t)(to - from) * bytes);
	if (args_has_out(a, 1) && to > from)
		memset((uint8_t *)a->out[1].data + from, 1, (size_t)(to - from));
}

static void set_number(struct tensor *t, int64_t i, double v)
{
	if (dtype_is_minifloat(t->dtype))
		((uint8_t *)t->data)[i] = minifloat_encode(t->dtype, v, true);
	else
		tensor_set(t, i, v);
}

static void run_dropout(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct random_state *s = a->state;
	double ratio = args_has_in(a, 1) ? number_at(&a->in[1], 0) : 0.5;
	bool trains = args_has_in(a, 2) && *(const uint8_t *)a->in[2].data;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	if (!trains || ratio == 0) {
		keep_all(a, from, to);
		return;
	}
	if (!(ratio > 0 && ratio <= 1)) {
		kernel_fault(a, FAULT_VALUE, isfinite(ratio) ? (int64_t)ratio : -1);
		return;
	}
	uint64_t run = source_run(&s->source);
	for (int64_t i = from; i < to; i++) {
		bool keep = draw(&s->source, run, i) >= ratio;
		set_number(&a->out[0], i, keep ? number_at(&a->in[0], i) / (1 - ratio) : 0);
		if (args_has_out(a, 1))
			((uint8_t *)a->out[1].data)[i] = keep;
	}
}

enum err_code prepare_dropout(struct prep *p, struct kernel *ret, struct err *err)
{
	if (!random_state(p, ret, run_dropout, tensor_count(&p->in[0]), 25, err))
		return err->code;
	ret->inplace = true;
	return ERR_OK;
}
