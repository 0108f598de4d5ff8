/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_attention.c -- Attention found in its parts
 *
 * DESIGN
 * softmax(scale * Q K' + mask) V, as PyTorch (its own operator or written by hand, both
 * exporters), Keras and Paddle spell it out. The Softmax becomes the Attention, and who
 * read the second product reads that. Q, K and V are [batch, heads, length, size], or
 * [batch, length, size] of one head.
 *
 * The second pass takes in how the heads were dealt out: where each of Q, K, V is a Reshape and a
 * Transpose of [batch, length, heads * size], and the result is brought back into that form,
 * Attention reads and writes the form itself.
 *
 * NOT DONE: a Where that fills in a number which a score may come near to; masks that
 * broadcast along the keys.
 */
#include "exec/pass/pass.h"

#include <math.h>

/* What Attention will have. */
struct parts {
	int32_t q, k, v, mask; /* mask: VALUE_NONE, or what is added */
	double scale;
	struct node *softmax;
	struct node *turn;  /* NULL, or the Transpose that makes k and has to be another one */
	struct node *where; /* NULL, or what has to make the mask */
};

/* -- looking --------------------------------------------------------------------------------- */

static bool has_perm(const struct pass_ctx *c, const struct node *n, const char *want)
{
	int64_t perm[RANK_MAX];
	int rank;
	if (n->op != OP_TRANSPOSE || !pass_perm(c, n, &rank, perm))
		return false;
	for (int i = 0; i < rank; i++)
		if (want[i] == '\0' || perm[i] != want[i] - '0')
			return false;
	return want[rank] == '\0';
}

/* v times a number, as often as it stands there. */
static int32_t skip_scales(const struct pass_ctx *c, int32_t v, double *scale)
{
	for (;;) {
		const struct node *n = pass_producer(c, v);
		double number = 0;
		int k = 0;
		if (n && n->op == OP_MUL && !pass_scalar(c, pass_in(c, n, 1), &number))
			k = 1;
		if (!n || (n->op != OP_MUL && n->op != OP_DIV) || !pass_is_f32(c, v) ||
			!pass_scalar(c, pass_in(c, n, 1 - k), &number) || number == 0 ||
			pass_value(c, pass_in(c, n, k))->shape.rank != pass_value(c, v)->shape.rank)
			return v;
		*scale = n->op == OP_MUL ? *scale * number : *scale / number;
		v = pass_in(c, n, k);
	}
}

/* The last two dimensions change places; PyTorch's newer exporter has a Reshape to rank 3
   before and one back after it. */
static int32_t match_swapped(const struct pass_ctx *c, int32_t v)
{
	const struct node *n = pass_producer(c, v);
	if (!n)
		return VALUE_NONE;
	if (has_perm(c, n, "021") || has_perm(c, n, "0132"))
		return pass_in(c, n, 0);
	const struct node *swap =
		n->op == OP_RESHAPE ? pass_match(c, pass_in(c, n, 0), OP_TRANSPOSE) : NULL;
	const struct node *flat = swap ? pass_match(c, pass_in(c, swap, 0), OP_RESHAPE) : NULL;
	if (!flat || !has_perm(c, swap, "021"))
		return VALUE_NONE;
	int32_t k = pass_in(c, flat, 0);
	const struct shape *from = &pass_value(c, k)->shape, *to = &pass_value(c, v)->shape;
	const struct shape *mid = &pass_value(c, pass_in(c, swap, 0))->shape;
	struct shape want = *from;
	if (from->rank != 4 || mid->dim[1] != from->dim[2] || mid->dim[2] != from->dim[3])
		return VALUE_NONE;
	want.dim[2] = from->dim[3];
	want.dim[3] = from->dim[2];
	return pass_same_shape(&want, to) ? k : VALUE_NONE;
}

/* v is K transposed, perhaps scaled before and after. */
static bool match_keys(const struct pass_ctx *c, int32_t v, bool transposed, struct parts *p)
{
	v = skip_scales(c, v, &p->scale);
	p->k = transposed ? v : match_swapped(c, v);
	p->turn = NULL;
	if (p->k == VALUE_NONE) {
		p->turn = pass_match_single(c, v, OP_TRANSPOSE);
		if (!p->turn || !has_perm(c, p->turn, "0231"))
			return false;
		p->k = v;
		return true;
	}
	p->k = skip_scales(c, p->k, &p->scale);
	return true;
}

/* v is scale * Q K', and nothing more. */
static bool match_scores(const struct pass_ctx *c, int32_t v, struct parts *p)
{
	if (c->uses[v] != 1 || c->is_output[v])
		return false;
	p->scale = 1;
	v = skip_scales(c, v, &p->scale);
	const struct node *n = pass_producer(c, v);
	bool fused = n && n->op == OP_FUSED_MATMUL;
	if (!n || (!fused && n->op != OP_MATMUL) || !pass_is_f32(c, v) ||
		pass_in(c, n, 2) != VALUE_NONE || pass_in(c, n, 3) != VALUE_NONE ||
		node_int(n, "activation", ACT_NONE) != ACT_NONE)
		return false;
	p->scale *= fused ? (double)node_float(n, "scale", 1) : 1;
	p->q = skip_scales(c, pass_in(c, n, 0), &p->scale);
	return match_keys(c, pass_in(c, n, 1), fused && node_int(n, "trans_b", 0), p);
}

