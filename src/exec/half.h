/* SPDX-License-Identifier: Apache-2.0 */
/*
 * half.h -- float16 and bfloat16 as bit patterns (IEEE 754 binary16, and the upper half
 * of binary32), rounded to nearest even
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float f)
{
	uint32_t u;
	memcpy(&u, &f, sizeof(u));
	return u;
}

static inline float bits_float(uint32_t u)
{
	float f;
	memcpy(&f, &u, sizeof(f));
	return f;
}

static inline float half_to_float(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 0x1f, man = h & 0x3ff;
	if (exp == 0x1f)
		return bits_float(sign | 0x7f800000 | man << 13);
	if (exp)
		return bits_float(sign | (exp + 112) << 23 | man << 13);
	/* Zero and subnormals: man * 2^-24 is exact. */
	float f = (float)man * 0x1p-24f;
	return sign ? -f : f;
}

static inline uint16_t float_to_half(float f)
{
	uint32_t u = float_bits(f);
	uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
	u &= 0x7fffffff;
	if (u > 0x7f800000)
		return sign | 0x7e00;
	if (u >= 0x477ff000) /* rounds to 65536 or more */
		return sign | 0x7c00;
	if (u < 0x38800000) { /* below the smallest normal: let the adder round */
		float magic = 0.5f;
		return sign | (uint16_t)(float_bits(bits_float(u) + magic) - float_bits(magic));
	}
	uint32_t odd = u >> 13 & 1;
	return sign | (uint16_t)((u - 0x38000000 + 0xfff + odd) >> 13);
}

static inline float bfloat_to_float(uint16_t b)
{
	return bits_float((uint32_t)b << 16);
}

static inline uint16_t float_to_bfloat(float f)
{
	uint32_t u = float_bits(f);
	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
