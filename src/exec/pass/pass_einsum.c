/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_einsum.c -- sums of products of two tensors, as the matrix products that they are
 *
 * DESIGN
 * Labels fall into four groups: of both inputs and the output (batch), of one input and the
 * output (rows, columns), of both inputs alone (summed). With the inputs transposed to
 * [batch, rows, summed] and [batch, summed, columns], and each group but the batch merged to one
 * dimension, it is a MatMul, whose result is split and transposed to what is asked for. Most of
 * these steps change nothing and are left out; weights are folded. Without a batch rows need not
 * be merged: MatMul takes any number of dimensions on its left.
 *
 * A bias behind it, which Keras adds to what has been split, is added to what has not, where
 * fuse-matmul finds it.
 */
#include "exec/infer/einsum.h"
#include "exec/pass/pass.h"

#include <string.h>

enum group { BATCH, ROWS, COLUMNS, SUMMED, GROUP_COUNT_ };

struct labels {
	int n;
	int8_t of[2 * RANK_MAX];
};

struct product {
	struct pass_ctx *c;
	struct einsum e;
	int left; /* which input has the rows */
	struct labels group[GROUP_COUNT_];
	const char *name; /* of the Einsum, and of what is made of it */
	struct err *err;
};

/* -- which label is what ----------------------------------------------------------------------- */

static bool has(const int8_t *list, int n, int8_t label)
{
	return n > 0 && memchr(list, label, (size_t)n);
}

static void append(struct labels *to, const struct labels *more)
{
	memcpy(to->of + to->n, more->of, (size_t)more->n);
	to->n += more->n;
}

/* Of an input's labels each once, each is the other's or the output's. */
static bool is_plain(const struct einsum *e, int i)
{
	for (int k = 0; k < e->rank[i]; k++) {
		int8_t l = e->in[i][k];
		if (has(e->in[i], k, l) || e->size[l] == 0 ||
			!(has(e->in[1 - i], e->rank[1 - i], l) || has(e->out, e->out_rank, l)))
			return false;
	}
	return true;
}

/* Groups in the order of the output; what is summed in that of the left input. */
static void group_labels(struct product *p, int left)
{
	const struct einsum *e = &p->e;
	int right = 1 - left;
	p->left = left;
	memset(p->group, 0, sizeof(p->group));
	for (int k = 0; k < e->out_rank; k++) {
		bool l = has(e->in[left], e->rank[left], e->out[k]),
		     r = has(e->in[right], e->rank[right], e->out[k]);
		struct labels *g = &p->group[l && r ? BATCH : l ? ROWS : COLUMNS];
		g->of[g->n++] = e->out[k];
	}
	for (int k = 0; k < e->rank[left]; k++)
		if (!has(e->out, e->out_rank, e->in[left][k]))
			p->group[SUMMED].of[p->group[SUMMED].n++] = e->in[left][k];
}

static struct labels order_of(const struct product *p, enum group a, enum group b)
{
	struct labels l = p->group[BATCH];
	append(&l, &p->group[a]);
	append(&l, &p->group[b]);
	return l;
}

static bool gives_order(const struct product *p)
{
	struct labels l = order_of(p, ROWS, COLUMNS);
	return l.n == p->e.out_rank && memcmp(l.of, p->e.out, (size_t)l.n) == 0;
}

/* Under an ellipsis 1 may stand for any size, in a batch for MatMul, too: not in a sum. */
static bool sums_spread(const struct einsum *e)
{
	for (int8_t l = 0; l < e->n_spread; l++)
		if (has(e->in[0], e->rank[0], l) && has(e->in[1], e->rank[1], l) &&
			!has(e->out, e->out_rank, l))
			return true;
	return false;
}

static bool match(struct product *p, const struct node *n)
{
	const struct shape *in[2];
	if (n->op != OP_EINSUM || n->n_in != 2 || !pass_is_f32(p->c, n->out[0]))
		return false;
	for (int i = 0; i < 2; i++) {
		in[i] = &pass_value(p->c, pass_in(p->c, n, i))->shape;
		if (in[i]->rank == RANK_UNKNOWN)
			return false;
	}
	if (einsum_parse(node_string(n, "equation", ""), in, 2, &p->e, p->err) != ERR_OK ||
		!is_plain(&p->e, 0) || !is_plain(&p->e, 1) || sums_spread(&p->e))
		return false;
	group_labels(p, 0);
	if (gives_order(p))
		return p->group[SUMMED].n > 0;
	group_labels(p, 1);
	if (!gives_order(p))
		group_labels(p, 0);
	return p->group[SUMMED].n > 0;
}

