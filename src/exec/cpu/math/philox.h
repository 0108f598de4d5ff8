/* SPDX-License-Identifier: Apache-2.0 */
/*
 * philox.h -- random numbers that are a function of a key and a counter
 *
 * Philox 4x32 of 10 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011). Whoever knows which number it wants can have it, so work splits
 * over threads in any way and gives the same numbers.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdint.h>

struct philox {
	uint32_t v[4];
};

static inline struct philox philox(uint64_t key, uint64_t counter_high, uint64_t counter_low)
{
	struct philox c = { { (uint32_t)counter_low, (uint32_t)(counter_low >> 32),
		(uint32_t)counter_high, (uint32_t)(counter_high >> 32) } };
	uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
	for (int round = 0; round < 10; round++) {
		uint64_t a = (uint64_t)0xd2511f53u * c.v[0], b = (uint64_t)0xcd9e8d57u * c.v[2];
		c = (struct philox){ { (uint32_t)(b >> 32) ^ c.v[1] ^ k0, (uint32_t)b,
			(uint32_t)(a >> 32) ^ c.v[3] ^ k1, (uint32_t)a } };
		k0 += 0x9e3779b9u;
		k1 += 0xbb67ae85u;
	}
	return c;
}

/* Its two halves as numbers in [0, 1) of 53 bits. */
static inline double philox_unit(const struct philox *p, int half)
{
	uint64_t x = (uint64_t)p->v[2 * half + 1] << 32 | p->v[2 * half];
	return (double)(x >> 11) * 0x1p-53;
}
