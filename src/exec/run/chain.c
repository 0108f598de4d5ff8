/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.c -- running a graph whose shapes depend on data
 *
 * Plan after plan: each runs as far as shapes are known, its results go to an arena, the
 * next is found or made with what is known by then. Between two plans every live value
 * lies in env, indexed by value.
 */
#include <stdlib.h>
#include <string.h>
#include "exec/run/control.h"
#include "exec/run/program_impl.h"

/* Numbers up to this count may steer shapes: they are part of the next plan's key. */
#define STEERING_COUNT_MAX 64

struct chain {
	struct program *p;
	const struct run_opts *opts;
	struct arena *arena;
	struct tensor *env; /* per value; see is_there() */
	struct port *port;  /* room for all live values */
	struct tensor *in_tensor;
	void **in, **out;
	struct err *err;
};

/* An optional may be there and absent. */
static bool is_there(const struct tensor *t)
{
	return t->data || tensor_is_absent(t);
}

#define STEER_INTS (T(I64) | T(I32) | T(BOOL))
#define STEER_ALL (T_NUM | T(BOOL))

static bool may_steer(const struct tensor *t, uint64_t types)
{
	return dtype_in(t->dtype, types) && tensor_count(t) <= STEERING_COUNT_MAX;
}

static enum err_code chain_init(struct chain *c, const struct tensor *in)
{
	const struct graph *g = c->p->graph;
	size_t n = (size_t)g->n_value + 1;
	c->env = ARENA_ARRAY(c->arena, struct tensor, n);
	c->port = ARENA_ARRAY(c->arena, struct port, n);
	c->in = ARENA_ARRAY(c->arena, void *, n);
	c->in_tensor = ARENA_ARRAY(c->arena, struct tensor, n);
	c->out = ARENA_ARRAY(c->arena, void *, n);
	if (!c->env || !c->port || !c->in || !c->in_tensor || !c->out)
		return err_oom(c->err);
	for (int i = 0; i < c->p->n_in; i++)
		c->env[c->p->in_value[i]] = in[i];
	return ERR_OK;
}

/* Live values at node `begin` as ports; those that a first plan has are all inputs. */
static int live_ports(struct chain *c, int32_t begin, uint64_t steering)
{
	const struct graph *g = c->p->graph;
	int n = 0;
	for (int32_t v = 0; v < g->n_value; v++) {
		if (!is_there(&c->env[v]) || g->value[v].constant || c->p->last_use[v] < begin)
			continue;
		struct port *port = &c->port[n++];
		*port = (struct port){ .value = v,
			.t = port_tensor(&g->value[v].type, &c->env[v]) };
		if (type_is_tensor(&g->value[v].type) && may_steer(&c->env[v], steering))
			port->t.data = c->env[v].data;
	}
	return n;
}

