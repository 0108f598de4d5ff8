/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/ncopy.h"

#include <string.h>
#include "exec/half.h"

#define TILE 16               /* elements on a side of a cache-blocked transpose */
#define SHORT 8               /* a run of elements */
#define CHUNK_BYTES (16 << 10) /* of a long row in one item */

/* Drops dimensions of one and merges neighbours that are one run in both views. */
static void merge(struct ncopy *c)
{
	int n = 0;
	for (int i = 0; i < c->rank; i++) {
		if (c->dim[i] == 1)
			continue;
		if (n && c->src[n - 1] == c->src[i] * c->dim[i] && c->dst[n - 1] == c->dst[i] * c->dim[i]) {
			c->dim[n - 1] *= c->dim[i];
		} else {
			c->dim[n] = c->dim[i];
			n++;
		}
		c->src[n - 1] = c->src[i];
		c->dst[n - 1] = c->dst[i];
	}
	c->rank = n;
}

/* A short innermost run becomes one wider element. */
static void widen(struct ncopy *c)
{
	while (c->rank) {
		int k = c->rank - 1;
		int64_t e = (int64_t)c->elem, bytes = c->dim[k] * e;
		bool power = bytes <= 64 && (bytes & (bytes - 1)) == 0;
		if (c->src[k] != e || c->dst[k] != e || !power)
			return;
		c->elem = (size_t)bytes;
		c->rank--;
	}
}

/* The dimension along which the source is dense, when it is not the last one. */
static int find_tile(const struct ncopy *c)
{
	for (int i = 0; i < c->rank; i++)
		if (c->src[i] == (int64_t)c->elem && c->dim[i] >= 4)
			return i;
	return -1;
}

static void take_dim(struct ncopy *c, int i)
{
	c->rank--;
	for (; i < c->rank; i++) {
		c->dim[i] = c->dim[i + 1];
		c->src[i] = c->src[i + 1];
		c->dst[i] = c->dst[i + 1];
	}
}

static void choose_turn(struct ncopy *c)
{
#ifdef __x86_64__
	bool wide = cpu_features() & CPU_AVX512;
	if (c->elem != sizeof(float) || !(cpu_features() & CPU_AVX2))
		return;
	c->turn = wide ? ncopy_turn_avx512 : ncopy_turn_avx2;
	c->side = wide ? 16 : 8;
#else
	(void)c;
#endif
}

/* Short runs of single elements cost more to begin than to copy: the longer dimension goes inside. */
static void put_longer_inside(struct ncopy *c)
{
	int k = c->rank - 1;
	if (k < 0 || c->last >= SHORT || c->dim[k] <= c->last)
		return;
	int64_t dim = c->dim[k], src = c->src[k], dst = c->dst[k];
	c->dim[k] = c->last;
	c->src[k] = c->last_src;
	c->dst[k] = c->last_dst;
	c->last = dim;
	c->last_src = src;
	c->last_dst = dst;
}

static void choose_inner(struct ncopy *c)
{
	int64_t e = (int64_t)c->elem;
	c->last = 1;
	c->last_src = c->last_dst = e;
	if (c->rank) {
		int k = c->rank - 1;
		c->last = c->dim[k];
		c->last_src = c->src[k];
		c->last_dst = c->dst[k];
		c->rank = k;
	}
	int tile = c->last_dst == e && c->last >= 4 ? find_tile(c) : -1;
	if (c->last_src == e && c->last_dst == e) {
		c->mode = NCOPY_ROWS;
	} else if (tile >= 0) {
		c->mode = NCOPY_TILES;
		c->tile = c->dim[tile];
		c->tile_dst = c->dst[tile];
		take_dim(c, tile);
		choose_turn(c);
	} else {
		c->mode = c->last_src == 0 && c->last_dst == e ? NCOPY_REPEAT : NCOPY_ELEMENTS;
		if (c->mode == NCOPY_ELEMENTS)
			put_longer_inside(c);
	}
}

void ncopy_init(struct ncopy *c, int rank, const int64_t *dim, const int64_t *src,
	const int64_t *dst, size_t elem)
{
	*c = (struct ncopy){ .rank = rank, .elem = elem };
	bool empty = false;
	for (int i = 0; i < rank; i++) {
		c->dim[i] = dim[i];
		c->src[i] = src[i] * (int64_t)elem;
		c->dst[i] = dst[i] * (int64_t)elem;
		empty |= dim[i] == 0;
	}
	if (empty)
		return;
	merge(c);
	widen(c);
	choose_inner(c);

	int64_t along = c->mode == NCOPY_TILES ? c->tile : c->last;
	int64_t line = (int64_t)c->elem * (c->mode == NCOPY_TILES ? c->last : 1);
	c->chunk = max_i64(CHUNK_BYTES / line / TILE * TILE, TILE);
	c->chunks = (along + c->chunk - 1) / c->chunk;
	c->items = c->chunks;
	for (int i = 0; i < c->rank; i++)
		c->items *= c->dim[i];
}

