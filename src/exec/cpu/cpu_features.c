/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/cpu_features.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define DETECTED (1u << 31)

static atomic_uint found, limit = ~0u;

#ifdef __x86_64__
/* Of <asm/prctl.h>, where the kernel's headers are new enough. */
#define REQUEST_PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM */
#define TILE_DATA 18		  /* XFEATURE_XTILEDATA */
/* Of EDX of leaf 7; compilers do not agree on their names. */
#define AMX_BITS (1u << 22 | 1u << 24 | 1u << 25) /* bfloat16, tiles, 8-bit numbers */

/* The kernel keeps 8 KiB of a thread's tiles only for processes that asked for it; one that does
   not know of tiles, or a filter, refuses. */
static bool has_tiles(void)
{
	unsigned a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & AMX_BITS) == AMX_BITS &&
	       syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

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
	if (f & CPU_VNNI && f & CPU_BF16 && has_tiles())
		f |= CPU_AMX;
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

void cpu_name(char ret[CPU_NAME_MAX])
{
	memset(ret, 0, CPU_NAME_MAX);
#ifdef __x86_64__
	/* Three leaves of sixteen characters, padded with blanks. */
	unsigned leaf[4];
	for (unsigned i = 0;
		i < 3 && __get_cpuid(0x80000002u + i, &leaf[0], &leaf[1], &leaf[2], &leaf[3]); i++)
		memcpy(ret + 16 * i, leaf, sizeof(leaf));
	for (size_t n = strlen(ret); n > 0 && ret[n - 1] == ' '; n--)
		ret[n - 1] = '\0';
#endif
}

void cpu_features_limit(unsigned mask)
{
	atomic_store(&limit, mask);
}
