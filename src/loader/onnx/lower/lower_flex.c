/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_flex.c -- FlexAttention: attention with bodies of the model's own between its parts
 *
 * Without bodies it is Attention. With them it is taken apart, and their nodes go into the
 * graph between the parts.
 */
#include "loader/onnx/lower/lower.h"

#include <math.h>

#define END { NULL, 0, false }

const struct attr_spec old_flex_attention[] = { { "prob_mod", ATTR_GRAPH, false },
	{ "scale", ATTR_FLOAT, false }, { "score_mod", ATTR_GRAPH, false },
	{ "softmax_precision", ATTR_INT, false }, END };

/* -- bodies ---------------------------------------------------------------------------------- */

/* What the body's value v is here: map has one entry per value of the body. */
static int32_t map_value(struct lower *x, const struct graph *body, int32_t *map, int32_t v)
{
	if (v == VALUE_NONE || map[v] != VALUE_NONE || x->rc != ERR_OK)
		return v == VALUE_NONE ? VALUE_NONE : map[v];
	const struct tensor *t = body->value[v].constant;
	x->rc = t ? graph_add_constant(x->graph, "", t, &map[v], x->err)
		  : graph_add_value(x->graph, "", &map[v], x->err);
	return map[v];
}

static void copy_node(struct lower *x, const struct graph *body, int32_t *map, const struct node *n)
{
	int32_t at;
	if (x->rc == ERR_OK)
		x->rc = graph_add_node(
			x->graph, n->op, n->name, n->n_in, n->n_out, n->n_attr, &at, x->err);
	if (x->rc != ERR_OK)
		return;
	struct node *to = &x->graph->node[at];
	for (int32_t i = 0; i < n->n_in; i++)
		to->in[i] = map_value(x, body, map, n->in[i]);
	for (int32_t i = 0; i < n->n_out; i++) {
		to->out[i] = map_value(x, body, map, n->out[i]);
		if (x->rc == ERR_OK && to->out[i] != VALUE_NONE)
			x->graph->value[to->out[i]].producer = at;
	}
	for (int32_t i = 0; i < n->n_attr; i++) {
		to->attr[i] = n->attr[i];
		if (n->attr[i].kind == ATTR_GRAPH)
			n->attr[i].g->parent = x->graph;
	}
}

/* A body of one input and one output, applied to v. What it captures stands in the draft's
   inputs from `captured` on. */
static int32_t apply(struct lower *x, const struct attr *a, int32_t captured, int32_t v)
{
	const struct graph *body = a->g;
	if (body->n_input != 1 || body->n_output != 1) {
		lower_fail(x, ERR_INVALID_ARGUMENT,
			"%s has %d inputs and %d outputs, one each is needed", a->name,
			body->n_input, body->n_output);
		return VALUE_NONE;
	}
	int32_t *map = ARENA_ARRAY(x->scratch, int32_t, (size_t)body->n_value);
	if (!map) {
		x->rc = err_oom(x->err);
		return VALUE_NONE;
	}
	for (int32_t i = 0; i < body->n_value; i++)
		map[i] = VALUE_NONE;
	map[body->input[0]] = v;
	for (int32_t i = 0; i < body->n_capture; i++)
		map[body->capture[i]] = x->in[captured + i];
	for (int32_t i = 0; i < body->n_node; i++)
		copy_node(x, body, map, &body->node[i]);
	return map_value(x, body, map, body->output[0]);
}

struct mod {
	const struct attr *body; /* NULL: none */
	int32_t captured;
};

