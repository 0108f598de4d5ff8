/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shortest.h -- the decimal of fewest digits that reads back as a float
 *
 * Schubfach (Giulietti): v and the two ends of what rounds to v are scaled by a power of
 * ten to whole numbers and a bit that says "and something more". At that scale the interval
 * holds at least two multiples of 1 but at most one of 10, so four comparisons find the
 * decimal of fewest digits and, of those, the nearest to v.
 *
 * Here, not in a source, because it is half of what writing a float takes: number_format.c
 * is who includes it.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <string.h>
#include "base/decimal.h"
#include "base/pow10.h"

typedef unsigned __int128 u128;

/* A float taken apart, value = c * 2^q. */
struct shortest_parts {
	uint64_t c;
	int q;
	bool closer; /* the float below is only half as far away as the one above */
};

DECIMAL_INLINE struct shortest_parts shortest_parts(uint64_t raw, const struct decimal_format *f)
{
	int biased = (int)(raw >> (f->bits - 1)), normal = biased != 0;
	uint64_t fraction = raw & ((UINT64_C(1) << (f->bits - 1)) - 1);
	return (struct shortest_parts){
		.c = fraction | (uint64_t)normal << (f->bits - 1),
		.q = f->exp_min - f->bits + 1 + biased - normal,
		.closer = (fraction == 0) & (biased > 1),
	};
}

/* v, scaled so that a candidate for the last digit stands every 2^shift, and how far from it
   what rounds to it reaches, both ends included. */
struct shortest_interval {
	uint64_t v, below, above;
	int shift;
};

/* All bits where a < b, of numbers that are less than 2^63 apart, else none. Comparisons made
   into numbers would cost more: the processor waits for what the register held before. */
DECIMAL_INLINE uint64_t shortest_mask_less(uint64_t a, uint64_t b)
{
	return (uint64_t)((int64_t)(a - b) >> 63);
}

/* The choice among the four candidates. Which it is cannot be predicted: no branches, but
   for powers of two. small: there may be fewer than two digits. */
DECIMAL_INLINE uint64_t shortest_choose(struct shortest_interval i, bool closer, bool small)
{
	uint64_t unit = UINT64_C(1) << i.shift, s = i.v >> i.shift, tens = s / 10 * 10;
	uint64_t over = i.v - (tens << i.shift), rest = i.v & (unit - 1);
	uint64_t tens_up = ~shortest_mask_less(over + i.above, 10 * unit);
	uint64_t by_ten = ~shortest_mask_less(i.below, over) | tens_up;
	if (small && s < 10)
		by_ten = 0;

	/* Nearer, or as near and even; where the interval is lopsided, it may end before that. */
	uint64_t up = shortest_mask_less(unit / 2, rest + (s & 1));
	if (closer && rest > i.below)
		up = ~UINT64_C(0);

	uint64_t by_one = s - up;
	tens += 10 & tens_up;
	return by_one ^ ((by_one ^ tens) & by_ten);
}

/* floor(log10(2^q)), or of three quarters of it: how far apart the ends are. */
DECIMAL_INLINE int shortest_scale(struct shortest_parts p)
{
	return (p.q * 1262611 - (p.closer ? 524031 : 0)) >> 22;
}

/* x * 10^-k * 2^..., the last bit set where something was cut. */
DECIMAL_INLINE uint64_t shortest_scaled(struct pow10 g, uint64_t x)
{
	u128 product = (u128)x * g.high + ((u128)x * g.low >> 64);
	uint64_t cut = (uint64_t)product >> 1; /* not 0: more than how g was rounded */
	return (uint64_t)(product >> 64) | (cut + INT64_MAX) >> 63;
}

/* Any float: the ends are scaled one by one. */
DECIMAL_INLINE struct decimal shortest_any(struct shortest_parts p)
{
	int k = shortest_scale(p), h = p.q + pow10_log2(-k) + 1;
	struct pow10 g = pow10_bits(-k);
	if (!pow10_is_exact(-k) && ++g.low == 0)
		g.high++; /* rounded up, not cut, is what the method wants */
	uint64_t odd = p.c & 1, v = shortest_scaled(g, 4 * p.c << h);
	struct shortest_interval i = {
		.v = v,
		.below = v - shortest_scaled(g, (4 * p.c - 2 + p.closer) << h) - odd,
		.above = shortest_scaled(g, (4 * p.c + 2) << h) - v - odd,
		.shift = 2,
	};
	return (struct decimal){ shortest_choose(i, p.closer, true), k };
}

/* A significand of 24 bits times 5^16 fits in 64: for q in this range nothing is cut. */
#define SHORTEST_NEAR_MIN (-53)
#define SHORTEST_NEAR_MAX 0

/* The same for floats near 1, most of those there are; not for powers of two. */
DECIMAL_INLINE struct decimal shortest_near(uint64_t c, int q)
{
	int k = shortest_scale((struct shortest_parts){ c, q, false });
	uint64_t five = pow10_u64[-k] >> -k, reach = 2 * five - (c & 1);
	struct shortest_interval i = {
		.v = 4 * c * five, .below = reach, .above = reach, .shift = k - q + 2
	};
	return (struct decimal){ shortest_choose(i, false, false), k };
}

/* As many places as a double below 1e6 may have for all of its digits to be 15 at most: no
   two such decimals are the same double, so the one that reads back as v is the shortest. */
#define SHORTEST_PLACES 9

/* v is finite and above 0; at most 17 digits, but for zeros at their end. */
DECIMAL_INLINE struct decimal shortest_f64(double v)
{
	uint64_t raw;
	if (v < 1e6) {
		int64_t digits = (int64_t)(v * pow10_f64[SHORTEST_PLACES] + 0.5);
		if (digits && (double)digits / pow10_f64[SHORTEST_PLACES] == v)
			return (struct decimal){ (uint64_t)digits, -SHORTEST_PLACES };
	}
	memcpy(&raw, &v, sizeof(raw));
	return shortest_any(shortest_parts(raw, &DECIMAL_F64));
}

/* The same of at most 9 digits. */
DECIMAL_INLINE struct decimal shortest_f32(float v)
{
	uint32_t raw;
	memcpy(&raw, &v, sizeof(raw));
	int q = (int)(raw >> 23) - 150;
	uint32_t fraction = raw & 0x7fffff;
	if (fraction != 0 && q >= SHORTEST_NEAR_MIN && q <= SHORTEST_NEAR_MAX)
		return shortest_near(fraction | 0x800000, q);
	return shortest_any(shortest_parts(raw, &DECIMAL_F32));
}
