/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_graph.c -- symbolic inference over a whole graph and its bodies
 *
 * DESIGN
 * One walk over the nodes in order. A node with bodies is inferred after its bodies, whose
 * captures have by then the types and shapes of the outer values. The walk keeps a stack of
 * its own, one frame per level of nesting.
 *
 * What a Loop carries may have another shape in each round. Mostly it has not: its body is walked
 * on the guess that it keeps the shapes that it begins with, and where they come out again that is
 * how it is, by induction. Where not, it is walked once more without. Only bodies without bodies
 * are guessed at, as a wrong guess leaves nothing behind there; and no body is walked more than
 * twice for a guess.
 */
#include "exec/infer/infer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct frame {
	struct graph *g;
	struct ivalue *v; /* per value of g; owned */
	int32_t node;
	int32_t body; /* attribute of the node from which to look for bodies */
	int32_t captured; /* of the node's inputs, by the bodies done */
	bool guesses;	  /* that what its node carries keeps its shape */
};

struct walker {
	struct frame stack[GRAPH_DEPTH_MAX + 1];
	int depth;
	const struct ivalue **in;
	struct ivalue *out;
	int32_t cap; /* of in and out */
	const char **doubt; /* NULL: shapes are as declared, or it is an error */
	struct err *err;
};

/* Dimensions of the main graph's values that are not known get names of their own ("?v7.0"),
   so that shapes made of them can be told equal. Not in bodies: there they may change from
   one iteration to the next. */
static void name_unknown_dims(struct graph *g, int32_t v, struct shape *s)
{
	char name[48];
	for (int k = 0; k < s->rank && !g->parent; k++) {
		if (s->dim[k] != DIM_UNKNOWN)
			continue;
		int len = snprintf(name, sizeof(name), "?v%d.%d", v, k);
		s->dim[k] = graph_symbol(g, (struct slice){ name, (size_t)len });
	}
}

/* Takes up a graph: what is known before its first node are constants, inputs, captures. */
static enum err_code push(struct walker *w, struct graph *g)
{
	struct frame *f = &w->stack[w->depth];
	*f = (struct frame){ .g = g, .v = calloc((size_t)g->n_value + 1, sizeof(*f->v)) };
	if (!f->v)
		return err_oom(w->err);
	w->depth++;
	for (int32_t i = 0; i < g->n_input; i++)
		name_unknown_dims(g, g->input[i], &g->value[g->input[i]].shape);
	for (int32_t i = 0; i < g->n_value; i++)
		f->v[i] = (struct ivalue){
			.type = g->value[i].type,
			.shape = g->value[i].shape,
			.data = g->value[i].constant,
			.ints = g->value[i].ints,
		};
	return ERR_OK;
}

static void pop(struct walker *w)
{
	free(w->stack[--w->depth].v);
}

/* A body may leave the types of its inputs to the node: Loop's are the round, the condition
   and the carried values, SequenceMap's are elements, Scan's are the node's own. Shapes are not
   taken over: a carried value's may change from round to round. */
static void type_body_inputs(const struct frame *f, const struct node *n, struct graph *body)
{
	int32_t first = n->op == OP_BATCHED_SCAN; /* its lengths are none of the body's */
	for (int32_t i = 0; i < body->n_input && first + i < n->n_in; i++) {
		struct type *t = &body->value[body->input[i]].type;
		if (t->dtype != DTYPE_UNDEFINED)
			continue;
		if (n->op == OP_LOOP && i < 2)
			t->dtype = i == 0 ? DTYPE_I64 : DTYPE_BOOL;
		else if (n->in[first + i] != VALUE_NONE)
			*t = f->v[n->in[first + i]].type;
		if (n->op == OP_SEQUENCE_MAP)
			t->is_sequence = false;
	}
}

static bool has_bodies(const struct graph *g)
{
	for (int32_t i = 0; i < g->n_node; i++)
		for (int32_t k = 0; k < g->node[i].n_attr; k++)
			if (g->node[i].attr[k].kind == ATTR_GRAPH)
				return true;
	return false;
}