double ncopy_item_ns(const struct ncopy *c)
{
	if (!c->items)
		return 0;
	double n = (double)(c->mode == NCOPY_TILES ? min_i64(c->chunk, c->tile) * c->last
						   : min_i64(c->chunk, c->last));
	double bytes = n * (double)c->elem;
	return 10 + (c->mode <= NCOPY_REPEAT ? bytes / 16 : bytes / 8 + n / 2);
}

/* The loops with the element's size known to the compiler. */
#define LOOPS(N) \
	static void elements_##N(char *d, const char *s, int64_t n, int64_t ds, int64_t ss) \
	{ \
		for (int64_t i = 0; i < n; i++) \
			memcpy(d + i * ds, s + i * ss, N); \
	} \
	static void fill_##N(char *d, const char *value, int64_t n) \
	{ \
		char v[N]; \
		memcpy(v, value, N); \
		for (int64_t i = 0; i < n; i++) \
			memcpy(d + i * N, v, N); \
	} \
	static void tile_##N(char *d, const char *s, int64_t n_tile, int64_t n_last, int64_t dt, \
		int64_t sl) \
	{ \
		for (int64_t t = 0; t < n_tile; t++) \
			for (int64_t l = 0; l < n_last; l++) \
				memcpy(d + t * dt + l * N, s + t * N + l * sl, N); \
	}
LOOPS(1)
LOOPS(2)
LOOPS(4)
LOOPS(8)
LOOPS(16)
LOOPS(32)
LOOPS(64)

static void
elements(size_t elem, char *d, const char *s, int64_t n, int64_t ds, int64_t ss)
{
	switch (elem) {
	case 1: elements_1(d, s, n, ds, ss); break;
	case 2: elements_2(d, s, n, ds, ss); break;
	case 4: elements_4(d, s, n, ds, ss); break;
	case 8: elements_8(d, s, n, ds, ss); break;
	case 16: elements_16(d, s, n, ds, ss); break;
	case 32: elements_32(d, s, n, ds, ss); break;
	case 64: elements_64(d, s, n, ds, ss); break;
	default:
		for (int64_t i = 0; i < n; i++)
			memcpy(d + i * ds, s + i * ss, elem);
	}
}

void ncopy_fill(char *dst, const char *value, int64_t n, size_t elem)
{
	switch (elem) {
	case 1: fill_1(dst, value, n); break;
	case 2: fill_2(dst, value, n); break;
	case 4: fill_4(dst, value, n); break;
	case 8: fill_8(dst, value, n); break;
	case 16: fill_16(dst, value, n); break;
	case 32: fill_32(dst, value, n); break;
	case 64: fill_64(dst, value, n); break;
	default: elements(elem, dst, value, n, (int64_t)elem, 0);
	}
}

static void
tile(size_t elem, char *d, const char *s, int64_t n_tile, int64_t n_last, int64_t dt, int64_t sl)
{
	switch (elem) {
	case 1: tile_1(d, s, n_tile, n_last, dt, sl); break;
	case 2: tile_2(d, s, n_tile, n_last, dt, sl); break;
	case 4: tile_4(d, s, n_tile, n_last, dt, sl); break;
	case 8: tile_8(d, s, n_tile, n_last, dt, sl); break;
	case 16: tile_16(d, s, n_tile, n_last, dt, sl); break;
	case 32: tile_32(d, s, n_tile, n_last, dt, sl); break;
	case 64: tile_64(d, s, n_tile, n_last, dt, sl); break;
	default:
		for (int64_t t = 0; t < n_tile; t++)
			elements(elem, d + t * dt, s + t * (int64_t)elem, n_last, (int64_t)elem, sl);
	}
}

/* What of a tile is whole squares; the rest element by element. */
static void turn_tile(const struct ncopy *c, char *d, const char *s, int64_t n_tile, int64_t n_last)
{
	int64_t side = c->side, t = 0, e = (int64_t)c->elem;
	for (; c->turn && n_last == TILE && t + side <= n_tile; t += side)
		for (int64_t l = 0; l < TILE; l += side)
			c->turn(d + t * c->tile_dst + l * e, s + t * e + l * c->last_src, c->tile_dst, c->last_src);
	tile(c->elem, d + t * c->tile_dst, s + t * e, n_tile - t, n_last, c->tile_dst, c->last_src);
}