/* A mask over scores of shape s: one that Attention takes for what it is in Add or Where. */
static bool is_mask(const struct pass_ctx *c, int32_t v, const struct shape *s)
{
	const struct shape *m = &pass_value(c, v)->shape;
	if (m->rank < 1 || m->rank > s->rank || s->rank < 3 || !shape_is_named(m) ||
		m->dim[m->rank - 1] != s->dim[s->rank - 1])
		return false;
	return s->rank == 4 || m->rank < 3 || m->dim[0] == 1; /* of rank 3, one for all */
}

/* Against this number no score counts: added to one it stays what it is. */
static bool is_bottom(const struct pass_ctx *c, int32_t v)
{
	double x;
	return pass_scalar(c, v, &x) && x <= -1e30;
}

/* v, which n makes, is the scores by way of a mask, or as they are. */
static bool match_masked(const struct pass_ctx *c, int32_t v, struct parts *p)
{
	struct node *n = pass_producer(c, v);
	const struct shape *s = &pass_value(c, v)->shape;
	p->mask = VALUE_NONE;
	p->where = NULL;
	if (!n || c->uses[v] != 1 || c->is_output[v])
		return false;
	int first = n->op == OP_WHERE;
	for (int k = first; k < first + 2 && (n->op == OP_ADD || n->op == OP_WHERE); k++) {
		int32_t scores = pass_in(c, n, k), other = pass_in(c, n, 2 * first + 1 - k);
		int32_t mask = n->op == OP_ADD ? other : pass_in(c, n, 0);
		if (!pass_same_shape(&pass_value(c, scores)->shape, s) || !is_mask(c, mask, s) ||
			(n->op == OP_WHERE && !is_bottom(c, other)) || !match_scores(c, scores, p))
			continue;
		p->mask = n->op == OP_ADD ? mask : v;
		p->where = n->op == OP_ADD ? NULL : n;
		return true;
	}
	return match_scores(c, v, p);
}

/* The node of this operator that makes v, which nobody else reads. Between them PyTorch may
   say what becomes of a row that sees nothing: Where(IsNaN(p), 0, p). */
static struct node *match_guarded(const struct pass_ctx *c, int32_t v, enum op_id op)
{
	struct node *n = pass_match_single(c, v, op);
	if (n)
		return n;
	n = pass_match_single(c, v, OP_WHERE);
	const struct node *nan = n ? pass_match_single(c, pass_in(c, n, 0), OP_IS_NAN) : NULL;
	int32_t p = nan ? pass_in(c, nan, 0) : VALUE_NONE;
	if (!nan || pass_in(c, n, 2) != p || !pass_is(c, pass_in(c, n, 1), 0) || c->uses[p] != 2 ||
		c->is_output[p])
		return NULL;
	return pass_match(c, p, op);
}

/* Q, K, V are heads of the same batch, and agree in their lengths and sizes. k_turned: K is
   [batch, heads, size, length] yet. */
static bool agree(const struct pass_ctx *c, const struct parts *p)
{
	const struct shape *q = &pass_value(c, p->q)->shape, *v = &pass_value(c, p->v)->shape;
	struct shape k = pass_value(c, p->k)->shape;
	int rank = q->rank, last = rank - 1;
	if ((rank != 3 && rank != 4) || k.rank != rank || v->rank != rank || !shape_is_named(q) ||
		!shape_is_named(&k) || !shape_is_named(v))
		return false;
	if (p->turn) {
		int64_t size = k.dim[last - 1];
		k.dim[last - 1] = k.dim[last];
		k.dim[last] = size;
	}
	for (int i = 0; i < rank - 2; i++)
		if (q->dim[i] != k.dim[i] || q->dim[i] != v->dim[i])
			return false;
	return q->dim[last] == k.dim[last] && k.dim[last - 1] == v->dim[last - 1];
}

/* -- products to Attention ------------------------------------------------------------------- */

/* The mask is made of what was filled in where a score did not count, and of zeros. */
static enum err_code make_mask(struct pass_ctx *c, struct node *where, struct err *err)
{
	const struct shape scalar = { .rank = 0 };
	struct tensor *zero = graph_new_tensor(c->graph, DTYPE_F32, &scalar);
	int32_t in[3] = { pass_in(c, where, 0), pass_in(c, where, 1), pass_in(c, where, 2) };
	int scores = is_bottom(c, in[1]) ? 2 : 1;
	if (!zero)
		return err_oom(err);
	*(float *)zero->data = 0;
	TRY(pass_add_constant(c, zero, &in[scores], err));
	return pass_rewrite(c, where, OP_WHERE, in, 3, NULL, 0, err);
}

