/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_dead.c -- what nobody reads: nodes, and values that a body captures
 */
#include "exec/infer/infer.h"
#include "exec/pass/pass.h"

#include <stdlib.h>

static enum err_code find_unread(struct pass_ctx *c, struct node *n, struct err *err)
{
	(void)err;
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k] != VALUE_NONE && c->uses[n->out[k]])
			return ERR_OK;
	c->changes++;
	return ERR_OK;
}

/* Only finds out that there are some: the runner drops them after every pass. */
enum err_code pass_dead_code(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, find_unread, err);
}

/* Keeps those captures of the body that are read and not constant outside; a constant
   becomes the body's own. `at` is the node's input that the first capture stands for. */
static enum err_code prune_body(struct pass_ctx *c, struct node *n, struct graph *body, int32_t at,
	struct err *err)
{
	int32_t *uses = calloc((size_t)body->n_value + 1, sizeof(*uses));
	if (!uses)
		return err_oom(err);
	graph_count_uses(body, uses);
	int32_t kept = 0;
	for (int32_t i = 0; i < body->n_capture; i++) {
		int32_t inner = body->capture[i], outer = n->in[at + i];
		const struct tensor *t =
			outer == VALUE_NONE ? NULL : c->graph->value[outer].constant;
		if (t && uses[inner]) {
			body->value[inner].constant = t;
			body->value[inner].type = (struct type){ .dtype = t->dtype };
			body->value[inner].shape = t->shape;
		} else if (uses[inner]) {
			body->capture[kept] = inner;
			n->in[at + kept++] = outer;
			continue;
		}
		c->changes++;
	}
	/* The inputs after this body's move up. */
	int32_t gone = body->n_capture - kept;
	for (int32_t k = at + body->n_capture; k < n->n_in; k++)
		n->in[k - gone] = n->in[k];
	n->n_in -= gone;
	body->n_capture = kept;
	free(uses);
	return ERR_OK;
}

static enum err_code prune_captures(struct pass_ctx *c, struct node *n, struct err *err)
{
	int32_t total = 0;
	for (int32_t i = 0; i < n->n_attr; i++)
		if (n->attr[i].kind == ATTR_GRAPH)
			total += n->attr[i].g->n_capture;
	int32_t at = n->n_in - total;
	for (int32_t i = 0; i < n->n_attr && total; i++) {
		if (n->attr[i].kind != ATTR_GRAPH)
			continue;
		TRY(prune_body(c, n, n->attr[i].g, at, err));
		at += n->attr[i].g->n_capture;
	}
	return ERR_OK;
}

enum err_code pass_captures(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, prune_captures, err);
}
