/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_ml_map.c -- ai.onnx.ml's maps: ZipMap makes them, CastMap and DictVectorizer take them
 */
#include <inttypes.h>
#include "exec/infer/infer.h"
#include "exec/infer/ml/ml_params.h"

static enum err_code want_map(
	const struct infer *x, uint64_t keys, uint64_t values, struct err *err)
{
	const struct type *t = &x->in[0]->type;
	if (t->is_sequence || t->is_optional || t->map_key == DTYPE_UNDEFINED)
		return infer_fail(x, err, "input 0 is a %s, it must be a map",
			t->is_sequence ? "sequence" : t->is_optional ? "optional" : "tensor");
	if (dtype_in(t->map_key, keys) && dtype_in(t->dtype, values))
		return ERR_OK;
	return infer_fail(x, err, "input 0 is a map from %s to %s, which it does not take",
		dtype_name(t->map_key), dtype_name(t->dtype));
}

enum err_code infer_zip_map(struct infer *x, struct err *err)
{
	struct ml_labels labels;
	const struct shape *s = &x->in[0]->shape;
	TRY(infer_want_type(x, 0, T(F32), err));
	TRY(infer_want_rank(x, 0, 1, 2, err));
	TRY(ml_labels(x->node, "classlabels_int64s", "classlabels_strings", &labels, err));
	if (labels.n == 0)
		return infer_fail(x, err, "it has no class labels");
	if (dim_conflict(ml_rows(s).features, labels.n))
		return infer_fail(
			x, err, "input 0 is %s for %d class labels", SHAPE_TEXT(s), labels.n);
	x->out[0].type = (struct type){ .dtype = DTYPE_F32, .map_key = ml_labels_dtype(&labels),
		.is_sequence = true };
	return ERR_OK;
}

enum err_code infer_dict_vectorizer(struct infer *x, struct err *err)
{
	struct ml_labels keys;
	TRY(ml_labels(x->node, "int64_vocabulary", "string_vocabulary", &keys, err));
	if (keys.n == 0)
		return infer_fail(x, err, "it has no vocabulary");
	TRY(want_map(x, UINT64_C(1) << ml_labels_dtype(&keys),
		T(F32) | T(F64) | T(I64) | T(STRING), err));
	struct shape out = shape_of(1, keys.n);
	infer_set(x, 0, x->in[0]->type.dtype, &out);
	return ERR_OK;
}

const char *const ml_casts[ML_CAST_COUNT_] = { "TO_FLOAT", "TO_STRING", "TO_INT64" };
const char *const ml_map_forms[ML_MAP_COUNT_] = { "DENSE", "SPARSE" };

/* No honest map is sparser: the output is as long, whatever comes in. */
#define SPARSE_MAX (1 << 24)

enum err_code infer_cast_map(struct infer *x, struct err *err)
{
	static const enum dtype made[] = { DTYPE_F32, DTYPE_STRING, DTYPE_I64 };
	int cast, form;
	TRY(want_map(x, T(I64), T(F32) | T(STRING), err));
	TRY(ml_word(x->node, "cast_to", ml_casts, ML_CAST_COUNT_, &cast, err));
	TRY(ml_word(x->node, "map_form", ml_map_forms, ML_MAP_COUNT_, &form, err));
	TRY(infer_want_int(x, "max_map", 1, 1, SPARSE_MAX, err));
	struct shape out =
		shape_of(1, form == ML_MAP_SPARSE ? node_int(x->node, "max_map", 1) : DIM_UNKNOWN);
	infer_set(x, 0, made[cast], &out);
	return ERR_OK;
}
