/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/pass/pass.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int32_t resolve(const struct pass_ctx *c, int32_t v)
{
	while (v != VALUE_NONE && c->alias[v] != v)
		v = c->alias[v];
	return v;
}

enum err_code pass_each(struct pass_ctx *c, pass_node_fn fn, struct err *err)
{
	int32_t n = c->graph->n_node;
	for (int32_t i = 0; i < n; i++)
		if (!c->graph->node[i].dead)
			TRY(fn(c, &c->graph->node[i], err));
	return ERR_OK;
}

int32_t pass_in(const struct pass_ctx *c, const struct node *n, int k)
{
	return node_has_in(n, k) ? resolve(c, n->in[k]) : VALUE_NONE;
}

struct node *pass_producer(const struct pass_ctx *c, int32_t v)
{
	if (v == VALUE_NONE)
		return NULL;
	int32_t i = c->graph->value[v].producer;
	if (i == NODE_NONE)
		return NULL;
	struct node *n = &c->graph->node[i];
	return n->dead || n->out[0] != v ? NULL : n;
}

struct node *pass_match(const struct pass_ctx *c, int32_t v, enum op_id op)
{
	struct node *n = pass_producer(c, v);
	return n && n->op == op ? n : NULL;
}

struct node *pass_match_single(const struct pass_ctx *c, int32_t v, enum op_id op)
{
	struct node *n = pass_match(c, v, op);
	return n && c->uses[v] == 1 && !c->is_output[v] ? n : NULL;
}

bool pass_scalar(const struct pass_ctx *c, int32_t v, double *ret)
{
	if (v == VALUE_NONE || !c->graph->value[v].constant)
		return false;
	const struct tensor *t = c->graph->value[v].constant;
	if (t->dtype != DTYPE_F32 || tensor_count(t) != 1)
		return false;
	*ret = tensor_float(t, 0);
	return true;
}

bool pass_is(const struct pass_ctx *c, int32_t v, double want)
{
	double x;
	return pass_scalar(c, v, &x) && pass_near(x, want);
}

bool pass_same_shape(const struct shape *a, const struct shape *b)
{
	return shape_is_named(a) && shape_equal(a, b);
}

bool pass_is_f32(const struct pass_ctx *c, int32_t v)
{
	const struct type *t = &c->graph->value[v].type;
	return t->dtype == DTYPE_F32 && !t->is_sequence && !t->is_optional;
}

bool pass_perm(const struct pass_ctx *c, const struct node *n, int *ret_rank, int64_t *ret)
{
	int32_t have;
	const int64_t *perm = node_ints(n, "perm", &have);
	int rank = c->graph->value[n->out[0]].shape.rank;
	for (int i = 0; i < rank; i++)
		ret[i] = have ? perm[i] : rank - 1 - i;
	*ret_rank = rank;
	return rank >= 0;
}

static void drop_inputs(struct pass_ctx *c, const struct node *n)
{
	for (int k = 0; k < n->n_in; k++)
		if (pass_in(c, n, k) != VALUE_NONE)
			c->uses[pass_in(c, n, k)]--;
}

static void kill(struct pass_ctx *c, struct node *n)
{
	drop_inputs(c, n);
	n->dead = true;
	c->changes++;
}

enum err_code pass_rewrite(struct pass_ctx *c, struct node *n, enum op_id op, const int32_t *in,
	int n_in, const struct attr *attr, int n_attr, struct err *err)
{
	int32_t *new_in = ARENA_ARRAY(c->graph->arena, int32_t, (size_t)n_in + 1);
	struct attr *new_attr = ARENA_ARRAY(c->graph->arena, struct attr, (size_t)n_attr + 1);
	if (!new_in || !new_attr)
		return err_oom(err);
	while (n_in > 0 && in[n_in - 1] == VALUE_NONE)
		n_in--;
	for (int k = 0; k < n_in; k++) {
		new_in[k] = in[k];
		if (in[k] != VALUE_NONE)
			c->uses[in[k]]++;
	}
	if (n_attr)
		memcpy(new_attr, attr, (size_t)n_attr * sizeof(*attr));
	drop_inputs(c, n);
	n->op = op;
	n->in = new_in;
	n->n_in = n_in;
	n->attr = new_attr;
	n->n_attr = n_attr;
	c->changes++;
	return ERR_OK;
}

enum err_code pass_transpose(struct pass_ctx *c, struct node *n, int32_t x, const int64_t *perm,
	int rank, struct err *err)
{
	int64_t *copy = ARENA_ARRAY(c->graph->arena, int64_t, (size_t)rank + 1);
	if (!copy)
		return err_oom(err);
	for (int i = 0; i < rank; i++)
		copy[i] = perm[i];
	struct attr a = { .name = "perm", .kind = ATTR_INTS, .n = rank, .ints = copy };
	return pass_rewrite(c, n, OP_TRANSPOSE, &x, 1, &a, 1, err);
}

