/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * A tile's sums stay in registers while it goes along the taps and their slots: a row of
 * the packed panel (two vectors of weights) times one slot of each pixel. Pixels are read
 * where they lie. Fourteen of them with two vectors leave room for the weights and one slot;
 * from four on, the processor multiplies all the time.
 *
 * Addresses of pixels are three to a pointer: with its base, an index and twice that index
 * every one is an operand, and the pointers fit in registers, too.
 *
 * Slots are loaded some multiplications before they are needed, which gcc does only when it is
 * told to; tiles of 8 and of 12 pixels gain 5 % by it.
 *
 * Compiled once per instruction set; ISA is avx2, avx512 or avx512_bf16.
 */
#ifndef __clang__
#pragma GCC optimize("schedule-insns", "sched-pressure")
#endif
#include "exec/cpu/conv/conv_vec.h"
#include "exec/cpu/matmul/slot.h"

#ifdef __AVX512F__
#define TILE_PIXELS 14
#else
#define TILE_PIXELS 6
#endif
#define POINTERS ((TILE_PIXELS + 2) / 3)

#define INLINE static inline __attribute__((always_inline))

/* -- vectors where blocks are half as long, or more is to be done --------------------------------
 */

/* The result is of slots. */
INLINE bool leaves_slots(const struct conv_tile *t)
{
	return PER_SLOT > 1 && t->slots;
}

/* Vector j of a pixel whose first block is at `at`; what there is no block for is zero. */
static vec get(const struct conv_tile *t, const float *at, int j)
{
	if (leaves_slots(t))
		return slot_get(at + j * t->dst_block);
	if (t->block == VEC_FLOATS)
		return *(const vec *)(at + j * t->dst_block);
	at += 2 * j * t->dst_block;
	return vec_join(at, 2 * j + 1 < t->blocks ? at + t->dst_block : NULL);
}

static void put(const struct conv_tile *t, float *at, int j, vec v)
{
	if (leaves_slots(t)) {
		slot_put(at + j * t->dst_block, v);
		return;
	}
	if (t->block == VEC_FLOATS) {
		*(vec *)(at + j * t->dst_block) = v;
		return;
	}
	at += 2 * j * t->dst_block;
	vec_part(v, at, 2 * j + 1 < t->blocks ? at + t->dst_block : NULL);
}

static __attribute__((noinline)) void fetch(
	const struct conv_tile *t, vec *to, int pixels, int vecs)
{
	for (int i = 0; i < pixels; i++)
		for (int j = 0; j < vecs; j++)
			to[i * vecs + j] = get(t, t->dst + i * t->dst_pixel, j);
}

static __attribute__((noinline)) void finish(
	const struct conv_tile *t, vec *v, int pixels, int vecs)
{
	const struct conv_act *act = &t->act;
	vec low = vec_all(act->low), high = vec_all(act->high);
	for (int i = 0; i < pixels && t->last; i++)
		for (int j = 0; j < vecs; j++) {
			vec x = v[i * vecs + j];
			if (t->sum)
				x += get(t, t->sum + i * t->dst_pixel, j);
			v[i * vecs + j] = vec_clamp(x, low, high);
		}
	if (t->last && act->fn)
		act->fn(v, v, (int64_t)pixels * vecs * VEC_FLOATS, act->param);
	for (int i = 0; i < pixels; i++)
		for (int j = 0; j < vecs; j++)
			put(t, t->dst + i * t->dst_pixel, j, v[i * vecs + j]);
}

/* -- the tile ------------------------------------------------------------------------------- */

/* Loops over the sums of a tile; the sums stay in registers. */
#define EACH_PIXEL UNROLL for (int i = 0; i < pixels; i++)
#define EACH_VEC UNROLL for (int j = 0; j < vecs; j++)

typedef vec tile_sums[TILE_PIXELS][TILE_VECS];

/* What the tile will write, and add, is not in the nearest cache; it has time to get there. That
   is a run of pixels per block of each. */
INLINE bool adds_elsewhere(const struct conv_tile *t)
{
	return t->sum && t->sum != t->dst;
}

INLINE const float *run_of_result(const struct conv_tile *t, int64_t i, const int vecs)
{
	return i < vecs ? t->dst + i * t->dst_block : t->sum + (i - vecs) * t->dst_block;
}

/* So many taps fetch a run each, a pixel with every slot, which leaves loads to the sums. Where
   taps are too few or too short all is fetched here; and where nothing is added, for Winograd's
   products are done before what is asked of a busy memory later is there. What goes on from sums
   at rest finds its result fetched. */
INLINE int64_t fetch_result(const struct conv_tile *t, const int pixels, const int vecs)
{
	int64_t runs = adds_elsewhere(t) ? 2 * vecs : vecs, pixel = t->dst_pixel;
	if (t->from && !t->rest)
		return 0;
	if ((t->sum || t->rest) && t->run >= pixels && t->taps >= runs)
		return runs;
	for (int64_t r = 0; r < runs; r++) {
		const float *run = run_of_result(t, r, vecs);
		EACH_PIXEL
			__builtin_prefetch(run + i * pixel, 1);
	}
	return 0;
}