/* Tile by tile, so that what is read of a cache line is used while it is there. */
static void copy_tiles(const struct ncopy *c, char *d, const char *s, int64_t n_tile)
{
	int64_t e = (int64_t)c->elem;
	for (int64_t l = 0; l < c->last; l += TILE) {
		int64_t nl = min_i64(TILE, c->last - l);
		for (int64_t t = 0; t < n_tile; t += TILE)
			turn_tile(c, d + t * c->tile_dst + l * e, s + t * e + l * c->last_src,
				min_i64(TILE, n_tile - t), nl);
	}
}

static void copy_item(const struct ncopy *c, char *d, const char *s, int64_t chunk)
{
	int64_t at = chunk * c->chunk, e = (int64_t)c->elem;
	if (c->mode == NCOPY_TILES) {
		copy_tiles(c, d + at * c->tile_dst, s + at * e, min_i64(c->chunk, c->tile - at));
		return;
	}
	int64_t n = min_i64(c->chunk, c->last - at);
	d += at * c->last_dst;
	s += at * c->last_src;
	if (c->mode == NCOPY_ROWS)
		memcpy(d, s, (size_t)(n * e));
	else if (c->mode == NCOPY_REPEAT)
		ncopy_fill(d, s, n, c->elem);
	else
		elements(c->elem, d, s, n, c->last_dst, c->last_src);
}

void ncopy_run(const struct ncopy *c, void *dst, const void *src, int64_t from, int64_t to)
{
	if (from >= to)
		return;
	int64_t index[NCOPY_RANK_MAX] = { 0 }, row = from / c->chunks, chunk = from % c->chunks;
	char *d = dst;
	const char *s = src;
	for (int i = c->rank - 1; i >= 0; i--) {
		index[i] = row % c->dim[i];
		row /= c->dim[i];
		d += index[i] * c->dst[i];
		s += index[i] * c->src[i];
	}
	for (int64_t at = from; at < to; at++) {
		copy_item(c, d, s, chunk);
		if (++chunk < c->chunks)
			continue;
		chunk = 0;
		for (int i = c->rank - 1; i >= 0; i--) {
			d += c->dst[i];
			s += c->src[i];
			if (++index[i] < c->dim[i])
				break;
			d -= c->dst[i] * c->dim[i];
			s -= c->src[i] * c->dim[i];
			index[i] = 0;
		}
	}
}

/* -- reorders between layouts ---------------------------------------------------------- */

struct copy_state {
	struct split split;
	struct ncopy copy;
};

static void run_copy(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct copy_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	ncopy_run(&s->copy, a->out[0].data, a->in[0].data, from, to);
}

/* Of an image; of all planes of a volume, which lie one behind the other. */
static int64_t rows_of(const struct shape *s)
{
	return shape_count_range(s, 2, s->rank - 1);
}

/* Strides of N, C by 16, C by 8, C, H, W in a layout. */
static void layout_strides(const struct shape *s, enum layout layout, int64_t *ret)
{
	int64_t c = s->dim[1], h = rows_of(s), w = s->dim[s->rank - 1], b = layout_block(layout);
	bool last = layout == LAYOUT_NHWC;
	int64_t pixel = last ? c : b, block = last ? b : h * w * b;
	ret[0] = c * h * w;
	ret[1] = last ? 16 : 16 / b * block;
	ret[2] = b == 16 ? 8 : last ? 8 : 8 / b * block;
	ret[3] = last || b > 1 ? 1 : h * w;
	ret[4] = w * pixel;
	ret[5] = pixel;
}

static void init_reorder(struct ncopy *c, const struct tensor *in, const struct tensor *out)
{
	const struct shape *s = &in->shape;
	int64_t src[6], dst[6];
	layout_strides(s, in->layout, src);
	layout_strides(s, out->layout, dst);
	int64_t b = max_i64(layout_block(in->layout), layout_block(out->layout));
	/* C in steps of the larger block: sizes of the three channel dimensions. */
	int64_t by16 = b == 16 ? s->dim[1] / 16 : 1, by8 = b == 16 ? 2 : b == 8 ? s->dim[1] / 8 : 1;
	int64_t by1 = b > 1 ? 8 : s->dim[1];
	int64_t dim[6] = { s->dim[0], by16, by8, by1, rows_of(s), s->dim[s->rank - 1] };
	/* The box is walked in the destination's order. */
	static const int order[LAYOUT_COUNT_][6] = {
		[LAYOUT_PLAIN] = { 0, 1, 2, 3, 4, 5 },
		[LAYOUT_NCHW8C] = { 0, 1, 2, 4, 5, 3 },
		[LAYOUT_NCHW16C] = { 0, 1, 4, 5, 2, 3 },
		[LAYOUT_NHWC] = { 0, 4, 5, 1, 2, 3 },
	};
	int64_t odim[6], osrc[6], odst[6];
	for (int i = 0; i < 6; i++) {
		int from = order[out->layout][i];
		odim[i] = dim[from];
		osrc[i] = src[from];
		odst[i] = dst[from];
	}
	ncopy_init(c, 6, odim, osrc, odst, dtype_bytes(in->dtype));
}

