/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ml_params.h -- what the attributes of ai.onnx.ml's operators come to
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * One place reads and checks them: infer takes types and shapes from it, kernels the
 * numbers, so that no kernel meets lists whose lengths do not fit.
 *
 * Messages do not name the node. INVALID_ARGUMENT: an attribute breaks a rule.
 *
 * Ownership: borrows the node's attributes. Memory: none. Threads: any.
 */
#pragma once

#include "exec/graph.h"

#define T_ML (T(F32) | T(F64) | T(I32) | T(I64)) /* what models take */

/* X is [N,F], or [F], which is one row. */
struct ml_rows {
	int64_t rows, features; /* numbers, symbols or DIM_UNKNOWN */
};
struct ml_rows ml_rows(const struct shape *x);

/* Has the attribute as many elements as are needed? */
MUST_CHECK enum err_code ml_want_length(
	const char *name, int64_t is, int64_t want, struct err *err);

/* Class labels, or keys of a map: one of two attributes, never both. */
struct ml_labels {
	int32_t n;
	const int64_t *ints;         /* NULL: strings */
	const struct slice *strings; /* NULL: ints; both: there are none */
};
MUST_CHECK enum err_code ml_labels(const struct node *n, const char *ints, const char *strings,
	struct ml_labels *ret, struct err *err);
static inline enum dtype ml_labels_dtype(const struct ml_labels *l)
{
	return l->strings ? DTYPE_STRING : DTYPE_I64;
}

/* TreeEnsemble's numbers. */
enum ml_post {
	ML_POST_NONE,
	ML_POST_SOFTMAX,
	ML_POST_LOGISTIC,
	ML_POST_SOFTMAX_ZERO,
	ML_POST_PROBIT,
	ML_POST_COUNT_
};
MUST_CHECK enum err_code ml_post(const struct node *n, enum ml_post *ret, struct err *err);

/* One of the words in an attribute that names one; the first is the default. */
MUST_CHECK enum err_code ml_word(const struct node *n, const char *name, const char *const *words,
	int n_words, int *ret, struct err *err);

/* Normalizer's. */
enum ml_norm { ML_NORM_MAX, ML_NORM_L1, ML_NORM_L2, ML_NORM_COUNT_ };
extern const char *const ml_norms[ML_NORM_COUNT_];

/* CastMap's. */
enum ml_cast { ML_CAST_FLOAT, ML_CAST_STRING, ML_CAST_INT64, ML_CAST_COUNT_ };
enum ml_map_form { ML_MAP_DENSE, ML_MAP_SPARSE, ML_MAP_COUNT_ };
extern const char *const ml_casts[ML_CAST_COUNT_], *const ml_map_forms[ML_MAP_COUNT_];

/* LinearClassifier, LinearRegressor: scores = X coefficients^T + intercepts. */
struct ml_linear {
	int64_t features;
	int32_t targets;           /* rows of coefficients */
	const float *coefficients; /* [targets, features] */
	const float *intercepts;   /* [targets]; NULL: none */
	struct ml_labels labels;   /* the classifier's */
	bool second_class;         /* one row for two classes: the other's score is made of it */
	enum ml_post post;
};
MUST_CHECK enum err_code ml_linear_classifier(const struct node *n, const struct shape *x,
	struct ml_linear *ret, struct err *err);
MUST_CHECK enum err_code ml_linear_regressor(const struct node *n, const struct shape *x,
	struct ml_linear *ret, struct err *err);

enum ml_kernel { ML_KERNEL_LINEAR, ML_KERNEL_POLY, ML_KERNEL_RBF, ML_KERNEL_SIGMOID,
	ML_KERNEL_COUNT_ };

/* SVMClassifier, SVMRegressor. Without support vectors the coefficients are a linear model. */
struct ml_svm {
	enum ml_kernel kernel;
	float gamma, coef0, degree;
	int64_t features;
	int32_t vectors; /* 0: a linear model */
	int32_t classes;
	int32_t pairs; /* of classes */
	int32_t scores; /* columns of the classifier's output */
	const int64_t *per_class; /* vectors of each class; they sum to vectors */
	const float *support;     /* [vectors, features] */
	const float *coefficients;
	const float *rho;
	const float *prob_a, *prob_b; /* one per pair; NULL: no probabilities */
	struct ml_labels labels;
	enum ml_post post;
	bool one_class;
};
MUST_CHECK enum err_code ml_svm_classifier(const struct node *n, const struct shape *x,
	struct ml_svm *ret, struct err *err);
MUST_CHECK enum err_code ml_svm_regressor(const struct node *n, const struct shape *x,
	struct ml_svm *ret, struct err *err);

/* Scaler: (x - offset) * scale. n is 1 or the number of features. */
struct ml_scaler {
	int32_t n_offset, n_scale;
	const float *offset, *scale; /* NULL: 0, 1 */
};
MUST_CHECK enum err_code ml_scaler(const struct node *n, const struct shape *x,
	struct ml_scaler *ret, struct err *err);

/* Imputer: elements equal to `replaced` become imputed[column]. n is 1 or the features. */
struct ml_imputer {
	int32_t n;
	const float *floats; /* NULL: ints */
	const int64_t *ints;
	float replaced_float;
	int64_t replaced_int;
};
MUST_CHECK enum err_code ml_imputer(const struct node *n, enum dtype x_dtype,
	const struct shape *x, struct ml_imputer *ret, struct err *err);

/* LabelEncoder, CategoryMapper: keys to values, both as lists of one length. */
struct ml_mapping {
	struct tensor keys, values;
	struct tensor otherwise; /* one value */
	union {                  /* what otherwise may point to */
		int64_t i64;
		int32_t i32;
		int16_t i16;
		float f32;
		double f64;
		struct slice str;
	} scalar;
};
/* Fills a mapping in place: it points into itself. */
MUST_CHECK enum err_code ml_label_encoder(
	const struct node *n, struct ml_mapping *ret, struct err *err);
MUST_CHECK enum err_code ml_category_mapper(const struct node *n, enum dtype x_dtype,
	struct ml_mapping *ret, struct err *err);