/* Input `at` of n, a Loop with this body, if its value's shape may be guessed at; else VALUE_NONE.
   The first two are the bound and the condition. */
static int32_t carried(
	const struct frame *f, const struct graph *body, const struct node *n, int32_t at)
{
	int32_t v = at >= 2 && at < body->n_input && at < n->n_in ? n->in[at] : VALUE_NONE;
	return v != VALUE_NONE && at - 1 < body->n_output && shape_is_named(&f->v[v].shape)
		       ? v
		       : VALUE_NONE;
}

/* The top of the stack is the body of n, below it is f. */
static void guess_carried(struct walker *w, const struct frame *f, const struct node *n)
{
	struct frame *inner = &w->stack[w->depth - 1];
	struct graph *body = inner->g;
	for (int32_t i = 2; i < body->n_input; i++) {
		int32_t v = carried(f, body, n, i);
		struct shape *s = &inner->v[body->input[i]].shape;
		if (v == VALUE_NONE || (s->rank >= 0 && s->rank != f->v[v].shape.rank))
			continue;
		inner->guesses |= !shape_equal(s, &f->v[v].shape);
		*s = f->v[v].shape;
	}
}

/* What was guessed has come out of the body again. */
static bool guess_holds(const struct frame *f, const struct frame *inner)
{
	const struct node *n = &f->g->node[f->node];
	const struct graph *body = inner->g;
	for (int32_t i = 2; i < body->n_input; i++) {
		int32_t v = carried(f, body, n, i);
		if (v != VALUE_NONE &&
			shape_equal(&inner->v[body->input[i]].shape, &f->v[v].shape) &&
			!shape_equal(&inner->v[body->output[i - 1]].shape, &f->v[v].shape))
			return false;
	}
	return true;
}

/* Numbers that exporters write of what a Loop carries may be the first round's: a list that grows
   begins as [0,...]. Those that come out of the body as others are forgotten. */
static bool forget_first_round(const struct frame *f, const struct frame *inner)
{
	struct graph *body = inner->g;
	bool forgot = false;
	if (f->g->node[f->node].op != OP_LOOP || has_bodies(body))
		return false;
	for (int32_t i = 2; i < body->n_input && i - 1 < body->n_output; i++) {
		struct shape *in = &body->value[body->input[i]].shape;
		const struct shape *out = &inner->v[body->output[i - 1]].shape;
		for (int k = 0; k < in->rank && in->rank == out->rank; k++) {
			if (in->dim[k] < 0 || out->dim[k] < 0 || in->dim[k] == out->dim[k])
				continue;
			in->dim[k] = DIM_UNKNOWN;
			forgot = true;
		}
	}
	return forgot;
}

