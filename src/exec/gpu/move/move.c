/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move.c -- movers that are strided copies: Transpose, Expand, Slice, Tile, Concat, Split,
 * DepthToSpace, SpaceToDepth; each a list of pieces, a box and a launch each
 */
#include "exec/gpu/move/copy.h"
#include "exec/infer/move_geometry.h"

struct piece {
	int in, out;
	struct gpu_copy copy;
};

struct pieces {
	int n;
	struct piece piece[];
};

static void run_pieces(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct pieces *s = a->state;
	for (int i = 0; i < s->n; i++)
		gpu_copy_run(a, &s->piece[i].copy, a->out[s->piece[i].out].data,
			a->in[s->piece[i].in].data);
}

static struct pieces *new_pieces(struct prep *p, struct kernel *ret, int n)
{
	struct pieces *s = gpu_state(p, ret, sizeof(*s) + (size_t)n * sizeof(s->piece[0]));
	if (s)
		s->n = n;
	ret->run = run_pieces;
	return s;
}

/* Input 0 into output 0 as one box, whose dimensions are in the output's order, which is plain. */
static enum err_code one_box(
	struct prep *p, struct kernel *ret, struct gpu_view *v, struct err *err)
{
	struct pieces *s = new_pieces(p, ret, 1);
	int64_t stride = 1;
	if (!s)
		return err_oom(err);
	v->elem = dtype_bytes(p->in[0].dtype);
	for (int d = v->rank - 1; d >= 0; d--) {
		v->dst[d] = stride;
		stride *= v->dim[d];
	}
	return gpu_copy_init(&s->piece[0].copy, p, v, err);
}

static struct gpu_view view_of_output(const struct prep *p)
{
	struct gpu_view v = { .rank = p->out[0].shape.rank };
	for (int d = 0; d < v.rank; d++)
		v.dim[d] = p->out[0].shape.dim[d];
	return v;
}

enum err_code gpu_prepare_transpose(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gpu_view v = view_of_output(p);
	int32_t n;
	const int64_t *perm = node_ints(p->node, "perm", &n);
	int64_t own[RANK_MAX];
	gpu_strides(&p->in[0], own);
	for (int i = 0; i < v.rank; i++)
		v.src[i] = own[perm ? perm[i] : v.rank - 1 - i];
	return one_box(p, ret, &v, err);
}

enum err_code gpu_prepare_expand(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gpu_view v = view_of_output(p);
	shape_broadcast_strides(&p->in[0].shape, &p->out[0].shape, v.src);
	ret->unread = 2;
	return one_box(p, ret, &v, err);
}

enum err_code gpu_prepare_slice(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gpu_view v = view_of_output(p);
	struct slice_geometry g;
	for (int i = 1; i < p->n_in; i++)
		if (gpu_has_in(p, i) && !p->in[i].data)
			return prep_refuse(err, "bounds that are computed");
	TRY(slice_geometry(&p->in[0].shape, &p->in[1], &p->in[2],
		gpu_has_in(p, 3) ? &p->in[3] : NULL, gpu_has_in(p, 4) ? &p->in[4] : NULL, &g, err));
	gpu_strides(&p->in[0], v.src);
	for (int i = 0; i < v.rank; i++) {
		v.src_at += g.start[i] * v.src[i];
		/* A step past the end is never taken, and might overflow. */
		v.src[i] = g.count[i] > 1 ? v.src[i] * g.step[i] : 0;
	}
	ret->unread = 0x1e;
	return one_box(p, ret, &v, err);
}

enum err_code gpu_prepare_tile(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	struct gpu_view v = { .rank = 2 * x->rank };
	int64_t own[RANK_MAX];
	gpu_strides(&p->in[0], own);
	for (int i = 0; i < x->rank; i++) {
		v.dim[2 * i] = x->dim[i] ? y->dim[i] / x->dim[i] : 0;
		v.dim[2 * i + 1] = x->dim[i];
		v.src[2 * i + 1] = own[i];
	}
	ret->unread = 2;
	return one_box(p, ret, &v, err);
}

/* x seen as a tensor of rank 6, permuted. */
static enum err_code permuted(
	struct prep *p, struct kernel *ret, struct shape view, const int *perm, struct err *err)
{
	struct gpu_view v = { .rank = view.rank };
	int64_t own[RANK_MAX];
	shape_strides(&view, own);
	for (int i = 0; i < view.rank; i++) {
		v.dim[i] = view.dim[perm[i]];
		v.src[i] = own[perm[i]];
	}
	return one_box(p, ret, &v, err);
}

enum err_code gpu_prepare_blocks(struct prep *p, struct kernel *ret, struct err *err)
{
	struct block_geometry g = block_geometry(p->node, &p->in[0].shape);
	return permuted(p, ret, g.view, g.perm, err);
}

/* -- parts of a whole, side by side along an axis ---------------------------------------------- */

/* One part, that begins at `at`, copied into the whole or out of it; each in its layout. */
static enum err_code slab(struct prep *p, struct piece *q, const struct tensor *whole,
	const struct tensor *part, bool into, int axis, int64_t at, struct err *err)
{
	struct gpu_view v = { .rank = part->shape.rank, .elem = dtype_bytes(part->dtype) };
	int64_t *whole_strides = into ? v.dst : v.src;
	for (int d = 0; d < v.rank; d++)
		v.dim[d] = part->shape.dim[d];
	gpu_strides(whole, whole_strides);
	gpu_strides(part, into ? v.src : v.dst);
	*(into ? &v.dst_at : &v.src_at) = at * whole_strides[axis];
	return gpu_copy_init(&q->copy, p, &v, err);
}

enum err_code gpu_prepare_concat(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", 0, p->out[0].shape.rank);
	struct tensor whole = p->out[0];
	int64_t at = 0;
	struct pieces *s = new_pieces(p, ret, p->n_in);
	if (!s)
		return err_oom(err);
	for (int i = 0; i < p->n_in; i++)
		if (p->in[i].layout != LAYOUT_PLAIN)
			ret->out_layout = p->in[i].layout;
	whole.layout = ret->out_layout;
	for (int i = 0; i < p->n_in; i++) {
		s->piece[i].in = i;
		TRY(slab(p, &s->piece[i], &whole, &p->in[i], true, axis, at, err));
		at += p->in[i].shape.dim[axis];
	}
	return ERR_OK;
}

enum err_code gpu_prepare_split(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", 0, p->in[0].shape.rank);
	int64_t at = 0;
	struct pieces *s = new_pieces(p, ret, p->n_out);
	if (!s)
		return err_oom(err);
	for (int i = 0; i < p->n_out; i++) {
		if (p->out[i].shape.rank == RANK_UNKNOWN)
			return prep_refuse(err, "an output that is absent");
		s->piece[i].out = i;
		TRY(slab(p, &s->piece[i], &p->in[0], &p->out[i], false, axis, at, err));
		at += p->out[i].shape.dim[axis];
	}
	ret->unread = 2;
	return ERR_OK;
}

/* -- views, where the planner needs them copied ------------------------------------------------ */

enum err_code gpu_prepare_view(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gpu_view v = { .rank = 1, .dim = { tensor_count(&p->in[0]) }, .src = { 1 } };
	ret->unread = ~1u;
	return one_box(p, ret, &v, err);
}
