/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands before a model: Binarizer, Imputer, Normalizer, Scaler element by element or row
 * by row, FeatureVectorizer and ArrayFeatureExtractor, which gather columns.
 */
#include <math.h>
#include <string.h>
#include "exec/cpu/ml/ml.h"
#include "exec/cpu/types.h"

#define FOR_ML(X) X(F32, float) X(F64, double) X(I32, int32_t) X(I64, int64_t)

/* -- Binarizer ------------------------------------------------------------------------------- */

struct binarizer_state {
	struct split split;
	float threshold;
};

static void run_binarizer(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct binarizer_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	switch (a->in[0].dtype) {
#define X(id, type) \
	case DTYPE_##id: \
		for (int64_t i = from; i < to; i++) \
			((type *)a->out[0].data)[i] = \
				(double)((const type *)a->in[0].data)[i] > (double)s->threshold; \
		break;
		FOR_ML(X)
#undef X
	default: break;
	}
}

enum err_code prepare_binarizer(struct prep *p, struct kernel *ret, struct err *err)
{
	struct binarizer_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->threshold = node_float(p->node, "threshold", 0);
	s->split = split_work(p, ret, tensor_count(&p->in[0]), 1);
	ret->run = run_binarizer;
	ret->inplace = true;
	return ERR_OK;
}

/* -- Imputer --------------------------------------------------------------------------------- */

struct imputer_state {
	struct split split;
	struct ml_imputer m;
};

static inline bool same_real(double x, double y)
{
	return x == y || (isnan(x) && isnan(y));
}

static inline bool same_int(int64_t x, int64_t y)
{
	return x == y;
}

static void run_imputer(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct imputer_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	switch (a->in[0].dtype) {
#define IMPUTE(id, type, same, list, replaced) \
	case DTYPE_##id: \
		for (int64_t i = from; i < to; i++) { \
			type x = ((const type *)a->in[0].data)[i]; \
			((type *)a->out[0].data)[i] = \
				same(x, replaced) ? (type)list[i % s->m.n] : x; \
		} \
		break;
		IMPUTE(F32, float, same_real, s->m.floats, s->m.replaced_float)
		IMPUTE(F64, double, same_real, s->m.floats, s->m.replaced_float)
		IMPUTE(I32, int32_t, same_int, s->m.ints, s->m.replaced_int)
		IMPUTE(I64, int64_t, same_int, s->m.ints, s->m.replaced_int)
#undef IMPUTE
	default: break;
	}
}

enum err_code prepare_imputer(struct prep *p, struct kernel *ret, struct err *err)
{
	struct imputer_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(ml_imputer(p->node, p->in[0].dtype, &p->in[0].shape, &s->m, err));
	s->split = split_work(p, ret, tensor_count(&p->in[0]), 2);
	ret->run = run_imputer;
	ret->inplace = true;
	return ERR_OK;
}

/* -- Scaler ---------------------------------------------------------------------------------- */

struct scaler_state {
	struct split split; /* of rows */
	int64_t n;
	const double *offset, *scale; /* one per column */
};

static void run_scaler(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct scaler_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		float *y = (float *)a->out[0].data + row * s->n;
		switch (a->in[0].dtype) {
#define X(id, type) \
	case DTYPE_##id: { \
		const type *x = (const type *)a->in[0].data + row * s->n; \
		for (int64_t i = 0; i < s->n; i++) \
			y[i] = (float)(((double)x[i] - s->offset[i]) * s->scale[i]); \
		break; \
	}
			FOR_ML(X)
#undef X
		default: break;
		}
	}
}

static const double *
one_per_column(struct prep *p, const float *v, int32_t n, float otherwise, int64_t columns)
{
	double *list = prep_alloc(p, (size_t)columns * sizeof(*list));
	for (int64_t i = 0; list && i < columns; i++)
		list[i] = (double)(n ? v[n == 1 ? 0 : i] : otherwise);
	return list;
}

enum err_code prepare_scaler(struct prep *p, struct kernel *ret, struct err *err)
{
	struct scaler_state *s = kernel_state(p, ret, sizeof(*s));
	const struct shape *x = &p->in[0].shape;
	struct ml_scaler m;
	if (!s)
		return err_oom(err);
	TRY(ml_scaler(p->node, x, &m, err));
	s->n = x->rank ? x->dim[x->rank - 1] : 1;
	s->offset = one_per_column(p, m.offset, m.n_offset, 0, s->n);
	s->scale = one_per_column(p, m.scale, m.n_scale, 1, s->n);
	if (!s->offset || !s->scale)
		return err_oom(err);
	s->split = split_work(p, ret, s->n ? tensor_count(&p->in[0]) / s->n : 0, (double)s->n);
	ret->run = run_scaler;
	ret->inplace = p->in[0].dtype == DTYPE_F32;
	return ERR_OK;
}

