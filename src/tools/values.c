/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/values.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "exec/half.h"

enum err_code values_new(enum dtype dtype, const struct shape *shape, struct arena *arena,
	struct tensor *ret, struct err *err)
{
	size_t bytes;
	if (!shape_is_static(shape) || tensor_bytes_overflow(dtype, shape, &bytes))
		return err_set(err, ERR_INVALID_ARGUMENT, "a tensor of %s%s cannot be made",
			dtype_name(dtype), SHAPE_TEXT(shape));
	void *data = arena_alloc_aligned(arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR);
	if (!data)
		return err_oom(err);
	memset(data, 0, bytes);
	*ret = (struct tensor){ .data = data, .dtype = dtype, .shape = *shape };
	return ERR_OK;
}

/* INT(id, C type, min, max) */
#define INT_TYPES(INT) \
	INT(I8, int8_t, INT8_MIN, INT8_MAX) \
	INT(I16, int16_t, INT16_MIN, INT16_MAX) \
	INT(I32, int32_t, INT32_MIN, INT32_MAX) \
	INT(I64, int64_t, INT64_MIN, INT64_MAX) \
	INT(U8, uint8_t, 0, UINT8_MAX) \
	INT(U16, uint16_t, 0, UINT16_MAX) \
	INT(U32, uint32_t, 0, UINT32_MAX) \
	INT(U64, uint64_t, 0, INT64_MAX) \
	INT(BOOL, uint8_t, 0, 1)

bool values_set_int(struct tensor *t, int64_t i, int64_t value)
{
	switch (t->dtype) {
#define INT(id, type, low, high) \
	case DTYPE_##id: \
		((type *)t->data)[i] = (type)(value < (low) ? (low) : value > (high) ? (high) \
			: value); \
		return true;
		INT_TYPES(INT)
#undef INT
	default:
		return values_set(t, i, (double)value);
	}
}

bool values_set(struct tensor *t, int64_t i, double value)
{
	switch (t->dtype) {
	case DTYPE_F32:
		((float *)t->data)[i] = (float)value;
		return true;
	case DTYPE_F64:
		((double *)t->data)[i] = value;
		return true;
	case DTYPE_F16:
		((uint16_t *)t->data)[i] = float_to_half((float)value);
		return true;
	case DTYPE_BF16:
		((uint16_t *)t->data)[i] = float_to_bfloat((float)value);
		return true;
	default:
		break;
	}
	enum dtype_class class = dtype_info(t->dtype)->class;
	if (class != DTYPE_CLASS_INT && class != DTYPE_CLASS_UINT && class != DTYPE_CLASS_BOOL)
		return false;
	if (dtype_info(t->dtype)->file_bits < 8)
		return false;
	/* 2^63 is the first double that int64 does not hold. */
	int64_t whole = isnan(value)	   ? 0
			: value >= 0x1p63  ? INT64_MAX
			: value <= -0x1p63 ? INT64_MIN
					   : (int64_t)value;
	return values_set_int(t, i, whole);
}

void values_print(struct buf *to, const struct tensor *t, int64_t i)
{
	switch (t->dtype) {
	case DTYPE_F32:
	case DTYPE_F16:
	case DTYPE_BF16:
		json_put_f32(to, (float)tensor_float(t, i), true);
		return;
	case DTYPE_F64:
		json_put_f64(to, ((const double *)t->data)[i], true);
		return;
	case DTYPE_BOOL:
		buf_str(to, ((const uint8_t *)t->data)[i] ? "true" : "false");
		return;
	case DTYPE_STRING:
		json_put_string(to, ((const struct slice *)t->data)[i]);
		return;
	case DTYPE_U64:
		json_put_u64(to, ((const uint64_t *)t->data)[i]);
		return;
	default:
		break;
	}
	enum dtype_class class = dtype_info(t->dtype)->class;
	if (class == DTYPE_CLASS_INT || class == DTYPE_CLASS_UINT) {
		json_put_i64(to, tensor_int(t, i));
		return;
	}
	size_t bytes = dtype_bytes(t->dtype);
	buf_str(to, "\"0x");
	for (size_t k = bytes; k-- > 0;)
		buf_printf(to, "%02x", ((const uint8_t *)t->data)[(size_t)i * bytes + k]);
	buf_char(to, '"');
}

