/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalizations, reference: Batch-, Instance-, Group-, Layer- and LpNormalization, LRN.
 * Means and variances are in double, in two passes.
 */
#include "exec/cpu/cpu.h"

#include <math.h>
#include "exec/cpu/types.h"
#include "exec/cpu/walk.h"

struct norm_state {
	struct split split; /* of channels, groups or rows */
	int64_t outer, channels, inner; /* N, C and what follows; rows and row for LayerNorm */
	int64_t groups;
	double epsilon, momentum, alpha, beta, bias;
	int64_t size, p;
	bool rms; /* RMSNormalization: the mean stays where it is */
	struct walk walk; /* LayerNorm: scale and bias, broadcast */
};

static struct norm_state *
norm_state(struct prep *p, struct kernel *ret, int axis, run_fn f32, run_fn f64)
{
	struct norm_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	const struct shape *x = &p->in[0].shape;
	s->outer = shape_count_range(x, 0, axis);
	s->channels = axis < x->rank ? x->dim[axis] : 1;
	s->inner = axis < x->rank ? shape_count_range(x, axis + 1, x->rank) : 1;
	s->epsilon = (double)node_float(p->node, "epsilon", 1e-5f);
	ret->run = p->in[0].dtype == DTYPE_F64 ? f64 : f32;
	return s;
}

static double element_ns(const struct norm_state *s)
{
	return 3 * (double)s->inner + 10;
}

/* Mean and variance of `rows` rows of n, `stride` apart. */
#define MOMENTS(id, T, U) \
	static void moments_##T(const T *x, int64_t rows, int64_t n, int64_t stride, double *mean, \
		double *variance) \
	{ \
		double sum = 0, square = 0, count = (double)(rows * n); \
		for (int64_t r = 0; r < rows; r++) \
			for (int64_t i = 0; i < n; i++) \
				sum += (double)x[r * stride + i]; \
		*mean = sum / count; \
		for (int64_t r = 0; r < rows; r++) \
			for (int64_t i = 0; i < n; i++) { \
				double d = (double)x[r * stride + i] - *mean; \
				square += d * d; \
			} \
		*variance = square / count; \
	} \
	static void scale_row_##T(T *o, const T *x, int64_t n, double mean, double scale, \
		double bias) \
	{ \
		IVDEP for (int64_t i = 0; i < n; i++) \
			o[i] = (T)(((double)x[i] - mean) * scale + bias); \
	}
FOR_REAL(MOMENTS)

/* -- BatchNormalization: an item is one channel of one image, or, in training, a channel ------ */

#define BATCH_NORM(id, T, U) \
	static void run_batch_norm_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct norm_state *s = a->state; \
		int64_t from, to; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t i = from; i < to; i++) { \
			int64_t c = i % s->channels; \
			double scale = tensor_float(&a->in[1], c) / \
				       sqrt(tensor_float(&a->in[4], c) + s->epsilon); \
			scale_row_##T((T *)a->out[0].data + i * s->inner, \
				(const T *)a->in[0].data + i * s->inner, s->inner, \
				tensor_float(&a->in[3], c), scale, tensor_float(&a->in[2], c)); \
		} \
	} \
	/* Channels last: what is the same of all rows is worked out once. */ \
	static void run_batch_norm_rows_##T( \
		const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct norm_state *s = a->state; \
		int64_t from, to, n = s->channels; \
		double *mean = a->scratch, *scale = mean + n, *bias = scale + n; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t c = 0; c < n; c++) { \
			mean[c] = tensor_float(&a->in[3], c); \
			scale[c] = tensor_float(&a->in[1], c) / \
				sqrt(tensor_float(&a->in[4], c) + s->epsilon); \
			bias[c] = tensor_float(&a->in[2], c); \
		} \
		for (int64_t r = from; r < to; r++) { \
			const T *x = (const T *)a->in[0].data + r * n; \
			T *y = (T *)a->out[0].data + r * n; \
			IVDEP for (int64_t c = 0; c < n; c++) \
				y[c] = (T)(((double)x[c] - mean[c]) * scale[c] + bias[c]); \
		} \
	} \
	static void run_batch_norm_training_##T( \
		const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct norm_state *s = a->state; \
		int64_t from, to, image = s->channels * s->inner; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t c = from; c < to; c++) { \
			const T *x = (const T *)a->in[0].data + c * s->inner; \
			double mean, variance, m = s->momentum; \
			moments_##T(x, s->outer, s->inner, image, &mean, &variance); \
			for (int64_t n = 0; n < s->outer; n++) \
				scale_row_##T((T *)a->out[0].data + n * image + c * s->inner, \
					x + n * image, s->inner, mean, \
					tensor_float(&a->in[1], c) / sqrt(variance + s->epsilon), \
					tensor_float(&a->in[2], c)); \
			if (args_has_out(a, 1)) \
				set_real(&a->out[1], c, tensor_float(&a->in[3], c) * m + mean * \
					(1 - m)); \
			if (args_has_out(a, 2)) \
				set_real(&a->out[2], c, \
					tensor_float(&a->in[4], c) * m + variance * (1 - m)); \
		} \
	}

