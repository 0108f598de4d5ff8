/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h -- 64 bits from bytes, for tables and cache keys
 *
 * Each step folds a 64x64 multiplication, so that every bit of the input reaches every bit
 * of the result. Not for checksums of files (it may change), nor against an attacker who
 * picks the keys: tables fed from outside are bounded.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdint.h>
#include <string.h>
#include "base/slice.h"

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)(a ^ UINT64_C(0x9e3779b97f4a7c15)) *
		(b ^ UINT64_C(0xd6e8feb86659fd93));
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_bytes(const void *data, size_t len, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = hash_mix(seed, len);
	uint64_t word;
	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = hash_mix(h, word);
	}
	word = 0;
	if (len)
		memcpy(&word, p, len);
	/* Once more than there are words: the last one must spread too. */
	return hash_mix(hash_mix(h, word), len);
}

static inline uint64_t hash_slice(struct slice s, uint64_t seed)
{
	return hash_bytes(s.ptr, s.len, seed);
}
