/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemm.h -- products of float matrices with the right one packed in panels
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * A row of the result has the same bits whatever rows stand beside it: sums always run
 * along k in order, so that a batch gives exactly what single requests give.
 *
 * Threads: any; all state is the caller's. Memory: none.
 */
#pragma once

#include "exec/cpu/math/unary.h"

/* c[i][j] = act(alpha * sum(a[i][k] * b[k][j]) + beta * add[0][i][j] + add[1][i][j]) */
struct gemm_job {
	int64_t m, n, k;
	const float *a;
	int64_t a_row, a_k;
	const float *b; /* packed, of n columns */
	float *c;
	int64_t c_row;
	float alpha, beta;
	const float *add[2]; /* NULL: none */
	int64_t add_row[2], add_col[2];
	unary_fn act; /* NULL: none */
	const double *act_param;
	float *scratch; /* gemm_scratch_bytes() */
};

/* One instruction set's. */
struct gemm {
	int rows, cols; /* of the tile that fills the registers */
	int per_slot;   /* elements along k that stand in the place of a float: 2 of bfloat16 */
	int step;       /* slots along k come in multiples of it, and rows of a in scratch */
	double flops_per_ns; /* about so many */
	void (*run)(const struct gemm_job *j);
	/* b[k][j] at b + k * b_k + j * b_col becomes panels of cols columns, the last one
	   filled with zeros; gemm_packed_floats() of them. */
	void (*pack)(float *to, const float *b, int64_t b_k, int64_t b_col, int64_t k, int64_t n);
};

extern const struct gemm gemm_base;
#ifdef __x86_64__
extern const struct gemm gemm_avx2, gemm_avx512, gemm_avx512_bf16, gemm_avx512_amx;
#endif

/* The best of this machine. */
const struct gemm *gemm_best(void);
/* The same, of bfloat16 where the precision allows it and the processor has it. */
const struct gemm *gemm_for(enum precision precision);

/* A matrix as pack() takes it. */
struct gemm_source {
	const float *b;
	int64_t b_k, b_col, k, n;
};

/* A constant, packed once per version. */
MUST_CHECK enum err_code gemm_pack_constant(struct prep *p, const struct gemm *g,
	const struct gemm_source *b, const float **ret, struct err *err);

/* Rows of a that are packed at once, in tiles; how far along k. */
#define GEMM_TILES 10
#define GEMM_DEPTH 1024

static inline int64_t gemm_panels(const struct gemm *g, int64_t n)
{
	return (n + g->cols - 1) / g->cols;
}

static inline int64_t gemm_round_up(int64_t n, int64_t step)
{
	return (n + step - 1) / step * step;
}

/* Along k, as both sides are packed. */
static inline int64_t gemm_slots(const struct gemm *g, int64_t k)
{
	return gemm_round_up((k + g->per_slot - 1) / g->per_slot, g->step);
}

/* Of one packed panel, in floats. */
static inline int64_t gemm_panel_floats(const struct gemm *g, int64_t k)
{
	return gemm_slots(g, k) * g->cols;
}

static inline int64_t gemm_packed_floats(const struct gemm *g, int64_t k, int64_t n)
{
	return gemm_panels(g, n) * gemm_panel_floats(g, k);
}

static inline size_t gemm_scratch_bytes(const struct gemm *g, int64_t m, int64_t k)
{
	int64_t rows = gemm_round_up(min_i64(m, (int64_t)g->rows * GEMM_TILES), g->step);
	return (size_t)(rows * min_i64(gemm_slots(g, k), GEMM_DEPTH)) * sizeof(float);
}
