/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/run/control.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "exec/run/control_impl.h"

struct body {
	struct body *next;
	const struct graph *graph;
	struct program *program;
};

enum err_code control_new(struct program *p, struct err *err)
{
	for (int32_t i = 0; i < p->graph->n_node; i++) {
		const struct node *n = &p->graph->node[i];
		/* The body of a fused operator is its kernel's. */
		bool control = op_info(n->op)->flags & OP_CONTROL;
		for (int32_t k = 0; k < n->n_attr && control; k++) {
			if (n->attr[k].kind != ATTR_GRAPH)
				continue;
			struct body *b = calloc(1, sizeof(*b));
			if (!b)
				return err_oom(err);
			b->graph = n->attr[k].g;
			b->next = p->bodies;
			p->bodies = b;
			enum err_code rc = program_new(b->graph, &p->conf, &b->program, err);
			if (rc != ERR_OK)
				return rc;
		}
	}
	return ERR_OK;
}

void control_free(struct program *p)
{
	while (p->bodies) {
		struct body *b = p->bodies;
		p->bodies = b->next;
		program_free(b->program);
		free(b);
	}
}

static struct program *program_of(const struct program *p, const struct graph *g)
{
	struct body *b = p->bodies;
	while (b->graph != g)
		b = b->next;
	return b->program;
}

/* The captures of a body among the node's inputs. */
static const struct tensor *captures_of(const struct control_call *c, const struct graph *body)
{
	int32_t at = c->node->n_in;
	for (int32_t k = c->node->n_attr - 1; k >= 0; k--) {
		if (c->node->attr[k].kind != ATTR_GRAPH)
			continue;
		at -= c->node->attr[k].g->n_capture;
		if (c->node->attr[k].g == body)
			break;
	}
	return c->in + at;
}

struct to_arena {
	struct arena *arena;
	struct tensor *out;
};

static void *put_in_arena(void *ctx, int i, const struct tensor *t)
{
	struct to_arena *to = ctx;
	to->out[i] = *t;
	if (t->dtype != DTYPE_TENSOR && !tensor_is_absent(t))
		to->out[i].data = arena_alloc_aligned(to->arena, tensor_bytes(t) + 1,
			ARENA_ALIGN_TENSOR);
	return to->out[i].data;
}

/* in has the body's inputs, then its captures; outputs are put into the arena. */
static enum err_code run_body(struct control_call *c, const struct graph *body,
	const struct tensor *in, struct arena *arena, struct tensor *out)
{
	struct to_arena to = { .arena = arena, .out = out };
	struct run_opts inner = *c->opts;
	inner.arena = arena;
	inner.output = put_in_arena;
	inner.output_ctx = &to;
	if (program_run(program_of(c->program, body), in, &inner, c->err) == ERR_OK)
		return ERR_OK;
	return err_prefix(c->err, "%s", CALL_LABEL(c));
}

static enum err_code run_if(struct control_call *c)
{
	const struct tensor *cond = &c->in[0];
	if (cond->dtype != DTYPE_BOOL || !cond->data || tensor_count(cond) != 1)
		return err_set(c->err, ERR_INVALID_ARGUMENT, "%s: its condition is not one bool",
			CALL_LABEL(c));
	const struct graph *body =
		node_graph(c->node, tensor_int(cond, 0) ? "then_branch" : "else_branch");
	return run_body(c, body, captures_of(c, body), c->opts->arena, c->out);
}

/* -- iterations ------------------------------------------------------------------------------ */

/* Sequences share their elements with earlier rounds and strings their bytes, so these stay
   until the end. */
static bool has_pointers(const struct graph *body)
{
	for (int32_t i = 0; i < body->n_output; i++) {
		const struct type *t = &body->value[body->output[i]].type;
		if (type_carrier(t) == DTYPE_TENSOR || t->dtype == DTYPE_STRING)
			return true;
	}
	return false;
}

enum err_code control_rounds_init(struct control_rounds *r, struct control_call *c,
	const struct graph *body)
{
	struct arena *arena = c->opts->arena;
	*r = (struct control_rounds){ .body = body, .keeps = has_pointers(body) };
	r->in = ARENA_ARRAY(arena, struct tensor, (size_t)(body->n_input + body->n_capture) + 1);
	r->out = ARENA_ARRAY(arena, struct tensor, (size_t)body->n_output + 1);
	for (int i = 0; i < 2; i++)
		r->turn[i] = arena_new(1 << 16, c->program->conf.dynamic_bytes_max);
	if (!r->in || !r->out || !r->turn[0] || !r->turn[1])
		return err_oom(c->err);
	memcpy(r->in + body->n_input, captures_of(c, body),
		(size_t)body->n_capture * sizeof(*r->in));
	return ERR_OK;
}

