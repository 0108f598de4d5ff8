/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/move/copy.h"

#include <stdio.h>
#include <stdlib.h>

#define BLOCK 256
#define WIDEST 16

static void drop_dim(struct gpu_view *v, int d)
{
	v->rank--;
	for (int i = d; i < v->rank; i++) {
		v->dim[i] = v->dim[i + 1];
		v->src[i] = v->src[i + 1];
		v->dst[i] = v->dst[i + 1];
	}
}

static void swap(int64_t *a, int64_t *b)
{
	int64_t t = *a;
	*a = *b;
	*b = t;
}

/* In the destination's order, outermost first. */
static void sort(struct gpu_view *v)
{
	for (int i = 1; i < v->rank; i++)
		for (int k = i; k > 0 && llabs(v->dst[k - 1]) < llabs(v->dst[k]); k--) {
			swap(&v->dim[k - 1], &v->dim[k]);
			swap(&v->src[k - 1], &v->src[k]);
			swap(&v->dst[k - 1], &v->dst[k]);
		}
}

static void merge(struct gpu_view *v)
{
	for (int d = v->rank - 1; d >= 0; d--)
		if (v->dim[d] == 1)
			drop_dim(v, d);
	sort(v);
	for (int d = v->rank - 1; d > 0; d--)
		if (v->src[d - 1] == v->src[d] * v->dim[d] &&
			v->dst[d - 1] == v->dst[d] * v->dim[d]) {
			v->dim[d - 1] *= v->dim[d];
			v->src[d - 1] = v->src[d];
			v->dst[d - 1] = v->dst[d];
			drop_dim(v, d);
		}
	if (v->rank == 0) {
		v->rank = 1;
		v->dim[0] = v->src[0] = v->dst[0] = 1;
	}
}

/* Pairs of neighbours that stay neighbours, and begin at even places, are one element. */
static bool pairs_up(const struct gpu_view *v)
{
	int last = v->rank - 1;
	bool even = v->src[last] == 1 && v->dst[last] == 1 && v->dim[last] % 2 == 0 &&
		v->src_at % 2 == 0 && v->dst_at % 2 == 0;
	for (int d = 0; d < last; d++)
		even &= v->src[d] % 2 == 0 && v->dst[d] % 2 == 0;
	return even;
}

static void widen(struct gpu_view *v)
{
	int last = v->rank - 1;
	while (v->elem < WIDEST && pairs_up(v)) {
		v->elem *= 2;
		v->dim[last] /= 2;
		v->src_at /= 2;
		v->dst_at /= 2;
		for (int d = 0; d < last; d++) {
			v->src[d] /= 2;
			v->dst[d] /= 2;
		}
	}
}

/* 32 bits count the elements of the box and reach all of both views. */
static bool is_small(const struct gpu_view *v, int64_t *ret_count)
{
	int64_t src = 0, dst = 0, count = 1;
	for (int d = 0; d < v->rank; d++) {
		if (v->dim[d] == 0)
			return *ret_count = 0, true;
		count *= v->dim[d];
		src += llabs(v->src[d]) * (v->dim[d] - 1);
		dst += llabs(v->dst[d]) * (v->dim[d] - 1);
		if (count > INT32_MAX || src > INT32_MAX || dst > INT32_MAX)
			return false;
	}
	*ret_count = count;
	return v->rank <= GPU_RANK_MAX;
}

static void add_dim(struct gpu_box *b, const struct gpu_view *v, int d)
{
	b->dim[b->rank] = gpu_div(v->dim[d]);
	b->src[b->rank] = (int32_t)v->src[d];
	b->dst[b->rank] = (int32_t)v->dst[d];
	b->rank++;
	b->count *= (uint32_t)v->dim[d];
}

/* The dimension that is dense in the source while the last one is dense in the destination, if
   both are long enough for squares; -1: none. */
static int tile_dim(const struct gpu_view *v)
{
	int last = v->rank - 1;
	if (v->dst[last] != 1 || v->src[last] == 1 || v->dim[last] < 8)
		return -1;
	for (int d = 0; d < last; d++)
		if (v->src[d] == 1 && v->dim[d] >= 8)
			return d;
	return -1;
}

static void fill_tiles(struct gpu_tiles *t, const struct gpu_view *v, int tile, uint32_t side)
{
	int last = v->rank - 1;
	*t = (struct gpu_tiles){ .outer.count = 1,
		.last = (uint32_t)v->dim[last],
		.tile = (uint32_t)v->dim[tile],
		.last_src = (int32_t)v->src[last],
		.tile_dst = (int32_t)v->dst[tile] };
	for (int d = 0; d < last; d++)
		if (d != tile)
			add_dim(&t->outer, v, d);
	if (t->outer.rank == 0)
		t->outer.dim[t->outer.rank++] = gpu_div(1);
	t->last_squares = gpu_div((t->last + side - 1) / side);
	t->tile_squares = gpu_div((t->tile + side - 1) / side);
	t->squares = t->last_squares.d * t->tile_squares.d * t->outer.count;
}

