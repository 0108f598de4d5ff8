/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_impl.h -- shared by control.c, control_*.c only
 *
 * Ownership, memory: results in the run's arena. Threads: the run's own.
 */
#pragma once

#include "exec/run/control.h"
#include "exec/run/program_impl.h"

/* One control node being run. in and out are the node's; results go to opts->arena. */
struct control_call {
	struct program *program; /* of the graph around the node */
	const struct node *node;
	const struct tensor *in;
	struct tensor *out;
	const struct run_opts *opts;
	struct err *err;
};

#define CALL_LABEL(c) \
	node_label((c)->program->graph, (c)->node, (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX)

enum err_code control_loop(struct control_call *c);
enum err_code control_scan(struct control_call *c);
enum err_code control_batched_scan(struct control_call *c);
enum err_code control_map(struct control_call *c);

/*
 * What iterations need: the body's inputs with the captures in place, and two arenas that
 * take turns, so that one iteration's results live exactly until the next has used them.
 */
struct control_rounds {
	const struct graph *body;
	struct tensor *in, *out; /* of the body */
	struct arena *turn[2];
	int64_t round;
	bool keeps; /* results point into the rounds that made them: nothing may go */
};
MUST_CHECK enum err_code control_rounds_init(struct control_rounds *r, struct control_call *c,
	const struct graph *body);
void control_rounds_done(struct control_rounds *r);
/* Runs the body once; out[] lives until the round after the next. */
MUST_CHECK enum err_code control_round(struct control_rounds *r, struct control_call *c);
/* Memory for t, of its shape and type, in the run's arena. */
MUST_CHECK enum err_code control_room(struct control_call *c, struct tensor *t);
/* A value that outlives the rounds: copied into the run's arena. */
MUST_CHECK enum err_code control_keep(
	struct control_call *c, const struct tensor *from, struct tensor *to);

/* The results of all iterations of one output, one behind the other. */
struct control_stack {
	struct tensor item; /* type and shape of one */
	char *data;
	int64_t n, cap;
};
MUST_CHECK enum err_code control_push(
	struct control_stack *s, struct control_call *c, const struct tensor *t);
