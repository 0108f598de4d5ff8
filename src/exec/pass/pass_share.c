/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_share.c -- what is computed twice is computed once: equal nodes of equal inputs,
 * equal small constants
 */
#include "exec/pass/pass.h"

#include <stdlib.h>
#include <string.h>

#define SHARED_CONSTANT_BYTES_MAX 256

static uint64_t mix(uint64_t h, uint64_t x)
{
	return (h ^ x) * UINT64_C(0x9e3779b97f4a7c15) ^ h >> 29;
}

static uint64_t mix_bytes(uint64_t h, const void *p, size_t n)
{
	const unsigned char *b = p;
	for (size_t i = 0; i < n; i++)
		h = mix(h, b[i]);
	return h;
}

static bool attr_equal(const struct attr *a, const struct attr *b)
{
	size_t n = (size_t)a->n;
	if (strcmp(a->name, b->name) != 0 || a->kind != b->kind || a->n != b->n)
		return false;
	switch (a->kind) {
	case ATTR_INT: return a->i == b->i;
	case ATTR_FLOAT: return memcmp(&a->f, &b->f, sizeof(a->f)) == 0;
	case ATTR_STRING: return slice_eq(a->s, b->s);
	case ATTR_INTS: return n == 0 || memcmp(a->ints, b->ints, n * sizeof(*a->ints)) == 0;
	case ATTR_FLOATS:
		return n == 0 || memcmp(a->floats, b->floats, n * sizeof(*a->floats)) == 0;
	case ATTR_TENSOR: return a->t == b->t;
	default: return false; /* never shared */
	}
}

static bool node_equal(const struct pass_ctx *c, const struct node *a, const struct node *b)
{
	if (a->op != b->op || a->n_in != b->n_in || a->n_out != b->n_out || a->n_attr != b->n_attr)
		return false;
	for (int k = 0; k < a->n_in; k++)
		if (pass_in(c, a, k) != pass_in(c, b, k))
			return false;
	for (int k = 0; k < a->n_attr; k++)
		if (!attr_equal(&a->attr[k], &b->attr[k]))
			return false;
	return true;
}

static uint64_t node_hash(const struct pass_ctx *c, const struct node *n)
{
	uint64_t h = mix((uint64_t)n->op, (uint64_t)n->n_attr);
	for (int k = 0; k < n->n_in; k++)
		h = mix(h, (uint64_t)pass_in(c, n, k));
	return h;
}

/* Open addressing over indices; twice as many places as entries. */
struct index_set {
	int32_t *place;
	size_t mask;
};

static enum err_code set_new(struct index_set *s, size_t entries, struct err *err)
{
	size_t places = 16;
	while (places < 2 * entries)
		places *= 2;
	s->place = malloc(places * sizeof(*s->place));
	s->mask = places - 1;
	if (!s->place)
		return err_oom(err);
	memset(s->place, 0xff, places * sizeof(*s->place));
	return ERR_OK;
}

/* Constants first, as the nodes' inputs are compared by value number. */
static bool constant_equal(const struct tensor *a, const struct tensor *b)
{
	return a->dtype == b->dtype && shape_equal(&a->shape, &b->shape) &&
		memcmp(a->data, b->data, tensor_bytes(a)) == 0;
}

static bool is_small_constant(const struct pass_ctx *c, int32_t v)
{
	const struct tensor *t = c->graph->value[v].constant;
	return t && !c->is_output[v] && c->uses[v] && t->dtype != DTYPE_STRING &&
		t->dtype != DTYPE_TENSOR && tensor_bytes(t) <= SHARED_CONSTANT_BYTES_MAX;
}

static enum err_code share_constants(struct pass_ctx *c, struct err *err)
{
	struct index_set s;
	TRY(set_new(&s, (size_t)c->graph->n_value, err));
	for (int32_t v = 0; v < c->graph->n_value; v++) {
		if (!is_small_constant(c, v))
			continue;
		const struct tensor *t = c->graph->value[v].constant;
		size_t at = mix_bytes((uint64_t)t->dtype, t->data, tensor_bytes(t)) & s.mask;
		while (s.place[at] >= 0 &&
			!constant_equal(c->graph->value[s.place[at]].constant, t))
			at = (at + 1) & s.mask;
		if (s.place[at] < 0) {
			s.place[at] = v;
			continue;
		}
		c->alias[v] = s.place[at];
		c->uses[s.place[at]] += c->uses[v];
		c->changes++;
	}
	free(s.place);
	return ERR_OK;
}

static bool may_share(const struct node *n)
{
	return n->n_out == 1 && !(op_info(n->op)->flags & (OP_RANDOM | OP_CONTROL));
}

enum err_code pass_share(struct pass_ctx *c, struct err *err)
{
	struct index_set s;
	TRY(share_constants(c, err));
	TRY(set_new(&s, (size_t)c->graph->n_node, err));
	for (int32_t i = 0; i < c->graph->n_node; i++) {
		struct node *n = &c->graph->node[i];
		if (n->dead || !may_share(n))
			continue;
		size_t at = node_hash(c, n) & s.mask;
		while (s.place[at] >= 0 && !node_equal(c, &c->graph->node[s.place[at]], n))
			at = (at + 1) & s.mask;
		if (s.place[at] < 0)
			s.place[at] = i;
		else
			pass_bypass(c, n, c->graph->node[s.place[at]].out[0]);
	}
	free(s.place);
	return ERR_OK;
}