/* -- to and from the layout that rounds, block by block -------------------------------------- */

#define BLOCK 16

struct round_state {
	struct split split; /* of rows of a block */
	bool from, to; /* which of both is rounded */
	int64_t blocks, height, width;
	int64_t src[6], dst[6]; /* layout_strides() */
};

/* Where channel c of a block lies, beginning with the block. */
static int64_t in_block(const int64_t *stride, int64_t c)
{
	return c / 8 * stride[2] + c % 8 * stride[3];
}

static void round_row(const struct round_state *s, const char *from, char *to)
{
	for (int64_t x = 0; x < s->width; x++)
		for (int64_t c = 0; c < BLOCK; c++) {
			int64_t src = x * s->src[5] + in_block(s->src, c);
			int64_t dst = x * s->dst[5] + in_block(s->dst, c);
			float v = s->from ? bfloat_to_float(((const uint16_t *)from)[src])
					  : ((const float *)from)[src];
			if (s->to)
				((uint16_t *)to)[dst] = float_to_bfloat(v);
			else
				((float *)to)[dst] = v;
		}
}

static void run_round(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct round_state *s = a->state;
	size_t src_bytes = s->from ? sizeof(uint16_t) : sizeof(float);
	size_t dst_bytes = s->to ? sizeof(uint16_t) : sizeof(float);
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t y = i % s->height, block = i / s->height % s->blocks, image = i / s->height / s->blocks;
		int64_t src = image * s->src[0] + block * s->src[1] + y * s->src[4];
		int64_t dst = image * s->dst[0] + block * s->dst[1] + y * s->dst[4];
		round_row(s, (const char *)a->in[0].data + (size_t)src * src_bytes,
			(char *)a->out[0].data + (size_t)dst * dst_bytes);
	}
}

static enum err_code prepare_round(struct prep *p, struct kernel *ret, struct err *err)
{
	struct round_state *s = kernel_state(p, ret, sizeof(*s));
	const struct shape *x = &p->in[0].shape;
	if (!s)
		return err_oom(err);
	s->from = layout_is_bf16(p->in[0].layout);
	s->to = layout_is_bf16(p->out[0].layout);
	s->blocks = x->dim[1] / BLOCK;
	s->height = rows_of(x);
	s->width = x->dim[x->rank - 1];
	layout_strides(x, p->in[0].layout, s->src);
	layout_strides(x, p->out[0].layout, s->dst);
	s->split = split_work(p, ret, x->dim[0] * s->blocks * s->height, (double)(s->width * BLOCK));
	ret->run = run_round;
	ret->name = "copy";
	ret->out_layout = p->out[0].layout;
	return ERR_OK;
}

enum err_code prepare_copy(struct prep *p, struct kernel *ret, struct err *err)
{
	if (layout_is_bf16(p->in[0].layout) || layout_is_bf16(p->out[0].layout))
		return prepare_round(p, ret, err);
	struct copy_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	const struct tensor *in = &p->in[0], *out = &p->out[0];
	if (in->layout == out->layout) {
		int64_t n = tensor_count(in), one = 1;
		ncopy_init(&s->copy, 1, &n, &one, &one, dtype_bytes(in->dtype));
	} else {
		init_reorder(&s->copy, in, out);
	}
	s->split = split_work(p, ret, s->copy.items, ncopy_item_ns(&s->copy));
	ret->run = run_copy;
	ret->name = "copy";
	ret->out_layout = out->layout;
	return ERR_OK;
}

/* Reshape and its like, where the planner cannot make them a view. */
enum err_code prepare_view(struct prep *p, struct kernel *ret, struct err *err)
{
	if (!shape_is_static(&p->out[0].shape))
		return prep_refuse(err, "sequences and optionals are passed on");
	struct copy_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	int64_t n = tensor_count(&p->in[0]), one = 1;
	ncopy_init(&s->copy, 1, &n, &one, &one, dtype_bytes(p->in[0].dtype));
	s->split = split_work(p, ret, s->copy.items, ncopy_item_ns(&s->copy));
	ret->run = run_copy;
	return ERR_OK;
}
