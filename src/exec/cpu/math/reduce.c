/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Reduce operators, over any axes, of every type they take.
 *
 * DESIGN. Axes are merged into alternating groups of kept and reduced ones. An item of
 * work is a run of outputs. Where the last group is kept, a run of neighbouring outputs is
 * accumulated side by side, row after row of the input; where it is reduced, each output
 * runs over contiguous elements, and neighbouring ones are accumulated in one go. float
 * accumulates in double: sums of any length are right to the last digit or so.
 *
 * INVARIANTS. 1. group[] alternates. 2. The outputs of one item share all kept indices but
 * that of the last kept group.
 */
#include "exec/cpu/math/reduce.h"

#include <math.h>
#include <string.h>
#include "exec/infer/move_geometry.h"

#define REDUCE_RUN 256 /* outputs in one go */
#define ROW_RUN 4096   /* elements of rows that are worth it */

struct reduce_op {
	enum reduce_step step;
	enum reduce_finish finish;
	bool log_sum_exp;
};

static const struct reduce_op reduce_ops[OP_COUNT_] = {
	[OP_REDUCE_L1] = { REDUCE_L1, FINISH_NONE, false },
	[OP_REDUCE_L2] = { REDUCE_SQUARE, FINISH_ROOT, false },
	[OP_REDUCE_LOG_SUM] = { REDUCE_SUM, FINISH_LOG, false },
	[OP_REDUCE_LOG_SUM_EXP] = { REDUCE_MAX, FINISH_LOG, true },
	[OP_REDUCE_MAX] = { REDUCE_MAX, FINISH_NONE, false },
	[OP_REDUCE_MEAN] = { REDUCE_SUM, FINISH_MEAN, false },
	[OP_REDUCE_MIN] = { REDUCE_MIN, FINISH_NONE, false },
	[OP_REDUCE_PROD] = { REDUCE_PROD, FINISH_NONE, false },
	[OP_REDUCE_SUM] = { REDUCE_SUM, FINISH_NONE, false },
	[OP_REDUCE_SUM_SQUARE] = { REDUCE_SQUARE, FINISH_NONE, false },
};

struct group {
	int64_t n, stride; /* stride in elements of the input */
};

struct reduce_state {
	struct split split;
	const struct reduce_loops *loops;
	struct reduce_op op;
	enum dtype dtype;
	int n_kept, n_reduced; /* groups; the contiguous one is not among them */
	struct group kept[RANK_MAX], reduced[RANK_MAX];
	bool rows;        /* the contiguous group is reduced */
	int64_t last;     /* its size */
	int64_t side;     /* outputs beside each other, in no group of kept */
	int64_t apart;    /* elements of the input from one of them to the next */
	int64_t run;      /* outputs in an item */
	int64_t runs;     /* items per kept index */
	int64_t count;    /* elements per output */
	int64_t bytes;    /* of an element */
};

/* Advances an odometer of groups; returns how far the offset moves. */
static int64_t advance(const struct group *g, int n, int64_t *index)
{
	int64_t moved = 0;
	for (int i = n - 1; i >= 0; i--) {
		moved += g[i].stride;
		if (++index[i] < g[i].n)
			return moved;
		moved -= g[i].n * g[i].stride;
		index[i] = 0;
	}
	return moved;
}

static int64_t offset_of(const struct group *g, int n, int64_t at)
{
	int64_t offset = 0;
	for (int i = n - 1; i >= 0; i--) {
		offset += at % g[i].n * g[i].stride;
		at /= g[i].n;
	}
	return offset;
}

static int64_t repeats(const struct reduce_state *s)
{
	int64_t n = 1;
	for (int i = 0; i < s->n_reduced; i++)
		n *= s->reduced[i].n;
	return s->count ? n : 0;
}

/* Accumulates n outputs whose elements begin at x. */
static void accumulate(
	const struct reduce_state *s, enum reduce_step step, const char *x, int64_t n, void *acc)
{
	int64_t index[RANK_MAX] = { 0 };
	const struct reduce_loops *l = s->loops;
	l->fill(step, acc, n);
	for (int64_t left = repeats(s); left > 0; left--) {
		if (s->rows)
			l->rows[step](acc, x, n, s->last);
		else
			l->step[step](acc, x, n);
		x += advance(s->reduced, s->n_reduced, index) * s->bytes;
	}
}

/* An accumulator as a double, and the other way round. */
static double acc_real(enum dtype dtype, uint64_t acc)
{
	double x;
	if (dtype_in(dtype, T_INT))
		return (double)(int64_t)acc;
	if (dtype_in(dtype, T_UINT))
		return (double)acc;
	memcpy(&x, &acc, sizeof(x));
	return x;
}

static uint64_t acc_from(enum dtype dtype, double x)
{
	uint64_t acc = (uint64_t)reduce_whole(x);
	if (dtype_in(dtype, T_REAL))
		memcpy(&acc, &x, sizeof(acc));
	return acc;
}

