/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/ml/ml_params.h"

#include <inttypes.h>
#include "base/utf8.h"
#include "exec/infer/infer.h"

struct ml_rows ml_rows(const struct shape *x)
{
	struct ml_rows r = { DIM_UNKNOWN, DIM_UNKNOWN };
	if (x->rank == 1)
		r = (struct ml_rows){ 1, x->dim[0] };
	if (x->rank == 2)
		r = (struct ml_rows){ x->dim[0], x->dim[1] };
	return r;
}

enum err_code ml_want_length(const char *name, int64_t is, int64_t want, struct err *err)
{
	if (is == want)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"%s has %" PRId64 " elements, %" PRId64 " are needed", name, is, want);
}

static enum err_code want_features(const struct shape *x, int64_t features, struct err *err)
{
	int64_t has = ml_rows(x).features;
	if (!dim_conflict(has, features))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"input 0 is %s, the model takes %" PRId64 " features", SHAPE_TEXT(x), features);
}

/* A list for all features, or one number for each. */
static enum err_code want_per_feature(
	const struct shape *x, const char *name, int32_t n, struct err *err)
{
	int64_t last = x->rank > 0 ? x->dim[x->rank - 1] : x->rank == 0 ? 1 : DIM_UNKNOWN;
	if (n == 1 || (n > 0 && !dim_conflict(n, last)))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"%s has %d elements for an input %s, 1 or one per feature are needed", name, n,
		SHAPE_TEXT(x));
}

/* -- words and labels ------------------------------------------------------------------------ */

enum err_code ml_word(const struct node *n, const char *name, const char *const *words, int n_words,
	int *ret, struct err *err)
{
	struct slice is = node_string(n, name, words[0]);
	for (int i = 0; i < n_words; i++)
		if (slice_is(is, words[i])) {
			*ret = i;
			return ERR_OK;
		}
	/* It may reach clients, whose messages are UTF-8. */
	if (!utf8_is_valid(is))
		is = SLICE_LIT("(not text)");
	return err_set(
		err, ERR_INVALID_ARGUMENT, "%s is '%.*s', it knows no such", name, SLICE_ARG(is));
}

const char *const ml_norms[ML_NORM_COUNT_] = { "MAX", "L1", "L2" };

enum err_code ml_post(const struct node *n, enum ml_post *ret, struct err *err)
{
	static const char *const words[] = { "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
		"PROBIT" };
	int i;
	TRY(ml_word(n, "post_transform", words, ML_POST_COUNT_, &i, err));
	*ret = (enum ml_post)i;
	return ERR_OK;
}

enum err_code ml_labels(const struct node *n, const char *ints, const char *strings,
	struct ml_labels *ret, struct err *err)
{
	int32_t n_ints, n_strings;
	const int64_t *i = node_ints(n, ints, &n_ints);
	const struct slice *s = node_strings(n, strings, &n_strings);
	if (n_ints && n_strings)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "%s and %s exclude each other", ints, strings);
	*ret = (struct ml_labels){ .n = n_ints + n_strings, .ints = n_ints ? i : NULL,
		.strings = n_strings ? s : NULL };
	return ERR_OK;
}

static enum err_code want_labels(const struct ml_labels *l, struct err *err)
{
	return l->n ? ERR_OK : err_set(err, ERR_INVALID_ARGUMENT, "it has no class labels");
}

/* -- linear models --------------------------------------------------------------------------- */

/* n coefficients as rows of one length, which is that of X's if it is known. */
static enum err_code
split_rows(const char *name, int64_t n, int64_t rows, int64_t *ret_features, struct err *err)
{
	if (rows > 0 && n > 0 && n % rows == 0) {
		*ret_features = n / rows;
		return ERR_OK;
	}
	return err_set(err, ERR_INVALID_ARGUMENT,
		"%s has %" PRId64 " elements for %" PRId64 " rows", name, n, rows);
}

static enum err_code
read_linear(const struct node *n, const struct shape *x, struct ml_linear *l, struct err *err)
{
	int32_t n_coef, n_intercepts;
	l->coefficients = node_floats(n, "coefficients", &n_coef);
	l->intercepts = node_floats(n, "intercepts", &n_intercepts);
	TRY(split_rows("coefficients", n_coef, l->targets, &l->features, err));
	TRY(want_features(x, l->features, err));
	if (n_intercepts)
		TRY(ml_want_length("intercepts", n_intercepts, l->targets, err));
	else
		l->intercepts = NULL;
	return ml_post(n, &l->post, err);
}