/* x is made by a node of the graph and is nobody's but its readers'. */
static bool is_inner(const struct pass_ctx *c, int32_t x)
{
	return c->graph->value[x].producer != NODE_NONE && !c->is_output[x];
}

/* Lets x's producer make y, so that a graph output keeps its own value. */
static void rename_value(struct pass_ctx *c, int32_t x, int32_t y)
{
	int32_t i = c->graph->value[x].producer;
	struct node *n = &c->graph->node[i];
	for (int k = 0; k < n->n_out; k++)
		if (n->out[k] == x)
			n->out[k] = y;
	c->graph->value[y].producer = i;
	c->graph->value[x].producer = NODE_NONE;
	c->alias[x] = y;
	c->uses[y] += c->uses[x];
}

bool pass_bypass(struct pass_ctx *c, struct node *n, int32_t v)
{
	int32_t out = n->out[0];
	for (int k = 1; k < n->n_out; k++)
		if (n->out[k] != VALUE_NONE && c->uses[n->out[k]])
			return false;
	if (c->is_output[out] && !is_inner(c, v))
		return false;
	kill(c, n);
	if (c->is_output[out]) {
		rename_value(c, v, out);
	} else {
		c->alias[out] = v;
		c->uses[v] += c->uses[out];
	}
	return true;
}

void pass_become_constant(struct pass_ctx *c, struct node *n, const struct tensor *t)
{
	struct gvalue *v = &c->graph->value[n->out[0]];
	v->constant = t;
	v->type = (struct type){ .dtype = t->dtype };
	v->shape = t->shape;
	v->producer = NODE_NONE;
	kill(c, n);
}

/* Values were added: the arrays over them grow. */
static enum err_code grow(struct pass_ctx *c, struct err *err)
{
	if (c->graph->n_value <= c->cap)
		return ERR_OK;
	size_t cap = (size_t)c->graph->n_value * 2;
	int32_t *uses = realloc(c->uses, cap * sizeof(*uses));
	if (uses)
		c->uses = uses;
	int32_t *alias = realloc(c->alias, cap * sizeof(*alias));
	if (alias)
		c->alias = alias;
	bool *is_output = realloc(c->is_output, cap * sizeof(*is_output));
	if (is_output)
		c->is_output = is_output;
	if (!uses || !alias || !is_output)
		return err_oom(err);
	for (int32_t i = c->cap; i < (int32_t)cap; i++) {
		uses[i] = 0;
		alias[i] = i;
		is_output[i] = false;
	}
	c->cap = (int32_t)cap;
	return ERR_OK;
}

enum err_code pass_add_value(struct pass_ctx *c, int32_t *ret, struct err *err)
{
	TRY(graph_add_value(c->graph, "", ret, err));
	return grow(c, err);
}

enum err_code pass_add_node(struct pass_ctx *c, enum op_id op, const char *name, const int32_t *in,
	int n_in, const struct attr *attr, int n_attr, int32_t out, struct err *err)
{
	int32_t at;
	TRY(graph_add_node(c->graph, op, name, n_in, 1, n_attr, &at, err));
	struct node *n = &c->graph->node[at];
	for (int k = 0; k < n_in; k++) {
		n->in[k] = in[k];
		if (in[k] != VALUE_NONE)
			c->uses[in[k]]++;
	}
	if (n_attr)
		memcpy(n->attr, attr, (size_t)n_attr * sizeof(*attr));
	n->out[0] = out;
	c->graph->value[out].producer = at;
	return ERR_OK;
}

enum err_code
pass_add_constant(struct pass_ctx *c, const struct tensor *t, int32_t *ret, struct err *err)
{
	TRY(graph_add_constant(c->graph, "", t, ret, err));
	return grow(c, err);
}

enum err_code pass_add_ints(
	struct pass_ctx *c, int n, const int64_t *v, int32_t *ret, struct err *err)
{
	struct shape s = shape_of(n);
	struct tensor *t = graph_new_tensor(c->graph, DTYPE_I64, &s);
	if (!t)
		return err_oom(err);
	memcpy(t->data, v, (size_t)n * sizeof(*v));
	return pass_add_constant(c, t, ret, err);
}

int pass_activation_attrs(const struct pass_activation *a, struct attr *ret)
{
	ret[0] = (struct attr){ .name = "activation", .kind = ATTR_INT, .i = a->act };
	ret[1] = (struct attr){ .name = "alpha", .kind = ATTR_FLOAT, .f = a->alpha };
	ret[2] = (struct attr){ .name = "beta", .kind = ATTR_FLOAT, .f = a->beta };
	return 3;
}
