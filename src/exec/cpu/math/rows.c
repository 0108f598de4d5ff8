/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax, LogSoftmax, Layer- and RMSNormalization of floats along the last axes: a row at a time,
 * which the first-level cache mostly holds. Compiled once per instruction set; ISA is avx2 or
 * avx512.
 *
 * Sums are in float, but in the lanes of SUMS vectors, so that each is short; those of longer rows
 * than SUMS_ROW are added up in double.
 */
#include "exec/cpu/math/vec_sums.h"

#include "exec/cpu/types.h"
#include "exec/cpu/math/vec_math.h"

struct rows_state {
	struct split split; /* of rows */
	int64_t n;
	float epsilon;
	bool rms; /* RMSNormalization: the mean stays where it is */
};

/* A row of -infinity alone, or with a NaN, gives NaN, as the formula does. */
static void softmax_row(float *y, const float *x, int64_t n)
{
	float top = max_of(x, n);
	IVDEP for (int64_t k = 0; k < n; k++)
		y[k] = vec_exp_below(x[k] - top);
	float scale = (float)(1 / sum_powers_long(y, n, 0, false));
	IVDEP for (int64_t k = 0; k < n; k++)
		y[k] *= scale;
}

/* y is not x. */
static void log_softmax_row(float *y, const float *x, int64_t n)
{
	float top = max_of(x, n);
	for (int64_t k = 0; k < n; k++)
		y[k] = vec_exp_below(x[k] - top);
	float all = (float)log(sum_powers_long(y, n, 0, false));
	for (int64_t k = 0; k < n; k++)
		y[k] = x[k] - top - all;
}

static void run_log_softmax(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct rows_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t r = from; r < to; r++)
		log_softmax_row((float *)a->out[0].data + r * s->n,
			(const float *)a->in[0].data + r * s->n, s->n);
}

static void run_softmax(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct rows_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t r = from; r < to; r++)
		softmax_row((float *)a->out[0].data + r * s->n,
			(const float *)a->in[0].data + r * s->n, s->n);
}

static void run_layer_norm(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct rows_state *s = a->state;
	const float *scale = a->in[1].data, *bias = args_has_in(a, 2) ? a->in[2].data : NULL;
	int64_t from, to, n = s->n;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t r = from; r < to; r++) {
		const float *x = (const float *)a->in[0].data + r * n;
		float *y = (float *)a->out[0].data + r * n;
		float mean = s->rms ? 0 : (float)(sum_powers_long(x, n, 0, false) / (double)n);
		float variance = (float)(sum_powers_long(x, n, mean, true) / (double)n);
		float inverse = 1 / sqrtf(variance + s->epsilon);
		if (bias)
			IVDEP for (int64_t k = 0; k < n; k++)
				y[k] = (x[k] - mean) * inverse * scale[k] + bias[k];
		else
			IVDEP for (int64_t k = 0; k < n; k++)
				y[k] = (x[k] - mean) * inverse * scale[k];
	}
}

static enum err_code prepare_rows(struct prep *p, struct kernel *ret, int axis, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct rows_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->n = shape_count_range(x, axis, x->rank);
	s->epsilon = node_float(p->node, "epsilon", 1e-5f);
	s->rms = p->node->op == OP_RMS_NORM;
	s->split = split_work(
		p, ret, s->n ? shape_count_range(x, 0, axis) : 0, 20 + 0.5 * (double)s->n);
	ret->inplace = true;
	return ERR_OK;
}

enum err_code VEC_NAME(prepare_softmax_rows)(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int axis = node_axis(p->node, "axis", -1, x->rank);
	if (x->rank == 0 || shape_count_range(x, axis + 1, x->rank) != 1)
		return prep_refuse(err, "not along the last axis");
	TRY(prepare_rows(p, ret, axis, err));
	ret->run = run_softmax;
	if (p->node->op == OP_LOG_SOFTMAX) {
		ret->run = run_log_softmax;
		ret->inplace = false;
	}
	return ERR_OK;
}

enum err_code VEC_NAME(prepare_layer_norm_rows)(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int axis = node_axis(p->node, "axis", -1, x->rank);
	int64_t n = shape_count_range(x, axis, x->rank);
	for (int i = 1; i < p->n_in; i++)
		if (prep_has_in(p, i) &&
			(p->in[i].dtype != DTYPE_F32 || tensor_count(&p->in[i]) != n))
			return prep_refuse(err, "scale or bias is broadcast or of another type");
	for (int i = 1; i < p->n_out; i++)
		if (p->out[i].shape.rank != RANK_UNKNOWN)
			return prep_refuse(err, "mean and deviation are the reference's to give");
	ret->run = run_layer_norm;
	return prepare_rows(p, ret, axis, err);
}
