/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax, LogSoftmax, Layer-, RMS- and LpNormalization of floats along the last axes: a row at a
 * time, which the first-level cache mostly holds. Compiled once per instruction set; ISA is avx2 or
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

/* The compiler makes one vector of the loop. */
#define BY_LANES(name, fn) \
	static inline vec name(vec x) \
	{ \
		float lane[VEC_FLOATS]; \
		memcpy(lane, &x, sizeof(x)); \
		for (int i = 0; i < VEC_FLOATS; i++) \
			lane[i] = fn(lane[i]); \
		memcpy(&x, lane, sizeof(x)); \
		return x; \
	}
BY_LANES(exp_below, vec_exp_below)
BY_LANES(log_of, vec_log)

/* y = exp(x - top); returns the sum. Beyond a row's end is exp(-infinity). */
static double exp_row(float *y, const float *x, int64_t n, float top)
{
	double sum = 0;
	vec shift = vec_all(top);
	for (int64_t k = 0; k < n;) {
		vec sums[SUMS] = { 0 };
		int64_t end = min_i64(n, k + SUMS_ROW);
		for (; k + SUMS_STEP <= end; k += SUMS_STEP)
			UNROLL for (int i = 0; i < SUMS; i++) {
				vec e = exp_below(*(const vec *)(x + k + i * VEC_FLOATS) - shift);
				*(vec *)(y + k + i * VEC_FLOATS) = e;
				sums[i] += e;
			}
		for (; k < end; k += VEC_FLOATS) {
			int64_t left = min_i64(VEC_FLOATS, end - k);
			vec e = exp_below(
				vec_load_first(x + k, left, vec_all(-INFINITY)) - shift);
			vec_store_first(y + k, left, e);
			sums[0] += e;
		}
		sum += (double)sum_of_lanes(sums);
	}
	return sum;
}

/* A row of -infinity alone, or with a NaN, gives NaN, as the formula does. */
static void softmax_row(float *y, const float *x, int64_t n)
{
	float scale = (float)(1 / exp_row(y, x, n, max_of(x, n)));
	IVDEP for (int64_t k = 0; k < n; k++)
		y[k] *= scale;
}

/* The same of a row that fits into a vector. */
static void softmax_short(float *y, const float *x, int64_t n)
{
	vec v = vec_load_first(x, n, vec_all(-INFINITY));
	vec e = exp_below(v - vec_all(max_of_vec(v)));
	vec_store_first(y, n, e * vec_all(1 / sum_of_vec(e)));
}

/* y is not x. */
static void log_softmax_row(float *y, const float *x, int64_t n)
{
	float top = max_of(x, n);
	float all = (float)log(exp_row(y, x, n, top));
	for (int64_t k = 0; k < n; k++)
		y[k] = x[k] - top - all;
}

static void log_softmax_short(float *y, const float *x, int64_t n)
{
	vec v = vec_load_first(x, n, vec_all(-INFINITY));
	v -= vec_all(max_of_vec(v));
	vec_store_first(y, n, v - log_of(vec_all(sum_of_vec(exp_below(v)))));
}

#define RUN_ROWS(name) \
	static void run_##name(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct rows_state *s = a->state; \
		const float *x = a->in[0].data; \
		float *y = a->out[0].data; \
		int64_t from, to; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t r = from; r < to; r++) \
			name(y + r * s->n, x + r * s->n, s->n); \
	}
RUN_ROWS(softmax_row)
RUN_ROWS(softmax_short)
RUN_ROWS(log_softmax_row)
RUN_ROWS(log_softmax_short)

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

/* A row of zeros stays so. */
static void run_lp_norm(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct rows_state *s = a->state;
	int64_t from, to, n = s->n;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t r = from; r < to; r++) {
		const float *x = (const float *)a->in[0].data + r * n;
		float *y = (float *)a->out[0].data + r * n;
		double square = sum_powers_long(x, n, 0, true);
		float inverse = square > 0 ? (float)(1 / sqrt(square)) : (float)square;
		IVDEP for (int64_t k = 0; k < n; k++)
			y[k] = x[k] * inverse;
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
	bool is_short = x->dim[axis] <= VEC_FLOATS;
	ret->run = is_short ? run_softmax_short : run_softmax_row;
	if (p->node->op == OP_LOG_SOFTMAX) {
		ret->run = is_short ? run_log_softmax_short : run_log_softmax_row;
		ret->inplace = is_short;
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

enum err_code VEC_NAME(prepare_lp_norm_rows)(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int axis = node_axis(p->node, "axis", -1, x->rank);
	if (x->rank == 0 || shape_count_range(x, axis + 1, x->rank) != 1 ||
		node_int(p->node, "p", 2) != 2)
		return prep_refuse(err, "not along the last axis, or not of squares");
	ret->run = run_lp_norm;
	return prepare_rows(p, ret, axis, err);
}