INLINE void begin_sums(const struct conv_tile *t, tile_sums sum, const int pixels, const int vecs)
{
	VEC_ARRAY part[TILE_PIXELS * TILE_VECS];
	const vec *from = (const vec *)t->from, *also = (const vec *)t->also;
	if (t->more) {
		fetch(t, part, pixels, vecs);
		from = part;
	}
	EACH_PIXEL
		EACH_VEC
			sum[i][j] = from ? from[i * vecs + j]
					 : *(const vec *)(t->bias + j * VEC_FLOATS);
	if (also)
		EACH_PIXEL
			EACH_VEC
				sum[i][j] += also[i * vecs + j];
}

/* Of whole vectors that are only clamped. */
INLINE void end_plainly(const struct conv_tile *t, tile_sums sum, const bool slots,
	const int pixels, const int vecs)
{
	/* Of the tile's own, for all that the compiler knows the vectors may lie in *t. */
	const float *add = t->sum;
	float *dst = t->dst;
	const int64_t pixel = t->dst_pixel, block = t->dst_block;
	vec low = vec_all(t->act.low), high = vec_all(t->act.high);
	if (add)
		EACH_PIXEL
			EACH_VEC {
				const float *x = add + i * pixel + j * block;
				sum[i][j] += slots ? slot_get(x) : *(const vec *)x;
			}
	EACH_PIXEL
		EACH_VEC {
			float *to = dst + i * pixel + j * block;
			vec v = vec_clamp(sum[i][j], low, high);
			if (slots)
				slot_put(to, v);
			else
				*(vec *)to = v;
		}
}

INLINE void end_sums(const struct conv_tile *t, tile_sums sum, const int pixels, const int vecs)
{
	vec *rest = (vec *)t->rest;
	if (rest) {
		EACH_PIXEL
			EACH_VEC
				rest[i * vecs + j] = sum[i][j];
		return;
	}
	if (t->block != VEC_FLOATS || !t->last || t->act.fn) {
		VEC_ARRAY part[TILE_PIXELS * TILE_VECS];
		EACH_PIXEL
			EACH_VEC
				part[i * vecs + j] = sum[i][j];
		finish(t, part, pixels, vecs);
		return;
	}
	if (leaves_slots(t))
		end_plainly(t, sum, true, pixels, vecs);
	else
		end_plainly(t, sum, false, pixels, vecs);
}

/* Weights of a slot; second: floats to what a part of is added, 0: nothing is. */
struct weights {
	const float *w;
	int64_t second;
	float part;
};

/* One slot of one tap: x points to it at every third pixel. */
INLINE void add_slot(tile_sums sum, const float *const *x, int64_t step, const struct weights *r,
	const bool mixed, const int pixels, const int vecs)
{
	vec b[TILE_VECS];
	EACH_VEC {
		const float *w = r->w + j * VEC_FLOATS;
		b[j] = *(const vec *)w;
		if (mixed)
			b[j] += vec_all(r->part) * *(const vec *)(w + r->second);
	}
	EACH_PIXEL {
		vec a = vec_all(x[i / 3][i % 3 * step]);
		EACH_VEC
			sum[i][j] = slot_add_products(sum[i][j], a, b[j]);
	}
}

/* Where a tile is with its weights and with those to fetch. */
struct progress {
	struct weights row;
	const float *ahead;
};

/* result: a run of what the tile will write, NULL: it is fetched already. */
INLINE void add_tap(const struct conv_tile *t, int64_t tap, tile_sums sum, struct progress *at,
	const float *result, const bool mixed, const int pixels, const int vecs)
{
	const int64_t step = t->src_pixel, ahead_step = t->ahead_step, pixel = t->dst_pixel;
	const float *x[POINTERS], *ahead = at->ahead;
	struct weights row = at->row;
	UNROLL for (int g = 0; g < (pixels + 2) / 3; g++)
		x[g] = t->src + t->tap[tap] + 3 * g * step;
	/* As far away as the last one was. */
	const float *next = t->src + t->tap[tap + 1 < t->taps ? tap + 1 : tap];
	for (int64_t k = 0; k < t->run; k++) {
		__builtin_prefetch(next, 0, 3);
		next += step;
		add_slot(sum, x, step, &row, mixed, pixels, vecs);
		UNROLL for (int g = 0; g < (pixels + 2) / 3; g++)
			x[g]++;
		row.w += vecs * VEC_FLOATS;
		__builtin_prefetch(ahead, 0, 2);
		/* A row of two vectors is two lines. */
		__builtin_prefetch(ahead + ahead_step / 2, 0, 2);
		ahead += ahead_step;
		if (result && k < pixels)
			__builtin_prefetch(result + k * pixel, 1);
	}
	*at = (struct progress){ row, ahead };
}

