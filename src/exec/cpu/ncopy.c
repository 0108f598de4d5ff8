/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/ncopy.h"

#include <string.h>

#define TILE 16               /* elements on a side of a cache-blocked transpose */
#define SHORT 8               /* a run of elements */
#define FEW_MAX 4             /* elements that are dealt */
#define DEAL_MIN 32           /* times */
#define CHUNK_BYTES (16 << 10) /* of a long row in one item */

/* Drops dimensions of one and merges neighbours that are one run in both views. */
static void merge(struct ncopy *c)
{
	int n = 0;
	for (int i = 0; i < c->rank; i++) {
		if (c->dim[i] == 1)
			continue;
		if (n && c->src[n - 1] == c->src[i] * c->dim[i] &&
			c->dst[n - 1] == c->dst[i] * c->dim[i]) {
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
	if (cpu_features() & CPU_AVX512)
		c->turn = ncopy_turn_of_avx512(c->elem, &c->side);
	else if (cpu_features() & CPU_AVX2)
		c->turn = ncopy_turn_of_avx2(c->elem, &c->side);
#else
	(void)c;
#endif
}

static ncopy_deal_fn deal_of(size_t elem, int64_t few, bool joins)
{
#ifdef __x86_64__
	if (cpu_features() & CPU_AVX512)
		return ncopy_deal_of_avx512(elem, few, joins);
	if (cpu_features() & CPU_AVX2)
		return ncopy_deal_of_avx2(elem, few, joins);
#endif
	(void)elem, (void)few, (void)joins;
	return NULL;
}

/* With the last dimension, which is dense in the destination, does one that is dense in the source
   make pictures of a few channels into planes, or planes into such pictures? */
static bool deals_with(struct ncopy *c, int i)
{
	int64_t e = (int64_t)c->elem;
	bool splits = c->dim[i] <= FEW_MAX && c->last_src == c->dim[i] * e;
	bool joins = c->last <= FEW_MAX && c->dst[i] == c->last * e;
	if (c->src[i] != e || (!splits && !joins))
		return false;
	c->few = splits ? c->dim[i] : c->last;
	int64_t n = splits ? c->last : c->dim[i];
	c->deal = n >= DEAL_MIN ? deal_of(c->elem, c->few, !splits) : NULL;
	if (!c->deal)
		return false;
	c->row = splits ? c->dst[i] : c->last_src;
	c->last = n;
	c->last_src = splits ? c->few * e : e;
	c->last_dst = splits ? e : c->few * e;
	take_dim(c, i);
	return true;
}

static bool choose_deal(struct ncopy *c)
{
	for (int i = 0; i < c->rank && c->last_dst == (int64_t)c->elem; i++)
		if (deals_with(c, i))
			return true;
	return false;
}

/* Short runs of single elements cost more to begin than to copy: the longer
   dimension goes inside. */
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
	} else if (choose_deal(c)) {
		c->mode = NCOPY_DEAL;
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
	c->chunk = max_i64(CHUNK_BYTES / line / TILE * TILE, 2 * TILE);
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
	if (c->mode == NCOPY_DEAL)
		bytes *= (double)c->few;
	return 10 + (c->mode <= NCOPY_DEAL ? bytes / 16 : bytes / 8 + n / 2);
}

/* The loops with the element's size known to the compiler. */
#define LOOPS(N) \
	static void elements_##N(char *d, const char *s, int64_t n, int64_t ds, int64_t ss) \
	{ \
		for (int64_t i = 0; i < n; i++) \
			memcpy(d + i * ds, s + i * ss, N); \
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

/* By way of a block of them, which is stored whole. */
void ncopy_fill(char *dst, const char *value, int64_t n, size_t elem)
{
	char block[64];
	size_t bytes = (size_t)n * elem, at = 0;
	if (bytes < 2 * sizeof(block) || sizeof(block) % elem) {
		elements(elem, dst, value, n, (int64_t)elem, 0);
		return;
	}
	elements(elem, block, value, (int64_t)(sizeof(block) / elem), (int64_t)elem, 0);
	for (; at + sizeof(block) <= bytes; at += sizeof(block))
		memcpy(dst + at, block, sizeof(block));
	memcpy(dst + at, block, bytes - at);
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
			elements(
				elem, d + t * dt, s + t * (int64_t)elem, n_last, (int64_t)elem, sl);
	}
}

/* What of a tile is whole squares; the rest element by element. */
static void turn_tile(const struct ncopy *c, char *d, const char *s, int64_t n_tile, int64_t n_last)
{
	int64_t side = c->side, t = 0, e = (int64_t)c->elem;
	for (; c->turn && n_last == TILE && t + side <= n_tile; t += side)
		for (int64_t l = 0; l < TILE; l += side)
			c->turn(d + t * c->tile_dst + l * e, s + t * e + l * c->last_src,
				c->tile_dst, c->last_src);
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
	else if (c->mode == NCOPY_DEAL)
		c->deal(d, s, n, c->row);
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