/* -- what a Reshape is asked for --------------------------------------------------------------- */

struct sizes {
	int n, guesses; /* -1; more than one cannot be */
	bool changes;   /* anything */
	int64_t dim[2 * RANK_MAX];
};

/* copied: the dimension is there at this very place, if perhaps as 1. */
static void put_size(struct sizes *s, int64_t size, bool copied)
{
	s->guesses += size < 0 && !copied;
	s->dim[s->n++] = copied ? 0 : size >= 0 ? size : -1;
}

static void put_each(struct sizes *s, const struct product *p, enum group g, bool copied)
{
	for (int k = 0; k < p->group[g].n; k++)
		put_size(s, p->e.size[p->group[g].of[k]], copied);
}

/* All of a group as one dimension. */
static void put_merged(struct sizes *s, const struct product *p, enum group g)
{
	int64_t size = 1;
	for (int k = 0; k < p->group[g].n; k++) {
		int64_t one = p->e.size[p->group[g].of[k]];
		size = size < 0 || one < 0 || __builtin_mul_overflow(size, one, &size) ? -1 : size;
	}
	put_size(s, size, p->group[g].n == 1 && !s->changes);
	s->changes |= p->group[g].n != 1;
}

/* Without a batch, rows stay as they are. */
static bool merges_rows(const struct product *p)
{
	return p->group[BATCH].n > 0 || p->group[ROWS].n == 0;
}

static struct sizes left_sizes(const struct product *p)
{
	struct sizes s = { 0 };
	put_each(&s, p, BATCH, true);
	if (merges_rows(p))
		put_merged(&s, p, ROWS);
	else
		put_each(&s, p, ROWS, true);
	put_merged(&s, p, SUMMED);
	return s;
}

static struct sizes right_sizes(const struct product *p)
{
	struct sizes s = { 0 };
	put_each(&s, p, BATCH, true);
	put_merged(&s, p, SUMMED);
	put_merged(&s, p, COLUMNS);
	return s;
}

static struct sizes result_sizes(const struct product *p)
{
	struct sizes s = { 0 };
	bool merged = merges_rows(p) && p->group[ROWS].n != 1;
	put_each(&s, p, BATCH, true);
	put_each(&s, p, ROWS, !merged);
	put_each(&s, p, COLUMNS, !merged && p->group[COLUMNS].n == 1);
	s.changes = merged || p->group[COLUMNS].n != 1;
	return s;
}

/* -- building ---------------------------------------------------------------------------------- */

/* A node before the one that is rewritten, by whose index it is known from now on. */
static enum err_code add_node(struct product *p, enum op_id op, const int32_t *in, int n_in,
	const struct attr *attr, int32_t *ret)
{
	struct graph *g = p->c->graph;
	TRY(pass_add_value(p->c, ret, p->err));
	g->value[*ret].type = (struct type){ .dtype = DTYPE_F32 };
	g->value[*ret].shape = SHAPE_UNKNOWN; /* inferred when the pass is done */
	return pass_add_node(p->c, op, p->name, in, n_in, attr, attr ? 1 : 0, *ret, p->err);
}

static enum err_code transposed(
	struct product *p, int32_t x, const int8_t *from, const struct labels *to, int32_t *ret)
{
	struct attr a = { .name = "perm", .kind = ATTR_INTS, .n = to->n };
	int64_t *perm = ARENA_ARRAY(p->c->graph->arena, int64_t, (size_t)to->n + 1);
	*ret = x;
	if (to->n == 0 || memcmp(from, to->of, (size_t)to->n) == 0)
		return ERR_OK;
	if (!perm)
		return err_oom(p->err);
	for (int i = 0; i < to->n; i++)
		perm[i] = (const int8_t *)memchr(from, to->of[i], (size_t)to->n) - from;
	a.ints = perm;
	return add_node(p, OP_TRANSPOSE, &x, 1, &a, ret);
}

