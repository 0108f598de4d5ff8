/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DynamicQuantizeLSTM: the products of LSTM with weights in 8 bits. What they are multiplied
 * with, all inputs or the states of a step, is rounded to 8 bits by its own range, as ONNX
 * Runtime does; so a unit of work is a whole direction.
 */
#include "exec/cpu/nn/rnn.h"

#include <math.h>
#include "base/checked.h"

/* The longest sums of products of 8 bits that an int32 holds. */
#define SUM_MAX 33000

/* A matrix of the node: [k][n], times scale, less zero. */
struct weights {
	const void *data;
	int64_t k, n;
	const float *scale;
	const void *zero;
	int64_t step; /* from one column's scale and zero point to the next's: 0 or 1 */
	bool is_signed;
};

static struct weights weights_of(const struct rnn_unit *u, enum rnn_matrix_id id)
{
	struct rnn_view v = rnn_view(&u->s->g, u->a->in, u->direction, id);
	const struct tensor *in = u->a->in;
	int at = id == RNN_MATRIX_W ? RNN_W_SCALE : RNN_R_SCALE;
	bool each = in[at].shape.rank == 2;
	int64_t first = each ? u->direction * v.n : u->direction;
	return (struct weights){ .data = v.data, .k = v.k, .n = v.n,
		.scale = (const float *)in[at].data + first,
		.zero = (const char *)in[at + 1].data + first, .step = each,
		.is_signed = in[at + 1].dtype == DTYPE_I8 };
}

static int32_t zero_of(const struct weights *w, int64_t column)
{
	int64_t at = column * w->step;
	return w->is_signed ? ((const int8_t *)w->zero)[at] : ((const uint8_t *)w->zero)[at];
}

/* Rounds n numbers to [0,255], which stand for (q - zero) * scale; zero is exact. Centred:
   what is written is q - zero. */
static float quantize(int16_t *to, const float *x, int64_t n)
{
	float low = 0, high = 0;
	for (int64_t i = 0; i < n; i++) {
		low = x[i] < low ? x[i] : low;
		high = x[i] > high ? x[i] : high;
	}
	float scale = high == low ? 1 : (high - low) / 255;
	float zero = rintf(-low / scale);
	zero = zero > 255 ? 255 : zero;
	for (int64_t i = 0; i < n; i++) {
		float q = rintf(x[i] / scale) + zero;
		to[i] = (int16_t)((q > 255 ? 255 : q > 0 ? q : 0) - zero);
	}
	return scale;
}

#define ADD_ROW(name, T) \
	static void name(int32_t *sum, int32_t a, const T *b, int64_t n) \
	{ \
		for (int64_t j = 0; j < n; j++) \
			sum[j] += a * b[j]; \
	}
ADD_ROW(add_row_i8, int8_t)
ADD_ROW(add_row_u8, uint8_t)

/* One row of the product, before zero points; returns the sum of a. */
static int32_t multiply_row(const struct weights *w, int32_t *sum, const int16_t *a)
{
	int32_t all = 0;
	for (int64_t j = 0; j < w->n; j++)
		sum[j] = 0;
	for (int64_t k = 0; k < w->k; k++) {
		all += a[k];
		if (w->is_signed)
			add_row_i8(sum, a[k], (const int8_t *)w->data + k * w->n, w->n);
		else
			add_row_u8(sum, a[k], (const uint8_t *)w->data + k * w->n, w->n);
	}
	return all;
}

static size_t sum_bytes(int64_t n)
{
	return round_up((size_t)n * sizeof(int32_t), ARENA_ALIGN_TENSOR);
}

static void multiply_quantized(const struct rnn_unit *u, enum rnn_matrix_id matrix, void *c,
	int64_t c_row, const void *a, int64_t m, const void *add, int64_t add_row)
{
	struct weights w = weights_of(u, matrix);
	int32_t *sum = u->scratch;
	int16_t *q = (int16_t *)((char *)u->scratch + sum_bytes(w.n));
	float scale = quantize(q, a, m * w.k);
	for (int64_t i = 0; i < m; i++) {
		int32_t all = multiply_row(&w, sum, q + i * w.k);
		float *to = (float *)c + i * c_row;
		const float *plus = (const float *)add + i * add_row;
		for (int64_t j = 0; j < w.n; j++)
			to[j] = (float)(sum[j] - all * zero_of(&w, j)) *
					(scale * w.scale[j * w.step]) +
				plus[j];
	}
}

enum err_code prepare_rnn_quantized(struct prep *p, struct kernel *ret, struct err *err)
{
	struct rnn_state *s;
	TRY(rnn_prepare(p, ret, true, &s, err));
	int64_t k = max_i64(s->g.input, s->g.hidden), rows = max_i64(s->chunk, 1) * s->rows;
	if (k > SUM_MAX)
		return prep_refuse(err, "the sums of products may overflow");
	s->multiply = multiply_quantized;
	ret->scratch_bytes +=
		sum_bytes(s->g.gates * s->g.hidden) + (size_t)(rows * k) * sizeof(int16_t);
	return ERR_OK;
}
