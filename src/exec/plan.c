/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * One walk over the nodes, in order. Each is inferred with numbers. What is known by then
 * (constants; shapes; what was computed from them) is computed at once and becomes a
 * constant of the plan: that is how Shape -> Gather -> Concat -> Reshape disappears. A
 * view shares its input's slot. For the rest the backend prepares a kernel, which may
 * leave its result in a blocked layout; whoever needs it plain gets one copy step, shared.
 *
 * INVARIANTS
 *
 * 1. Every slot's shape is static, but for the outputs of a dynamic plan.
 * 2. root[root[s]] == root[s].
 * 3. Outputs and views are plain.
 */
#include "exec/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

/* Values up to this size are worth knowing while planning: shapes, axes, indices. */
#define KNOWN_BYTES_MAX 4096

/* A step must take this long before waking other threads pays. */
#define SPREAD_MIN_NS 100000

#define SLOT_NONE (-1)

struct planner {
	const struct plan_request *rq;
	const struct graph *g;
	struct plan *p;
	struct arena *tmp;
	struct ivalue *iv;   /* per value */
	int32_t *slot_of;    /* per value */
	int32_t *plain_of;   /* per slot: its plain copy */
	int32_t cap_slot, cap_step, cap_folded;
	struct err *err;
};

#define LABEL(pl, n) node_label((pl)->g, (n), (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX)

/* -- growing arrays, in tmp until the plan is complete ------------------------------------- */

static bool grow(struct planner *pl, void **array, int32_t n, int32_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	int32_t new_cap = *cap ? *cap * 2 : 64;
	void *mem = arena_calloc(pl->p->arena, (size_t)new_cap, size);
	if (!mem)
		return false;
	if (n)
		memcpy(mem, *array, (size_t)n * size);
	*array = mem;
	*cap = new_cap;
	return true;
}

static int32_t add_slot(struct planner *pl, const struct tensor *t, enum slot_home home)
{
	struct plan *p = pl->p;
	int32_t cap = pl->cap_slot;
	if (!grow(pl, (void **)&p->slot, p->n_slot, &pl->cap_slot, sizeof(*p->slot)))
		return SLOT_NONE;
	if (!grow(pl, (void **)&pl->plain_of, p->n_slot, &cap, sizeof(*pl->plain_of)))
		return SLOT_NONE;
	struct slot *s = &p->slot[p->n_slot];
	*s = (struct slot){ .t = *t, .home = home, .root = p->n_slot, .first = INT32_MAX, .last = -1,
		.last_node = -1 };
	if (shape_is_static(&t->shape) && tensor_bytes_overflow(t->dtype, &t->shape, &s->bytes))
		return SLOT_NONE;
	pl->plain_of[p->n_slot] = SLOT_NONE;
	return p->n_slot++;
}

static struct step *
add_step(struct planner *pl, const struct node *n, int32_t n_in, int32_t n_out)
{
	struct plan *p = pl->p;
	if (!grow(pl, (void **)&p->step, p->n_step, &pl->cap_step, sizeof(*p->step)))
		return NULL;
	int32_t *slot = ARENA_ARRAY(p->arena, int32_t, (size_t)(n_in + n_out) + 1);
	if (!slot)
		return NULL;
	struct step *s = &p->step[p->n_step];
	*s = (struct step){ .node = n, .n_in = n_in, .n_out = n_out, .slot = slot,
		.backend = pl->rq->conf->backend };
	return s;
}

static void touch(struct plan *p, int32_t slot, int32_t step)
{
	if (slot == SLOT_NONE)
		return;
	struct slot *r = &p->slot[p->slot[slot].root];
	r->first = step < r->first ? step : r->first;
	r->last = step > r->last ? step : r->last;
}

/* Closes the step that add_step() opened. */
static void commit_step(struct planner *pl, struct step *s)
{
	struct plan *p = pl->p;
	for (int32_t i = 0; i < s->n_in + s->n_out; i++)
		touch(p, s->slot[i], p->n_step);
	int64_t cost = s->k.unit_cost_ns * s->k.units;
	if (cost == 0)
		for (int32_t i = 0; i < s->n_out; i++)
			if (s->slot[s->n_in + i] != SLOT_NONE)
				cost += (int64_t)p->slot[s->slot[s->n_in + i]].bytes / 4;
	s->spread = s->k.units > 1 && cost >= SPREAD_MIN_NS;
	if (s->k.scratch_bytes > p->scratch_bytes)
		p->scratch_bytes = round_up(s->k.scratch_bytes, ARENA_ALIGN_TENSOR);
	p->n_step++;
}

