/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_loop.c -- Loop: at most M rounds, while a condition holds
 *
 * Inputs M, cond, v_1 ... v_k; body (round, cond, v_1 ... v_k) -> (cond, v_1 ... v_k,
 * scan_1 ...); outputs the last v's, then each scan's results stacked along a new first
 * dimension (ONNX operator Loop).
 */
#include <string.h>
#include "exec/run/control_impl.h"

struct loop {
	struct control_rounds rounds;
	struct control_stack *stack; /* per scan output */
	int n_carried, n_scan;
	int64_t trips, done; /* at most, and so far */
	int64_t round_data;
	bool cond_data;
};

/* The one element of a tensor, or otherwise when it is absent. */
static enum err_code scalar_or(struct control_call *c, const struct tensor *t, const char *what,
	int64_t otherwise, int64_t *ret)
{
	if (t->data && tensor_count(t) != 1)
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"%s: %s is %s, it must have one element", CALL_LABEL(c), what,
			SHAPE_TEXT(&t->shape));
	*ret = t->data ? tensor_int(t, 0) : otherwise;
	return ERR_OK;
}

static enum err_code loop_init(struct loop *l, struct control_call *c)
{
	const struct graph *body = node_graph(c->node, "body");
	enum err_code rc = control_rounds_init(&l->rounds, c, body);
	if (rc != ERR_OK)
		return rc;
	l->n_carried = body->n_input - 2;
	l->n_scan = body->n_output - 1 - l->n_carried;
	l->stack = ARENA_ARRAY(c->opts->arena, struct control_stack, (size_t)l->n_scan + 1);
	if (!l->stack)
		return err_oom(c->err);
	int64_t cond = 1;
	rc = scalar_or(c, &c->in[0], "the number of rounds", INT64_MAX, &l->trips);
	if (rc == ERR_OK)
		rc = scalar_or(c, &c->in[1], "the condition", 1, &cond);
	if (rc != ERR_OK)
		return rc;
	l->cond_data = cond;
	struct tensor *in = l->rounds.in;
	in[0] = (struct tensor){ .dtype = DTYPE_I64, .shape = body->value[body->input[0]].shape };
	in[1] = (struct tensor){ .dtype = DTYPE_BOOL, .shape = body->value[body->input[1]].shape };
	/* The body may declare them as scalars or as [1]. */
	for (int i = 0; i < 2; i++)
		if (!shape_is_static(&in[i].shape) || shape_count(&in[i].shape) != 1)
			in[i].shape = SHAPE_SCALAR;
	for (int i = 0; i < l->n_carried; i++)
		in[2 + i] = c->in[2 + i];
	return ERR_OK;
}

/* The round and the condition for the body to see: for good, if it may keep them. */
static enum err_code show_counters(struct loop *l, struct control_call *c)
{
	struct tensor *in = l->rounds.in, round = in[0], cond = in[1];
	l->round_data = l->done;
	in[0].data = round.data = &l->round_data;
	in[1].data = cond.data = &l->cond_data;
	if (!l->rounds.keeps)
		return ERR_OK;
	TRY(control_keep(c, &round, &in[0]));
	return control_keep(c, &cond, &in[1]);
}

static enum err_code loop_round(struct loop *l, struct control_call *c)
{
	int64_t cond = 0;
	enum err_code rc = show_counters(l, c);
	if (rc == ERR_OK)
		rc = control_round(&l->rounds, c);
	if (rc == ERR_OK)
		rc = scalar_or(c, &l->rounds.out[0], "the condition", 0, &cond);
	for (int i = 0; i < l->n_scan && rc == ERR_OK; i++)
		rc = control_push(&l->stack[i], c, &l->rounds.out[1 + l->n_carried + i]);
	if (rc != ERR_OK)
		return rc;
	l->cond_data = cond;
	memcpy(l->rounds.in + 2, l->rounds.out + 1, (size_t)l->n_carried * sizeof(struct tensor));
	l->done++;
	return ERR_OK;
}

/* No round was run: a scan result has no rows, its other dimensions as far as known. */
static void empty_stack(const struct control_rounds *r, int output, struct control_stack *s)
{
	const struct gvalue *v = &r->body->value[r->body->output[output]];
	s->item = (struct tensor){ .dtype = v->type.dtype, .shape = v->shape };
	if (s->item.shape.rank < 0)
		s->item.shape.rank = 0;
	for (int d = 0; d < s->item.shape.rank; d++)
		if (s->item.shape.dim[d] < 0)
			s->item.shape.dim[d] = 0;
}

static enum err_code loop_results(struct loop *l, struct control_call *c)
{
	for (int i = 0; i < l->n_carried; i++) {
		enum err_code rc = control_keep(c, &l->rounds.in[2 + i], &c->out[i]);
		if (rc != ERR_OK)
			return rc;
	}
	for (int i = 0; i < l->n_scan; i++) {
		struct control_stack *s = &l->stack[i];
		if (s->n == 0)
			empty_stack(&l->rounds, 1 + l->n_carried + i, s);
		struct tensor *out = &c->out[l->n_carried + i];
		if (s->item.shape.rank == RANK_MAX)
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"%s: scan output %d would have more than %d dimensions",
				CALL_LABEL(c), i, RANK_MAX);
		*out = s->item;
		out->shape.rank++;
		memmove(out->shape.dim + 1, out->shape.dim,
			(size_t)s->item.shape.rank * sizeof(*out->shape.dim));
		out->shape.dim[0] = s->n;
		out->data = s->data;
		if (s->n == 0 || tensor_bytes(&s->item) == 0)
			TRY(control_room(c, out)); /* of no bytes, if the shape is one at all */
	}
	return ERR_OK;
}

enum err_code control_loop(struct control_call *c)
{
	struct loop l = { 0 };
	enum err_code rc = loop_init(&l, c);
	while (rc == ERR_OK && l.cond_data && l.done < l.trips)
		rc = loop_round(&l, c);
	if (rc == ERR_OK)
		rc = loop_results(&l, c);
	control_rounds_done(&l.rounds);
	return rc;
}
