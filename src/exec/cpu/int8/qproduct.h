/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qproduct.h -- sums of products of 8-bit numbers, and what makes 8-bit numbers of them again
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * One inner loop serves convolutions and matrix products: a pixel (a row of a matrix) is
 * `runs` runs of bytes, the rows of its window, each taken four bytes at a time. Sums are
 * of int32, so the order of products does not show in the result.
 *
 * Threads: any; all state is the caller's. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"

/*
 * From a sum, times its channel's factor, to the result. If there is z: if there is mid_factor,
 * rounded within [mid_low, mid_high] and times it; plus z_factor times z less its zero point.
 * Within [low, high]; rounded; plus y_zero. int8 is read as uint8 with its first bit flipped.
 */
struct requant {
	float mid_low, mid_high, mid_factor; /* mid_factor 0: no such step */
	float z_factor;
	float low, high; /* less y_zero */
	int32_t y_zero;
	int32_t x_zero, z_zero; /* of the flipped numbers */
	uint8_t x_flip, z_flip; /* 0x80 for int8 */
};

/* A node's attributes; z may be absent. */
void requant_init(struct requant *r, const struct node *n, const struct tensor *x,
	const struct tensor *y, const struct tensor *z);

/* The same for one number; what the vector loops are compared with. */
int32_t requant_one(const struct requant *r, int32_t sum, float factor, const uint8_t *z);

struct qproduct_job {
	const uint8_t *x; /* the first pixel's window; flipped */
	int64_t rows, pixels;     /* of a row */
	int64_t x_row, y_row;     /* bytes from one to the next */
	int64_t x_pixel, y_pixel;
	const int64_t *run_at;    /* bytes from the window's beginning */
	int64_t runs, slots;      /* slots of four bytes in a run; apart: taps */
	int64_t tap;              /* apart: bytes from one to the next */
	const void *w;            /* packed */
	const int32_t *bias;      /* filled up to whole panels, as factor is */
	const int32_t *windows;   /* not NULL: what each pixel's adds up to, row after row, */
	const int32_t *w_zero;    /* which is taken from its sums so often; filled up, too */
	int64_t channels;
	int32_t *sums; /* not NULL: sums are left here, and what follows does not count */
	uint8_t *y;
	const float *factor;
	const uint8_t *z; /* as y; NULL: none */
	const struct requant *requant;
};

typedef void (*qproduct_fn)(const struct qproduct_job *j);

/* One instruction set's. run_apart: a result's channel is of one channel of x, the same one. Its
   weights are less their zero points, and windows are NULL. */
struct qproduct {
	qproduct_fn run, run_apart;
};

extern const struct qproduct qproduct_base;
void qproduct_apart_base(const struct qproduct_job *j);
#ifdef __x86_64__
extern const struct qproduct qproduct_avx2, qproduct_avx512, qproduct_avx512_vnni,
	qproduct_avx512_amx;
void qproduct_apart_avx2(const struct qproduct_job *j);
void qproduct_apart_avx512(const struct qproduct_job *j);
void qproduct_apart_avx512_vnni(const struct qproduct_job *j);
#endif

/* The best of this machine. */
const struct qproduct *qproduct_best(void);

/* Channels that stand side by side in packed weights, and bytes of each: slot s of run r of
   panel p begins at ((p * runs + r) * slots + s) * QPRODUCT_PANEL * QPRODUCT_SLOT. Those apart are
   int32, channels filled up to whole panels side by side, tap after tap. */
#define QPRODUCT_PANEL 32
#define QPRODUCT_SLOT 4
