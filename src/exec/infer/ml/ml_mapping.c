/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ml_mapping.c -- LabelEncoder and CategoryMapper: keys to values
 */
#include "exec/infer/ml/ml_params.h"

#include "exec/infer/infer.h"

/* The one of an operator's lists that is there, as a tensor. names: of floats, ints,
   strings, a tensor. */
static enum err_code
find_list(const struct node *n, const char *const names[4], struct tensor *ret, struct err *err)
{
	static const enum dtype dtype[3] = { DTYPE_F32, DTYPE_I64, DTYPE_STRING };
	const char *found = NULL;
	for (int i = 0; i < 4; i++) {
		const struct attr *a = node_attr(n, names[i]);
		if (!a || (i < 3 && a->n == 0))
			continue;
		if (found)
			return err_set(err, ERR_INVALID_ARGUMENT, "%s and %s exclude each other",
				found, names[i]);
		found = names[i];
		if (i == 3)
			*ret = *a->t;
		else /* all lists of attributes are the same kind of pointer */
			*ret = (struct tensor){ .data = (void *)(uintptr_t)a->ints,
				.dtype = dtype[i], .shape = shape_of(a->n) };
	}
	if (!found)
		return err_set(err, ERR_INVALID_ARGUMENT, "one of %s, %s, %s, %s is required",
			names[0], names[1], names[2], names[3]);
	if (ret->shape.rank > 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s is %s, it must be a list", found,
			SHAPE_TEXT(&ret->shape));
	return ERR_OK;
}

static enum err_code set_otherwise(const struct node *n, struct ml_mapping *m, struct err *err)
{
	const struct tensor *t = node_tensor(n, "default_tensor");
	m->otherwise = (struct tensor){ .data = &m->scalar, .dtype = m->values.dtype,
		.shape = SHAPE_SCALAR };
	if (t && (t->dtype != m->values.dtype || tensor_count(t) != 1))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"default_tensor is %s %s, one %s is needed", dtype_name(t->dtype),
			SHAPE_TEXT(&t->shape), dtype_name(m->values.dtype));
	if (t) {
		m->otherwise.data = t->data;
		return ERR_OK;
	}
	int64_t i = node_int(n, "default_int64", -1);
	float f = node_float(n, "default_float", -0.0f);
	switch (m->values.dtype) {
	case DTYPE_STRING: m->scalar.str = node_string(n, "default_string", "_Unused"); break;
	case DTYPE_F32: m->scalar.f32 = f; break;
	case DTYPE_F64: m->scalar.f64 = (double)f; break;
	case DTYPE_I32: m->scalar.i32 = (int32_t)i; break;
	case DTYPE_I16: m->scalar.i16 = (int16_t)i; break;
	default: m->scalar.i64 = i; break;
	}
	return ERR_OK;
}

#define T_LABEL (T(F32) | T(F64) | T(I16) | T(I32) | T(I64) | T(STRING))

enum err_code ml_label_encoder(const struct node *n, struct ml_mapping *ret, struct err *err)
{
	static const char *const keys[] = { "keys_floats", "keys_int64s", "keys_strings",
		"keys_tensor" };
	static const char *const values[] = { "values_floats", "values_int64s", "values_strings",
		"values_tensor" };
	TRY(find_list(n, keys, &ret->keys, err));
	TRY(find_list(n, values, &ret->values, err));
	if (!dtype_in(ret->keys.dtype, T_LABEL) || !dtype_in(ret->values.dtype, T_LABEL))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"it maps %s to %s, which no label encoder does",
			dtype_name(ret->keys.dtype), dtype_name(ret->values.dtype));
	TRY(ml_want_length(
		"the list of values", tensor_count(&ret->values), tensor_count(&ret->keys), err));
	return set_otherwise(n, ret, err);
}

enum err_code ml_category_mapper(const struct node *n, enum dtype x_dtype, struct ml_mapping *ret,
	struct err *err)
{
	int32_t n_ints, n_strings;
	const int64_t *ints = node_ints(n, "cats_int64s", &n_ints);
	const struct slice *strings = node_strings(n, "cats_strings", &n_strings);
	TRY(ml_want_length("cats_strings", n_strings, n_ints, err));
	struct tensor i = { .data = (void *)(uintptr_t)ints, .dtype = DTYPE_I64,
		.shape = shape_of(n_ints) };
	struct tensor s = { .data = (void *)(uintptr_t)strings, .dtype = DTYPE_STRING,
		.shape = shape_of(n_strings) };
	ret->keys = x_dtype == DTYPE_STRING ? s : i;
	ret->values = x_dtype == DTYPE_STRING ? i : s;
	return set_otherwise(n, ret, err);
}