void values_print_nested(struct buf *to, const struct tensor *t, int64_t count_max)
{
	const struct shape *s = &t->shape;
	int64_t count = tensor_count(t), stride[RANK_MAX];
	if (count == 0) {
		buf_str(to, "[]");
		return;
	}
	shape_strides(s, stride);
	int64_t shown = count_max < count ? count_max : count;
	for (int64_t i = 0; i < shown; i++) {
		/* An array opens, or closes, where the index is a multiple of its size. */
		for (int d = 0; d < s->rank; d++) {
			if (i % (stride[d] * s->dim[d]) == 0)
				buf_char(to, '[');
		}
		values_print(to, t, i);
		for (int d = s->rank - 1; d >= 0; d--) {
			if ((i + 1) % (stride[d] * s->dim[d]) == 0)
				buf_char(to, ']');
		}
		if (i + 1 < count)
			buf_str(to, i + 1 == shown ? ", ..." : ", ");
	}
}

uint64_t rng_next(struct rng *r)
{
	/* splitmix64 */
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

double rng_unit(struct rng *r)
{
	return (double)(rng_next(r) >> 11) * 0x1p-53;
}

void values_random(struct tensor *t, struct rng *r)
{
	bool is_float = dtype_info(t->dtype)->class == DTYPE_CLASS_FLOAT;
	int64_t n = tensor_count(t);
	for (int64_t i = 0; i < n; i++) {
		if (t->dtype == DTYPE_STRING)
			((struct slice *)t->data)[i] = SLICE_LIT("signet");
		else
			values_set(t, i, is_float ? rng_unit(r) : (double)(rng_next(r) % 10));
	}
}

static bool element_equal(
	const struct tensor *got, const struct tensor *want, int64_t i, double rtol, double atol)
{
	size_t bytes = dtype_bytes(want->dtype);
	switch (dtype_info(want->dtype)->class) {
	case DTYPE_CLASS_STRING:
		return slice_eq(((const struct slice *)got->data)[i],
			((const struct slice *)want->data)[i]);
	case DTYPE_CLASS_FLOAT:
	case DTYPE_CLASS_INT:
	case DTYPE_CLASS_UINT:
	case DTYPE_CLASS_BOOL:
		break;
	default:
		return memcmp((const char *)got->data + (size_t)i * bytes,
			(const char *)want->data + (size_t)i * bytes, bytes) == 0;
	}
	if (bytes == 1 && dtype_info(want->dtype)->class == DTYPE_CLASS_FLOAT)
		return ((const uint8_t *)got->data)[i] == ((const uint8_t *)want->data)[i];
	double a = tensor_float(got, i), b = tensor_float(want, i);
	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b);
	/* An infinity has no neighbours: its tolerance would be infinite too. */
	return a == b || (!isinf(b) && fabs(a - b) <= atol + rtol * fabs(b));
}

static enum err_code report_difference(const struct tensor *got, const struct tensor *want,
	int64_t first, int64_t n_bad, struct err *err)
{
	int64_t stride[RANK_MAX];
	struct shape at = { .rank = want->shape.rank };
	shape_strides(&want->shape, stride);
	for (int d = 0; d < at.rank; d++)
		at.dim[d] = first / stride[d] % want->shape.dim[d];

	struct arena *arena = arena_new(4096, 0);
	struct slice text = SLICE_LIT("?");
	if (arena) {
		struct buf b = buf_of(arena, 0);
		values_print(&b, got, first);
		buf_str(&b, ", expected ");
		values_print(&b, want, first);
		if (buf_finish(&b, &text, err) != ERR_OK)
			text = SLICE_LIT("?");
	}
	err_set(err, ERR_FAILED_PRECONDITION,
		"element %s is %.*s (%" PRId64 " of %" PRId64 " differ)", SHAPE_TEXT(&at),
		SLICE_ARG(text), n_bad, tensor_count(want));
	arena_free(arena);
	return ERR_FAILED_PRECONDITION;
}

enum err_code values_compare(const struct tensor *got, const struct tensor *want, double rtol,
	double atol, struct err *err)
{
	if (got->dtype != want->dtype)
		return err_set(err, ERR_FAILED_PRECONDITION, "type is %s, expected %s",
			dtype_name(got->dtype), dtype_name(want->dtype));
	if (!shape_equal(&got->shape, &want->shape))
		return err_set(err, ERR_FAILED_PRECONDITION, "shape is %s, expected %s",
			SHAPE_TEXT(&got->shape), SHAPE_TEXT(&want->shape));
	int64_t n = tensor_count(want), first = -1, n_bad = 0;
	for (int64_t i = 0; i < n; i++) {
		if (element_equal(got, want, i, rtol, atol))
			continue;
		if (n_bad++ == 0)
			first = i;
	}
	return n_bad ? report_difference(got, want, first, n_bad, err) : ERR_OK;
}
