/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vec_isa.h -- one vector of the instruction set that a file is compiled for
 *
 * For files that are compiled once per instruction set (ISA is base, avx2 or avx512): the
 * widest vector of floats, the blocked layout whose blocks it fills, and names with the
 * instruction set's at the end.
 */
#pragma once

#include "exec/cpu/cpu.h"

#ifndef ISA
#define ISA base
#endif

#ifdef __AVX512F__
#define VEC_FLOATS 16
#define VEC_LAYOUT LAYOUT_NCHW16C
#elif defined(__AVX2__)
#define VEC_FLOATS 8
#define VEC_LAYOUT LAYOUT_NCHW8C
#else
#define VEC_FLOATS 4 /* no layout has such blocks */
#endif

#define VEC_GLUE_(a, b) a##_##b
#define VEC_GLUE(a, b) VEC_GLUE_(a, b)
/* prepare_x becomes prepare_x_avx2. */
#define VEC_NAME(stem) VEC_GLUE(stem, ISA)

/* Before loops of few turns over vectors, which then stay in registers. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Any float array may be read through a pointer to it. */
typedef float vec __attribute__((vector_size(VEC_FLOATS * sizeof(float)), aligned(4), may_alias));
typedef int32_t vec_mask __attribute__((vector_size(VEC_FLOATS * sizeof(float)), aligned(4), may_alias));

static inline __attribute__((always_inline)) vec vec_all(float x)
{
	return (vec){ 0 } + x;
}

/* Per element a where the mask is set, else b. */
static inline __attribute__((always_inline)) vec vec_select(vec_mask mask, vec a, vec b)
{
	return (vec)(((vec_mask)a & mask) | ((vec_mask)b & ~mask));
}