static enum err_code store_outputs(struct chain *c, const struct plan *e)
{
	for (int i = 0; i < e->n_out; i++) {
		struct tensor *t = &c->env[e->out[i].value];
		*t = e->out[i].t;
		t->data = arena_alloc_aligned(c->arena, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
		if (!t->data)
			return err_set(c->err, ERR_RESOURCE_EXHAUSTED,
				"intermediate result of shape %s does not fit the memory for "
				"data-dependent shapes",
				SHAPE_TEXT(&t->shape));
		c->out[i] = t->data;
	}
	return ERR_OK;
}

static enum err_code run_static(struct chain *c, struct plan *e)
{
	enum err_code rc = store_outputs(c, e);
	for (int i = 0; i < e->n_in; i++)
		c->in[i] = c->env[e->in[i].value].data;
	struct plan_run r = { .in = c->in, .out = c->out, .pool = c->opts->pool, .arena = c->arena,
		.profile = c->opts->profile };
	return rc == ERR_OK ? program_run_plan(c->p, e, &r, c->err) : rc;
}

/* Operands of a control node, gathered from env and constants. */
static enum err_code run_control(struct chain *c, const struct node *n)
{
	const struct graph *g = c->p->graph;
	struct tensor *in = ARENA_ARRAY(c->arena, struct tensor, (size_t)n->n_in + 1);
	struct tensor *out = ARENA_ARRAY(c->arena, struct tensor, (size_t)n->n_out + 1);
	if (!in || !out)
		return err_oom(c->err);
	for (int32_t i = 0; i < n->n_in; i++) {
		in[i] = tensor_absent();
		if (n->in[i] != VALUE_NONE)
			in[i] = g->value[n->in[i]].constant ? *g->value[n->in[i]].constant
							    : c->env[n->in[i]];
	}
	struct run_opts opts = *c->opts;
	opts.arena = c->arena;
	enum err_code rc = control_run(c->p, n, in, out, &opts, c->err);
	for (int32_t i = 0; i < n->n_out && rc == ERR_OK; i++)
		if (n->out[i] != VALUE_NONE)
			c->env[n->out[i]] = out[i];
	return rc;
}

static enum err_code run_dynamic(struct chain *c, struct plan *e)
{
	const struct node *n = &e->graph->node[e->begin];
	if (op_info(n->op)->flags & OP_CONTROL)
		return run_control(c, n);
	struct tensor *out = ARENA_ARRAY(c->arena, struct tensor, (size_t)n->n_out + 1);
	if (!out)
		return err_oom(c->err);
	for (int i = 0; i < e->n_in; i++)
		c->in_tensor[i] = c->env[e->in[i].value];
	struct plan_run r = { .in_tensor = c->in_tensor, .out_tensor = out, .pool = c->opts->pool,
		.arena = c->arena, .profile = c->opts->profile };
	enum err_code rc = program_run_plan(c->p, e, &r, c->err);
	for (int32_t i = 0; i < n->n_out && rc == ERR_OK; i++)
		if (n->out[i] != VALUE_NONE)
			c->env[n->out[i]] = out[i];
	return rc;
}

/* The graph's outputs, from wherever they lie, to where the caller wants them. */
static enum err_code deliver(struct chain *c)
{
	const struct graph *g = c->p->graph;
	for (int i = 0; i < g->n_output; i++) {
		const struct gvalue *v = &g->value[g->output[i]];
		const struct tensor *t = v->constant ? v->constant : &c->env[g->output[i]];
		void *dst = c->opts->output(c->opts->output_ctx, i, t);
		if (tensor_is_absent(t))
			continue;
		if (!dst)
			return err_set(c->err, ERR_RESOURCE_EXHAUSTED,
				"no memory for output '%.120s' of shape %s", v->name,
				SHAPE_TEXT(&t->shape));
		if (t->dtype != DTYPE_TENSOR)
			memcpy(dst, t->data, tensor_bytes(t));
	}
	return ERR_OK;
}

/* The plan that goes on at node `at`. Integers are known to it; floats, which would make a
   plan for each value, only where it does not get on without them (Range, Resize). */
static enum err_code next_plan(struct chain *c, int32_t at, struct plan **ret)
{
	static const uint64_t steering[] = { STEER_INTS, STEER_ALL };
	for (int i = 0; i < 2; i++) {
		int n = live_ports(c, at, steering[i]);
		enum err_code rc = program_get_plan(c->p, at, c->port, n, ret, c->err);
		if (rc != ERR_OK || (*ret)->end > at)
			return rc;
		program_release_plan(c->p, *ret);
	}
	return err_set(c->err, ERR_UNIMPLEMENTED,
		"%s: its output shape depends on a value too large to plan by",
		node_label(c->p->graph, &c->p->graph->node[at], (char[NODE_LABEL_MAX]){ 0 },
			NODE_LABEL_MAX));
}

enum err_code chain_run(struct program *p, struct plan *first, const struct tensor *in,
	const struct run_opts *opts, struct err *err)
{
	struct chain c = { .p = p, .opts = opts, .arena = opts->arena, .err = err };
	struct arena *own = NULL;
	if (!c.arena)
		c.arena = own = arena_new(1 << 16, p->conf.dynamic_bytes_max);
	enum err_code rc = c.arena ? chain_init(&c, in) : err_oom(err);
	struct plan *e = first;
	while (rc == ERR_OK) {
		rc = e->dynamic ? run_dynamic(&c, e) : run_static(&c, e);
		int32_t at = e->end;
		if (e != first)
			program_release_plan(p, e);
		if (rc != ERR_OK || at == p->graph->n_node)
			break;
		rc = next_plan(&c, at, &e);
	}
	if (rc == ERR_OK)
		rc = deliver(&c);
	arena_free(own);
	return rc;
}
