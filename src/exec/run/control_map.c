/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_map.c -- SequenceMap: a body for each element of a sequence
 *
 * Inputs a sequence, then sequences of the same length (one element a round) or tensors
 * (the same in each round); every output of the body becomes a sequence.
 */
#include <string.h>
#include "exec/run/control_impl.h"

static enum err_code check_lengths(struct control_call *c, int n_own, int64_t *ret_length)
{
	*ret_length = c->in[0].shape.rank == 1 ? c->in[0].shape.dim[0] : 0;
	for (int i = 1; i < n_own; i++)
		if (c->in[i].dtype == DTYPE_TENSOR && c->in[i].shape.dim[0] != *ret_length)
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: input %d has %lld elements, the first has %lld", CALL_LABEL(c),
				i, (long long)c->in[i].shape.dim[0], (long long)*ret_length);
	return ERR_OK;
}

static enum err_code new_lists(struct control_call *c, int n_out, int64_t length)
{
	for (int i = 0; i < n_out; i++) {
		c->out[i] = (struct tensor){ .dtype = DTYPE_TENSOR, .shape = shape_of(length) };
		c->out[i].data = ARENA_ARRAY(c->opts->arena, struct tensor, (size_t)length + 1);
		if (!c->out[i].data)
			return err_oom(c->err);
	}
	return ERR_OK;
}

static enum err_code map_round(struct control_rounds *r, struct control_call *c, int64_t k)
{
	for (int i = 0; i < r->body->n_input; i++)
		r->in[i] = c->in[i].dtype == DTYPE_TENSOR
				   ? ((const struct tensor *)c->in[i].data)[k]
				   : c->in[i];
	TRY(control_round(r, c));
	for (int i = 0; i < r->body->n_output; i++)
		TRY(control_keep(c, &r->out[i], (struct tensor *)c->out[i].data + k));
	return ERR_OK;
}

enum err_code control_map(struct control_call *c)
{
	const struct graph *body = node_graph(c->node, "body");
	struct control_rounds rounds = { 0 };
	int64_t length = 0;
	enum err_code rc = check_lengths(c, body->n_input, &length);
	if (rc == ERR_OK)
		rc = new_lists(c, body->n_output, length);
	if (rc == ERR_OK)
		rc = control_rounds_init(&rounds, c, body);
	for (int64_t k = 0; k < length && rc == ERR_OK; k++)
		rc = map_round(&rounds, c, k);
	control_rounds_done(&rounds);
	return rc;
}
