/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Movers that are strided copies: Transpose, Expand, Slice, Tile, Concat, Split,
 * DepthToSpace, SpaceToDepth. Each is a list of pieces; a piece copies one box (ncopy.h)
 * from an input to an output, whatever the elements are.
 */
#include "exec/cpu/ncopy.h"
#include "exec/infer/move_geometry.h"

#include <string.h>

struct piece {
	int in, out;
	int64_t src_bytes, dst_bytes; /* where the box begins */
	struct ncopy copy;
};

struct pieces {
	struct split split;
	int n;
	struct piece piece[];
};

/* All do the same part of every piece: a piece for each would have them write side by side
   into one cache line where pieces are narrow. */
static int64_t scale(int64_t items, int64_t at, int64_t all)
{
	return (int64_t)((__int128)items * at / all);
}

static void run_pieces(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct pieces *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int i = 0; i < s->n && s->split.items; i++) {
		const struct piece *q = &s->piece[i];
		ncopy_run(&q->copy, (char *)a->out[q->out].data + q->dst_bytes,
			(const char *)a->in[q->in].data + q->src_bytes,
			scale(q->copy.items, from, s->split.items),
			scale(q->copy.items, to, s->split.items));
	}
}

static struct pieces *pieces_alloc(struct prep *p, struct kernel *ret, int n)
{
	struct pieces *s = kernel_state(p, ret, sizeof(*s) + (size_t)n * sizeof(s->piece[0]));
	if (s)
		s->n = n;
	return s;
}

static enum err_code pieces_done(struct prep *p, struct pieces *s, struct kernel *ret)
{
	int64_t items = 0;
	double ns = 0;
	for (int i = 0; i < s->n; i++) {
		items += s->piece[i].copy.items;
		ns += (double)s->piece[i].copy.items * ncopy_item_ns(&s->piece[i].copy);
	}
	s->split = split_work(p, ret, items, items ? ns / (double)items : 0);
	ret->run = run_pieces;
	return ERR_OK;
}

/* Input 0 into output 0 as one box in the output's order. */
static enum err_code one_box(struct prep *p, struct kernel *ret, int rank, const int64_t *dim,
	const int64_t *src, int64_t src_at, struct err *err)
{
	struct pieces *s = pieces_alloc(p, ret, 1);
	if (!s)
		return err_oom(err);
	size_t elem = dtype_bytes(p->in[0].dtype);
	int64_t dst[NCOPY_RANK_MAX], stride = 1;
	for (int i = rank - 1; i >= 0; i--) {
		dst[i] = stride;
		stride *= dim[i];
	}
	ncopy_init(&s->piece[0].copy, rank, dim, src, dst, elem);
	s->piece[0].src_bytes = src_at * (int64_t)elem;
	return pieces_done(p, s, ret);
}

enum err_code prepare_transpose(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	int32_t n;
	const int64_t *perm = node_ints(p->node, "perm", &n);
	int64_t own[RANK_MAX], src[RANK_MAX];
	shape_strides(x, own);
	for (int i = 0; i < x->rank; i++)
		src[i] = own[perm ? perm[i] : x->rank - 1 - i];
	return one_box(p, ret, y->rank, y->dim, src, 0, err);
}

/* Of channels in blocks that axis is two; innermost, it is the one of step 1. */
enum err_code prepare_transpose_blocked(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	enum layout layout = p->in[0].layout;
	int64_t b = layout_block(layout);
	bool last = layout == LAYOUT_NHWC;
	if ((!last && b == 1) || x->rank < 3 || x->dim[1] % b)
		return prep_refuse(err, "channels are neither in blocks nor innermost");
	int32_t n;
	const int64_t *perm = node_ints(p->node, "perm", &n);
	int64_t own[RANK_MAX], dim[RANK_MAX + 1], src[RANK_MAX + 1];
	int rank = 0;
	shape_strides(x, own);
	for (int i = 0; i < x->rank; i++) {
		int from = perm ? (int)perm[i] : x->rank - 1 - i;
		dim[rank] = x->dim[from];
		src[rank] = own[from] * (from == 0 ? 1 : last ? x->dim[1] : b);
		if (from == 1) {
			dim[rank] = x->dim[1] / b;
			src[rank++] = last ? 1 : own[1] * b;
			dim[rank] = b;
			src[rank] = 1;
		}
		rank++;
	}
	return one_box(p, ret, rank, dim, src, 0, err);
}

enum err_code prepare_expand(struct prep *p, struct kernel *ret, struct err *err)
{
	int64_t src[RANK_MAX];
	shape_broadcast_strides(&p->in[0].shape, &p->out[0].shape, src);
	return one_box(p, ret, p->out[0].shape.rank, p->out[0].shape.dim, src, 0, err);
}

