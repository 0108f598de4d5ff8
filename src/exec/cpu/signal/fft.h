/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fft.h -- discrete Fourier transforms of any length, in double
 *
 * Life of a version: ... -> [COMPILE] -> ...            fft_new()
 * Life of a request: ... -> plan -> [KERNELS] -> ...    fft_run()
 *
 * Ownership, memory: a struct fft is the plan's; fft_run() takes scratch.
 * Threads: any number may run one struct fft.
 */
#pragma once

#include "exec/kernel.h"

struct cplx {
	double re, im;
};

struct fft;

/* Of n >= 1 points. */
MUST_CHECK enum err_code fft_new(
	struct prep *p, int64_t n, const struct fft **ret, struct err *err);

/* Numbers that fft_run() needs beside those it transforms. */
int64_t fft_scratch(const struct fft *f);

/* x[k] becomes the sum of x[j] * exp(-2 pi i j k / n), or of exp(+...) / n. */
void fft_run(const struct fft *f, bool inverse, struct cplx *x, struct cplx *scratch);