/* log(sum(exp(x - max))) + max; acc holds the maxima, and then the results. */
static void log_sum_exp(const struct reduce_state *s, const struct tensor *in, int64_t offset,
	int64_t n, uint64_t *acc)
{
	double sum[REDUCE_RUN] = { 0 }, top[REDUCE_RUN];
	int64_t index[RANK_MAX] = { 0 }, run = s->rows ? s->last : n;
	bool rows = s->rows;
	for (int64_t k = 0; k < n; k++) {
		double most = acc_real(in->dtype, acc[k]);
		top[k] = isfinite(most) ? most : 0;
	}
	for (int64_t left = repeats(s); left > 0; left--) {
		for (int64_t i = 0; i < run; i++) {
			int64_t k = rows ? 0 : i;
			sum[k] += exp(tensor_float(in, offset + i) - top[k]);
		}
		offset += advance(s->reduced, s->n_reduced, index);
	}
	for (int64_t k = 0; k < n; k++)
		acc[k] = acc_from(in->dtype, log(sum[k]) + top[k]);
}

static void run_reduce(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct reduce_state *s = a->state;
	int64_t from, to;
	uint64_t acc[REDUCE_RUN];
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		int64_t kept = item / s->runs, at = item % s->runs * s->run;
		int64_t n = min_i64(s->run, s->side - at);
		int64_t offset = offset_of(s->kept, s->n_kept, kept) + at * s->apart;
		char *out = (char *)a->out[0].data + (kept * s->side + at) * s->bytes;
		accumulate(s, s->op.step, (const char *)a->in[0].data + offset * s->bytes, n, acc);
		enum reduce_finish finish = s->op.finish;
		if (s->op.log_sum_exp) {
			log_sum_exp(s, &a->in[0], offset, n, acc);
			finish = FINISH_NONE;
		}
		s->loops->finish(finish, out, acc, n, s->count);
	}
}

/* What becomes of the contiguous group, and of the kept one before it. */
static void choose_way(struct reduce_state *s, bool last_kept)
{
	s->rows = !last_kept;
	s->side = last_kept ? s->last : 1;
	s->apart = 1;
	s->run = REDUCE_RUN;
	if (last_kept || !s->n_kept || s->op.log_sum_exp)
		return;
	s->side = s->kept[--s->n_kept].n;
	s->apart = s->last;
	s->run = min_i64(max_i64(ROW_RUN / max_i64(s->last, 1), 1), REDUCE_RUN);
}

/* Merges axes into groups; the last group goes to last. */
static void group_axes(struct reduce_state *s, const struct shape *x, uint32_t mask)
{
	struct group all[RANK_MAX];
	bool reduced[RANK_MAX];
	int n = 0;
	int64_t stride[RANK_MAX];
	shape_strides(x, stride);
	s->count = 1;
	for (int i = 0; i < x->rank; i++) {
		bool r = mask >> i & 1;
		s->count *= r ? x->dim[i] : 1;
		if (x->dim[i] == 1)
			continue;
		if (n && reduced[n - 1] == r)
			all[n - 1] = (struct group){ all[n - 1].n * x->dim[i], stride[i] };
		else
			all[n++] = (struct group){ x->dim[i], stride[i] };
		reduced[n - 1] = r;
	}
	s->last = n ? all[n - 1].n : 1;
	for (int i = 0; i < n - 1; i++) {
		if (reduced[i])
			s->reduced[s->n_reduced++] = all[i];
		else
			s->kept[s->n_kept++] = all[i];
	}
	choose_way(s, n == 0 || !reduced[n - 1]);
}

static bool takes(enum op_id op, enum dtype dtype)
{
	if (op == OP_REDUCE_MAX || op == OP_REDUCE_MIN)
		return true;
	return dtype != DTYPE_I8 && dtype != DTYPE_U8 && dtype != DTYPE_BOOL;
}

enum err_code prepare_reduce(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct tensor *x = &p->in[0];
	uint32_t mask;
	if (!CPU_BEST(reduce_loops)[x->dtype] || !takes(p->node->op, x->dtype))
		return prep_refuse(err, "no loop for this type");
	enum err_code rc = reduce_axes(
		p->node, prep_has_in(p, 1) ? &p->in[1] : NULL, x->shape.rank, &mask, err);
	if (rc != ERR_OK)
		return rc;
	struct reduce_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->loops = CPU_BEST(reduce_loops)[x->dtype];
	s->op = reduce_ops[p->node->op];
	s->bytes = (int64_t)dtype_bytes(x->dtype);
	group_axes(s, &x->shape, mask);
	s->runs = (s->side + s->run - 1) / s->run;
	int64_t kept = tensor_count(&p->out[0]) / max_i64(s->side, 1);
	double each = (double)s->count * (double)min_i64(s->run, s->side);
	s->split = split_work(p, ret, kept * s->runs, 20 + each * (s->op.log_sum_exp ? 8 : 0.4));
	ret->run = run_reduce;
	return ERR_OK;
}