enum err_code prepare_slice(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct slice_geometry g;
	enum err_code rc =
		slice_geometry(x, &p->in[1], &p->in[2], prep_has_in(p, 3) ? &p->in[3] : NULL,
			prep_has_in(p, 4) ? &p->in[4] : NULL, &g, err);
	if (rc != ERR_OK)
		return rc;
	int64_t src[RANK_MAX], at = 0;
	shape_strides(x, src);
	for (int i = 0; i < x->rank; i++) {
		at += g.start[i] * src[i];
		/* A step past the end is never taken, and might overflow. */
		src[i] = g.count[i] > 1 ? src[i] * g.step[i] : 0;
	}
	return one_box(p, ret, x->rank, p->out[0].shape.dim, src, at, err);
}

enum err_code prepare_tile(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	int64_t own[RANK_MAX], dim[NCOPY_RANK_MAX], src[NCOPY_RANK_MAX];
	shape_strides(x, own);
	for (int i = 0; i < x->rank; i++) {
		dim[2 * i] = x->dim[i] ? y->dim[i] / x->dim[i] : 0;
		src[2 * i] = 0;
		dim[2 * i + 1] = x->dim[i];
		src[2 * i + 1] = own[i];
	}
	return one_box(p, ret, 2 * x->rank, dim, src, 0, err);
}

/* x seen as rank-6 tensor `view`, permuted. */
static enum err_code permute_view(
	struct prep *p, struct kernel *ret, struct shape view, const int *perm, struct err *err)
{
	int64_t own[RANK_MAX], dim[RANK_MAX], src[RANK_MAX];
	shape_strides(&view, own);
	for (int i = 0; i < view.rank; i++) {
		dim[i] = view.dim[perm[i]];
		src[i] = own[perm[i]];
	}
	return one_box(p, ret, view.rank, dim, src, 0, err);
}

enum err_code prepare_blocks(struct prep *p, struct kernel *ret, struct err *err)
{
	struct block_geometry g = block_geometry(p->node, &p->in[0].shape);
	return permute_view(p, ret, g.view, g.perm, err);
}

/* Piece q: a slab of `n` along the axis, dense in the part, at `at` in the whole. */
static void slab(struct piece *q, const struct tensor *whole, int axis, int64_t n, int64_t at,
	bool into_whole)
{
	struct axis_view v = axis_view(&whole->shape, axis);
	int64_t elem = (int64_t)dtype_bytes(whole->dtype);
	int64_t dim[] = { v.outer, n * v.inner }, part[] = { n * v.inner, 1 };
	int64_t all[] = { v.n * v.inner, 1 };
	ncopy_init(
		&q->copy, 2, dim, into_whole ? part : all, into_whole ? all : part, (size_t)elem);
	*(into_whole ? &q->dst_bytes : &q->src_bytes) = at * v.inner * elem;
}

/* In a layout blocked by channels, slabs of N or of whole blocks of C are still dense. */
static bool concat_keeps_layout(const struct prep *p, int axis)
{
	enum layout layout = p->in[0].layout;
	for (int i = 1; i < p->n_in; i++)
		if (p->in[i].layout != layout)
			return false;
	return layout == LAYOUT_PLAIN || axis == 0 || (axis == 1 && layout != LAYOUT_NHWC);
}

enum err_code prepare_concat(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", 0, p->out[0].shape.rank);
	if (!concat_keeps_layout(p, axis))
		return prep_refuse(
			err, "the layouts of the inputs differ, or the axis cuts blocks");
	struct pieces *s = pieces_alloc(p, ret, p->n_in);
	if (!s)
		return err_oom(err);
	int64_t at = 0;
	for (int i = 0; i < p->n_in; i++) {
		int64_t n = p->in[i].shape.dim[axis];
		s->piece[i].in = i;
		slab(&s->piece[i], &p->out[0], axis, n, at, true);
		at += n;
	}
	ret->out_layout = p->in[0].layout;
	return pieces_done(p, s, ret);
}

/* An output that is absent has its part of the input too, which nobody copies. */
enum err_code prepare_split(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int axis = node_axis(p->node, "axis", 0, x->rank);
	int64_t *size = ARENA_ARRAY(p->tmp, int64_t, (size_t)p->n_out + 1), at = 0;
	struct pieces *s = pieces_alloc(p, ret, p->n_out);
	if (!s || !size)
		return err_oom(err);
	TRY(split_sizes(prep_has_in(p, 1) ? &p->in[1] : NULL, p->n_out, x->dim[axis], size, err));
	s->n = 0;
	for (int i = 0; i < p->n_out; at += size[i++]) {
		if (p->node->out[i] == VALUE_NONE)
			continue;
		s->piece[s->n].out = i;
		slab(&s->piece[s->n++], &p->in[0], axis, size[i], at, false);
	}
	return pieces_done(p, s, ret);
}