/* -- values ------------------------------------------------------------------------------ */

/* The slot of a value that has none yet: a constant, or a result known since. */
static int32_t slot_of_value(struct planner *pl, int32_t v)
{
	if (v == VALUE_NONE)
		return SLOT_NONE;
	if (pl->slot_of[v] == SLOT_NONE && pl->iv[v].data)
		pl->slot_of[v] = add_slot(pl, pl->iv[v].data, SLOT_CONST);
	return pl->slot_of[v];
}

/* From here on value v lies in that slot; its bytes are wanted as long as v is. */
static void bind_value(struct planner *pl, int32_t v, int32_t slot)
{
	pl->slot_of[v] = slot;
	if (slot == SLOT_NONE)
		return;
	struct slot *root = &pl->p->slot[pl->p->slot[slot].root];
	if (pl->rq->last_use[v] > root->last_node)
		root->last_node = pl->rq->last_use[v];
}

static struct tensor tensor_of_value(const struct planner *pl, int32_t v)
{
	const struct ivalue *iv = &pl->iv[v];
	if (iv->data)
		return *iv->data;
	struct tensor t = { .dtype = iv->type.is_sequence ? DTYPE_TENSOR : iv->type.dtype,
		.shape = iv->shape };
	if (pl->slot_of[v] != SLOT_NONE)
		t.layout = pl->p->slot[pl->slot_of[v]].t.layout;
	return t;
}

static struct tensor absent_tensor(void)
{
	return (struct tensor){ .shape = SHAPE_UNKNOWN };
}

/* -- preparing a node ---------------------------------------------------------------------- */

static enum err_code new_prep(struct planner *pl, const struct node *n, struct prep *ret)
{
	struct tensor *t = ARENA_ARRAY(pl->tmp, struct tensor, (size_t)(n->n_in + n->n_out) + 1);
	if (!t)
		return err_oom(pl->err);
	for (int32_t i = 0; i < n->n_in; i++)
		t[i] = n->in[i] == VALUE_NONE ? absent_tensor() : tensor_of_value(pl, n->in[i]);
	for (int32_t i = 0; i < n->n_out; i++)
		t[n->n_in + i] = n->out[i] == VALUE_NONE ? absent_tensor()
							 : tensor_of_value(pl, n->out[i]);
	*ret = (struct prep){ .graph = pl->g, .node = n, .in = t, .out = t + n->n_in,
		.n_in = n->n_in, .n_out = n->n_out, .threads = pl->rq->conf->threads,
		.arena = pl->p->arena, .packs = pl->rq->conf->packs, .tmp = pl->tmp };
	return ERR_OK;
}

/* A plain slot with the contents of a blocked one; one copy step, however often asked. */
static int32_t plain_slot(struct planner *pl, int32_t slot)
{
	struct plan *p = pl->p;
	if (slot == SLOT_NONE || p->slot[slot].t.layout == LAYOUT_PLAIN)
		return slot;
	if (pl->plain_of[slot] != SLOT_NONE)
		return pl->plain_of[slot];
	struct tensor t[2] = { p->slot[slot].t, p->slot[slot].t };
	t[1].layout = LAYOUT_PLAIN;
	int32_t to = add_slot(pl, &t[1], SLOT_WORK);
	struct step *s = to == SLOT_NONE ? NULL : add_step(pl, NULL, 1, 1);
	if (!s)
		return SLOT_NONE;
	struct prep prep = { .graph = pl->g, .in = &t[0], .out = &t[1], .n_in = 1, .n_out = 1,
		.threads = pl->rq->conf->threads, .arena = p->arena,
		.packs = pl->rq->conf->packs, .tmp = pl->tmp };
	if (s->backend->prepare_copy(&prep, &s->k, pl->err) != ERR_OK)
		return SLOT_NONE;
	s->slot[0] = slot;
	s->slot[1] = to;
	commit_step(pl, s);
	pl->plain_of[slot] = to;
	p->slot[to].last_node = p->slot[p->slot[slot].root].last_node;
	return to;
}

