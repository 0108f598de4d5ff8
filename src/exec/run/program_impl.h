/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program_impl.h -- inside a program: shared by program*.c, chain.c, control.c and explain.c only
 *
 * Threads: any, but for program_drop_plans(); lists are under the program's lock.
 */
#pragma once

#include <pthread.h>
#include "exec/plan/plan.h"

#define PLAN_BUCKETS 128
#define WORKSPACE_HEAD 64 /* room for the struct, keeping what follows aligned */

/* Frames of a plan with a device hold much of its memory: so many, or fewer where the device has no
   room for more, and a run waits for one. A third batch is copied in while one computes and one is
   copied out. */
#define LANES_MAX 3

struct workspace {
	struct workspace *next;
	size_t bytes; /* with this head */
	int unused;   /* runs since one needed half of it */
};

struct program {
	const struct graph *graph;
	struct program_conf conf;
	int32_t *last_use; /* per value, see struct plan_request */
	bool *rounded;     /* the same */
	int64_t part_rows; /* by_rows.h's; 0 on a device */
	int32_t *in_value; /* graph inputs, then captures */
	int n_in;
	struct forget *forget; /* NULL: weights stay as they are */
	struct body *bodies; /* control.c: programs of subgraphs */

	pthread_mutex_t lock;
	pthread_cond_t frame_back; /* of a plan with a device */
	struct plan *table[PLAN_BUCKETS], *newest, *oldest;
	int n_plans;
	size_t plan_bytes; /* of those */
	uint64_t plans_made;
	struct workspace *workspaces;
	size_t workspace_bytes;
	size_t large_need; /* of the last run that needed more than WORK_SMALL_BYTES */
	int since_large;   /* runs since */
};

/* What a plan knows of a value that enters it. A sequence or optional keeps its length, or
   whether it is there, to itself: a plan for each would be made. */
static inline struct tensor port_tensor(const struct type *type, const struct tensor *t)
{
	struct tensor p = { .dtype = t->dtype, .shape = t->shape };
	if (!type_is_tensor(type))
		p = (struct tensor){ .dtype = type_carrier(type), .shape = SHAPE_UNKNOWN };
	return p;
}

/* A program in use with some inputs: room for ports and pointers, without a call to malloc in
   the usual case, and the plan to begin with. */
#define PROGRAM_USE_FEW 16

struct program_use {
	struct port port_few[PROGRAM_USE_FEW], *port;
	void *ptr_few[2 * PROGRAM_USE_FEW], **in, **out;
	void *heap;
	struct plan *plan;
	int64_t rows, plan_rows; /* that come and go, where the plan is for plan_rows; else 0 */
};

/* Checks the inputs, finds or makes the plan: of a device's program for rows_as rows if they
   are fewer, of the host's for a part of many rows, where that plan is whole; else for what comes.
   Undone by program_leave(). */
MUST_CHECK enum err_code program_enter(struct program_use *u, struct program *p,
	const struct tensor *in, int64_t rows_as, struct err *err);
void program_leave(struct program_use *u, struct program *p);

/* Finds or makes a plan and takes a reference. */
MUST_CHECK enum err_code program_get_plan(struct program *p, int32_t begin, const struct port *in,
	int n_in, struct plan **ret, struct err *err);
void program_release_plan(struct program *p, struct plan *e);

/* Runs a plan with a frame and a workspace from the lists; sets r->mem. */
MUST_CHECK enum err_code program_run_plan(struct program *p, struct plan *e, struct plan_run *r,
	struct err *err);

/* program_parts.c: runs a plan that is for fewer rows than u has; u->out is set. */
MUST_CHECK enum err_code program_run_parts(struct program *p, const struct program_use *u,
	const struct run_opts *opts, struct err *err);

/* Everything kept, when nobody runs any more. */
void program_drop_plans(struct program *p);

/* chain.c: plans that follow each other where shapes depend on data. first is the plan of
   the graph's inputs. */
MUST_CHECK enum err_code chain_run(struct program *p, struct plan *first, const struct tensor *in,
	const struct run_opts *opts, struct err *err);
