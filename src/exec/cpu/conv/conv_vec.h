/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_vec.h -- convolutions of our own: the loops that are compiled per instruction set
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * All ways to convolve (conv_tiles.c, conv_winograd.c, conv_rows.c, conv_strassen.c) come down to
 * tiles: some neighbouring pixels of the result times two vectors of its channels, summed in
 * registers.
 *
 * Threads: any; all state is the caller's. Memory: none.
 */
#pragma once

#include "exec/cpu/math/unary.h"
#include "exec/cpu/conv/wino.h"

#define TILE_VECS 2 /* of channels, in a panel of weights */
#define TILE_FLOATS_MAX (14 * TILE_VECS * 16)

/* What is done to a complete sum, but for the addition. */
struct conv_act {
	float low, high; /* clamped between; infinite: not at all */
	unary_fn fn;	 /* NULL: none */
	const double *param;
};

struct conv_tile {
	const float *src;   /* first pixel's window */
	int64_t src_pixel;  /* slots from a pixel's window to the next one's */
	const int64_t *tap; /* slots from a window to the channels that the tap reads */
	int64_t taps;
	int64_t run;	      /* slots that lie together at each tap */
	const float *weights; /* a row of the panel's vectors per slot of each tap, */
	const float *second; /* and `part` of what stands here is added to it; NULL: nothing */
	float part;
	const float *ahead;   /* weights to fetch meanwhile, */
	int64_t ahead_step;   /* and how far to go in them per slot */
	const float *bias; /* what sums begin with, */
	const float *from, *also; /* or two tiles that were left at rest; NULL: bias; nothing */
	/* Sums are left here, pixel behind pixel, and dst is only fetched; NULL: they go there. */
	float *rest;
	const float *sum; /* what is added at the end, laid out as dst; NULL: nothing */
	float *dst;
	bool slots; /* dst is of slots, and has complete sums only; else of floats */
	int64_t dst_pixel, dst_block; /* floats to the next pixel, to the next block */
	int block;  /* channels that lie together in dst: a vector, or half of one */
	int blocks; /* there are in dst, from here on */
	bool more;  /* dst holds the sums so far */
	bool last;  /* the sums are complete */
	struct conv_act act;
};

/* Some pixels of a source, `run` channels of each. */
struct conv_pixels {
	const float *first;
	int64_t n, run;
	int64_t step; /* floats to the next pixel */
	bool slots;   /* they are slots as they lie there, half as long as floats */
};

/* One instruction set's. */
struct conv_vec {
	int floats;   /* of a vector */
	int per_slot; /* channels in a slot (slot.h) */
	int pixels;   /* of the largest tile */
	/* To slots, pixel behind pixel. */
	void (*copy)(float *to, const struct conv_pixels *from);
	/* n floats into halves of as many slots, which are zero so far. NULL: slots have none. */
	void (*put_halves)(float *to, const float *from, int64_t n, bool high);
	/* n floats into neighbouring halves of slots from half `at` on. NULL: likewise. */
	void (*put_pixels)(float *to, int64_t at, const float *from, int64_t n);
	void (*tile)(const struct conv_tile *t, int pixels, int vecs);
};

#ifdef __x86_64__
/* All tiles of a row, of avx512_bf16's operands. False: it was not done. */
bool conv_row_amx(const struct conv_tile *first, int64_t pixels, int vecs);
#endif

/* -- Winograd's minimal filtering of 3x3 windows (wino.h), along both axes -------------------- */

/* Some pixels of a vector of channels; where they are outside of the image they are zero, or
   not written. */
struct wino_patch {
	float *image;    /* of the block */
	bool slots;      /* it is of slots; else of floats */
	int64_t h, w;    /* of the image */
	int64_t y, x;    /* first pixel */
	/* Floats to the block with the vector's higher half; 0: blocks are whole. */
	int64_t to_high;
	bool low_only;   /* there is no such block */
	bool half[2];    /* along both axes: it has at most half of its pixels */
};

/* Where a patch's points of one block are: those of each pair of kinds are an image, in floats
   (of a source: slots). */
struct wino_places {
	float *const *kind; /* of the pair, by rows of kinds */
	/* Of each row and column of points: rows, floats; -1: there are none. */
	const int64_t *y, *x;
	int64_t row[WINO_POINTS_MAX]; /* floats, by the column of the point */
};

/* How sums of a block are finished; sum is laid out as the image, NULL: none. */
struct wino_end {
	const float *bias, *sum;
	struct conv_act act;
};

struct wino_vec {
	void (*points)(
		struct wino_form form, const struct wino_patch *from, const struct wino_places *to);
	void (*pixels)(struct wino_form form, const struct wino_places *from,
		const struct wino_patch *to, const struct wino_end *end);
};

/* -- the same along rows alone (conv_rows.c): patches of four pixels --------------------------- */

/* A row of one block of channels. */
struct wino_row {
	float *first;	/* pixel */
	int64_t w, pad; /* pixels it has, that the first patch begins before */
	int64_t patches;
	bool half;	    /* the last patch has at most half of its pixels */
	float *const *kind; /* where the row's points of each kind begin */
	const int64_t *at;  /* of the points of each patch: floats from there; -1: there are none */
};

struct wino_row_vec {
	void (*points)(int stride, const struct wino_row *from);
	void (*pixels)(int stride, const struct wino_row *to, const struct wino_end *end);
};

/* -- Strassen's products (conv_strassen.c) ----------------------------------------------------- */

/* Pairs of neighbouring pixels in two blocks of channels, which are the lower and the upper row and
   column of matrices of four. */
struct strassen_pairs {
	const float *first;
	int64_t n;
	int64_t to_high; /* floats to the other block */
	float *to;	 /* sums, pair behind pair: STRASSEN_SUMS blocks */
	int64_t to_next; /* floats from one of these to the next one */
};

/* S2, S3, S1, S4: in the order of the products that take them. */
#define STRASSEN_SUMS 4

struct strassen_vec {
	void (*add)(const struct strassen_pairs *p);
};

#ifdef __x86_64__
extern const struct strassen_vec strassen_vec_avx2, strassen_vec_avx512;
extern const struct wino_row_vec wino_row_vec_avx2, wino_row_vec_avx512;
extern const struct conv_vec conv_vec_avx2, conv_vec_avx512, conv_vec_avx512_bf16;
extern const struct wino_vec wino_vec_avx2, wino_vec_avx512, wino_vec_avx512_bf16;
#endif
