/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/run/program.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "exec/plan/forget.h"
#include "exec/run/by_rows.h"
#include "exec/run/control.h"
#include "exec/run/program_impl.h"

#define PLANS_MAX_DEFAULT 64
#define DYNAMIC_BYTES_MAX_DEFAULT ((size_t)1 << 30)
#define THREADS_MAX 256 /* each has a scratch area of its own in every workspace */
#define PARTS_MIN 4 /* of a batch: the last one may make rows again */

/* For each value the last node that reads it; n_node for outputs, -1 for nobody. */
static int32_t *find_last_uses(const struct graph *g)
{
	int32_t *last = calloc((size_t)g->n_value + 1, sizeof(*last));
	for (int32_t v = 0; last && v < g->n_value; v++)
		last[v] = -1;
	for (int32_t i = 0; last && i < g->n_node; i++)
		for (int32_t k = 0; k < g->node[i].n_in; k++)
			if (g->node[i].in[k] != VALUE_NONE)
				last[g->node[i].in[k]] = i;
	for (int32_t i = 0; last && i < g->n_output; i++)
		last[g->output[i]] = g->n_node;
	return last;
}

/* For each value whether all nodes that read it take it rounded to bfloat16; NULL: no memory. */
static bool *find_rounded(const struct graph *g, const struct backend *backend)
{
	bool *rounded = calloc((size_t)g->n_value + 1, sizeof(*rounded));
	for (int32_t v = 0; rounded && v < g->n_value; v++)
		rounded[v] = g->value[v].producer != NODE_NONE;
	for (int32_t i = 0; rounded && i < g->n_node; i++)
		for (int32_t k = 0; k < g->node[i].n_in; k++) {
			int32_t v = g->node[i].in[k];
			if (v != VALUE_NONE && rounded[v])
				rounded[v] = backend->takes_bf16(g, &g->node[i], k);
		}
	for (int32_t i = 0; rounded && i < g->n_output; i++)
		rounded[g->output[i]] = false;
	return rounded;
}

/* A body's inputs are its own, then what it captures. */
static enum err_code list_inputs(struct program *p, struct err *err)
{
	const struct graph *g = p->graph;
	p->n_in = g->n_input + g->n_capture;
	p->in_value = calloc((size_t)p->n_in + 1, sizeof(*p->in_value));
	if (!p->in_value)
		return err_oom(err);
	for (int i = 0; i < g->n_input; i++)
		p->in_value[i] = g->input[i];
	for (int i = 0; i < g->n_capture; i++)
		p->in_value[g->n_input + i] = g->capture[i];
	return ERR_OK;
}

enum err_code program_new(const struct graph *g, const struct program_conf *conf,
	struct program **ret, struct err *err)
{
	const char *lacks = conf->backend->lacks ? conf->backend->lacks(conf->precision) : NULL;
	if (lacks)
		return err_set(err, ERR_FAILED_PRECONDITION, "%s", lacks);
	struct program *p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	p->graph = g;
	p->conf = *conf;
	if (p->conf.plans_max <= 0)
		p->conf.plans_max = PLANS_MAX_DEFAULT;
	if (p->conf.dynamic_bytes_max == 0)
		p->conf.dynamic_bytes_max = DYNAMIC_BYTES_MAX_DEFAULT;
	if (p->conf.threads < 1 || p->conf.threads > THREADS_MAX)
		p->conf.threads = p->conf.threads < 1 ? 1 : THREADS_MAX;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->frame_back, NULL);
	bool round = p->conf.precision == PRECISION_BF16 && p->conf.backend->takes_bf16;
	p->last_use = find_last_uses(g);
	p->rounded = round ? find_rounded(g, p->conf.backend) : NULL;
	enum err_code rc =
		p->last_use && (p->rounded || !round) ? list_inputs(p, err) : err_oom(err);
	if (rc == ERR_OK && p->conf.forget)
		rc = forget_new(g, &p->forget, err);
	if (rc == ERR_OK && !p->conf.backend->device)
		rc = by_rows_part(g, &p->part_rows, err);
	if (rc == ERR_OK)
		rc = control_new(p, err);
	if (rc != ERR_OK) {
		program_free(p);
		return rc;
	}
	*ret = p;
	return ERR_OK;
}