INLINE void convolve(const struct conv_tile *t, const bool mixed, const int pixels, const int vecs)
{
	__attribute__((uninitialized)) tile_sums sum;
	struct progress at = { { t->weights, mixed ? t->second - t->weights : 0, t->part },
		t->ahead };
	int64_t runs = fetch_result(t, pixels, vecs);
	begin_sums(t, sum, pixels, vecs);
	for (int64_t tap = 0; tap < runs; tap++)
		add_tap(t, tap, sum, &at, run_of_result(t, tap, vecs), mixed, pixels, vecs);
	for (int64_t tap = runs; tap < t->taps; tap++)
		add_tap(t, tap, sum, &at, NULL, mixed, pixels, vecs);
	end_sums(t, sum, pixels, vecs);
}

#define TILE(pixels, vecs) \
	static void tile_##pixels##_##vecs(const struct conv_tile *t) \
	{ \
		convolve(t, false, pixels, vecs); \
	} \
	static void mixed_##pixels##_##vecs(const struct conv_tile *t) \
	{ \
		convolve(t, true, pixels, vecs); \
	}
#define TILES(pixels) TILE(pixels, 1) TILE(pixels, 2)
#define ROW(pixels) \
	{ { tile_##pixels##_1, tile_##pixels##_2 }, { mixed_##pixels##_1, mixed_##pixels##_2 } }
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
#if TILE_PIXELS > 6
TILES(7)
TILES(8)
TILES(9)
TILES(10)
TILES(11)
TILES(12)
TILES(13)
TILES(14)
#endif

typedef void (*tile_fn)(const struct conv_tile *t);

static const tile_fn tiles[TILE_PIXELS][2][TILE_VECS] = {
	ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6),
#if TILE_PIXELS > 6
	ROW(7), ROW(8), ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14)
#endif
};

static void run_tile(const struct conv_tile *t, int pixels, int vecs)
{
	tiles[pixels - 1][t->second != NULL][vecs - 1](t);
}

#if PER_SLOT == 2
/* What are slots already. */
static void copy_slots(float *to, const struct conv_pixels *from)
{
	int64_t run = from->run / PER_SLOT;
	const float *x = from->first;
	if (from->step == run) {
		memcpy(to, x, (size_t)(from->n * run) * sizeof(*to));
		return;
	}
	for (int64_t i = 0; i < from->n; i++, x += from->step, to += run)
		memcpy(to, x, (size_t)run * sizeof(*to));
}
#endif

static void copy(float *to, const struct conv_pixels *from)
{
#if PER_SLOT == 2
	if (from->slots) {
		copy_slots(to, from);
		return;
	}
#endif
	bool whole = from->step == from->run; /* all one run */
	int64_t n = whole ? 1 : from->n, run = whole ? from->n * from->run : from->run;
	const float *x = from->first;
	for (int64_t i = 0; i < n; i++, x += from->step, to += run / PER_SLOT) {
		int64_t k = 0;
		for (; k + VEC_FLOATS <= run; k += VEC_FLOATS)
			slot_put(to + k / PER_SLOT, *(const vec *)(x + k));
		for (; k < run; k += PER_SLOT)
			to[k / PER_SLOT] = slot_at(x + k);
	}
}

#if PER_SLOT == 2
static void put_halves(float *to, const float *from, int64_t n, bool high)
{
	for (int64_t i = 0; i < n; i += VEC_FLOATS) {
		__mmask16 some = (__mmask16)(n - i < VEC_FLOATS ? (1 << (n - i)) - 1 : -1);
		__m256bh half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, from + i));
		__m512i wide = _mm512_cvtepu16_epi32((__m256i)half);
		wide = high ? _mm512_slli_epi32(wide, 16) : wide;
		wide = _mm512_or_si512(wide, _mm512_maskz_loadu_epi32(some, to + i));
		_mm512_mask_storeu_epi32(to + i, some, wide);
	}
}

static void put_pixels(float *to, int64_t at, const float *from, int64_t n)
{
	char *half = (char *)to + at * (int64_t)sizeof(uint16_t);
	for (int64_t i = 0; i < n; i += VEC_FLOATS) {
		__mmask16 some = (__mmask16)(n - i < VEC_FLOATS ? (1 << (n - i)) - 1 : -1);
		__m256bh v = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, from + i));
		_mm256_mask_storeu_epi16(half + i * (int64_t)sizeof(uint16_t), some, (__m256i)v);
	}
}
#endif

const struct conv_vec VEC_NAME(conv_vec) = {
	.floats = VEC_FLOATS,
	.per_slot = PER_SLOT,
	.copy = copy,
#if PER_SLOT == 2
	.put_halves = put_halves,
	.put_pixels = put_pixels,
#endif
	.pixels = TILE_PIXELS,
	.tile = run_tile,
};