/* Bodies list their captures one after the other, behind the node's own inputs. */
static void find_mods(struct lower *x, struct mod *score, struct mod *prob)
{
	int32_t at = x->n_in;
	*score = *prob = (struct mod){ NULL, 0 };
	for (int32_t i = 0; i < x->n_attr; i++)
		at -= x->attr[i].kind == ATTR_GRAPH ? x->attr[i].g->n_capture : 0;
	for (int32_t i = 0; i < x->n_attr; i++) {
		if (x->attr[i].kind != ATTR_GRAPH)
			continue;
		struct attr *kept = ARENA_NEW(x->scratch, struct attr);
		if (!kept) {
			x->rc = err_oom(x->err);
			return;
		}
		*kept = x->attr[i];
		*(strcmp(kept->name, "score_mod") == 0 ? score : prob) = (struct mod){ kept, at };
		at += kept->g->n_capture;
	}
}

/* -- its parts ------------------------------------------------------------------------------- */

static int32_t joined(struct lower *x, int32_t a, int32_t b, int32_t c)
{
	lower_with_int(x, "axis", 0);
	return LOWER_EMIT(x, CONCAT, a, b, c);
}

/* Keys or values once for each head of the queries q. */
static int32_t repeat_heads(struct lower *x, int32_t v, int32_t q)
{
	const struct shape *vs = lower_shape(x, v);
	int64_t heads = vs->rank == 4 ? vs->dim[1] : DIM_UNKNOWN;
	const struct shape *qs = lower_shape(x, q);
	if (heads >= 0 && qs->rank == 4 && qs->dim[1] == heads)
		return v;
	int32_t all = lower_dims(x, q, 1, 2),
		each = LOWER_EMIT(x, DIV, all, lower_dims(x, v, 1, 2));
	int32_t rest = lower_dims(x, v, 2, 4);
	int32_t wide = LOWER_EMIT(x, EXPAND, LOWER_EMIT(x, UNSQUEEZE, v, lower_int(x, 2)),
		joined(x, lower_dims(x, v, 0, 2), each, rest));
	return LOWER_EMIT(x, RESHAPE, wide, joined(x, lower_dims(x, v, 0, 1), all, rest));
}

/* What the products are multiplied with; the head's size may only be known later. */
static int32_t scale_of(struct lower *x, int32_t q)
{
	const struct attr *a = lower_take(x, "scale");
	if (a)
		return lower_float(x, DTYPE_F32, (double)a->f);
	int32_t root = LOWER_EMIT(x, SQRT, lower_as(x, lower_dims(x, q, 3, 4), DTYPE_F32));
	return LOWER_EMIT(x, RECIPROCAL, root);
}

void lower_flex_attention(struct lower *x)
{
	static const int64_t swapped[] = { 0, 1, 3, 2 };
	int32_t q = lower_in(x, 0), k = lower_in(x, 1), v = lower_in(x, 2);
	struct mod score, prob;
	find_mods(x, &score, &prob);
	if (!score.body && !prob.body) {
		x->op = OP_ATTENTION;
		return;
	}
	enum dtype dtype = lower_dtype(x, q);
	const struct attr *precision = lower_take(x, "softmax_precision");
	int64_t to = precision ? precision->i : dtype == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32;
	int32_t scale = lower_as(x, scale_of(x, q), to);
	int32_t keys = lower_as(x, repeat_heads(x, k, q), to);
	lower_with(x, (struct attr){ .name = "perm", .kind = ATTR_INTS, .ints = swapped, .n = 4 });
	keys = LOWER_EMIT(x, TRANSPOSE, keys);
	int32_t s = LOWER_EMIT(x, MUL, LOWER_EMIT(x, MATMUL, lower_as(x, q, to), keys), scale);
	if (score.body)
		s = apply(x, score.body, score.captured, s);
	lower_with_int(x, "axis", -1);
	s = LOWER_EMIT(x, SOFTMAX, s);
	if (prob.body)
		s = apply(x, prob.body, prob.captured, s);
	int32_t y = LOWER_EMIT(x, MATMUL, s, lower_as(x, repeat_heads(x, v, q), to));
	lower_take_rest(x);
	x->op = OP_CAST_LIKE;
	x->n_in = 0;
	lower_set_in(x, 0, y);
	lower_set_in(x, 1, q);
}