static enum err_code reshaped(struct product *p, int32_t x, const struct sizes *s, int32_t *ret)
{
	int32_t in[2] = { x };
	*ret = x;
	if (!s->changes)
		return ERR_OK;
	TRY(pass_add_ints(p->c, s->n, s->dim, &in[1], p->err));
	return add_node(p, OP_RESHAPE, in, 2, NULL, ret);
}

static enum err_code operand(struct product *p, int32_t x, int i, const struct labels *order,
	const struct sizes *s, int32_t *ret)
{
	TRY(transposed(p, x, p->e.in[i], order, &x));
	return reshaped(p, x, s, ret);
}

static enum err_code multiply(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct err no_matter;
	struct product p = { .c = c, .name = n->name, .err = &no_matter };
	int32_t at = (int32_t)(n - c->graph->node), in[2], v;
	if (!match(&p, n))
		return ERR_OK;
	struct sizes left = left_sizes(&p), right = right_sizes(&p), result = result_sizes(&p);
	if (left.guesses > 1 || right.guesses > 1 || result.guesses > 1 ||
		left.n > RANK_MAX || right.n > RANK_MAX)
		return ERR_OK;
	struct labels rows_first = order_of(&p, ROWS, SUMMED),
		      columns_last = order_of(&p, SUMMED, COLUMNS),
		      made = order_of(&p, ROWS, COLUMNS), asked = { .n = p.e.out_rank };
	memcpy(asked.of, p.e.out, (size_t)asked.n);
	int32_t x = pass_in(c, n, p.left), y = pass_in(c, n, 1 - p.left);
	p.err = err;
	TRY(operand(&p, x, p.left, &rows_first, &left, &in[0]));
	TRY(operand(&p, y, 1 - p.left, &columns_last, &right, &in[1]));
	TRY(add_node(&p, OP_MATMUL, in, 2, NULL, &v));
	TRY(reshaped(&p, v, &result, &v));
	TRY(transposed(&p, v, made.of, &asked, &v));
	/* The steps' last value is the Einsum's own. */
	return pass_rewrite(c, &c->graph->node[at], OP_IDENTITY, &v, 1, NULL, 0, err);
}

/* -- biases ------------------------------------------------------------------------------------ */

/* t's shape is that of the last dimensions of s, which are n elements. */
static bool is_tail(const struct tensor *t, const struct shape *s, int64_t n)
{
	int rank = t->shape.rank;
	if (t->dtype != DTYPE_F32 || rank > s->rank || tensor_count(t) != n)
		return false;
	for (int k = 1; k <= rank; k++)
		if (t->shape.dim[rank - k] != s->dim[s->rank - k])
			return false;
	return true;
}

static enum err_code add_before_split(struct pass_ctx *c, struct node *n, struct err *err)
{
	for (int k = 0; k < 2 && n->op == OP_ADD; k++) {
		struct node *split = pass_match_single(c, pass_in(c, n, k), OP_RESHAPE);
		const struct tensor *bias = pass_value(c, pass_in(c, n, 1 - k))->constant;
		int32_t x = split ? pass_in(c, split, 0) : VALUE_NONE;
		if (!bias || !pass_match(c, x, OP_MATMUL))
			continue;
		struct shape s = pass_value(c, x)->shape;
		int64_t columns = s.rank > 0 ? s.dim[s.rank - 1] : DIM_UNKNOWN;
		if (!is_tail(bias, &pass_value(c, split->out[0])->shape, columns))
			continue;
		struct shape flat = shape_of(columns);
		struct tensor *t = graph_new_tensor(c->graph, DTYPE_F32, &flat);
		int32_t sum[2] = { x }, sizes = pass_in(c, split, 1);
		if (!t)
			return err_oom(err);
		memcpy(t->data, bias->data, tensor_bytes(t));
		TRY(pass_add_constant(c, t, &sum[1], err));
		struct attr attr = { .name = "allowzero", .kind = ATTR_INT,
			.i = node_int(split, "allowzero", 0) };
		TRY(pass_rewrite(c, split, OP_ADD, sum, 2, NULL, 0, err));
		c->graph->value[split->out[0]].shape = s;
		return pass_rewrite(
			c, n, OP_RESHAPE, (int32_t[]){ split->out[0], sizes }, 2, &attr, 1, err);
	}
	return ERR_OK;
}

enum err_code pass_einsum(struct pass_ctx *c, struct err *err)
{
	TRY(pass_each(c, multiply, err));
	return pass_each(c, add_before_split, err);
}