void program_free(struct program *p)
{
	if (!p)
		return;
	program_drop_plans(p);
	control_free(p);
	pthread_cond_destroy(&p->frame_back);
	pthread_mutex_destroy(&p->lock);
	forget_free(p->forget);
	free(p->last_use);
	free(p->rounded);
	free(p->in_value);
	free(p);
}

const struct graph *program_graph(const struct program *p)
{
	return p->graph;
}

/* -- running --------------------------------------------------------------------------------- */

/* Are its elements tensors of the declared type? Those of maps are left to the kernels. */
static enum err_code check_sequence(const struct gvalue *v, const struct tensor *t, struct err *err)
{
	const struct tensor *item = t->data;
	if (t->shape.rank != 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "input '%.120s' is no sequence", v->name);
	for (int64_t i = 0; i < t->shape.dim[0] && v->type.map_key == DTYPE_UNDEFINED; i++) {
		if (!item[i].data || !shape_is_static(&item[i].shape))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"input '%.120s': element %lld of the sequence is missing", v->name,
				(long long)i);
		if (v->type.dtype != DTYPE_UNDEFINED && item[i].dtype != v->type.dtype)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"input '%.120s': element %lld of the sequence is %s, the model "
				"takes %s",
				v->name, (long long)i, dtype_name(item[i].dtype),
				dtype_name(v->type.dtype));
	}
	return ERR_OK;
}

static enum err_code check_input(
	const struct program *p, int i, const struct tensor *t, struct err *err)
{
	const struct gvalue *v = &p->graph->value[p->in_value[i]];
	enum dtype want = type_carrier(&v->type);
	if (v->type.is_optional && tensor_is_absent(t))
		return ERR_OK;
	if (t->dtype != want)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.120s' is %s, the model takes %s", v->name, dtype_name(t->dtype),
			dtype_name(want));
	if (!shape_is_static(&t->shape))
		return err_set(err, ERR_INVALID_ARGUMENT, "input '%.120s' is missing", v->name);
	if (want == DTYPE_TENSOR)
		return check_sequence(v, t, err);
	if (v->shape.rank == RANK_UNKNOWN)
		return ERR_OK;
	bool fits = t->shape.rank == v->shape.rank;
	for (int d = 0; d < t->shape.rank && fits; d++)
		fits = v->shape.dim[d] < 0 || v->shape.dim[d] == t->shape.dim[d];
	if (!fits)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.120s' is %s, the model takes %s", v->name, SHAPE_TEXT(&t->shape),
			SHAPE_TEXT(&v->shape));
	return ERR_OK;
}

static enum err_code make_room(struct program_use *u, const struct program *p, struct err *err)
{
	int n_in = p->n_in, n_out = p->graph->n_output;
	u->port = u->port_few;
	u->in = u->ptr_few;
	u->out = u->ptr_few + PROGRAM_USE_FEW;
	u->heap = NULL;
	if (n_in <= PROGRAM_USE_FEW && n_out <= PROGRAM_USE_FEW)
		return ERR_OK;
	size_t ports = (size_t)n_in * sizeof(struct port);
	u->heap = malloc(ports + (size_t)(n_in + n_out) * sizeof(void *));
	if (!u->heap)
		return err_oom(err);
	u->port = u->heap;
	u->in = (void **)((char *)u->heap + ports);
	u->out = u->in + n_in;
	return ERR_OK;
}

