/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/plan/forget.h"

#include <stdlib.h>
#include "exec/packs.h"

/* Smaller ones are not worth it. */
#define BYTES_MIN ((size_t)64 << 10)

struct forget {
	bool fixed; /* no dimension of the graph can vary */
	bool sole[]; /* per value: a constant whose bytes one node reads, once */
};

/* -- who reads what ------------------------------------------------------------------------ */

struct bytes {
	uintptr_t begin, end;
	int32_t value;
};

static int by_begin(const void *a, const void *b)
{
	const struct bytes *x = a, *y = b;
	return (x->begin > y->begin) - (x->begin < y->begin);
}

static void count_reads(const struct graph *g, int32_t *reads)
{
	for (int32_t i = 0; i < g->n_node; i++)
		for (int32_t k = 0; k < g->node[i].n_in; k++)
			if (g->node[i].in[k] != VALUE_NONE)
				reads[g->node[i].in[k]]++;
	for (int32_t i = 0; i < g->n_output; i++)
		reads[g->output[i]] += 2; /* the program's caller reads it too */
}

static size_t constant_bytes(const struct gvalue *v)
{
	const struct tensor *t = v->constant;
	return !t || t->dtype == DTYPE_STRING || t->dtype == DTYPE_TENSOR ? 0 : tensor_bytes(t);
}

/* Values that share bytes with others, as views do, are not marked. */
static void find_sole(
	const struct graph *g, struct forget *f, const int32_t *reads, struct bytes *list)
{
	int32_t n = 0;
	for (int32_t v = 0; v < g->n_value; v++) {
		uintptr_t begin =
			constant_bytes(&g->value[v]) ? (uintptr_t)g->value[v].constant->data : 0;
		if (begin)
			list[n++] =
				(struct bytes){ begin, begin + constant_bytes(&g->value[v]), v };
	}
	qsort(list, (size_t)n, sizeof(*list), by_begin);
	uintptr_t reached = 0;
	for (int32_t i = 0; i < n; i++) {
		bool apart = reached <= list[i].begin &&
			     (i + 1 == n || list[i].end <= list[i + 1].begin);
		f->sole[list[i].value] = apart && reads[list[i].value] == 1 &&
			list[i].end - list[i].begin >= BYTES_MIN;
		reached = list[i].end > reached ? list[i].end : reached;
	}
}

static bool is_fixed(const struct graph *g)
{
	bool fixed = true;
	for (int32_t i = 0; i < g->n_input; i++)
		fixed &= shape_is_static(&g->value[g->input[i]].shape);
	for (int32_t i = 0; i < g->n_node; i++)
		for (int32_t k = 0; k < g->node[i].n_out; k++)
			fixed &= g->node[i].out[k] == VALUE_NONE ||
				shape_is_static(&g->value[g->node[i].out[k]].shape);
	return fixed;
}

static bool has_control(const struct graph *g)
{
	bool control = false;
	for (int32_t i = 0; i < g->n_node; i++)
		control |= (op_info(g->node[i].op)->flags & OP_CONTROL) != 0;
	return control;
}

enum err_code forget_new(const struct graph *g, struct forget **ret, struct err *err)
{
	*ret = NULL;
	if (has_control(g))
		return ERR_OK;
	struct forget *f = calloc(1, sizeof(*f) + (size_t)g->n_value);
	int32_t *reads = calloc((size_t)g->n_value + 1, sizeof(*reads));
	struct bytes *list = calloc((size_t)g->n_value + 1, sizeof(*list));
	bool ok = f && reads && list;
	if (ok) {
		count_reads(g, reads);
		find_sole(g, f, reads, list);
		f->fixed = is_fixed(g);
	}
	free(reads);
	free(list);
	if (!ok) {
		free(f);
		return err_oom(err);
	}
	*ret = f;
	return ERR_OK;
}

void forget_free(struct forget *f)
{
	free(f);
}

/* -- while planning ------------------------------------------------------------------------ */

static bool has_ranks(const struct graph *g, const struct node *n)
{
	bool known = true;
	for (int32_t i = 0; i < n->n_in; i++)
		known &= n->in[i] == VALUE_NONE || g->value[n->in[i]].shape.rank != RANK_UNKNOWN;
	return known;
}

enum err_code forget_packed(const struct planner *pl, const struct node *n, const struct kernel *k)
{
	const struct forget *f = pl->rq->forget;
	struct packs *packs = pl->rq->conf->packs;
	if (!f)
		return ERR_OK;
	bool may = !planner_is_settled(pl) && !pl->rq->conf->backend->device &&
		   (f->fixed || (k->packed_always && has_ranks(pl->g, n)));
	for (int32_t i = 0; i < n->n_in && i < 32; i++) {
		int32_t v = n->in[i];
		if (v == VALUE_NONE || !f->sole[v])
			continue;
		const struct tensor *t = pl->g->value[v].constant;
		enum err_code rc = may && k->packed >> i & 1 && !packs_retired(packs, t->data)
			? packs_retire(packs, t->data, tensor_bytes(t), pl->err)
			: ERR_OK;
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}