/* Two classes may share one row of coefficients: without intercepts only their number, and
   that of the features, tells. */
static int32_t class_rows(const struct node *n, const struct shape *x, int32_t n_labels)
{
	int32_t n_coef, n_intercepts;
	node_floats(n, "coefficients", &n_coef);
	node_floats(n, "intercepts", &n_intercepts);
	if (n_intercepts)
		return n_intercepts;
	return n_labels == 0 || ml_rows(x).features == n_coef ? 1 : n_labels;
}

enum err_code ml_linear_classifier(
	const struct node *n, const struct shape *x, struct ml_linear *ret, struct err *err)
{
	struct ml_linear l = { 0 };
	TRY(ml_labels(n, "classlabels_ints", "classlabels_strings", &l.labels, err));
	l.targets = class_rows(n, x, l.labels.n);
	TRY(read_linear(n, x, &l, err));
	l.second_class = l.targets == 1 && l.labels.n == 2;
	if (l.targets > 1)
		TRY(ml_want_length(l.labels.strings ? "classlabels_strings" : "classlabels_ints",
			l.labels.n, l.targets, err));
	if (l.labels.n > 2 && l.targets == 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%d class labels share one row of coefficients", l.labels.n);
	*ret = l;
	return ERR_OK;
}

enum err_code ml_linear_regressor(
	const struct node *n, const struct shape *x, struct ml_linear *ret, struct err *err)
{
	int64_t targets = node_int(n, "targets", 1);
	if (targets < 1 || targets > INT32_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"targets is %" PRId64 ", it must be in [1,%d]", targets, INT32_MAX);
	struct ml_linear l = { .targets = (int32_t)targets };
	TRY(read_linear(n, x, &l, err));
	*ret = l;
	return ERR_OK;
}

/* -- support vector machines ----------------------------------------------------------------- */

static enum err_code read_kernel(const struct node *n, struct ml_svm *s, struct err *err)
{
	static const char *const words[] = { "LINEAR", "POLY", "RBF", "SIGMOID" };
	int32_t n_params, n_rho;
	int kernel;
	TRY(ml_word(n, "kernel_type", words, ML_KERNEL_COUNT_, &kernel, err));
	const float *params = node_floats(n, "kernel_params", &n_params);
	if (n_params)
		TRY(ml_want_length("kernel_params", n_params, 3, err));
	s->kernel = (enum ml_kernel)kernel;
	s->gamma = n_params ? params[0] : 0;
	s->coef0 = n_params ? params[1] : 0;
	s->degree = n_params ? params[2] : 0;
	s->rho = node_floats(n, "rho", &n_rho);
	if (n_rho < s->pairs)
		return err_set(err, ERR_INVALID_ARGUMENT, "rho has %d elements, %d are needed",
			n_rho, s->pairs);
	return ml_post(n, &s->post, err);
}

/* A linear model has one row of coefficients per class; otherwise they weigh the vectors,
   `coefs` for each. */
static enum err_code read_vectors(const struct node *n, const struct shape *x, int64_t rows,
	int64_t coefs, struct ml_svm *s, struct err *err)
{
	int32_t n_support, n_coef;
	s->support = node_floats(n, "support_vectors", &n_support);
	s->coefficients = node_floats(n, "coefficients", &n_coef);
	if (s->vectors == 0) {
		s->kernel = ML_KERNEL_LINEAR;
		TRY(split_rows("coefficients", n_coef, rows, &s->features, err));
	} else {
		TRY(ml_want_length("coefficients", n_coef, coefs * s->vectors, err));
		TRY(split_rows("support_vectors", n_support, s->vectors, &s->features, err));
	}
	return want_features(x, s->features, err);
}

static enum err_code count_vectors(const struct node *n, struct ml_svm *s, struct err *err)
{
	int32_t n_counts;
	int64_t sum = 0;
	s->per_class = node_ints(n, "vectors_per_class", &n_counts);
	for (int32_t i = 0; i < n_counts; i++) {
		if (s->per_class[i] < 0 || s->per_class[i] > INT32_MAX - sum)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"vectors_per_class[%d] is %" PRId64 ", which cannot be", i,
				s->per_class[i]);
		sum += s->per_class[i];
	}
	s->vectors = (int32_t)sum;
	return sum ? ml_want_length("vectors_per_class", n_counts, s->classes, err) : ERR_OK;
}