static enum err_code make_attention(struct pass_ctx *c, const struct parts *p, struct err *err)
{
	const int32_t in[4] = { p->q, p->k, p->v, p->mask };
	const struct attr attr[3] = {
		{ .name = "scale", .kind = ATTR_FLOAT, .f = (float)p->scale },
		{ .name = "q_num_heads", .kind = ATTR_INT, .i = 1 },
		{ .name = "kv_num_heads", .kind = ATTR_INT, .i = 1 },
	};
	bool one_head = pass_value(c, p->q)->shape.rank == 3;
	if (p->where)
		TRY(make_mask(c, p->where, err));
	if (p->turn)
		TRY(pass_transpose(c, p->turn, pass_in(c, p->turn, 0), (int64_t[]){ 0, 2, 1, 3 },
			4, err));
	return pass_rewrite(c, p->softmax, OP_ATTENTION, in, 4, attr, one_head ? 3 : 1, err);
}

static enum err_code find_attention(struct pass_ctx *c, struct node *n, struct err *err)
{
	struct parts p;
	if (n->op != OP_MATMUL || !pass_is_f32(c, n->out[0]))
		return ERR_OK;
	int32_t weights = pass_in(c, n, 0);
	p.v = pass_in(c, n, 1);
	p.softmax = match_guarded(c, weights, OP_SOFTMAX);
	if (!p.softmax)
		return ERR_OK;
	int64_t axis = node_int(p.softmax, "axis", -1);
	if ((axis != -1 && axis != pass_value(c, weights)->shape.rank - 1) ||
		!match_masked(c, pass_in(c, p.softmax, 0), &p) || !agree(c, &p) ||
		!pass_bypass(c, n, weights))
		return ERR_OK;
	return make_attention(c, &p, err);
}

enum err_code pass_attention(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, find_attention, err);
}

/* -- heads dealt out and brought back ---------------------------------------------------------- */

/* v [batch, heads, length, size] is x [batch, length, heads * size] dealt out. */
static bool match_split(const struct pass_ctx *c, int32_t v, int32_t *ret_x)
{
	const struct node *n = pass_match(c, v, OP_TRANSPOSE);
	const struct node *split = n ? pass_match(c, pass_in(c, n, 0), OP_RESHAPE) : NULL;
	if (!split || !has_perm(c, n, "0213"))
		return false;
	*ret_x = pass_in(c, split, 0);
	const struct shape *x = &pass_value(c, *ret_x)->shape, *h = &pass_value(c, v)->shape;
	return x->rank == 3 && shape_is_named(x) && x->dim[0] == h->dim[0] &&
		x->dim[1] == h->dim[2] && h->dim[1] > 0 && h->dim[3] > 0 &&
		x->dim[2] == h->dim[1] * h->dim[3];
}

/* y [batch, heads, length, size] has the shape `is` when its heads are brought back. */
static bool is_joined(const struct shape *y, const struct shape *is)
{
	if (y->rank != 4 || y->dim[1] <= 0 || y->dim[3] <= 0)
		return false;
	struct shape want = shape_of(y->dim[0], y->dim[2], y->dim[1] * y->dim[3]);
	return pass_same_shape(&want, is);
}

/* No past, and nothing but the result. */
static bool is_simple(const struct node *attention)
{
	for (int k = 1; k < attention->n_out; k++)
		if (attention->out[k] != VALUE_NONE)
			return false;
	return attention->n_in <= 4;
}

#define HEAD_ATTRS_MAX 8

static enum err_code
become_packed(struct pass_ctx *c, struct node *a, const int32_t *in, struct err *err)
{
	struct attr attr[HEAD_ATTRS_MAX + 2];
	for (int i = 0; i < a->n_attr; i++)
		attr[i] = a->attr[i];
	attr[a->n_attr] = (struct attr){ .name = "q_num_heads", .kind = ATTR_INT,
		.i = pass_value(c, pass_in(c, a, 0))->shape.dim[1] };
	attr[a->n_attr + 1] = (struct attr){ .name = "kv_num_heads", .kind = ATTR_INT,
		.i = pass_value(c, pass_in(c, a, 1))->shape.dim[1] };
	return pass_rewrite(c, a, OP_ATTENTION, in, 4, attr, a->n_attr + 2, err);
}

static enum err_code join_heads(struct pass_ctx *c, struct node *n, struct err *err)
{
	const struct node *t =
		n->op == OP_RESHAPE ? pass_match_single(c, pass_in(c, n, 0), OP_TRANSPOSE) : NULL;
	struct node *a = t ? match_guarded(c, pass_in(c, t, 0), OP_ATTENTION) : NULL;
	if (!a || !has_perm(c, t, "0213") || !is_simple(a) || a->n_attr > HEAD_ATTRS_MAX ||
		!is_joined(&pass_value(c, a->out[0])->shape, &pass_value(c, n->out[0])->shape))
		return ERR_OK;
	int32_t in[4] = { VALUE_NONE, VALUE_NONE, VALUE_NONE, pass_in(c, a, 3) };
	for (int k = 0; k < 3; k++)
		if (!match_split(c, pass_in(c, a, k), &in[k]))
			return ERR_OK;
	if (!pass_bypass(c, n, pass_in(c, t, 0)))
		return ERR_OK;
	return become_packed(c, a, in, err);
}

enum err_code pass_attention_heads(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, join_heads, err);
}
