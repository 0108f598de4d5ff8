/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/control.h"

#include <stdlib.h>
#include <string.h>
#include "exec/program_impl.h"

struct body {
	struct body *next;
	const struct graph *graph;
	struct program *program;
};

enum err_code control_new(struct program *p, struct err *err)
{
	for (int32_t i = 0; i < p->graph->n_node; i++) {
		const struct node *n = &p->graph->node[i];
		for (int32_t k = 0; k < n->n_attr; k++) {
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

/* Results of a body go to the arena of the run around it. */
struct to_arena {
	struct arena *arena;
	struct tensor *out;
};

static void *put_in_arena(void *ctx, int i, const struct tensor *t)
{
	struct to_arena *to = ctx;
	to->out[i] = *t;
	if (t->dtype != DTYPE_TENSOR)
		to->out[i].data = arena_alloc_aligned(to->arena, tensor_bytes(t) + 1,
			ARENA_ALIGN_TENSOR);
	return to->out[i].data;
}

/* Where node n's captures for body g begin among its inputs. */
static int32_t captures_at(const struct node *n, const struct graph *g)
{
	int32_t at = n->n_in;
	for (int32_t k = n->n_attr - 1; k >= 0; k--) {
		if (n->attr[k].kind != ATTR_GRAPH)
			continue;
		at -= n->attr[k].g->n_capture;
		if (n->attr[k].g == g)
			break;
	}
	return at;
}

static enum err_code run_if(struct program *p, const struct node *n, const struct tensor *in,
	struct tensor *out, const struct run_opts *opts, struct err *err)
{
	if (in[0].dtype != DTYPE_BOOL || !in[0].data || tensor_count(&in[0]) != 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: its condition is not one bool",
			node_label(p->graph, n, (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX));
	bool cond = tensor_int(&in[0], 0);
	const struct graph *body = node_graph(n, cond ? "then_branch" : "else_branch");
	struct to_arena to = { .arena = opts->arena, .out = out };
	struct run_opts inner = *opts;
	inner.output = put_in_arena;
	inner.output_ctx = &to;
	return program_run(program_of(p, body), in + captures_at(n, body), &inner, err);
}

enum err_code control_run(struct program *p, const struct node *n, const struct tensor *in,
	struct tensor *out, const struct run_opts *opts, struct err *err)
{
	switch (n->op) {
	case OP_IF:
		return run_if(p, n, in, out, opts, err);
	default:
		return err_set(err, ERR_UNIMPLEMENTED, "%s cannot be run",
			node_label(p->graph, n, (char[NODE_LABEL_MAX]){ 0 }, NODE_LABEL_MAX));
	}
}