#define SVM_CLASSES_MAX 4096 /* their pairs are counted in 32 bits, and scores lie in scratch */

enum err_code ml_svm_classifier(const struct node *n, const struct shape *x, struct ml_svm *ret,
	struct err *err)
{
	struct ml_svm s = { 0 };
	int32_t n_a, n_b;
	TRY(ml_labels(n, "classlabels_ints", "classlabels_strings", &s.labels, err));
	TRY(want_labels(&s.labels, err));
	if (s.labels.n > SVM_CLASSES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "%d classes are more than %d", s.labels.n,
			SVM_CLASSES_MAX);
	s.classes = s.labels.n;
	TRY(count_vectors(n, &s, err));
	s.pairs = s.vectors ? s.classes * (s.classes - 1) / 2 : 1;
	TRY(read_kernel(n, &s, err));
	TRY(read_vectors(n, x, s.classes, s.classes - 1, &s, err));
	s.prob_a = node_floats(n, "prob_a", &n_a);
	s.prob_b = node_floats(n, "prob_b", &n_b);
	TRY(ml_want_length("prob_b", n_b, n_a, err));
	if (n_a && s.vectors)
		TRY(ml_want_length("prob_a", n_a, s.pairs, err));
	else
		s.prob_a = s.prob_b = NULL;
	s.scores = s.vectors && !s.prob_a && s.classes > 2 ? s.pairs : s.classes;
	if (s.vectors && s.classes == 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "one class has no other to be told from");
	*ret = s;
	return ERR_OK;
}

enum err_code ml_svm_regressor(const struct node *n, const struct shape *x, struct ml_svm *ret,
	struct err *err)
{
	int64_t vectors = node_int(n, "n_supports", 0);
	if (vectors < 0 || vectors > INT32_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"n_supports is %" PRId64 ", which cannot be", vectors);
	struct ml_svm s = { .vectors = (int32_t)vectors, .pairs = 1,
		.one_class = node_int(n, "one_class", 0) };
	TRY(read_kernel(n, &s, err));
	TRY(read_vectors(n, x, 1, 1, &s, err));
	*ret = s;
	return ERR_OK;
}

/* -- features -------------------------------------------------------------------------------- */

enum err_code ml_scaler(const struct node *n, const struct shape *x, struct ml_scaler *ret,
	struct err *err)
{
	struct ml_scaler s;
	s.offset = node_floats(n, "offset", &s.n_offset);
	s.scale = node_floats(n, "scale", &s.n_scale);
	if (s.n_offset)
		TRY(want_per_feature(x, "offset", s.n_offset, err));
	if (s.n_scale)
		TRY(want_per_feature(x, "scale", s.n_scale, err));
	*ret = s;
	return ERR_OK;
}

enum err_code ml_imputer(const struct node *n, enum dtype x_dtype, const struct shape *x,
	struct ml_imputer *ret, struct err *err)
{
	bool is_float = dtype_in(x_dtype, T_REAL);
	int32_t n_floats, n_ints;
	struct ml_imputer m = { .replaced_float = node_float(n, "replaced_value_float", 0),
		.replaced_int = node_int(n, "replaced_value_int64", 0) };
	m.floats = node_floats(n, "imputed_value_floats", &n_floats);
	m.ints = node_ints(n, "imputed_value_int64s", &n_ints);
	if (n_floats && n_ints)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"imputed_value_floats and imputed_value_int64s exclude each other");
	m.n = is_float ? n_floats : n_ints;
	if (m.n == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s is missing for an input of %s",
			is_float ? "imputed_value_floats" : "imputed_value_int64s",
			dtype_name(x_dtype));
	TRY(want_per_feature(
		x, is_float ? "imputed_value_floats" : "imputed_value_int64s", m.n, err));
	for (int32_t i = 0; x_dtype == DTYPE_I32 && i < m.n; i++)
		if (m.ints[i] < INT32_MIN || m.ints[i] > INT32_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"imputed_value_int64s[%d] is %" PRId64 ", which is no int32", i,
				m.ints[i]);
	*ret = m;
	return ERR_OK;
}