void control_rounds_done(struct control_rounds *r)
{
	arena_free(r->turn[0]);
	arena_free(r->turn[1]);
}

/* A look at the clock takes as long as a tenth of a small round. */
#define ROUNDS_BETWEEN_LOOKS 16

/* How many rounds there are may be a request's wish: nobody else would end them. */
static enum err_code check_deadline(const struct control_rounds *r, struct control_call *c)
{
	int64_t deadline_ns = c->opts->deadline_ns;
	if (!deadline_ns || r->round % ROUNDS_BETWEEN_LOOKS || clock_now_ns() < deadline_ns)
		return ERR_OK;
	return err_set(c->err, ERR_DEADLINE_EXCEEDED,
		"%s: the request's deadline passed after %lld rounds", CALL_LABEL(c),
		(long long)r->round);
}

enum err_code control_round(struct control_rounds *r, struct control_call *c)
{
	struct arena *arena = c->opts->arena;
	TRY(check_deadline(r, c));
	if (!r->keeps) {
		arena = r->turn[r->round % 2];
		arena_reset(arena, (size_t)1 << 22);
	}
	r->round++;
	return run_body(c, r->body, r->in, arena, r->out);
}

enum err_code control_room(struct control_call *c, struct tensor *t)
{
	size_t bytes;
	bool overflow = tensor_bytes_overflow(t->dtype, &t->shape, &bytes);
	t->data = overflow ? NULL
			   : arena_alloc_aligned(c->opts->arena, bytes + 1, ARENA_ALIGN_TENSOR);
	if (t->data)
		return ERR_OK;
	return err_set(c->err, ERR_RESOURCE_EXHAUSTED, "%s: no memory for a result of shape %s",
		CALL_LABEL(c), SHAPE_TEXT(&t->shape));
}

enum err_code control_keep(struct control_call *c, const struct tensor *from, struct tensor *to)
{
	*to = *from;
	if (from->dtype == DTYPE_TENSOR || !from->data)
		return ERR_OK;
	TRY(control_room(c, to));
	memcpy(to->data, from->data, tensor_bytes(from));
	return ERR_OK;
}

enum err_code control_push(struct control_stack *s, struct control_call *c, const struct tensor *t)
{
	size_t bytes = tensor_bytes(t), all;
	if (s->n == 0)
		s->item = *t;
	else if (!shape_equal(&s->item.shape, &t->shape))
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"%s: iteration %lld gives shape %s, the ones before gave %s", CALL_LABEL(c),
			(long long)s->n, SHAPE_TEXT(&t->shape), SHAPE_TEXT(&s->item.shape));
	if (s->n == s->cap) {
		int64_t cap = s->cap ? 2 * s->cap : 8;
		char *data =
			__builtin_mul_overflow(bytes, (size_t)cap, &all)
				? NULL
				: arena_alloc_aligned(c->opts->arena, all + 1, ARENA_ALIGN_TENSOR);
		if (!data)
			return err_set(c->err, ERR_RESOURCE_EXHAUSTED,
				"%s: no memory for the results of %lld iterations", CALL_LABEL(c),
				(long long)cap);
		if (s->n)
			memcpy(data, s->data, bytes * (size_t)s->n);
		s->data = data;
		s->cap = cap;
	}
	memcpy(s->data + bytes * (size_t)s->n++, t->data, bytes);
	return ERR_OK;
}

enum err_code control_run(struct program *p, const struct node *n, const struct tensor *in,
	struct tensor *out, const struct run_opts *opts, struct err *err)
{
	struct control_call c = { .program = p, .node = n, .in = in, .out = out, .opts = opts,
		.err = err };
	switch (n->op) {
	case OP_IF:
		return run_if(&c);
	case OP_LOOP:
		return control_loop(&c);
	case OP_SCAN:
		return control_scan(&c);
	case OP_BATCHED_SCAN:
		return control_batched_scan(&c);
	case OP_SEQUENCE_MAP:
		return control_map(&c);
	default:
		return err_set(err, ERR_UNIMPLEMENTED, "%s cannot be run", CALL_LABEL(&c));
	}
}
