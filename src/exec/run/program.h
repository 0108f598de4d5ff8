/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h -- a compiled graph: plans by input shape, and running them
 *
 * Life of a request: listen -> decode -> signature check -> batch -> [PLAN -> KERNELS] -> encode
 *
 * A program is a graph after the passes, with the outputs of one signature. For concrete
 * input shapes it makes a plan (plan.h): every shape a number, kernels chosen, all
 * activations at offsets of one workspace. Plans are kept in a bounded LRU keyed by the
 * exact shapes. Where a shape depends on data, a plan ends, the values are there, and a
 * further plan goes on from that node (keyed by the live shapes and the small integers
 * that shapes are made of): program_run() walks that chain.
 *
 * Ownership: borrows graph, backend and packs; all outlive it.
 * Threads:   any may run; planning the same shape twice at once is harmless.
 * Memory:    a warm run of a static graph allocates nothing.
 */
#pragma once

#include "exec/backend.h"
#include "exec/run/pool.h"

struct program;
struct plan;

struct program_conf {
	const struct backend *backend;
	struct packs *packs;
	enum precision precision;
	struct choices *choices; /* NULL: kernels are not timed */
	const atomic_bool *settled; /* (optional) once true nothing is timed: requests wait */
	/* This program alone reads the graph's weights, and until it is settled one thread alone
	   plans: they may go once they are packed. */
	bool forget;
	int plans_max;       /* LRU bound; 0: 64 */
	size_t dynamic_bytes_max; /* ceiling of the arena for data-dependent results; 0: 1 GiB */
	int threads;         /* most that help one run */
};

/* Takes a graph after passes_run(). FAILED_PRECONDITION: this machine lacks what the
   precision needs. */
MUST_CHECK enum err_code program_new(const struct graph *g, const struct program_conf *conf,
	struct program **ret, struct err *err);
void program_free(struct program *p);

/* Is one plan to serve several sizes of batches, since a plan of each costs more? */
bool program_wants_few_sizes(const struct program *p);

/* How many runs of one shape a device takes side by side; more would wait. 0: any number. */
int program_runs_at_once(const struct program *p);

/* How many of so many rows, dimension 0 of all inputs, are run at a time: a large batch goes
   through all steps part by part where rows have nothing to do with each other and the caches hold
   a part. */
int64_t program_part_rows(const struct program *p, int64_t rows);

const struct graph *program_graph(const struct program *p);

/* Where outputs go: called once per output, in order, when its type and shape are known
   (before the kernels run where the graph is static); returns memory of tensor_bytes(t),
   64-byte aligned, or NULL to fail the run with RESOURCE_EXHAUSTED. A sequence lies in the
   run's arena, or where an input or constant does, and is announced with t->data set; what
   is returned is then ignored unless NULL. An absent optional is announced as such, and
   nothing is expected. */
typedef void *(*output_fn)(void *ctx, int i, const struct tensor *t);

/* Writes input i, all of its bytes, to dst. */
typedef void (*input_fn)(void *ctx, int i, void *dst);

struct run_opts {
	struct pool *pool;   /* NULL: this thread alone */
	struct arena *arena; /* for data-dependent results and strings; NULL: static graphs only */
	output_fn output;
	void *output_ctx;
	/* (optional; with an arena) Inputs without data are written by it as the run begins: to
	   where a device copies them from, else to the arena. */
	input_fn input;
	void *input_ctx;
	/* Inputs and outputs have dimension 0 in common; their rows are run as this many (more than
	   they are), so that one plan serves several sizes. 0: as they are. For programs of a
	   backend with a device; where a shape depends on data it is not done. */
	int64_t rows_as;
	int64_t deadline_ns; /* after it bodies go round no more: DEADLINE_EXCEEDED; 0: none */
	bool every_lane; /* make each lane of the plan's device ready by running on it: warm-up */
	struct profile *profile; /* NULL, or gets a record per step */
};

/* in: one per graph input, checked against the graph's types and shapes here. */
MUST_CHECK enum err_code program_run(struct program *p, const struct tensor *in,
	const struct run_opts *opts, struct err *err);

/* Makes (or finds) the plan for these input shapes, so that the first run is warm.
   ret_out (may be NULL) gets type and shape of each output, shape SHAPE_UNKNOWN where it
   depends on data. */
MUST_CHECK enum err_code program_plan(struct program *p, const struct tensor *in,
	struct tensor *ret_out, struct err *err);

/* Gives back the memory that runs left for the next ones, which then take what they need. */
void program_drop_workspaces(struct program *p);

struct program_stats {
	int plans;                 /* cached */
	uint64_t plans_made;
	size_t workspace_bytes;    /* held */
	size_t workspace_plan_bytes; /* largest single plan's */
};
void program_stats(struct program *p, struct program_stats *ret);

/* What each step of the plan for these shapes does: fn per step. */
struct step_text {
	const char *node, *op, *kernel, *backend;
	/* Why it runs on the host and not on the device; NULL: it does, or there is none. */
	const char *refused;
	char shapes[200];
	char inner[160]; /* operators of a fused one, in order; "": it is none */
	int64_t units;
	size_t out_bytes;
	bool folded; /* computed while planning */
};
MUST_CHECK enum err_code program_explain(struct program *p, const struct tensor *in,
	void (*fn)(void *ctx, const struct step_text *step), void *ctx, struct err *err);

/* Time per step, summed over runs; prof_new(NULL) style: see plan.c. */
struct profile {
	void (*step)(void *ctx, const char *node, const char *op, const char *kernel, int64_t ns);
	void *ctx;
};