/* The result may take over its first input's bytes when nobody reads them afterwards. */
static void try_inplace(struct planner *pl, const struct node *n, const struct step *s, int32_t at)
{
	struct plan *p = pl->p;
	if (!s->k.inplace || s->n_in < 1 || s->slot[0] == SLOT_NONE || n->out[0] == VALUE_NONE)
		return;
	struct slot *in = &p->slot[p->slot[s->slot[0]].root], *out = &p->slot[s->slot[s->n_in]];
	if (in->home != SLOT_WORK || in->bytes != out->bytes || in->last_node > at ||
		p->slot[s->slot[0]].t.layout != out->t.layout)
		return;
	for (int32_t i = 1; i < s->n_in; i++)
		if (s->slot[i] != SLOT_NONE && p->slot[s->slot[i]].root == p->slot[s->slot[0]].root)
			return;
	out->root = p->slot[s->slot[0]].root;
	bind_value(pl, n->out[0], s->slot[s->n_in]);
}

static enum err_code plan_kernel(struct planner *pl, int32_t at)
{
	const struct node *n = &pl->g->node[at];
	struct prep prep;
	struct kernel k = { .units = 1 };
	bool want_plain = false;
	enum err_code rc = new_prep(pl, n, &prep);
	if (rc != ERR_OK)
		return rc;
	rc = pl->rq->conf->backend->prepare(&prep, &k, &want_plain, pl->err);
	if (rc != ERR_OK)
		return rc;
	/* Slots first: plain_slot() may add steps of its own before this one. */
	int32_t *in = ARENA_ARRAY(pl->tmp, int32_t, (size_t)n->n_in + 1);
	if (!in)
		return err_oom(pl->err);
	for (int32_t i = 0; i < n->n_in; i++) {
		in[i] = slot_of_value(pl, n->in[i]);
		if (want_plain)
			in[i] = plain_slot(pl, in[i]);
		if (in[i] == SLOT_NONE && n->in[i] != VALUE_NONE)
			return err_oom(pl->err);
	}
	struct step *s = add_step(pl, n, n->n_in, n->n_out);
	if (!s)
		return err_oom(pl->err);
	s->k = k;
	memcpy(s->slot, in, (size_t)n->n_in * sizeof(*in));
	for (int32_t i = 0; i < n->n_out; i++) {
		int32_t v = n->out[i];
		s->slot[n->n_in + i] = SLOT_NONE;
		if (v == VALUE_NONE)
			continue;
		struct tensor t = tensor_of_value(pl, v);
		t.layout = i == 0 ? k.out_layout : LAYOUT_PLAIN;
		s->slot[n->n_in + i] = add_slot(pl, &t, SLOT_WORK);
		bind_value(pl, v, s->slot[n->n_in + i]);
		if (pl->slot_of[v] == SLOT_NONE)
			return err_set(pl->err, ERR_RESOURCE_EXHAUSTED,
				"%s: output %d of shape %s is too large", LABEL(pl, n), i,
				SHAPE_TEXT(&t.shape));
	}
	try_inplace(pl, n, s, at);
	commit_step(pl, s);
	return ERR_OK;
}

/* -- the other ways to deal with a node --------------------------------------------------- */

static bool is_known(const struct planner *pl, const struct node *n)
{
	const struct op_info *op = op_info(n->op);
	if (op->flags & (OP_RANDOM | OP_CONTROL | OP_DATA_DEPENDENT))
		return false;
	for (int32_t i = 0; i < n->n_out; i++) {
		size_t bytes;
		if (n->out[i] != VALUE_NONE &&
			(tensor_bytes_overflow(pl->iv[n->out[i]].type.dtype,
				 &pl->iv[n->out[i]].shape, &bytes) ||
				bytes > KNOWN_BYTES_MAX))
			return false;
	}
	if (op->flags & OP_SHAPE_ONLY)
		return true;
	for (int32_t i = 0; i < n->n_in; i++)
		if (n->in[i] != VALUE_NONE && !pl->iv[n->in[i]].data)
			return false;
	return true;
}

