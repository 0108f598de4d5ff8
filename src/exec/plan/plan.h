/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h -- a graph for concrete input shapes, ready to run (inside exec only)
 *
 * Life of a request: ... -> batch -> [PLAN] -> kernels -> encode
 *
 * A plan covers nodes [begin, end) of its program's graph. Its inputs are values that
 * exist when it starts, its outputs values that somebody needs afterwards. For a static
 * graph that is everything, from the graph's inputs to its outputs. Where a shape hangs
 * on data the plan ends, and the program goes on with the next one (run.c).
 *
 * Every operand of a step is a slot: a constant, an input, an output, or a place in the
 * workspace. A slot may share another one's bytes (a view, or a result in place).
 *
 * Ownership: its program's cache, and one reference per run.
 * Threads:   immutable after plan_new(), but for refs and the frames, which the
 *            program's lock guards.
 */
#pragma once

#include "exec/infer/infer.h"
#include "exec/run/program.h"

#define SLOT_NONE (-1)

enum slot_home {
	SLOT_CONST,
	SLOT_INPUT,
	SLOT_OUTPUT,
	SLOT_WORK,
};

struct slot {
	struct tensor t; /* data: of constants */
	enum slot_home home;
	int32_t index; /* SLOT_INPUT, SLOT_OUTPUT: which of the plan's */
	int32_t root;  /* the slot whose bytes these are; itself for a root */
	size_t at;     /* where in the root's bytes it begins */
	int32_t first, last; /* of a root: first and last step that touches the bytes */
	int32_t last_node;   /* of a root: last node that reads a value lying there */
	/* The bytes are the backend's device's; a root's and its views' alike. */
	bool on_device;
	size_t bytes;
	size_t offset; /* SLOT_WORK roots: in the workspace of that memory */
};

/* Where a slot begins in the memory that its root lies in. */
static inline size_t slot_offset(const struct slot *all, int32_t slot)
{
	return all[all[slot].root].offset + all[slot].at;
}

struct step {
	struct kernel k;
	const struct backend *backend;
	const struct node *node; /* NULL: a copy that the planner put in */
	/* Of the host's, why the device does not run it; NULL: it was not asked. */
	const char *refused;
	int32_t n_in, n_out;
	int32_t *slot; /* inputs, then outputs; VALUE_NONE: absent */
	bool spread;   /* worth splitting over threads */
	int64_t cost_ns; /* rough */
	int32_t segment; /* of a device step: which row of them, see place.c */
};

/* A value that enters or leaves a plan. */
struct port {
	int32_t value; /* of the graph */
	int32_t slot;
	/* The slot that a run copies it to, or from, for the device; SLOT_NONE: none. */
	int32_t staged;
	struct tensor t; /* type and shape; data only where part of the key */
};

struct plan {
	struct plan *hash_next, *newer, *older; /* the program's cache */
	uint64_t hash;
	int refs; /* runs, and one of the cache */

	struct arena *arena;
	const struct graph *graph;
	int32_t begin, end;
	bool dynamic; /* one node whose outputs its kernel makes and describes */
	bool whole;   /* from the graph's inputs to its outputs, all of them tensors */
	struct port *in, *out;
	int n_in, n_out;
	struct slot *slot;
	int32_t n_slot;
	struct step *step;
	int32_t n_step;
	const struct node **folded; /* computed while planning */
	int32_t n_folded;
	size_t work_bytes;    /* of all SLOT_WORK */
	size_t scratch_bytes; /* of one thread, the largest of any step */
	int scratch_threads;  /* most that may work on one step: conf's, and the caller */
	int64_t spread_ns;    /* rough, of all steps that are worth splitting */
	int64_t helpers;      /* most that find work in any step */
	const struct backend *device; /* runs steps of this plan; NULL: none is on a device */
	size_t device_bytes;   /* as work_bytes, of slots on the device */
	size_t device_scratch; /* behind them: the largest of any device step */
	int32_t n_segment;
	struct frame *frames; /* idle ones */
	int n_frame;          /* all of them; the program's lock */
	bool no_room;         /* the device had no memory for one more */
};

/* What enters: in[i] with data where its value may steer shapes. want[i]: the values
   needed after the plan, wherever it ends; those not produced by then are left out. */
struct plan_request {
	const struct graph *graph;
	const struct program_conf *conf;
	int32_t begin;
	const struct port *in;
	int n_in;
	const struct forget *forget; /* NULL: constants stay as they are */
	const int32_t *last_use; /* per value: last node that reads it; n_node: a graph output */
	/* Per value: who reads it takes bfloat16, all of them; NULL: nobody does. */
	const bool *rounded;
};

MUST_CHECK enum err_code plan_new(
	const struct plan_request *rq, struct plan **ret, struct err *err);
void plan_free(struct plan *p);

/* memplan.c: lifetimes to offsets. Sets offset of SLOT_WORK roots, work_bytes and device_bytes. */
MUST_CHECK enum err_code memplan(struct plan *p, struct err *err);

/* run.c: tensors and pointers of one run of one plan; kept on the plan's list. */
struct frame {
	struct frame *next;
	char *base; /* workspace that the pointers below point into */
	struct lane *lane; /* of a plan with a device; NULL: none */
	struct pool_team *team; /* of the run under way; NULL: this thread alone */
	struct tensor *tensor; /* operands of all steps, in order */
	struct fault fault;
};
MUST_CHECK enum err_code frame_new(const struct plan *p, struct frame **ret, struct err *err);
void frame_free(struct frame *f);

/* Runs the plan. in and out: data pointers of its ports, in order; mem: workspace of
   plan_workspace_bytes(). Dynamic plans take in_tensor instead, whose sequences and
   optionals have their lengths and shapes, and set out_tensor themselves (arena needed). */
struct plan_run {
	void *const *in;
	void *const *out;
	input_fn input; /* writes staged inputs that are NULL, see run_opts */
	void *input_ctx;
	const struct tensor *in_tensor;
	struct tensor *out_tensor;
	char *mem;
	struct pool *pool;
	struct arena *arena;
	struct profile *profile;
	bool every_lane; /* on every lane that there is room for, see run_opts */
	int64_t rows, rows_as; /* rows of the ports' rows_as that are there; rows_as 0: all */
};
/* mem of a plan with a device is its lane's host_mem. */
MUST_CHECK enum err_code plan_run(const struct plan *p, struct frame *f, const struct plan_run *r,
	struct err *err);
size_t plan_workspace_bytes(const struct plan *p);

/* run.c: step i, whose operands begin at t. */
MUST_CHECK enum err_code step_run(const struct plan *p, struct frame *f, const struct plan_run *r,
	int32_t i, struct tensor *t, struct err *err);

/* device_run.c: the steps of a plan with a device; f's pointers are set. */
MUST_CHECK enum err_code device_run(const struct plan *p, struct frame *f, const struct plan_run *r,
	struct err *err);

/* A kernel's complaint as an error of the node. */
enum err_code fault_error(const struct fault *f, const char *node, struct err *err);
