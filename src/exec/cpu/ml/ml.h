/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ml.h -- what kernels of ai.onnx.ml share: rows of any type, labels, scores
 *
 * Scores follow ONNX Runtime where the specification is silent: a post transform is for two
 * and more scores, one alone knows only PROBIT.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/cpu.h"
#include "exec/infer/ml/ml_params.h"

/* Row `row` of [rows, n] as floats; dst is written only if the row is not float itself.
   Returns where it is. */
const float *ml_row(const struct tensor *x, int64_t row, int64_t n, float *dst);

/* Writes label `index` as element i of a classifier's output. Without labels it is a number. */
void ml_put_label(struct tensor *out, int64_t i, const struct ml_labels *labels, int64_t index);

/* In place. Nothing for a single score, unless it is PROBIT. */
void ml_transform(double *score, int64_t n, enum ml_post post);

double ml_logistic(double x);

/* Both classes' scores from s, that of the second. */
enum ml_second {
	ML_SECOND_COMPLEMENT, /* 1 - s */
	ML_SECOND_OPPOSITE,   /* -s */
};
void ml_put_two(double ret[2], double s, enum ml_second second, enum ml_post post);

/* The first of the largest. */
int64_t ml_argmax(const double *v, int64_t n);

static inline void ml_put_floats(float *dst, const double *src, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		dst[i] = (float)src[i];
}

/* In eight sums, so that the compiler may take vectors. */
static inline float ml_dot(const float *a, const float *b, int64_t n)
{
	float sum[8] = { 0 };
	int64_t i = 0;
	for (; i + 8 <= n; i += 8)
		for (int k = 0; k < 8; k++)
			sum[k] += a[i + k] * b[i + k];
	for (; i < n; i++)
		sum[0] += a[i] * b[i];
	return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}
