/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * One walk over the nodes, in order. Each is inferred with numbers. What is known by then
 * (constants; shapes; what was computed from them) is computed at once and becomes a
 * constant of the plan (plan_fold.c): that is how Shape -> Gather -> Concat -> Reshape disappears.
 * A view shares its input's slot, and so does what a device splits (plan_columns.c). For the rest
 * the backend prepares a kernel, which may leave its result in a blocked layout; whoever needs it
 * plain gets one copy step, shared. What a device's backend refuses goes to its host, with a copy
 * step where a value crosses.
 *
 * INVARIANTS
 *
 * 1. Every slot's shape is static, but for the outputs of a dynamic plan.
 * 2. root[root[s]] == root[s].
 * 3. Outputs and views are plain.
 */

#include <stdlib.h>
#include <string.h>
#include "exec/packs.h"
#include "exec/plan/forget.h"
#include "exec/plan/planner.h"

/* -- preparing a node ---------------------------------------------------------------------- */

/* The result may take over the bytes of the input that the kernel names when nobody reads
   them afterwards. */
static void try_inplace(struct planner *pl, const struct node *n, const struct step *s, int32_t at)
{
	struct plan *p = pl->p;
	int32_t over =
		s->k.inplace && s->k.inplace_in < s->n_in ? s->slot[s->k.inplace_in] : SLOT_NONE;
	if (over == SLOT_NONE || n->out[0] == VALUE_NONE)
		return;
	struct slot *in = &p->slot[p->slot[over].root], *out = &p->slot[s->slot[s->n_in]];
	if (in->home != SLOT_WORK || in->bytes != out->bytes || in->last_node > at ||
		p->slot[over].t.layout != out->t.layout)
		return;
	for (int32_t i = 0; i < s->n_in; i++)
		if (i != s->k.inplace_in && s->slot[i] != SLOT_NONE &&
			p->slot[s->slot[i]].root == p->slot[over].root)
			return;
	out->root = p->slot[over].root;
	out->at = p->slot[over].at;
	planner_bind(pl, n->out[0], s->slot[s->n_in]);
}

/* The kernel of a node, and who has it. */
struct choice {
	const struct backend *on;
	struct kernel k;
	bool want_plain;
	const char *refused; /* by a device, in words */
};

static enum err_code ask(struct planner *pl, const struct backend *on, const struct node *n,
	struct choice *ret)
{
	struct prep prep;
	*ret = (struct choice){ .on = on, .k.units = 1 };
	TRY(planner_node_prep(pl, on, n, &prep));
	return on->prepare(&prep, &ret->k, &ret->want_plain, pl->err);
}

static enum err_code choose(struct planner *pl, const struct node *n, struct choice *ret)
{
	const struct backend *b = pl->rq->conf->backend, *host = backend_host(b);
	const char *refused = NULL;
	enum err_code rc = ERR_UNIMPLEMENTED;
	/* A data-dependent result lies in the run's arena. */
	if (!pl->p->dynamic)
		rc = ask(pl, b, n, ret);
	if (rc == ERR_UNIMPLEMENTED && b != host)
		refused = pl->p->dynamic ? "its result depends on data"
					 : arena_strdup(pl->p->arena, pl->err->msg);
	if (rc == ERR_UNIMPLEMENTED && (b != host || pl->p->dynamic))
		rc = ask(pl, host, n, ret);
	ret->refused = refused;
	return rc;
}

/* Constants may be out of memory, see packs_want(). */
static enum err_code want_constant(const struct planner *pl, const struct node *n, const void *data)
{
	enum err_code rc = data ? packs_want(pl->rq->conf->packs, data, pl->err) : ERR_OK;
	return rc == ERR_OK ? rc : err_prefix(pl->err, "%s", LABEL(pl, n));
}

