/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_ml.c -- ai.onnx.ml: features, categories, models
 */
#include <inttypes.h>
#include "exec/infer/infer.h"
#include "exec/infer/ml/ml_params.h"
#include "exec/infer/ml/tree_model.h"

static enum dtype x_dtype(const struct infer *x)
{
	return x->in[0]->type.dtype;
}

static const struct shape *x_shape(const struct infer *x)
{
	return &x->in[0]->shape;
}

/* What models take: rows of features, or one row. */
static enum err_code want_rows(const struct infer *x, struct err *err)
{
	TRY(infer_want_type(x, 0, T_ML, err));
	return infer_want_rank(x, 0, 1, 2, err);
}

static void set_columns(struct infer *x, int out, enum dtype dtype, int64_t columns)
{
	struct shape s = shape_of(ml_rows(x_shape(x)).rows, columns);
	infer_set(x, out, dtype, &s);
}

/* A classifier gives one label per row, and scores. */
static void set_classes(struct infer *x, const struct ml_labels *labels, int64_t scores)
{
	struct shape s = shape_of(ml_rows(x_shape(x)).rows);
	infer_set(x, 0, ml_labels_dtype(labels), &s);
	set_columns(x, 1, DTYPE_F32, scores);
}

/* -- features -------------------------------------------------------------------------------- */

