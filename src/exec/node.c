/* SPDX-License-Identifier: Apache-2.0 */
/* A node's attributes, with what they are when absent, and its name in messages. */
#include "exec/graph.h"

#include <stdio.h>
#include <string.h>

const struct attr *node_attr(const struct node *n, const char *name)
{
	for (int32_t i = 0; i < n->n_attr; i++)
		if (strcmp(n->attr[i].name, name) == 0)
			return &n->attr[i];
	return NULL;
}

int64_t node_int(const struct node *n, const char *name, int64_t otherwise)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->i : otherwise;
}

float node_float(const struct node *n, const char *name, float otherwise)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->f : otherwise;
}

struct slice node_string(const struct node *n, const char *name, const char *otherwise)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->s : slice_of(otherwise);
}

const int64_t *node_ints(const struct node *n, const char *name, int32_t *ret_n)
{
	const struct attr *a = node_attr(n, name);
	*ret_n = a ? a->n : 0;
	return a ? a->ints : NULL;
}

const float *node_floats(const struct node *n, const char *name, int32_t *ret_n)
{
	const struct attr *a = node_attr(n, name);
	*ret_n = a ? a->n : 0;
	return a ? a->floats : NULL;
}

const struct slice *node_strings(const struct node *n, const char *name, int32_t *ret_n)
{
	const struct attr *a = node_attr(n, name);
	*ret_n = a ? a->n : 0;
	return a ? a->strings : NULL;
}

const struct tensor *node_tensor(const struct node *n, const char *name)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->t : NULL;
}

struct graph *node_graph(const struct node *n, const char *name)
{
	const struct attr *a = node_attr(n, name);
	return a ? a->g : NULL;
}

const char *node_label(const struct graph *g, const struct node *n, char *buf, size_t size)
{
	const char *op = op_info(n->op)->name;
	if (n->name[0])
		snprintf(buf, size, "node '%.120s' (%s)", n->name, op);
	else
		snprintf(buf, size, "node #%ld (%s)", (long)(n - g->node), op);
	return buf;
}