/* The slots that a kernel reads. Steps of their own may come before its step: copies. */
static enum err_code operands(struct planner *pl, const struct node *n, const struct choice *c,
	int32_t *ret_in)
{
	for (int32_t i = 0; i < n->n_in; i++) {
		ret_in[i] = SLOT_NONE;
		if (n->in[i] == VALUE_NONE || (i < 32 && c->k.unread >> i & 1))
			continue;
		int32_t slot = planner_slot_of(pl, n->in[i]);
		if (slot != SLOT_NONE)
			TRY(want_constant(pl, n, pl->p->slot[slot].t.data));
		if (c->want_plain)
			slot = planner_plain_slot(pl, slot);
		TRY(planner_move_to(pl, &slot, c->on->device));
		ret_in[i] = slot;
	}
	return ERR_OK;
}

static enum err_code plan_kernel(struct planner *pl, int32_t at)
{
	const struct node *n = &pl->g->node[at];
	struct choice c;
	int32_t *in = ARENA_ARRAY(pl->tmp, int32_t, (size_t)n->n_in + 1);
	if (!in)
		return err_oom(pl->err);
	TRY(choose(pl, n, &c));
	TRY(operands(pl, n, &c, in));
	TRY(forget_packed(pl, n, &c.k));
	struct step *s = planner_add_step(pl, c.on, n, n->n_in, n->n_out);
	if (!s)
		return err_oom(pl->err);
	s->k = c.k;
	s->refused = c.refused;
	memcpy(s->slot, in, (size_t)n->n_in * sizeof(*in));
	for (int32_t i = 0; i < n->n_out; i++) {
		int32_t v = n->out[i];
		s->slot[n->n_in + i] = SLOT_NONE;
		if (v == VALUE_NONE)
			continue;
		struct tensor t = planner_tensor_of(pl, v);
		t.layout = i == 0 ? c.k.out_layout : LAYOUT_PLAIN;
		int32_t slot = s->slot[n->n_in + i] = planner_add_slot(pl, &t, SLOT_WORK);
		if (slot == SLOT_NONE)
			return err_set(pl->err, ERR_RESOURCE_EXHAUSTED,
				"%s: output %d of shape %s is too large", LABEL(pl, n), i,
				SHAPE_TEXT(&t.shape));
		pl->p->slot[slot].on_device = c.on->device;
		planner_bind(pl, v, slot);
	}
	try_inplace(pl, n, s, at);
	planner_commit_step(pl, s);
	return ERR_OK;
}

/* -- the other ways to deal with a node --------------------------------------------------- */

/* Output 0 is input 0 under another shape. */
static enum err_code plan_view(struct planner *pl, const struct node *n)
{
	struct plan *p = pl->p;
	int32_t in = planner_plain_slot(pl, planner_slot_of(pl, n->in[0]));
	struct tensor t = in == SLOT_NONE ? tensor_absent() : planner_tensor_of(pl, n->out[0]);
	int32_t out = in == SLOT_NONE ? SLOT_NONE : planner_add_slot(pl, &t, p->slot[in].home);
	if (out == SLOT_NONE)
		return err_oom(pl->err);
	p->slot[out].root = p->slot[in].root;
	p->slot[out].at = p->slot[in].at;
	p->slot[out].index = p->slot[in].index;
	p->slot[out].t.data = p->slot[in].t.data;
	p->slot[out].on_device = p->slot[in].on_device;
	planner_bind(pl, n->out[0], out);
	return ERR_OK;
}

/* Only a run tells what comes out of it; also where a sequence or an optional is passed on. */
static bool is_dynamic(const struct node *n, const struct ivalue *out)
{
	bool dynamic = op_info(n->op)->flags & (OP_DATA_DEPENDENT | OP_CONTROL);
	for (int32_t i = 0; i < n->n_out; i++)
		dynamic |= n->out[i] != VALUE_NONE && !type_is_tensor(&out[i].type);
	return dynamic;
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
	TRY(infer_node(&x, pl->err));
	pl->dynamic = is_dynamic(n, x.out);
	*ret_cut = x.needs_data || pl->dynamic;
	for (int32_t i = 0; i < n->n_out; i++) {
		if (n->out[i] == VALUE_NONE)
			continue;
		if (!*ret_cut && !shape_is_static(&x.out[i].shape))
			return err_set(pl->err, ERR_INTERNAL,
				"%s: shape of output %d stays unknown", LABEL(pl, n), i);
		pl->iv[n->out[i]] = x.out[i];
		pl->iv[n->out[i]].data = NULL;
	}
	return ERR_OK;
}

