/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.h -- what the files of this folder share: the rows of kernels.def, and how work splits
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...   prepare functions, one per row
 * Life of a request: ... -> plan -> [KERNELS] -> ...    the run functions that they choose
 *
 * Threads: prepare one at a time per plan, run any number with disjoint ranges.
 * Memory:  prepare allocates from the plan's arena (prep_alloc()), run never.
 */
#pragma once

#include "exec/axis.h"
#include "exec/cpu/cpu_features.h"
#include "exec/kernel.h"
#include "exec/packs.h"

/* What has loops of its own: all but the half types. */
#define T_FULL (T_INT | T_UINT | T_REAL)

/* What sums and products of integers are defined for. */
#define T_WIDE (T_REAL | T(I32) | T(I64) | T(U32) | T(U64))

#define KERNEL(op, types, needs, layout, prepare) \
	MUST_CHECK enum err_code prepare(struct prep *p, struct kernel *ret, struct err *err);
#include "exec/cpu/kernels.def"
#undef KERNEL

/* In a row's needs: it is taken only where it was timed and found faster than the next row
   without this, with a result that agrees (trial.h). */
#define CPU_TIMED (1u << 31)

/* In which layouts a row may get its inputs: each has those before it, too. */
enum cpu_takes { TAKES_PLAIN, TAKES_BLOCKED, TAKES_BF16 };

/* One row as the tests and benches walk it. */
struct cpu_row {
	enum op_id op;
	uint64_t types;
	unsigned needs;
	enum cpu_takes takes;
	prepare_fn prepare;
	const char *name;
};
static inline bool cpu_row_runs_here(const struct cpu_row *row)
{
	unsigned needs = row->needs & ~CPU_TIMED;
	return (needs & cpu_features()) == needs;
}

extern const struct cpu_row cpu_rows[];
extern const int cpu_rows_count;

/* Zeroed memory of the plan for what prepare leaves to run; NULL: none left. */
static inline void *kernel_state(struct prep *p, struct kernel *ret, size_t bytes)
{
	void *s = prep_alloc(p, bytes);
	ret->state = s;
	return s;
}

/* The type by which rows are chosen: that of input 0, or of the input that carries the
   data where input 0 is a condition or an index. */
enum dtype cpu_key_dtype(const struct prep *p);

/* The best row for a node whose inputs come as p says; as backend->prepare(). */
MUST_CHECK enum err_code
cpu_prepare(struct prep *p, struct kernel *ret, bool *ret_want_plain, struct err *err);

/* copy.c: one tensor into another of the same type and shape, between any two layouts. */
MUST_CHECK enum err_code prepare_copy(struct prep *p, struct kernel *ret, struct err *err);

/* Items of work (rows, chunks, slices) handed out in units big enough to be worth a
   thread's while. */
struct split {
	int64_t items, per_unit;
};

#define UNIT_NS 2500.0
/* A part of a step that is worth cutting it where that costs something. */
#define CUT_MIN_NS 4000.0

static inline struct split split_work(const struct prep *p, struct kernel *ret, int64_t items,
	double item_ns)
{
	double per = item_ns > 0 ? UNIT_NS / item_ns : 1;
	if (per > (double)items || p->threads <= 1)
		per = (double)items;
	struct split s = { items, per > 1 ? (int64_t)per : 1 };
	ret->units = items > s.per_unit ? (items + s.per_unit - 1) / s.per_unit : 1;
	ret->unit_cost_ns = (int64_t)((double)s.per_unit * item_ns) + 1;
	return s;
}

/* Units [begin, end) as items [*from, *to). */
static inline void
split_range(const struct split *s, int64_t begin, int64_t end, int64_t *from, int64_t *to)
{
	*from = begin * s->per_unit;
	*to = end * s->per_unit < s->items ? end * s->per_unit : s->items;
}

static inline bool args_has_in(const struct kernel_args *a, int i)
{
	return i < a->n_in && a->in[i].data;
}

static inline bool args_has_out(const struct kernel_args *a, int i)
{
	return i < a->n_out && a->out[i].data;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}
