/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ncopy.h -- copy an n-dimensional box between two strided views
 *
 * Transpose, Slice, Expand, Tile, Concat, Split, DepthToSpace and the reorders between
 * layouts are all this one loop nest with other strides. ncopy_init() merges dimensions,
 * widens the element where neighbours stay neighbours, and chooses the innermost loop:
 * whole rows, one value repeated, a cache-blocked transpose, a few rows from or to interleaved
 * elements (the channels of a picture), or single elements.
 *
 * Threads: ncopy_run() with disjoint item ranges from any.
 * Memory:  none; a struct ncopy lies in the kernel's state.
 */
#pragma once

#include "exec/cpu/cpu.h"

/* Tile doubles each dimension. */
#define NCOPY_RANK_MAX (2 * RANK_MAX)

enum ncopy_mode { NCOPY_ROWS, NCOPY_REPEAT, NCOPY_DEAL, NCOPY_TILES, NCOPY_ELEMENTS };

/* A square of elements: element l of row t comes from row l; rows are so many bytes apart. */
typedef void (*ncopy_turn_fn)(char *to, const char *from, int64_t to_row, int64_t from_row);

/* For elements of elem bytes, so many on a side. NULL: there is none. */
typedef ncopy_turn_fn ncopy_turn_of_fn(size_t elem, int64_t *side);

/* n times a few elements, side by side in one view and in rows of their own, so many bytes apart,
   in the other. */
typedef void (*ncopy_deal_fn)(char *restrict to, const char *restrict from, int64_t n, int64_t row);

/* For elements of elem bytes, a few of them; joins: rows come together. NULL: there is none. */
typedef ncopy_deal_fn ncopy_deal_of_fn(size_t elem, int64_t few, bool joins);

#ifdef __x86_64__
ncopy_turn_of_fn ncopy_turn_of_avx2, ncopy_turn_of_avx512;
ncopy_deal_of_fn ncopy_deal_of_avx2, ncopy_deal_of_avx512;
#endif

struct ncopy {
	enum ncopy_mode mode;
	int rank; /* dimensions of the outer walk; the inner ones are last and tile */
	int64_t dim[NCOPY_RANK_MAX], src[NCOPY_RANK_MAX], dst[NCOPY_RANK_MAX]; /* in bytes */
	int64_t last, last_src, last_dst; /* innermost dimension of the destination */
	int64_t tile, tile_dst;           /* NCOPY_TILES: the source's innermost one */
	int64_t chunk, chunks;            /* of last, or of tile, in one item */
	int64_t items;
	size_t elem;
	ncopy_deal_fn deal; /* NCOPY_DEAL */
	int64_t few, row;
	ncopy_turn_fn turn; /* NCOPY_TILES: NULL, or */
	int64_t side;	    /* what it turns at a time */
};

/* The box in the destination's order; strides in elements of elem bytes, any sign. */
void ncopy_init(struct ncopy *c, int rank, const int64_t *dim, const int64_t *src,
	const int64_t *dst, size_t elem);

/* Items [from, to) of [0, c->items). */
void ncopy_run(const struct ncopy *c, void *dst, const void *src, int64_t from, int64_t to);

/* n times the element at `value`. */
void ncopy_fill(char *dst, const char *value, int64_t n, size_t elem);

/* Rough time of one item, for split_work(). */
double ncopy_item_ns(const struct ncopy *c);