static enum err_code plan_node(struct planner *pl, int32_t at, bool *ret_cut)
{
	const struct node *n = &pl->g->node[at];
	bool done = false;
	TRY(infer_here(pl, n, ret_cut));
	if (!*ret_cut && planner_is_known(pl, n))
		TRY(planner_fold(pl, n, &done));
	if (*ret_cut || done)
		return ERR_OK;
	bool is_view = op_info(n->op)->flags & OP_VIEW;
	for (int32_t i = 1; i < n->n_out; i++)
		is_view &= n->out[i] == VALUE_NONE;
	if (is_view)
		return plan_view(pl, n);
	return planner_takes_columns(pl, n) ? planner_columns(pl, n) : plan_kernel(pl, at);
}

/* -- the whole --------------------------------------------------------------------------------- */

/* A data-dependent node alone: its kernel allocates from the run's arena. */
static enum err_code plan_dynamic(struct planner *pl)
{
	struct plan *p = pl->p;
	const struct node *n = &pl->g->node[p->begin];
	p->dynamic = true;
	p->end = p->begin + 1;
	planner_unstage_inputs(pl, true);
	if (op_info(n->op)->flags & OP_CONTROL)
		return ERR_OK; /* chain.c runs the bodies */
	return plan_kernel(pl, p->begin);
}

static enum err_code plan_steps(struct planner *pl)
{
	struct plan *p = pl->p;
	enum err_code rc = planner_inputs(pl);
	bool cut = false;
	for (p->end = p->begin; p->end < pl->g->n_node && rc == ERR_OK; p->end++) {
		rc = plan_node(pl, p->end, &cut);
		if (cut)
			break;
	}
	/* A plan of no steps at all is chain.c's to deal with: it has the values. */
	if (rc == ERR_OK && cut && p->end == p->begin && pl->dynamic)
		rc = plan_dynamic(pl);
	if (rc == ERR_OK)
		rc = planner_outputs(pl);
	if (rc == ERR_OK && pl->rq->conf->backend->device && !p->dynamic) {
		p->device = pl->rq->conf->backend;
		planner_segments(p);
		planner_unstage_inputs(pl, false);
	}
	if (rc == ERR_OK)
		rc = memplan(p, pl->err);
	return rc;
}

enum err_code plan_new(const struct plan_request *rq, struct plan **ret, struct err *err)
{
	struct plan *p = calloc(1, sizeof(*p));
	struct planner pl = { .rq = rq, .g = rq->graph, .p = p, .err = err };
	if (!p)
		return err_oom(err);
	p->graph = rq->graph;
	p->begin = rq->begin;
	p->refs = 1;
	p->scratch_threads = rq->conf->threads + 1;
	p->arena = arena_new(1 << 16, 0);
	pl.tmp = arena_new(1 << 16, 0);
	bool ok = p->arena && pl.tmp;
	for (int i = 0; i < TRIAL_ARENAS; i++) {
		pl.trial[i] = arena_new((size_t)16 << 20, 0); /* one chunk for most trials */
		ok &= pl.trial[i] != NULL;
	}
	if (ok) {
		pl.iv = ARENA_ARRAY(pl.tmp, struct ivalue, (size_t)rq->graph->n_value + 1);
		pl.slot_of = ARENA_ARRAY(pl.tmp, int32_t, (size_t)rq->graph->n_value + 1);
	}
	enum err_code rc = pl.iv && pl.slot_of ? plan_steps(&pl) : err_oom(err);
	for (int i = 0; i < TRIAL_ARENAS; i++)
		arena_free(pl.trial[i]);
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
