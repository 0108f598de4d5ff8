/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mma.cuh -- products on tensor cores: 16 rows by 8 columns, 16 deep, of short floats into floats
 *
 * With g = lane / 4 and t = lane % 4 a lane holds, two numbers to a word: of a, row g (words 0 and
 * 2) and row g + 8 (1 and 3), at depths 2t, 2t + 1 (0 and 1) and 8 further (2 and 3); of b, column
 * g at the same depths; of d, columns 2t and 2t + 1 of row g, then of row g + 8.
 */
#pragma once

#include "exec/gpu/kernels.cuh"

#ifndef MMA /* the tests have their own: tests/gpu/device.h */
#define MMA(type) "mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 "
#define MMA_OF(T, type) \
	template <> struct mma<T> { \
		static __device__ inline void add( \
			float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) \
		{ \
			asm( \
				MMA( \
				type) "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, " \
				"%2, %3};" \
				: "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) \
				: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1)); \
		} \
	};

template <typename T> struct mma;
MMA_OF(half, "f16")
MMA_OF(bfloat, "bf16")
#endif