/* Two elements are one access on both sides: all begins and ends at even places. */
static bool goes_in_pairs(const struct gpu_view *v, int tile)
{
	int last = v->rank - 1;
	int64_t places = v->src_at | v->dst_at | v->dim[last] | v->dim[tile];
	for (int d = 0; d < v->rank; d++) {
		places |= d == tile ? 0 : v->src[d];
		places |= d == last ? 0 : v->dst[d];
	}
	return v->elem == 2 && places % 2 == 0;
}

static enum err_code init_tiles(struct gpu_copy *c, const struct prep *p, const struct gpu_view *v,
	int tile, struct err *err)
{
	char name[32];
	bool pairs = goes_in_pairs(v, tile);
	snprintf(name, sizeof(name), "copy_tiles_%zu%s", v->elem, pairs ? "_pairs" : "");
	fill_tiles(&c->tiles, v, tile, pairs ? 2 * GPU_SQUARE : GPU_SQUARE);
	TRY(gpu_launch_over(p, name, c->tiles.squares, 1, &c->launch, err));
	c->launch.block[0] = GPU_SQUARE;
	c->launch.block[1] = GPU_SQUARE_HIGH;
	return ERR_OK;
}

/* Images, places, planes: few planes lie behind each other in the source, and side by side in the
   destination, where places follow each other. All begins at whole groups. */
static bool interleaves(const struct gpu_view *v)
{
	int last = v->rank - 1, group = WIDEST / (int)v->elem;
	if (v->rank < 2 || v->rank > 3 || (v->elem != 2 && v->elem != 4) ||
		v->dim[last] > GPU_PLANES_MAX)
		return false;
	bool images = v->rank == 3;
	int64_t steps = v->dim[last - 1] | v->src[last] | v->src_at | v->dst_at;
	if (images)
		steps |= v->src[0] | v->dst[0];
	return v->dst[last] == 1 && v->src[last - 1] == 1 && v->dst[last - 1] == v->dim[last] &&
	       steps % group == 0;
}

static enum err_code init_interleave(
	struct gpu_copy *c, const struct prep *p, const struct gpu_view *v, struct err *err)
{
	char name[32];
	int last = v->rank - 1;
	int64_t images = v->rank == 3 ? v->dim[0] : 1;
	int64_t groups = v->dim[last - 1] / (WIDEST / (int64_t)v->elem);
	c->interleave = (struct gpu_interleave){ .count = (uint32_t)(images * groups),
		.groups = gpu_div(groups),
		.plane = (int32_t)v->src[last],
		.src_image = images > 1 ? (int32_t)v->src[0] : 0,
		.dst_image = images > 1 ? (int32_t)v->dst[0] : 0 };
	snprintf(name, sizeof(name), "interleave_%zu_%d", v->elem, (int)v->dim[last]);
	return gpu_launch_over(p, name, c->interleave.count, BLOCK, &c->launch, err);
}

static enum err_code init_box(
	struct gpu_copy *c, const struct prep *p, const struct gpu_view *v, struct err *err)
{
	char name[32];
	snprintf(name, sizeof(name), "copy_box_%zu", v->elem);
	c->box = (struct gpu_box){ .count = 1 };
	for (int d = 0; d < v->rank; d++)
		add_dim(&c->box, v, d);
	return gpu_launch_over(p, name, c->box.count, BLOCK, &c->launch, err);
}

enum err_code gpu_copy_init(
	struct gpu_copy *c, const struct prep *p, const struct gpu_view *view, struct err *err)
{
	struct gpu_view v = *view;
	int64_t count;
	*c = (struct gpu_copy){ .src_bytes = v.src_at * (int64_t)v.elem,
		.dst_bytes = v.dst_at * (int64_t)v.elem };
	merge(&v);
	if (!is_small(&v, &count) || v.elem > WIDEST || (v.elem & (v.elem - 1)))
		return prep_refuse(err, "elements of that size, or so many, or so many dimensions");
	if (count == 0)
		return ERR_OK; /* a launch of nothing */
	int tile = tile_dim(&v);
	if (tile >= 0)
		return init_tiles(c, p, &v, tile, err);
	if (interleaves(&v))
		return init_interleave(c, p, &v, err);
	widen(&v);
	return init_box(c, p, &v, err);
}

void gpu_copy_run(const struct kernel_args *a, const struct gpu_copy *c, void *dst, const void *src)
{
	char *to = (char *)dst + c->dst_bytes;
	const char *from = (const char *)src + c->src_bytes;
	void *params[] = { (void *)&c->box, (void *)&to, (void *)&from }; /* of the union, any */
	gpu_launch(a, &c->launch, params);
}

/* -- between layouts --------------------------------------------------------------------------- */

static void run_copy(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	gpu_copy_run(a, a->state, a->out[0].data, a->in[0].data);
}

enum err_code gpu_prepare_copy(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct tensor *in = &p->in[0];
	struct gpu_copy *c = gpu_state(p, ret, sizeof(*c));
	struct gpu_view v = { .rank = in->shape.rank, .elem = dtype_bytes(in->dtype) };
	if (!c)
		return err_oom(err);
	for (int d = 0; d < v.rank; d++)
		v.dim[d] = in->shape.dim[d];
	gpu_strides(in, v.src);
	gpu_strides(&p->out[0], v.dst);
	ret->name = "copy";
	ret->run = run_copy;
	return gpu_copy_init(c, p, &v, err);
}