/* Computes a node whose inputs are known; its outputs become constants. */
static enum err_code fold(struct planner *pl, const struct node *n)
{
	struct plan *p = pl->p;
	struct prep prep;
	struct kernel k = { .units = 1 };
	bool want_plain;
	enum err_code rc = new_prep(pl, n, &prep);
	if (rc != ERR_OK)
		return rc;
	prep.arena = pl->tmp;
	prep.threads = 1;
	rc = pl->rq->conf->backend->prepare(&prep, &k, &want_plain, pl->err);
	if (rc != ERR_OK)
		return rc;
	struct tensor *out = ARENA_ARRAY(p->arena, struct tensor, (size_t)n->n_out + 1);
	void *scratch = arena_alloc_aligned(pl->tmp, k.scratch_bytes + 1, ARENA_ALIGN_TENSOR);
	if (!out || !scratch ||
		!grow(pl, (void **)&p->folded, p->n_folded, &pl->cap_folded, sizeof(*p->folded)))
		return err_oom(pl->err);
	for (int32_t i = 0; i < n->n_out; i++) {
		out[i] = prep.out[i];
		if (n->out[i] == VALUE_NONE)
			continue;
		size_t bytes = tensor_bytes(&out[i]);
		out[i].data = arena_alloc_aligned(p->arena, bytes + 1, ARENA_ALIGN_TENSOR);
		if (!out[i].data)
			return err_oom(pl->err);
		pl->iv[n->out[i]].data = &out[i];
	}
	struct fault fault = { 0 };
	struct kernel_args args = { .in = prep.in, .out = out, .n_in = n->n_in, .n_out = n->n_out,
		.state = k.state, .scratch = scratch, .fault = &fault, .arena = p->arena };
	k.run(&args, 0, k.units);
	if (atomic_load(&fault.code) != FAULT_NONE)
		return fault_error(&fault, LABEL(pl, n), pl->err);
	p->folded[p->n_folded++] = n;
	return ERR_OK;
}

/* Output 0 is input 0 under another shape. */
static enum err_code plan_view(struct planner *pl, const struct node *n)
{
	struct plan *p = pl->p;
	int32_t in = plain_slot(pl, slot_of_value(pl, n->in[0]));
	struct tensor t = in == SLOT_NONE ? absent_tensor() : tensor_of_value(pl, n->out[0]);
	int32_t out = in == SLOT_NONE ? SLOT_NONE : add_slot(pl, &t, p->slot[in].home);
	if (out == SLOT_NONE)
		return err_oom(pl->err);
	p->slot[out].root = p->slot[in].root;
	p->slot[out].index = p->slot[in].index;
	p->slot[out].t.data = p->slot[in].t.data;
	bind_value(pl, n->out[0], out);
	return ERR_OK;
}

/* Runs the node's infer with what is known. *ret_cut: the plan must end before it. */
static enum err_code infer_here(struct planner *pl, const struct node *n, bool *ret_cut)
{
	struct infer x = { .graph = pl->g, .node = n, .n_in = n->n_in, .n_out = n->n_out };
	const struct ivalue **in = ARENA_ARRAY(pl->tmp, const struct ivalue *, (size_t)n->n_in + 1);
	x.out = ARENA_ARRAY(pl->tmp, struct ivalue, (size_t)n->n_out + 1);
	if (!in || !x.out)
		return err_oom(pl->err);
	for (int32_t i = 0; i < n->n_in; i++)
		in[i] = n->in[i] == VALUE_NONE ? NULL : &pl->iv[n->in[i]];
	x.in = in;
	enum err_code rc = infer_node(&x, pl->err);
	if (rc != ERR_OK)
		return rc;
	*ret_cut = x.needs_data || op_info(n->op)->flags & (OP_DATA_DEPENDENT | OP_CONTROL);
	for (int32_t i = 0; i < n->n_out; i++) {
		if (n->out[i] == VALUE_NONE)
			continue;
		if (!*ret_cut && !shape_is_static(&x.out[i].shape))
			return err_set(pl->err, ERR_INTERNAL, "%s: shape of output %d stays unknown",
				LABEL(pl, n), i);
		pl->iv[n->out[i]] = x.out[i];
		pl->iv[n->out[i]].data = NULL;
	}
	return ERR_OK;
}