/* Gives the body's captures what is known of the node's inputs. */
static enum err_code enter_body(
	struct walker *w, struct frame *f, struct graph *body, bool may_guess)
{
	const struct node *n = &f->g->node[f->node];
	int32_t total = 0;
	for (int32_t i = 0; i < n->n_attr; i++)
		if (n->attr[i].kind == ATTR_GRAPH)
			total += n->attr[i].g->n_capture;
	int32_t first = n->n_in - total + f->captured;
	if (total > n->n_in || w->depth > GRAPH_DEPTH_MAX)
		return err_set(w->err, ERR_INVALID_ARGUMENT,
			"%s: its bodies capture %d values, it has %d inputs",
			node_label(f->g, n, (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX), total,
			n->n_in);
	type_body_inputs(f, n, body);
	TRY(push(w, body));
	for (int32_t i = 0; i < body->n_capture; i++) {
		struct gvalue *inner = &body->value[body->capture[i]];
		int32_t outer = n->in[first + i];
		if (outer == VALUE_NONE)
			continue;
		inner->type = f->v[outer].type;
		inner->shape = f->v[outer].shape;
		w->stack[w->depth - 1].v[body->capture[i]] = f->v[outer];
	}
	f->captured += body->n_capture;
	if (may_guess && n->op == OP_LOOP && !has_bodies(body))
		guess_carried(w, f, n);
	return ERR_OK;
}

/* The top of the stack once more, without a guess. */
static enum err_code enter_again(struct walker *w)
{
	struct graph *body = w->stack[w->depth - 1].g;
	struct frame *f = &w->stack[w->depth - 2];
	pop(w);
	f->captured -= body->n_capture;
	return enter_body(w, f, body, false);
}

static enum err_code make_room(struct walker *w, int32_t n)
{
	if (n <= w->cap)
		return ERR_OK;
	free(w->in);
	free(w->out);
	w->in = malloc((size_t)n * sizeof(*w->in));
	w->out = malloc((size_t)n * sizeof(*w->out));
	w->cap = w->in && w->out ? n : 0;
	return w->cap ? ERR_OK : err_oom(w->err);
}

/* What was declared, or inferred before, is kept where nothing better is known now. */
static void merge_shape(const struct shape *declared, struct shape *ret)
{
	if (ret->rank == RANK_UNKNOWN)
		*ret = *declared;
	for (int k = 0; k < ret->rank && declared->rank == ret->rank; k++)
		if (ret->dim[k] == DIM_UNKNOWN)
			ret->dim[k] = declared->dim[k];
}

#define DIFFERS "graph '%s': output '%.120s' is declared as %s, its node gives %s"

static enum err_code check_shape(const struct walker *w, const struct graph *g,
	const struct gvalue *v, const struct shape *is)
{
	if (v->shape.rank < 0 || is->rank < 0)
		return ERR_OK;
	bool differs = v->shape.rank != is->rank;
	for (int k = 0; !differs && k < v->shape.rank; k++)
		differs = dim_conflict(v->shape.dim[k], is->dim[k]);
	if (!differs)
		return ERR_OK;
	if (!w->doubt)
		return err_set(w->err, ERR_INVALID_ARGUMENT, DIFFERS, g->name, v->name,
			SHAPE_TEXT(&v->shape), SHAPE_TEXT(is));
	if (!*w->doubt)
		*w->doubt = arena_printf(g->arena, DIFFERS, g->name, v->name, SHAPE_TEXT(&v->shape),
			SHAPE_TEXT(is));
	return *w->doubt ? ERR_OK : err_oom(w->err);
}

/* An output of the graph must be what it was declared to be. */
static enum err_code check_declared(const struct walker *w, const struct graph *g,
	const struct gvalue *v, const struct ivalue *is)
{
	struct err *err = w->err;
	if (v->type.dtype != DTYPE_UNDEFINED && is->type.dtype != DTYPE_UNDEFINED &&
		v->type.dtype != is->type.dtype)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"graph '%s': output '%.120s' is declared as %s, its node gives %s", g->name,
			v->name, dtype_name(v->type.dtype), dtype_name(is->type.dtype));
	if (is->type.dtype != DTYPE_UNDEFINED && v->type.dtype != DTYPE_UNDEFINED &&
		v->type.is_sequence != is->type.is_sequence)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"graph '%s': output '%.120s' is declared as a %s, its node gives a %s",
			g->name, v->name, v->type.is_sequence ? "sequence" : "tensor",
			is->type.is_sequence ? "sequence" : "tensor");
	return check_shape(w, g, v, &is->shape);
}

static enum err_code check_outputs(const struct walker *w, const struct frame *f)
{
	for (int32_t i = 0; i < f->g->n_output; i++) {
		int32_t v = f->g->output[i];
		TRY(check_declared(w, f->g, &f->g->value[v], &f->v[v]));
	}
	return ERR_OK;
}