/* The statistics' type may differ from the data's. */
static void set_real(const struct tensor *t, int64_t i, double v)
{
	if (t->dtype == DTYPE_F64)
		((double *)t->data)[i] = v;
	else
		((float *)t->data)[i] = (float)v;
}
FOR_REAL(BATCH_NORM)

enum err_code prepare_batch_norm(struct prep *p, struct kernel *ret, struct err *err)
{
	bool training = node_int(p->node, "training_mode", 0) != 0;
	struct norm_state *s = norm_state(p, ret, 1,
		training ? run_batch_norm_training_float : run_batch_norm_float,
		training ? run_batch_norm_training_double : run_batch_norm_double);
	if (!s)
		return err_oom(err);
	if (p->in[0].shape.rank == 1) { /* [N]: one channel */
		s->outer = p->in[0].shape.dim[0];
		s->channels = 1;
	}
	s->momentum = (double)node_float(p->node, "momentum", 0.9f);
	ret->inplace = !training;
	if (!training && s->inner == 1 && s->channels > 1) {
		ret->run = p->in[0].dtype == DTYPE_F64 ? run_batch_norm_rows_double
						       : run_batch_norm_rows_float;
		ret->scratch_bytes = 3 * (size_t)s->channels * sizeof(double);
		s->split = split_work(p, ret, s->outer, (double)s->channels);
		return ERR_OK;
	}
	s->split = split_work(p, ret, (training ? 1 : s->outer) * s->channels,
		element_ns(s) * (training ? (double)s->outer : 1));
	return ERR_OK;
}

/* -- InstanceNormalization and GroupNormalization: an item is one group of one image ---------- */

#define GROUP_NORM(id, T, U) \
	static void run_group_norm_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct norm_state *s = a->state; \
		int64_t from, to, per = s->channels / s->groups; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t i = from; i < to; i++) { \
			const T *x = (const T *)a->in[0].data + i * per * s->inner; \
			double mean, variance; \
			moments_##T(x, 1, per * s->inner, 0, &mean, &variance); \
			for (int64_t k = 0; k < per; k++) { \
				int64_t c = i % s->groups * per + k; \
				scale_row_##T((T *)a->out[0].data + (i * per + k) * s->inner, \
					x + k * s->inner, s->inner, mean, \
					tensor_float(&a->in[1], c) / sqrt(variance + s->epsilon), \
					tensor_float(&a->in[2], c)); \
			} \
		} \
	}
FOR_REAL(GROUP_NORM)

enum err_code prepare_group_norm(struct prep *p, struct kernel *ret, struct err *err)
{
	struct norm_state *s = norm_state(p, ret, 1, run_group_norm_float, run_group_norm_double);
	if (!s)
		return err_oom(err);
	s->groups = p->node->op == OP_GROUP_NORM ? node_int(p->node, "num_groups", 1) : s->channels;
	s->split = split_work(p, ret, s->inner && s->groups ? s->outer * s->groups : 0,
		element_ns(s) * (double)s->channels / (double)max_i64(s->groups, 1));
	ret->inplace = true;
	return ERR_OK;
}

/* -- LayerNormalization, RMSNormalization: an item is a row; scale and bias broadcast to it --- */

#define LAYER_NORM(id, T, U) \
	static void run_layer_norm_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct norm_state *s = a->state; \
		const T *x = a->in[0].data, *scale = a->in[1].data; \
		const T *bias = args_has_in(a, 2) ? a->in[2].data : NULL; \
		T *o = a->out[0].data; \
		int64_t from, to, n = s->inner; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t r = from; r < to; r++) { \
			double mean, variance; \
			moments_##T(x + r * n, 1, n, 0, &mean, &variance); \
			if (s->rms) { \
				variance += mean * mean; \
				mean = 0; \
			} \
			double inverse = 1 / sqrt(variance + s->epsilon); \
			struct walk_iter it; \
			walk_begin(&it, &s->walk, r * n, (r + 1) * n); \
			while (walk_next(&it)) \
				for (int64_t i = 0; i < it.n; i++) { \
					int64_t k = it.off[0] + i * s->walk.step[0]; \
					int64_t m = it.off[1] + i * s->walk.step[1]; \
					double y = ((double)x[it.at + i] - mean) * inverse; \
					o[it.at + i] = (T)(y * (double)scale[k] + \
							   (bias ? (double)bias[m] : 0)); \
				} \
			if (args_has_out(a, 1)) \
				set_real(&a->out[1], r, mean); \
			if (args_has_out(a, 2)) \
				set_real(&a->out[2], r, inverse); \
		} \
	}