/* Checks the inputs and makes ports of them. */
static enum err_code fill_ports(
	struct program_use *u, const struct program *p, const struct tensor *in, struct err *err)
{
	for (int i = 0; i < p->n_in; i++) {
		TRY(check_input(p, i, &in[i], err));
		u->port[i] = (struct port){ .value = p->in_value[i],
			.t = port_tensor(&p->graph->value[p->in_value[i]].type, &in[i]) };
		u->in[i] = in[i].data;
	}
	return ERR_OK;
}

int64_t program_part_rows(const struct program *p, int64_t rows)
{
	return p->part_rows && rows / p->part_rows >= PARTS_MIN ? p->part_rows : rows;
}

static void set_rows(const struct program *p, struct program_use *u, int64_t rows)
{
	for (int i = 0; i < p->n_in; i++)
		u->port[i].t.shape.dim[0] = rows;
}

/* Where the plan is to be one for another number of rows than come, the ports get that number:
   rows_as on a device, a part's on the CPU. Else u->rows and u->plan_rows are 0. */
static void choose_rows(const struct program *p, struct program_use *u, int64_t rows_as)
{
	int64_t rows = p->n_in && u->port[0].t.shape.rank > 0 ? u->port[0].t.shape.dim[0] : 0;
	u->rows = u->plan_rows = 0;
	for (int i = 0; i < p->n_in; i++)
		if (u->port[i].t.shape.rank < 1 || u->port[i].t.shape.dim[0] != rows)
			return;
	bool device = p->conf.backend->device,
	     few = p->n_in <= PROGRAM_USE_FEW && p->graph->n_output <= PROGRAM_USE_FEW;
	int64_t want = program_part_rows(p, rows);
	if (device)
		want = rows_as > rows ? rows_as : rows;
	if (rows <= 0 || want == rows || !(device || few))
		return;
	u->rows = rows;
	u->plan_rows = want;
	set_rows(p, u, want);
}

static enum err_code first_plan(
	struct program_use *u, struct program *p, int64_t rows_as, struct err *err)
{
	choose_rows(p, u, rows_as);
	TRY(program_get_plan(p, 0, u->port, p->n_in, &u->plan, err));
	if (!u->rows || u->plan->whole)
		return ERR_OK;
	program_release_plan(p, u->plan);
	set_rows(p, u, u->rows);
	u->rows = u->plan_rows = 0;
	return program_get_plan(p, 0, u->port, p->n_in, &u->plan, err);
}

enum err_code program_enter(struct program_use *u, struct program *p, const struct tensor *in,
	int64_t rows_as, struct err *err)
{
	TRY(make_room(u, p, err));
	enum err_code rc = fill_ports(u, p, in, err);
	if (rc == ERR_OK)
		rc = first_plan(u, p, rows_as, err);
	if (rc != ERR_OK)
		free(u->heap);
	return rc;
}

void program_leave(struct program_use *u, struct program *p)
{
	program_release_plan(p, u->plan);
	free(u->heap);
}

/* A plan from the graph's inputs to its outputs. */
static enum err_code run_whole(struct program *p, const struct program_use *u,
	const struct run_opts *opts, struct err *err)
{
	int64_t rows = u->rows;
	for (int i = 0; i < u->plan->n_out; i++) {
		struct tensor t = u->plan->out[i].t;
		if (rows && (t.shape.rank < 1 || t.shape.dim[0] != u->plan_rows))
			return err_set(err, ERR_INTERNAL, "output %d has shape %s for %lld rows", i,
				SHAPE_TEXT(&t.shape), (long long)u->plan_rows);
		if (rows)
			t.shape.dim[0] = rows;
		u->out[i] = opts->output(opts->output_ctx, i, &t);
		if (!u->out[i])
			return err_set(err, ERR_RESOURCE_EXHAUSTED,
				"no memory for output %d of shape %s", i, SHAPE_TEXT(&t.shape));
	}
	if (rows > u->plan_rows)
		return program_run_parts(p, u, opts, err);
	struct plan_run r = { .every_lane = opts->every_lane, .rows = rows, .rows_as = u->plan_rows,
		.in = u->in, .out = u->out, .pool = opts->pool,
		.arena = opts->arena, .profile = opts->profile, .input = opts->input,
		.input_ctx = opts->input_ctx };
	return program_run_plan(p, u->plan, &r, err);
}

