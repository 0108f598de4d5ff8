/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rnn.c -- RNN, GRU and LSTM
 *
 * NOT DONE: the inputs' product by cuBLASLt, one sequence on several multiprocessors.
 */
#include <stdio.h>
#include "exec/gpu/walk.h"
#include "exec/infer/rnn_geometry.h"
#include "exec/unary.h"

#define BLOCK 256
#define WARP 32
#define SHARED_MAX (48 << 10)

struct rnn_state {
	struct gpu_launch project, steps;
	struct gpu_rnn rnn;
};

static void *pointer(const struct tensor *t, int n, int i) { return i < n ? t[i].data : NULL; }

static void run_rnn(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct rnn_state *s = a->state;
	struct gpu_complaint fault = gpu_complaint(a, FAULT_VALUE);
	struct gpu_rnn_pointers p = { .r = a->in[RNN_R].data,
		.b = pointer(a->in, a->n_in, RNN_B),
		.lengths = pointer(a->in, a->n_in, RNN_LENGTHS),
		.initial_h = pointer(a->in, a->n_in, RNN_INITIAL_H),
		.initial_c = pointer(a->in, a->n_in, RNN_INITIAL_C),
		.peepholes = pointer(a->in, a->n_in, RNN_PEEPHOLES),
		.y = pointer(a->out, a->n_out, 0),
		.y_h = pointer(a->out, a->n_out, 1),
		.y_c = pointer(a->out, a->n_out, 2) };
	void *project[] = { (void *)&s->rnn, (void *)&a->scratch, (void *)&a->in[RNN_X].data,
		(void *)&a->in[RNN_W].data, (void *)&p.b };
	void *steps[] = { (void *)&s->rnn, &p, (void *)&a->scratch, &fault };
	gpu_launch(a, &s->project, project);
	gpu_launch(a, &s->steps, steps);
}

static void set_functions(struct gpu_rnn *r, const struct rnn_geometry *g)
{
	for (int d = 0; d < g->directions; d++)
		for (int i = 0; i < g->functions; i++) {
			const struct rnn_function *f = &g->function[d][i];
			r->function[d][i] = (struct gpu_call){ (int32_t)unary_of_rnn(f->id),
				f->alpha, f->beta };
		}
}

static bool fill(struct gpu_rnn *r, const struct rnn_geometry *g)
{
	int64_t gates = (int64_t)g->gates * g->hidden * g->directions;
	if (g->transposed || g->steps > INT32_MAX || g->batch > INT32_MAX || g->input > INT32_MAX ||
		gates > INT32_MAX)
		return false;
	*r = (struct gpu_rnn){ .steps = (uint32_t)g->steps,
		.batch = (uint32_t)g->batch,
		.input = (uint32_t)g->input,
		.hidden = (uint32_t)g->hidden,
		.gates = (uint32_t)g->gates,
		.directions = (uint32_t)g->directions,
		.reverse = g->reverse,
		.batch_first = g->batch_first,
		.coupled = g->coupled,
		.reset_after = g->reset_after,
		.clip = g->clip };
	set_functions(r, g);
	return true;
}

/* All but the lengths. */
static bool same_types(const struct prep *p)
{
	for (int i = 1; i < p->n_in; i++)
		if (i != RNN_LENGTHS && gpu_has_in(p, i) && p->in[i].dtype != p->in[0].dtype)
			return false;
	return true;
}

enum err_code gpu_prepare_rnn(struct prep *p, struct kernel *ret, struct err *err)
{
	struct shape in[RNN_INPUTS_];
	struct rnn_geometry g;
	char name[24];
	struct rnn_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	for (int i = 0; i < RNN_INPUTS_; i++)
		in[i] = i < p->n_in ? p->in[i].shape : SHAPE_UNKNOWN;
	TRY(rnn_geometry(p->node, in, &g, err));
	size_t shared = (size_t)(g.gates + 3) * (size_t)g.hidden * sizeof(float);
	if (!same_types(p) || !fill(&s->rnn, &g) || shared > SHARED_MAX)
		return prep_refuse(err, "operands of several types, or such large ones");
	int64_t all = (int64_t)g.gates * g.hidden * g.directions, rows = g.steps * g.batch;
	if (rows && all > INT32_MAX / rows)
		return prep_refuse(err, "so many elements");
	ret->run = run_rnn;
	ret->scratch_bytes = (size_t)(all * rows) * sizeof(float);
	snprintf(name, sizeof(name), "rnn_project_%s", gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, all * rows, BLOCK / WARP, &s->project, err));
	s->project.block[0] = BLOCK;
	snprintf(name, sizeof(name), "rnn_steps_%s", gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, 1, 1, &s->steps, err));
	s->steps.grid[0] = (unsigned)(g.directions * g.batch);
	s->steps.block[0] = BLOCK;
	s->steps.shared_bytes = (unsigned)shared;
	return ERR_OK;
}
