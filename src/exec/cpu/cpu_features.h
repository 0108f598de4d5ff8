/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_features.h -- what this processor can do
 *
 * Life of a version: load -> check -> [COMPILE: which kernels run here] -> warm -> publish
 *
 * Detected once, at the first call, which also asks the kernel for the tiles' registers: all
 * threads have them then, or none. Tests take some away, so that the
 * rows of kernels.def for lesser machines run on a better one.
 *
 * Threads: any.
 */
#pragma once

/* A set. Each includes what every processor with it has as well: CPU_AVX2 means FMA and
   F16C too, CPU_AVX512 means F, BW, DQ and VL. */
enum cpu_feature {
	CPU_BASE = 0,
	CPU_AVX2 = 1 << 0,
	CPU_AVX512 = 1 << 1,
	CPU_VNNI = 1 << 2, /* AVX512-VNNI */
	CPU_BF16 = 1 << 3, /* AVX512-BF16 */
	CPU_AMX = 1 << 4,  /* tiles of bfloat16 and of 8-bit numbers; VNNI and BF16 too */
};

unsigned cpu_features(void);

/* What files that are compiled once per instruction set call name_base, name_avx2 and name_avx512:
   the best that runs here. With & before the name it is its address. */
#ifdef __x86_64__
#define CPU_BEST(name) \
	(cpu_features() & CPU_AVX512 ? name##_avx512 \
		: cpu_features() & CPU_AVX2  ? name##_avx2 \
					     : name##_base)
#else
#define CPU_BEST(name) (name##_base)
#endif

/* What the processor calls itself; "" where it does not say. */
#define CPU_NAME_MAX 64
void cpu_name(char ret[CPU_NAME_MAX]);

/* From now on cpu_features() says no more than mask; ~0u: all that is there. */
void cpu_features_limit(unsigned mask);