FOR_REAL(LAYER_NORM)

enum err_code prepare_layer_norm(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	int axis = node_axis(p->node, "axis", -1, x->rank);
	if (p->in[1].dtype != p->in[0].dtype)
		return prep_refuse(err, "scale is of another type");
	struct norm_state *s =
		norm_state(p, ret, axis, run_layer_norm_float, run_layer_norm_double);
	if (!s)
		return err_oom(err);
	s->rms = p->node->op == OP_RMS_NORM;
	s->inner *= s->channels;
	const struct shape *bias = prep_has_in(p, 2) ? &p->in[2].shape : &p->in[1].shape;
	walk_init(&s->walk, x, 2, (const struct shape *const[]){ &p->in[1].shape, bias });
	s->split = split_work(p, ret, s->inner ? s->outer : 0, element_ns(s));
	ret->inplace = true;
	return ERR_OK;
}

/* -- LpNormalization: an item is one slice along the axis -------------------------------------- */

#define LP_NORM(id, T, U) \
	static void run_lp_norm_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct norm_state *s = a->state; \
		int64_t from, to; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t i = from; i < to; i++) { \
			int64_t at = i / s->inner * s->channels * s->inner + i % s->inner; \
			const T *x = (const T *)a->in[0].data + at; \
			T *o = (T *)a->out[0].data + at; \
			double sum = 0; \
			for (int64_t k = 0; k < s->channels; k++) { \
				double v = (double)x[k * s->inner]; \
				sum += s->p == 1 ? fabs(v) : v * v; \
			} \
			double norm = s->p == 1 ? sum : sqrt(sum); \
			for (int64_t k = 0; k < s->channels; k++) \
				o[k * s->inner] = (T)(norm == 0 ? 0 \
					: (double)x[k * s->inner] / norm); \
		} \
	}
FOR_REAL(LP_NORM)

enum err_code prepare_lp_norm(struct prep *p, struct kernel *ret, struct err *err)
{
	int axis = node_axis(p->node, "axis", -1, p->in[0].shape.rank);
	struct norm_state *s = norm_state(p, ret, axis, run_lp_norm_float, run_lp_norm_double);
	if (!s)
		return err_oom(err);
	s->p = node_int(p->node, "p", 2);
	s->split = split_work(p, ret, s->outer * s->inner, 10 + 4 * (double)s->channels);
	ret->inplace = true;
	return ERR_OK;
}

/* -- LRN: an item is one channel of one image -------------------------------------------------- */

#define LRN(id, T, U) \
	static void run_lrn_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct norm_state *s = a->state; \
		int64_t from, to; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			int64_t c = item % s->channels; \
			int64_t low = max_i64(c - (s->size - 1) / 2, 0) - c; \
			int64_t high = min_i64(c + s->size / 2, s->channels - 1) - c; \
			const T *x = (const T *)a->in[0].data + item * s->inner; \
			T *o = (T *)a->out[0].data + item * s->inner; \
			for (int64_t i = 0; i < s->inner; i++) { \
				double sum = 0; \
				for (int64_t k = low; k <= high; k++) \
					sum += (double)x[k * s->inner + i] * \
						(double)x[k * s->inner + i]; \
				o[i] = (T)((double)x[i] / \
					   pow(s->bias + s->alpha / (double)s->size * sum, \
					   	s->beta)); \
			} \
		} \
	}
FOR_REAL(LRN)

enum err_code prepare_lrn(struct prep *p, struct kernel *ret, struct err *err)
{
	struct norm_state *s = norm_state(p, ret, 1, run_lrn_float, run_lrn_double);
	if (!s)
		return err_oom(err);
	s->alpha = (double)node_float(p->node, "alpha", 0.0001f);
	s->beta = (double)node_float(p->node, "beta", 0.75f);
	s->bias = (double)node_float(p->node, "bias", 1);
	s->size = node_int(p->node, "size", 1);
	s->split = split_work(p, ret, s->outer * s->channels, (double)s->inner * 40);
	return ERR_OK;
}
