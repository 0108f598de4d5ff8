/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lower_ml.c -- the first LabelEncoder: one list of strings, whose places are the integers
 */
#include "loader/onnx/lower/lower.h"

const struct attr_spec old_label_encoder[] = { { "classes_strings", ATTR_STRINGS, true },
	{ NULL, 0, false } };

static const int64_t *counted(struct lower *x, int32_t n)
{
	int64_t *v = ARENA_ARRAY(x->graph->arena, int64_t, (size_t)n + 1);
	for (int32_t i = 0; v && i < n; i++)
		v[i] = i;
	if (!v)
		lower_fail(x, ERR_RESOURCE_EXHAUSTED, "out of memory");
	return v;
}

void lower_label_encoder(struct lower *x)
{
	const struct attr *classes = lower_take(x, "classes_strings");
	enum dtype from = lower_dtype(x, lower_in(x, 0));
	int32_t n = classes->n;
	const int64_t *place = counted(x, n);
	if (from != DTYPE_STRING && from != DTYPE_I64) {
		lower_fail(x, ERR_INVALID_ARGUMENT, "input 0 is %s, it must be int64 or string",
			dtype_name(from));
		return;
	}
	bool is_string = from == DTYPE_STRING;
	lower_set(x, (struct attr){ .name = is_string ? "keys_strings" : "values_strings",
				 .kind = ATTR_STRINGS, .n = n, .strings = classes->strings });
	lower_set(x, (struct attr){ .name = is_string ? "values_int64s" : "keys_int64s",
				 .kind = ATTR_INTS, .n = n, .ints = place });
}
