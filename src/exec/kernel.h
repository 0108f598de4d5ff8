/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h -- prepare and run: the two moments of a kernel
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...   prepare
 * Life of a request: ... -> plan -> [KERNELS] -> ...    run
 *
 * prepare: types, shapes and constants are known. It refuses (UNIMPLEMENTED: the next
 * row is asked) or chooses a run function, packs weights, states scratch and how the
 * work splits. May fail; runs once per plan.
 *
 * run: pointers only. It does the work units [begin, end) of [0, units) and may be called
 * at once from several threads with disjoint ranges, so it writes nothing shared. It
 * cannot fail, allocate, lock or log. Where data may be wrong (an index out of range) it
 * touches nothing out of bounds and calls kernel_fault().
 *
 * Ownership: what prepare leaves (state, packed weights) belongs to the plan or the version,
 *            never to the kernel.
 * Threads:   prepare on the planning thread; run on any.
 * Memory:    prepare's from the arenas of struct prep.
 */
#pragma once

#include <stdatomic.h>
#include "exec/choices.h"
#include "exec/graph.h"

/* Sticky complaint about the data of one run; first one wins. */
struct fault {
	atomic_int code; /* enum fault_code */
	atomic_llong value;
	const char *_Atomic what; /* of FAULT_DATA: a static text */
};

enum fault_code {
	FAULT_NONE,
	FAULT_INDEX,   /* "index %lld is out of range" */
	FAULT_DIVIDE,  /* "integer division by zero" */
	FAULT_VALUE,   /* "value %lld is not allowed here" */
	FAULT_MAP,      /* "entry %lld of the map is not what it must be" */
	FAULT_CATEGORY, /* "element %lld is of no known category" */
	FAULT_DATA,    /* what says it */
	FAULT_MEMORY,  /* a data-dependent result exceeds the arena's ceiling */
	FAULT_SHAPE,   /* "element %lld has another shape than it must have" */
	FAULT_ABSENT,  /* "the optional has no element" */
	FAULT_PATTERN, /* "string %lld takes too many steps to match" */
	FAULT_DISTRIBUTION, /* "row %lld is no distribution" */
	FAULT_DEVICE,  /* "the device refused the work (code %lld)" */
	FAULT_COUNT_
};

/* What a kernel that runs on a device gets besides; see backend.h. */
struct device_args {
	void *stream;       /* where it enqueues its work */
	void *fault;        /* of the lane, in memory that the device can write */
	int32_t step;       /* says which step's fault it is */
	struct lane *lane;  /* whose stream it is */
};

struct kernel_args {
	const struct tensor *in; /* absent optional inputs: data NULL, rank RANK_UNKNOWN */
	struct tensor *out;      /* absent outputs: data NULL */
	int n_in, n_out;
	const void *state; /* what prepare left; shared, read only */
	void *scratch;     /* scratch_bytes of this call's thread, 64-byte aligned */
	struct fault *fault;
	struct arena *arena; /* only for kernels of data-dependent operators: outputs go here */
	const struct device_args *device; /* NULL: on the host */
};

/* Makes output i of a data-dependent operator in the arena and returns its memory, which is
   not zeroed; the output stays as it is when it is absent. NULL: no memory, and a fault. */
void *kernel_output(
	const struct kernel_args *a, int i, enum dtype dtype, const struct shape *shape);

static inline void kernel_fault(const struct kernel_args *a, enum fault_code code, int64_t value)
{
	int none = FAULT_NONE;
	if (atomic_compare_exchange_strong(&a->fault->code, &none, code))
		atomic_store(&a->fault->value, value);
}

/* The data is wrong in a way that is said in words; what is a static text. */
static inline void kernel_fault_data(const struct kernel_args *a, const char *what)
{
	int none = FAULT_NONE;
	if (atomic_compare_exchange_strong(&a->fault->code, &none, FAULT_DATA))
		atomic_store(&a->fault->what, what);
}

typedef void (*run_fn)(const struct kernel_args *a, int64_t begin, int64_t end);

/* What a result may differ from the plain computation by. */
enum precision {
	PRECISION_FAST,  /* up to 1e-4 of a step's largest value, where that is faster */
	PRECISION_EXACT, /* by the order of sums alone */
	/* products of bfloat16, summed as floats; what lies between may be rounded, too. */
	PRECISION_BF16,
	PRECISION_TF32,  /* the same of floats with 10 bits of fraction; devices only */
	PRECISION_FP16,  /* the same of float16 and what lies between them too; devices only */
	PRECISION_COUNT_
};

/* What prepare fills in. */
struct kernel {
	run_fn run;
	const char *name;     /* of the row, for explain and profiles */
	const void *state;    /* from prep_alloc() */
	int64_t units;        /* how finely the work can be split; 1: not at all */
	int64_t unit_cost_ns; /* rough, of one unit; 0: let prep guess from bytes moved */
	size_t scratch_bytes; /* per thread */
	bool inplace;         /* output 0 may lie on input inplace_in (same bytes per element
	                         read before written, by the same thread) */
	int inplace_in;
	enum layout out_layout; /* of output 0; others are plain */
	/* Bit i: run never touches input i, for prepare took what it needs of it. */
	uint32_t unread;
	/* Bit i, of those: constant i is read by packs_get() alone, which finds it the next time
	   the same shapes are prepared; packed_always: or any other shapes of the same ranks. The
	   planner may then give its memory back (plan/forget.h). */
	uint32_t packed;
	bool packed_always;
};

struct backend;

#define TRIAL_ARENAS 3

/* What prepare sees. in[i].data is set for known values only, and lies on the host. */
struct prep {
	const struct backend *backend; /* that was asked */
	const struct graph *graph;
	const struct node *node;
	const struct tensor *in; /* layout says how the input will come */
	const struct tensor *out;
	int n_in, n_out;
	int threads; /* most that will ever work on one step; 1: do not bother to split */
	enum precision precision;
	struct choices *choices; /* NULL: nothing is timed */
	bool bf16_wanted;        /* who reads output 0 takes LAYOUT_NCHW16C_BF16, all of them */
	bool settled;            /* what was chosen before has to do */
	struct arena *arena; /* the plan's */
	struct packs *packs; /* the version's packed weights */
	struct arena *tmp;   /* gone after prepare */
	/* What a trial needs, reset after each; NULL: nothing is timed. */
	struct arena *const *trial;
};

typedef enum err_code (*prepare_fn)(struct prep *p, struct kernel *ret, struct err *err);

static inline bool prep_has_in(const struct prep *p, int i)
{
	return i < p->n_in && p->in[i].shape.rank != RANK_UNKNOWN;
}

/* Zeroed memory of the plan, 64-byte aligned; NULL: none left, or more than 256 MiB. fn(ctx) at
   plan end. */
void *prep_alloc(struct prep *p, size_t bytes);
MUST_CHECK enum err_code prep_defer(struct prep *p, void (*fn)(void *), void *ctx);

/* The node's fault, and so in its name; no row is asked any more. code is not UNIMPLEMENTED. */
enum err_code prep_fail(const struct prep *p, struct err *err, enum err_code code, const char *fmt,
	...) PRINTF_LIKE(4, 5);

/* The same question with all inputs plain, and whether that is another one. Lies in p->tmp. */
MUST_CHECK enum err_code prep_with_plain(const struct prep *p, struct prep *ret, bool *ret_differs,
	struct err *err);

/* "next row, please": why is kept for --explain only. */
enum err_code prep_refuse(struct err *err, const char *why);