static enum err_code plan_node(struct planner *pl, int32_t at, bool *ret_cut)
{
	const struct node *n = &pl->g->node[at];
	enum err_code rc = infer_here(pl, n, ret_cut);
	if (rc != ERR_OK || *ret_cut)
		return rc;
	if (is_known(pl, n))
		return fold(pl, n);
	bool is_view = op_info(n->op)->flags & OP_VIEW;
	for (int32_t i = 1; i < n->n_out; i++)
		is_view &= n->out[i] == VALUE_NONE;
	return is_view ? plan_view(pl, n) : plan_kernel(pl, at);
}

/* -- inputs and outputs --------------------------------------------------------------------- */

static enum err_code plan_inputs(struct planner *pl)
{
	const struct graph *g = pl->g;
	struct plan *p = pl->p;
	for (int32_t v = 0; v < g->n_value; v++) {
		pl->slot_of[v] = SLOT_NONE;
		pl->iv[v] = (struct ivalue){ .type = g->value[v].type, .shape = g->value[v].shape,
			.data = g->value[v].constant };
	}
	p->n_in = pl->rq->n_in;
	p->in = ARENA_ARRAY(p->arena, struct port, (size_t)p->n_in + 1);
	if (!p->in)
		return err_oom(pl->err);
	for (int i = 0; i < p->n_in; i++) {
		struct port *port = &p->in[i];
		*port = pl->rq->in[i];
		struct ivalue *iv = &pl->iv[port->value];
		struct tensor t = port->t;
		if (port->t.data) { /* part of the key, so the plan keeps a copy */
			size_t bytes = tensor_bytes(&port->t);
			struct tensor *known = ARENA_NEW(p->arena, struct tensor);
			void *data = arena_alloc_aligned(p->arena, bytes + 1, ARENA_ALIGN_TENSOR);
			if (!known || !data)
				return err_oom(pl->err);
			memcpy(data, port->t.data, bytes);
			port->t.data = data;
			*known = port->t;
			iv->data = known;
		}
		t.data = NULL;
		iv->shape = port->t.shape;
		port->slot = add_slot(pl, &t, SLOT_INPUT);
		bind_value(pl, port->value, port->slot);
		if (port->slot == SLOT_NONE)
			return err_oom(pl->err);
		p->slot[port->slot].index = i;
	}
	return ERR_OK;
}

/* Output i in the caller's memory: by giving a workspace root that home, or by a copy. */
static enum err_code plan_output(struct planner *pl, int i)
{
	struct plan *p = pl->p;
	struct port *port = &p->out[i];
	int32_t slot = plain_slot(pl, slot_of_value(pl, port->value));
	if (slot == SLOT_NONE)
		return err_oom(pl->err);
	port->t = p->slot[slot].t;
	port->t.data = NULL;
	struct slot *root = &p->slot[p->slot[slot].root];
	if (root->home == SLOT_WORK && root->bytes == p->slot[slot].bytes) {
		root->home = SLOT_OUTPUT;
		root->index = i;
		port->slot = slot;
		return ERR_OK;
	}
	struct tensor t[2] = { p->slot[slot].t, port->t };
	port->slot = add_slot(pl, &port->t, SLOT_OUTPUT);
	struct step *s = port->slot == SLOT_NONE ? NULL : add_step(pl, NULL, 1, 1);
	if (!s)
		return err_oom(pl->err);
	p->slot[port->slot].index = i;
	struct prep prep = { .graph = pl->g, .in = &t[0], .out = &t[1], .n_in = 1, .n_out = 1,
		.threads = pl->rq->conf->threads, .arena = p->arena,
		.packs = pl->rq->conf->packs, .tmp = pl->tmp };
	enum err_code rc = s->backend->prepare_copy(&prep, &s->k, pl->err);
	if (rc != ERR_OK)
		return rc;
	s->slot[0] = slot;
	s->slot[1] = port->slot;
	commit_step(pl, s);
	return ERR_OK;
}

