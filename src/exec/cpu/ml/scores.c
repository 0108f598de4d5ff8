/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, labels and scores of models. */
#include "exec/cpu/ml/ml.h"

#include <math.h>

const float *ml_row(const struct tensor *x, int64_t row, int64_t n, float *dst)
{
	if (x->dtype == DTYPE_F32)
		return (const float *)x->data + row * n;
	for (int64_t i = 0; i < n; i++)
		dst[i] = (float)tensor_float(x, row * n + i);
	return dst;
}

void ml_put_label(struct tensor *out, int64_t i, const struct ml_labels *labels, int64_t index)
{
	if (labels->strings)
		((struct slice *)out->data)[i] = labels->strings[index];
	else
		((int64_t *)out->data)[i] = labels->ints ? labels->ints[index] : index;
}

double ml_logistic(double x)
{
	double y = 1 / (1 + exp(-fabs(x)));
	return x < 0 ? 1 - y : y;
}

/* The inverse of the normal distribution by Winitzki's formula, as ONNX Runtime has it. */
static double probit(double p)
{
	double x = 2 * p - 1, l = log((1 - x) * (1 + x));
	double v = 2 / (M_PI * 0.147) + 0.5 * l;
	double y = sqrt(sqrt(v * v - l / 0.147) - v);
	return M_SQRT2 * (x < 0 ? -y : y);
}

/* zeros: a score of zero stays nearly that, for it says that nobody voted. */
static void softmax(double *s, int64_t n, bool zeros)
{
	double max = s[ml_argmax(s, n)], sum = 0;
	for (int64_t i = 0; i < n; i++) {
		bool is_zero = fabs(s[i]) <= 1e-7;
		s[i] = zeros && is_zero ? s[i] * exp(-max) : exp(s[i] - max);
		sum += s[i];
	}
	for (int64_t i = 0; i < n; i++)
		s[i] = sum == 0 ? 0.5 : s[i] / sum;
}

void ml_transform(double *score, int64_t n, enum ml_post post)
{
	if (post == ML_POST_PROBIT)
		for (int64_t i = 0; i < n; i++)
			score[i] = probit(score[i]);
	if (n < 2)
		return;
	if (post == ML_POST_LOGISTIC)
		for (int64_t i = 0; i < n; i++)
			score[i] = ml_logistic(score[i]);
	if (post == ML_POST_SOFTMAX || post == ML_POST_SOFTMAX_ZERO)
		softmax(score, n, post == ML_POST_SOFTMAX_ZERO);
}

void ml_put_two(double ret[2], double s, enum ml_second second, enum ml_post post)
{
	ret[0] = second == ML_SECOND_COMPLEMENT ? 1 - s : -s;
	ret[1] = s;
	if (post == ML_POST_PROBIT)
		ml_transform(ret, 2, post);
	else if (post == ML_POST_LOGISTIC && second == ML_SECOND_OPPOSITE)
		ml_transform(ret, 2, post);
}

int64_t ml_argmax(const double *v, int64_t n)
{
	int64_t best = 0;
	for (int64_t i = 1; i < n; i++)
		if (v[i] > v[best])
			best = i;
	return best;
}