/* Has the plan a place of its own for each input that is to be written? */
static bool stages_inputs(const struct program_use *u, const struct program *p)
{
	for (int i = 0; i < p->n_in; i++)
		if (!u->in[i] && u->plan->in[i].staged == SLOT_NONE)
			return false;
	return u->plan->device && u->plan->whole;
}

/* All inputs with their data, those that are to be written in the arena. */
static enum err_code write_inputs(struct program_use *u, const struct program *p,
	const struct run_opts *opts, const struct tensor **in, struct err *err)
{
	struct tensor *own = ARENA_ARRAY(opts->arena, struct tensor, (size_t)p->n_in + 1);
	for (int i = 0; own && i < p->n_in; i++) {
		own[i] = (*in)[i];
		if (own[i].data || tensor_is_absent(&own[i]))
			continue;
		u->in[i] = own[i].data = arena_alloc_aligned(
			opts->arena, tensor_bytes(&own[i]) + 1, ARENA_ALIGN_TENSOR);
		if (!own[i].data)
			return err_oom(err);
		opts->input(opts->input_ctx, i, own[i].data);
	}
	*in = own;
	return own ? ERR_OK : err_oom(err);
}

/* Threads outside the pool run programs too. */
static void init_thread(const struct backend *backend)
{
	static _Thread_local const struct backend *ready;
	if (ready != backend && backend->thread_init)
		backend->thread_init();
	ready = backend;
}

bool program_wants_few_sizes(const struct program *p)
{
	return p->conf.backend->device;
}

int program_runs_at_once(const struct program *p)
{
	return p->conf.backend->device ? LANES_MAX : 0;
}

enum err_code program_run(struct program *p, const struct tensor *in, const struct run_opts *opts,
	struct err *err)
{
	struct program_use u;
	init_thread(p->conf.backend);
	TRY(program_enter(&u, p, in, opts->rows_as, err));
	enum err_code rc =
		opts->input && !stages_inputs(&u, p) ? write_inputs(&u, p, opts, &in, err) : ERR_OK;
	if (rc == ERR_OK)
		rc = u.plan->whole ? run_whole(p, &u, opts, err)
				   : chain_run(p, u.plan, in, opts, err);
	program_leave(&u, p);
	return rc;
}

enum err_code program_plan(struct program *p, const struct tensor *in, struct tensor *ret_out,
	struct err *err)
{
	struct program_use u;
	TRY(program_enter(&u, p, in, 0, err));
	for (int i = 0; ret_out && i < p->graph->n_output; i++) {
		const struct gvalue *v = &p->graph->value[p->graph->output[i]];
		ret_out[i] = (struct tensor){ .dtype = v->type.dtype, .shape = SHAPE_UNKNOWN };
		if (u.plan->whole)
			ret_out[i] = u.plan->out[i].t;
		if (u.rows)
			ret_out[i].shape.dim[0] = u.rows;
	}
	program_leave(&u, p);
	return ERR_OK;
}

void program_stats(struct program *p, struct program_stats *ret)
{
	*ret = (struct program_stats){ 0 };
	pthread_mutex_lock(&p->lock);
	ret->plans = p->n_plans;
	ret->plans_made = p->plans_made;
	ret->workspace_bytes = p->workspace_bytes;
	for (struct plan *e = p->newest; e; e = e->older)
		if (plan_workspace_bytes(e) > ret->workspace_plan_bytes)
			ret->workspace_plan_bytes = plan_workspace_bytes(e);
	pthread_mutex_unlock(&p->lock);
}