/* Is v there when the plan has ended, and does anybody after it want it? */
static bool leaves(const struct planner *pl, int32_t v)
{
	const struct gvalue *gv = &pl->g->value[v];
	return gv->producer != NODE_NONE && gv->producer >= pl->p->begin &&
	       gv->producer < pl->p->end && pl->rq->last_use[v] >= pl->p->end;
}

static enum err_code plan_outputs(struct planner *pl)
{
	struct plan *p = pl->p;
	const struct graph *g = pl->g;
	bool last = p->end == g->n_node && p->begin == 0;
	int n = 0;
	if (last)
		n = g->n_output;
	else
		for (int32_t v = 0; v < g->n_value; v++)
			n += leaves(pl, v);
	p->out = ARENA_ARRAY(p->arena, struct port, (size_t)n + 1);
	if (!p->out)
		return err_oom(pl->err);
	if (last)
		for (; p->n_out < n; p->n_out++)
			p->out[p->n_out].value = g->output[p->n_out];
	else
		for (int32_t v = 0; v < g->n_value; v++)
			if (leaves(pl, v))
				p->out[p->n_out++].value = v;
	for (int i = 0; i < n && !p->dynamic; i++) {
		enum err_code rc = plan_output(pl, i);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

/* A data-dependent node alone: its kernel allocates from the run's arena. */
static enum err_code plan_dynamic(struct planner *pl)
{
	struct plan *p = pl->p;
	const struct node *n = &pl->g->node[p->begin];
	p->dynamic = true;
	p->end = p->begin + 1;
	if (op_info(n->op)->flags & OP_CONTROL)
		return ERR_OK; /* run.c runs the bodies */
	return plan_kernel(pl, p->begin);
}

/* -- the whole --------------------------------------------------------------------------------- */

static enum err_code plan_steps(struct planner *pl)
{
	struct plan *p = pl->p;
	enum err_code rc = plan_inputs(pl);
	bool cut = false;
	for (p->end = p->begin; p->end < pl->g->n_node && rc == ERR_OK; p->end++) {
		rc = plan_node(pl, p->end, &cut);
		if (cut)
			break;
	}
	if (rc == ERR_OK && cut && p->end == p->begin) {
		unsigned flags = op_info(pl->g->node[p->begin].op)->flags;
		if (!(flags & (OP_DATA_DEPENDENT | OP_CONTROL)))
			return err_set(pl->err, ERR_UNIMPLEMENTED,
				"%s: its output shape depends on a value too large to plan by",
				LABEL(pl, &pl->g->node[p->begin]));
		rc = plan_dynamic(pl);
	}
	if (rc == ERR_OK)
		rc = plan_outputs(pl);
	if (rc == ERR_OK)
		rc = memplan(p, pl->err);
	return rc;
}

enum err_code plan_new(const struct plan_request *rq, struct plan **ret, struct err *err)
{
	struct plan *p = calloc(1, sizeof(*p));
	struct planner pl = { .rq = rq, .g = rq->graph, .p = p, .err = err };
	enum err_code rc = ERR_RESOURCE_EXHAUSTED;
	if (!p)
		return err_oom(err);
	p->graph = rq->graph;
	p->begin = rq->begin;
	p->refs = 1;
	p->scratch_threads = rq->conf->threads + 1;
	p->arena = arena_new(1 << 16, 0);
	pl.tmp = arena_new(1 << 16, 0);
	if (p->arena && pl.tmp) {
		pl.iv = ARENA_ARRAY(pl.tmp, struct ivalue, (size_t)rq->graph->n_value + 1);
		pl.slot_of = ARENA_ARRAY(pl.tmp, int32_t, (size_t)rq->graph->n_value + 1);
	}
	rc = pl.iv && pl.slot_of ? plan_steps(&pl) : err_oom(err);
	arena_free(pl.tmp);
	if (rc != ERR_OK) {
		plan_free(p);
		return rc;
	}
	*ret = p;
	return ERR_OK;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	while (p->frames) {
		struct frame *f = p->frames;
		p->frames = f->next;
		frame_free(f);
	}
	arena_free(p->arena);
	free(p);
}
