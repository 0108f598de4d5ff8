/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled once per instruction set; ISA is base, avx2 or avx512. */
#include "exec/cpu/matmul/nbits.h"

#include <string.h>
#include "exec/cpu/math/vec_sums.h"

typedef uint8_t vec_bytes __attribute__((vector_size(VEC_FLOATS), aligned(1), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* Numbers in bytes of their own: enough that what is written has left the store buffer when it
   is read in wider pieces. */
#define CHUNK 256

/* Numbers of few bits as bytes, eight at a time: halves are moved apart until each is alone. */
INLINE void spread(uint8_t *to, const uint8_t *q, int64_t numbers, const int bits)
{
	static const struct {
		int shift;
		uint64_t mask;
	} steps[2][3] = { { { 24, 0x000000ff000000ff }, { 12, 0x000f000f000f000f },
				  { 6, 0x0303030303030303 } },
		{ { 16, 0x0000ffff0000ffff }, { 8, 0x00ff00ff00ff00ff },
			{ 4, 0x0f0f0f0f0f0f0f0f } } };
	for (int64_t i = 0; i < numbers; i += 8, q += bits) {
		uint64_t x = 0;
		memcpy(&x, q, (size_t)bits);
		UNROLL for (int k = 0; k < 3; k++)
			x = (x | x << steps[bits == 4][k].shift) & steps[bits == 4][k].mask;
		memcpy(to + i, &x, sizeof(x));
	}
}

INLINE void unpack_bits(const struct nbits_column *c, float *to, const int bits)
{
	uint8_t bytes[CHUNK];
	int block_log2 = __builtin_ctzll((unsigned long long)c->g->block);
	int64_t numbers = c->blocks * c->g->block;
	for (int64_t at = 0; at < numbers; at += CHUNK) {
		int64_t n = min_i64(numbers - at, CHUNK);
		const uint8_t *q = c->q + at * bits / 8;
		if (bits != 8)
			spread(bytes, q, n, bits);
		for (int64_t i = 0; i < n; i += VEC_FLOATS) {
			int64_t b = (at + i) >> block_log2;
			const vec_bytes *from = (const vec_bytes *)((bits == 8 ? q : bytes) + i);
			vec w = __builtin_convertvector(
				__builtin_convertvector(*from, vec_mask), vec);
			*(vec *)(to + at + i) = (w - vec_all(c->zero[b])) * vec_all(c->scale[b]);
		}
	}
}

static void unpack(const struct nbits_column *c, float *to)
{
	if (c->g->bits == 4)
		unpack_bits(c, to, 4);
	else if (c->g->bits == 8)
		unpack_bits(c, to, 8);
	else
		unpack_bits(c, to, 2);
}

/* A sum per place in a byte; blocks are short, and the next one does not wait for them. */
INLINE float dot_bits(const struct nbits_column *c, const float *row, const int bits)
{
	const int per = 8 / bits, mask = (1 << bits) - 1;
	const int64_t apart = c->g->blocks * c->g->blob;
	const uint8_t *q = c->q;
	vec sums[SUMS] = { 0 };
	for (int64_t b = 0; b < c->blocks; b++, q += c->g->blob) {
		vec zero = vec_all(c->zero[b]), sum[4] = { 0 };
		for (int64_t i = 0; i < c->g->blob; i += VEC_FLOATS, row += VEC_FLOATS) {
			vec_mask ints =
				__builtin_convertvector(*(const vec_bytes *)(q + i), vec_mask);
			UNROLL for (int s = 0; s < per; s++) {
				vec w = __builtin_convertvector(ints >> s * bits & mask, vec) -
					zero;
				sum[s] += w * *(const vec *)(row + s * apart);
			}
		}
		UNROLL for (int s = 1; s < per; s++)
			sum[0] += sum[s];
		sums[0] += sum[0] * vec_all(c->scale[b]);
	}
	return sum_of_lanes(sums);
}

static float dot(const struct nbits_column *c, const float *row)
{
	return c->g->bits == 4	 ? dot_bits(c, row, 4)
	       : c->g->bits == 8 ? dot_bits(c, row, 8)
				 : dot_bits(c, row, 2);
}

const struct nbits_loop VEC_NAME(nbits) = { VEC_FLOATS, unpack, dot };
