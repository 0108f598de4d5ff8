/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/cpu_features.h"

#include <stdatomic.h>

#define DETECTED (1u << 31)

static atomic_uint found, limit = ~0u;

static unsigned detect(void)
{
	unsigned f = DETECTED;
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		f |= CPU_AVX2;
	if (f & CPU_AVX2 && __builtin_cpu_supports("avx512f") &&
		__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
		__builtin_cpu_supports("avx512vl"))
		f |= CPU_AVX512;
	if (f & CPU_AVX512 && __builtin_cpu_supports("avx512vnni"))
		f |= CPU_VNNI;
	if (f & CPU_AVX512 && __builtin_cpu_supports("avx512bf16"))
		f |= CPU_BF16;
#endif
	return f;
}

unsigned cpu_features(void)
{
	unsigned f = atomic_load_explicit(&found, memory_order_relaxed);
	if (!f) {
		f = detect();
		atomic_store_explicit(&found, f, memory_order_relaxed);
	}
	return f & ~DETECTED & atomic_load_explicit(&limit, memory_order_relaxed);
}

void cpu_features_limit(unsigned mask)
{
	atomic_store(&limit, mask);
}