enum err_code infer_array_feature_extractor(struct infer *x, struct err *err)
{
	const struct shape *indices = &x->in[1]->shape;
	const struct tensor *known = x->in[1]->data;
	int64_t n = DIM_UNKNOWN;
	TRY(infer_want_type(x, 0, T_ML | T(STRING), err));
	TRY(infer_want_type(x, 1, T(I64), err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	struct shape out = *x_shape(x);
	if (shape_is_static(indices) && shape_count_overflows(indices, &n))
		return infer_fail(x, err, "input 1 is %s, which is too large", SHAPE_TEXT(indices));
	for (int64_t i = 0; known && out.rank > 0 && i < n; i++) {
		int64_t v = tensor_int(known, i), d = out.dim[out.rank - 1];
		if (v < 0 || (d >= 0 && v >= d))
			return infer_fail(x, err,
				"index %" PRId64 " is out of range for input 0, %s", v,
				SHAPE_TEXT(&out));
	}
	if (out.rank == 1)
		out = shape_of(1, n);
	else if (out.rank > 1)
		out.dim[out.rank - 1] = n;
	infer_set(x, 0, x_dtype(x), &out);
	return ERR_OK;
}

enum err_code infer_binarizer(struct infer *x, struct err *err)
{
	TRY(infer_want_type(x, 0, T_ML, err));
	infer_set(x, 0, x_dtype(x), x_shape(x));
	return ERR_OK;
}

/* Inputs as [rows, the rest]; the attribute says how much of each is taken, or padded. */
enum err_code infer_feature_vectorizer(struct infer *x, struct err *err)
{
	int32_t n;
	int64_t columns = 0, rows = DIM_UNKNOWN;
	const int64_t *take = node_ints(x->node, "inputdimensions", &n);
	TRY(infer_want_one_type(x, 0, T_ML, err));
	if (n != x->n_in)
		return infer_fail(
			x, err, "inputdimensions has %d elements for %d inputs", n, x->n_in);
	for (int i = 0; i < x->n_in; i++) {
		if (!infer_has(x, i))
			return infer_fail(x, err, "input %d is required", i);
		const struct shape *s = &x->in[i]->shape;
		TRY(infer_want_rank(x, i, 1, RANK_MAX, err));
		int64_t has = s->rank == 1 ? 1 : s->rank > 1 ? s->dim[0] : DIM_UNKNOWN;
		if (dim_conflict(rows, has))
			return infer_fail(x, err,
				"input %d is %s, those before have %" PRId64 " rows", i,
				SHAPE_TEXT(s), rows);
		rows = dim_merge(rows, has);
		if (take[i] < 0 || take[i] > INT32_MAX)
			return infer_fail(x, err,
				"inputdimensions[%d] is %" PRId64 ", which cannot be", i, take[i]);
		columns += take[i];
	}
	struct shape out = shape_of(rows, columns);
	infer_set(x, 0, DTYPE_F32, &out);
	return ERR_OK;
}

enum err_code infer_imputer(struct infer *x, struct err *err)
{
	struct ml_imputer m;
	TRY(infer_want_type(x, 0, T_ML, err));
	TRY(infer_want_rank(x, 0, 1, RANK_MAX, err));
	if (x_dtype(x) != DTYPE_UNDEFINED)
		TRY(ml_imputer(x->node, x_dtype(x), x_shape(x), &m, err));
	infer_set(x, 0, x_dtype(x), x_shape(x));
	return ERR_OK;
}

enum err_code infer_normalizer(struct infer *x, struct err *err)
{
	int norm;
	TRY(want_rows(x, err));
	TRY(ml_word(x->node, "norm", ml_norms, ML_NORM_COUNT_, &norm, err));
	infer_set(x, 0, DTYPE_F32, x_shape(x));
	return ERR_OK;
}

enum err_code infer_scaler(struct infer *x, struct err *err)
{
	struct ml_scaler s;
	TRY(infer_want_type(x, 0, T_ML, err));
	TRY(ml_scaler(x->node, x_shape(x), &s, err));
	infer_set(x, 0, DTYPE_F32, x_shape(x));
	return ERR_OK;
}

/* -- categories ------------------------------------------------------------------------------ */

enum err_code infer_category_mapper(struct infer *x, struct err *err)
{
	struct ml_mapping m;
	TRY(infer_want_type(x, 0, T(I64) | T(STRING), err));
	TRY(ml_category_mapper(x->node, x_dtype(x), &m, err));
	infer_set(
		x, 0, x_dtype(x) == DTYPE_UNDEFINED ? DTYPE_UNDEFINED : m.values.dtype, x_shape(x));
	return ERR_OK;
}

enum err_code infer_label_encoder(struct infer *x, struct err *err)
{
	struct ml_mapping m;
	TRY(ml_label_encoder(x->node, &m, err));
	TRY(infer_want_type(x, 0, UINT64_C(1) << m.keys.dtype, err));
	infer_set(x, 0, m.values.dtype, x_shape(x));
	return ERR_OK;
}

enum err_code infer_one_hot_encoder(struct infer *x, struct err *err)
{
	struct ml_labels cats;
	struct shape out = *x_shape(x);
	TRY(ml_labels(x->node, "cats_int64s", "cats_strings", &cats, err));
	if (cats.n == 0)
		return infer_fail(x, err, "it has no categories");
	TRY(infer_want_type(x, 0, cats.strings ? T(STRING) : T_ML, err));
	TRY(infer_want_rank(x, 0, 0, RANK_MAX - 1, err));
	if (out.rank >= 0)
		out.dim[out.rank++] = cats.n;
	infer_set(x, 0, DTYPE_F32, &out);
	return ERR_OK;
}

/* -- linear models and support vector machines ----------------------------------------------- */

enum err_code infer_linear_classifier(struct infer *x, struct err *err)
{
	struct ml_linear l;
	TRY(want_rows(x, err));
	TRY(ml_linear_classifier(x->node, x_shape(x), &l, err));
	set_classes(x, &l.labels, l.second_class ? 2 : l.targets);
	return ERR_OK;
}

enum err_code infer_linear_regressor(struct infer *x, struct err *err)
{
	struct ml_linear l;
	TRY(want_rows(x, err));
	TRY(ml_linear_regressor(x->node, x_shape(x), &l, err));
	set_columns(x, 0, DTYPE_F32, l.targets);
	return ERR_OK;
}

enum err_code infer_svm_classifier(struct infer *x, struct err *err)
{
	struct ml_svm s;
	TRY(want_rows(x, err));
	TRY(ml_svm_classifier(x->node, x_shape(x), &s, err));
	set_classes(x, &s.labels, s.scores);
	return ERR_OK;
}

enum err_code infer_svm_regressor(struct infer *x, struct err *err)
{
	struct ml_svm s;
	TRY(want_rows(x, err));
	TRY(ml_svm_regressor(x->node, x_shape(x), &s, err));
	set_columns(x, 0, DTYPE_F32, 1);
	return ERR_OK;
}

/* -- trees ----------------------------------------------------------------------------------- */

/* Attributes do not change after load: planning, which comes once per shape of the input,
   need not look at all nodes again. Kernels take nothing for granted all the same. */
static enum err_code check_trees(const struct infer *x, struct tree_shape *ret, struct err *err)
{
	struct tree_model *m;
	TRY(tree_shape(x->node, ret, err));
	if (!x->symbols)
		return ERR_OK;
	struct arena *arena = arena_new(1 << 20, 0);
	enum err_code rc = arena ? tree_model_new(x->node, arena, &m, err) : err_oom(err);
	int64_t features = ml_rows(x_shape(x)).features;
	if (rc == ERR_OK && features >= 0 && m->n_feature > features)
		rc = infer_fail(x, err, "input 0 is %s, the trees ask for feature %d",
			SHAPE_TEXT(x_shape(x)), m->n_feature - 1);
	arena_free(arena);
	return rc;
}

enum err_code infer_tree_classifier(struct infer *x, struct err *err)
{
	struct tree_shape t;
	TRY(want_rows(x, err));
	TRY(check_trees(x, &t, err));
	set_classes(x, &t.labels, t.n_target);
	return ERR_OK;
}

enum err_code infer_tree_regressor(struct infer *x, struct err *err)
{
	struct tree_shape t;
	TRY(want_rows(x, err));
	TRY(check_trees(x, &t, err));
	set_columns(x, 0, DTYPE_F32, t.n_target);
	return ERR_OK;
}

enum err_code infer_tree_ensemble(struct infer *x, struct err *err)
{
	struct tree_shape t;
	TRY(infer_want_type(x, 0, T(F16) | T_REAL, err));
	TRY(infer_want_rank(x, 0, 1, 2, err));
	TRY(check_trees(x, &t, err));
	set_columns(x, 0, x_dtype(x), t.n_target);
	return ERR_OK;
}