/* Takes over what the walk found out. */
static void keep(struct frame *f)
{
	for (int32_t i = 0; i < f->g->n_value; i++) {
		struct gvalue *v = &f->g->value[i];
		if (v->constant)
			continue;
		if (f->v[i].type.dtype != DTYPE_UNDEFINED || f->v[i].type.is_sequence)
			v->type = f->v[i].type;
		merge_shape(&v->shape, &f->v[i].shape);
		v->shape = f->v[i].shape;
		v->ints = f->v[i].ints;
	}
}

/* What is known of output 0's integers; a second walk finds its own entry again. */
static enum err_code keep_ints(struct infer *x, struct graph *g, struct err *err)
{
	struct infer_ints ints = { 0 };
	if (x->node->out[0] == VALUE_NONE || !infer_propagate_ints(x, &ints))
		return ERR_OK;
	const struct infer_ints *old = g->value[x->node->out[0]].ints;
	if (!old || memcmp(old, &ints, sizeof(ints)) != 0) {
		struct infer_ints *copy = ARENA_NEW(g->arena, struct infer_ints);
		if (!copy)
			return err_oom(err);
		*copy = ints;
		old = copy;
	}
	x->out[0].ints = old;
	return ERR_OK;
}

static enum err_code infer_at(struct walker *w, struct frame *f)
{
	const struct node *n = &f->g->node[f->node];
	int in_max = op_info(n->op)->in_max;
	int n_in = in_max == ARITY_ANY || n->n_in > in_max ? n->n_in : in_max;
	struct graph *root = w->stack[0].g;
	TRY(make_room(w, n_in > n->n_out ? n_in : n->n_out));
	struct infer x = { .graph = f->g, .node = n, .n_in = n_in, .n_out = n->n_out, .in = w->in,
		.out = w->out, .symbols = root };
	for (int i = 0; i < n_in; i++)
		x.in[i] = node_has_in(n, i) ? &f->v[n->in[i]] : NULL;
	TRY(infer_node(&x, w->err));
	TRY(keep_ints(&x, f->g, w->err));
	for (int i = 0; i < n->n_out; i++) {
		if (n->out[i] == VALUE_NONE)
			continue;
		name_unknown_dims(f->g, n->out[i], &x.out[i].shape);
		f->v[n->out[i]] = x.out[i];
	}
	return ERR_OK;
}

/* The node's next body that has not been walked; NULL: all have. */
static struct graph *next_body(struct frame *f)
{
	const struct node *n = &f->g->node[f->node];
	while (f->body < n->n_attr) {
		const struct attr *a = &n->attr[f->body++];
		if (a->kind == ATTR_GRAPH)
			return a->g;
	}
	return NULL;
}

static enum err_code step(struct walker *w)
{
	struct frame *f = &w->stack[w->depth - 1];
	if (f->node == f->g->n_node) {
		bool forgot = w->depth > 1 && forget_first_round(f - 1, f);
		if (forgot || (f->guesses && !guess_holds(f - 1, f)))
			return enter_again(w);
		TRY(check_outputs(w, f));
		keep(f);
		pop(w);
		return ERR_OK;
	}
	struct graph *body = next_body(f);
	if (body)
		return enter_body(w, f, body, true);
	enum err_code rc = f->g->node[f->node].dead ? ERR_OK : infer_at(w, f);
	if (rc != ERR_OK)
		return f->guesses ? enter_again(w) : rc;
	f->node++;
	f->body = 0;
	f->captured = 0;
	return ERR_OK;
}

static enum err_code walk(struct graph *g, const char **doubt, struct err *err)
{
	struct walker w = { .doubt = doubt, .err = err };
	enum err_code rc = push(&w, g);
	while (rc == ERR_OK && w.depth)
		rc = step(&w);
	while (w.depth)
		pop(&w);
	free(w.in);
	free(w.out);
	return rc;
}

enum err_code infer_graph(struct graph *g, struct err *err)
{
	return walk(g, NULL, err);
}

enum err_code infer_model(struct graph *g, const char **ret_doubt, struct err *err)
{
	*ret_doubt = NULL;
	return walk(g, ret_doubt, err);
}
