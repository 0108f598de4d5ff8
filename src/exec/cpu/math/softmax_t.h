/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softmax_t.h -- softmax and log softmax of one float type: E, N(name), LOG, EXP
 *
 * Included by softmax.c. A block is `cols` neighbouring slices of n elements, `stride`
 * apart; cols is 1 and stride 1 for the last axis, so that both loops run on rows.
 */

/* out = x - max, slice by slice. */
static void N(subtract_max)(E *out, const E *x, int64_t n, int64_t cols, int64_t stride)
{
	E top[SOFTMAX_COLS];
	for (int64_t c = 0; c < cols; c++)
		top[c] = -INFINITY;
	if (cols == 1) {
		E lane[16];
		for (int i = 0; i < 16; i++)
			lane[i] = -INFINITY;
		int64_t k = 0;
		for (; stride == 1 && k + 16 <= n; k += 16)
			for (int i = 0; i < 16; i++)
				lane[i] = x[k + i] > lane[i] ? x[k + i] : lane[i];
		for (int i = 0; i < 16; i++)
			top[0] = lane[i] > top[0] ? lane[i] : top[0];
		for (; k < n; k++)
			top[0] = x[k * stride] > top[0] ? x[k * stride] : top[0];
	} else {
		for (int64_t k = 0; k < n; k++)
			for (int64_t c = 0; c < cols; c++)
				top[c] = x[k * stride + c] > top[c] ? x[k * stride + c] : top[c];
	}
	/* A slice of -infinity alone gives NaN, as the formula does. */
	if (stride == 1) {
		IVDEP for (int64_t k = 0; k < n; k++)
			out[k] = x[k] - top[0];
		return;
	}
	for (int64_t k = 0; k < n; k++)
		for (int64_t c = 0; c < cols; c++)
			out[k * stride + c] = x[k * stride + c] - top[c];
}

static double N(sum_row)(const E *x, int64_t n)
{
	double lane[8] = { 0 }, sum = 0;
	int64_t k = 0;
	for (; k + 8 <= n; k += 8)
		for (int i = 0; i < 8; i++)
			lane[i] += (double)x[k + i];
	for (int i = 0; i < 8; i++)
		sum += lane[i];
	for (; k < n; k++)
		sum += (double)x[k];
	return sum;
}

static void N(softmax)(const struct softmax_state *s, void *dst, const void *src, int64_t n,
	int64_t cols, int64_t stride)
{
	E *out = dst;
	double sum[SOFTMAX_COLS] = { 0 };
	E scale[SOFTMAX_COLS];
	N(subtract_max)(out, src, n, cols, stride);
	if (stride == 1)
		s->exp(out, out, n, s->param);
	else
		for (int64_t k = 0; k < n; k++)
			s->exp(out + k * stride, out + k * stride, cols, s->param);
	if (stride == 1)
		sum[0] = N(sum_row)(out, n);
	for (int64_t k = 0; stride != 1 && k < n; k++)
		for (int64_t c = 0; c < cols; c++)
			sum[c] += (double)out[k * stride + c];
	for (int64_t c = 0; c < cols; c++)
		scale[c] = (E)(1 / sum[c]);
	if (stride == 1)
		IVDEP for (int64_t k = 0; k < n; k++)
			out[k] *= scale[0];
	for (int64_t k = 0; stride != 1 && k < n; k++)
		for (int64_t c = 0; c < cols; c++)
			out[k * stride + c] *= scale[c];
}

static void N(log_softmax)(const struct softmax_state *s, void *dst, const void *src, int64_t n,
	int64_t cols, int64_t stride)
{
	E *out = dst, row[SOFTMAX_COLS];
	double sum[SOFTMAX_COLS] = { 0 };
	N(subtract_max)(out, src, n, cols, stride);
	int64_t width = stride == 1 ? SOFTMAX_COLS : cols;
	int64_t rows = stride == 1 ? (n + width - 1) / width : n;
	for (int64_t k = 0; k < rows; k++) {
		int64_t at = k * (stride == 1 ? width : stride);
		int64_t m = stride == 1 ? min_i64(width, n - at) : cols;
		s->exp(row, out + at, m, s->param);
		if (stride == 1)
			sum[0] += N(sum_row)(row, m);
		else
			for (int64_t c = 0; c < cols; c++)
				sum[c] += (double)row[c];
	}
	for (int64_t c = 0; c < cols; c++)
		sum[c] = log(sum[c]);
	if (stride == 1)
		IVDEP for (int64_t k = 0; k < n; k++)
			out[k] = (E)((double)out[k] - sum[0]);
	for (int64_t k = 0; stride != 1 && k < n; k++)
		for (int64_t c = 0; c < cols; c++)
			out[k * stride + c] = (E)((double)out[k * stride + c] - sum[c]);
}
#undef E
#undef N