/* -- Normalizer ------------------------------------------------------------------------------ */

struct normalizer_state {
	struct split split; /* of rows */
	int64_t n;
	enum ml_norm norm;
};

static double norm_of(const struct tensor *x, int64_t at, int64_t n, enum ml_norm norm)
{
	double sum = norm == ML_NORM_MAX ? -INFINITY : 0;
	for (int64_t i = at; i < at + n; i++) {
		double v = tensor_float(x, i);
		if (norm == ML_NORM_MAX)
			sum = v > sum ? v : sum;
		else
			sum += norm == ML_NORM_L1 ? fabs(v) : v * v;
	}
	return norm == ML_NORM_L2 ? sqrt(sum) : sum;
}

static void run_normalizer(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct normalizer_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		double d = norm_of(&a->in[0], row * s->n, s->n, s->norm);
		for (int64_t i = row * s->n; i < (row + 1) * s->n; i++) {
			double v = tensor_float(&a->in[0], i);
			((float *)a->out[0].data)[i] = (float)(d != 0 ? v / d : v);
		}
	}
}

enum err_code prepare_normalizer(struct prep *p, struct kernel *ret, struct err *err)
{
	struct normalizer_state *s = kernel_state(p, ret, sizeof(*s));
	struct ml_rows rows = ml_rows(&p->in[0].shape);
	int norm;
	if (!s)
		return err_oom(err);
	TRY(ml_word(p->node, "norm", ml_norms, ML_NORM_COUNT_, &norm, err));
	s->norm = (enum ml_norm)norm;
	s->n = rows.features;
	s->split = split_work(p, ret, rows.rows, 4.0 * (double)s->n);
	ret->run = run_normalizer;
	ret->inplace = p->in[0].dtype == DTYPE_F32;
	return ERR_OK;
}

/* -- FeatureVectorizer: an item is a row ------------------------------------------------------ */

struct vectorizer_state {
	struct split split;
	int64_t columns;
	const int64_t *take; /* columns of each input */
};

static void run_feature_vectorizer(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct vectorizer_state *s = a->state;
	int64_t from, to, rows = a->out[0].shape.dim[0];
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		float *y = (float *)a->out[0].data + row * s->columns;
		for (int k = 0; k < a->n_in; k++) {
			int64_t has = tensor_count(&a->in[k]) / rows;
			for (int64_t i = 0; i < s->take[k]; i++)
				*y++ = i < has ? (float)tensor_float(&a->in[k], row * has + i) : 0;
		}
	}
}

enum err_code prepare_feature_vectorizer(struct prep *p, struct kernel *ret, struct err *err)
{
	struct vectorizer_state *s = kernel_state(p, ret, sizeof(*s));
	int32_t n;
	if (!s)
		return err_oom(err);
	s->take = node_ints(p->node, "inputdimensions", &n);
	s->columns = p->out[0].shape.dim[1];
	s->split = split_work(p, ret, p->out[0].shape.dim[0], 2.0 * (double)s->columns);
	ret->run = run_feature_vectorizer;
	return ERR_OK;
}

/* -- ArrayFeatureExtractor: an item is a row of the last axis ---------------------------------- */

struct extractor_state {
	struct split split;
	int64_t n, indices, bytes;
};

static void run_array_feature_extractor(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct extractor_state *s = a->state;
	const int64_t *index = a->in[1].data;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++)
		for (int64_t i = 0; i < s->indices; i++) {
			char *dst = (char *)a->out[0].data + (row * s->indices + i) * s->bytes;
			if (index[i] < 0 || index[i] >= s->n) {
				kernel_fault(a, FAULT_INDEX, index[i]);
				memset(dst, 0, (size_t)s->bytes);
				continue;
			}
			memcpy(dst,
				(const char *)a->in[0].data + (row * s->n + index[i]) * s->bytes,
				(size_t)s->bytes);
		}
}

enum err_code prepare_array_feature_extractor(struct prep *p, struct kernel *ret, struct err *err)
{
	struct extractor_state *s = kernel_state(p, ret, sizeof(*s));
	const struct shape *x = &p->in[0].shape;
	if (!s)
		return err_oom(err);
	s->n = x->dim[x->rank - 1];
	s->indices = tensor_count(&p->in[1]);
	s->bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	s->split =
		split_work(p, ret, shape_count_range(x, 0, x->rank - 1), 3.0 * (double)s->indices);
	ret->run = run_array_feature_extractor;
	return ERR_OK;
}
