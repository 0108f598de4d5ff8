/* SPDX-License-Identifier: Apache-2.0 */
/* The way out; dialect_json.c is the way in. */
#include "server/http/rest/dialect_json.h"

#include <string.h>
#include "base/checked.h"
#include "exec/half.h"
#include "server/http/rest/base64.h"

#define PUT_CHUNK 64

/* count elements of a type whose text is short, with room made for many at once. */
#define PUT_NUMBERS(type, format) \
	for (int64_t i = 0; i < count; i++) { \
		int64_t left = count - i < PUT_CHUNK ? count - i : PUT_CHUNK; \
		if (i % PUT_CHUNK == 0 && !buf_reserve(b, (size_t)left * (NUMBER_TEXT_MAX + 1))) \
			return; \
		if (i) \
			b->ptr[b->len++] = ','; \
		b->len += format(b->ptr + b->len, ((const type *)t->data)[first + i]); \
	}
#define PUT_EACH(put) \
	for (int64_t i = 0; i < count; i++) { \
		if (i) \
			buf_char(b, ','); \
		put; \
	}

static void put_string(struct buf *b, struct slice s, bool b64)
{
	if (!b64) {
		json_put_string(b, s);
		return;
	}
	buf_str(b, "{\"b64\":\"");
	base64_put(b, s);
	buf_str(b, "\"}");
}

/* Does an exponent have all its bits set, as infinities and NaNs have it? */
#define ANY_SPECIAL(id, type, exponent) \
	static bool any_special_##id(const struct tensor *t, int64_t first, int64_t count) \
	{ \
		const char *p = (const char *)t->data + (size_t)first * sizeof(type); \
		bool any = false; \
		for (int64_t i = 0; i < count; i++, p += sizeof(type)) { \
			type bits; \
			memcpy(&bits, p, sizeof(bits)); \
			any |= (bits & (exponent)) == (exponent); \
		} \
		return any; \
	}
ANY_SPECIAL(f32, uint32_t, UINT32_C(0x7f800000))
ANY_SPECIAL(f64, uint64_t, UINT64_C(0x7ff0000000000000))
ANY_SPECIAL(f16, uint16_t, 0x7c00)
ANY_SPECIAL(bf16, uint16_t, 0x7f80)

static size_t format_f16(char *to, uint16_t bits)
{
	return number_format_f32(to, half_to_float(bits));
}

static size_t format_bf16(char *to, uint16_t bits)
{
	return number_format_f32(to, bfloat_to_float(bits));
}

static void put_f16(struct buf *b, uint16_t bits, bool allow_nan)
{
	json_put_f32(b, half_to_float(bits), allow_nan);
}

static void put_bf16(struct buf *b, uint16_t bits, bool allow_nan)
{
	json_put_f32(b, bfloat_to_float(bits), allow_nan);
}

#define PUT_FLOATS(any_special, type, put, format) \
	if (any_special(t, first, count)) \
		PUT_EACH(put(b, ((const type *)t->data)[first + i], o->allow_nan)) \
	else \
		PUT_NUMBERS(type, format)

static void put_run(struct buf *b, const struct tensor *t, int64_t first, int64_t count,
	const struct put_opts *o)
{
	switch (t->dtype) {
	case DTYPE_F32: PUT_FLOATS(any_special_f32, float, json_put_f32, number_format_f32) break;
	case DTYPE_F64: PUT_FLOATS(any_special_f64, double, json_put_f64, number_format_f64) break;
	case DTYPE_F16: PUT_FLOATS(any_special_f16, uint16_t, put_f16, format_f16) break;
	case DTYPE_BF16: PUT_FLOATS(any_special_bf16, uint16_t, put_bf16, format_bf16) break;
	case DTYPE_I64: PUT_NUMBERS(int64_t, number_format_i64) break;
	case DTYPE_I32: PUT_NUMBERS(int32_t, number_format_i64) break;
	case DTYPE_I16: PUT_NUMBERS(int16_t, number_format_i64) break;
	case DTYPE_I8: PUT_NUMBERS(int8_t, number_format_i64) break;
	case DTYPE_U64: PUT_NUMBERS(uint64_t, number_format_u64) break;
	case DTYPE_U32: PUT_NUMBERS(uint32_t, number_format_u64) break;
	case DTYPE_U16: PUT_NUMBERS(uint16_t, number_format_u64) break;
	case DTYPE_U8: PUT_NUMBERS(uint8_t, number_format_u64) break;
	case DTYPE_BOOL:
		PUT_EACH(buf_str(b, ((const uint8_t *)t->data)[first + i] ? "true" : "false"))
		break;
	case DTYPE_STRING:
		PUT_EACH(put_string(b, ((const struct slice *)t->data)[first + i], o->b64)) break;
	default: b->failed = true; break;
	}
}

/* Room for all at once, as far as that can be told: a buffer that doubles its size copies what
   it has, and takes memory for it once more. */
static void expect_elements(struct buf *b, const struct tensor *t)
{
	static const uint8_t typical[] = { [DTYPE_F32] = 12, [DTYPE_F64] = 20, [DTYPE_I32] = 6,
		[DTYPE_I64] = 8 };
	size_t each = (size_t)t->dtype < sizeof(typical) ? typical[t->dtype] : 0, bytes;
	if (!mul_overflows((size_t)tensor_count(t), each ? each : 4, &bytes))
		(void)buf_reserve(b, bytes);
}

void dialect_put_flat(struct buf *b, const struct tensor *t, const struct put_opts *o)
{
	expect_elements(b, t);
	buf_char(b, '[');
	put_run(b, t, 0, tensor_count(t), o);
	buf_char(b, ']');
}

/* How many of the dimensions before `inner` begin (or, for i + 1, end) at its i-th array. */
static int brackets_at(const struct shape *s, int inner, int64_t i)
{
	int64_t stride = 1;
	int n = 0;
	for (int d = inner - 1; d >= 0; d--) {
		stride *= s->dim[d];
		if (i % stride != 0)
			break;
		n++;
	}
	return n;
}

void dialect_put_nested(struct buf *b, const struct tensor *t, const struct put_opts *o)
{
	const struct shape *s = &t->shape;
	expect_elements(b, t);
	if (s->rank == 0) {
		put_run(b, t, 0, 1, o);
		return;
	}
	/* Arrays of the innermost dimension, or empty ones of the first that is 0. */
	int inner = 0;
	while (inner < s->rank - 1 && s->dim[inner] != 0)
		inner++;
	int64_t arrays = shape_count_range(s, 0, inner);
	int64_t run = s->dim[inner];
	for (int64_t i = 0; i < arrays; i++) {
		if (i)
			buf_char(b, ',');
		for (int n = brackets_at(s, inner, i) + 1; n > 0; n--)
			buf_char(b, '[');
		if (run)
			put_run(b, t, i * run, run, o);
		for (int n = brackets_at(s, inner, i + 1) + 1; n > 0; n--)
			buf_char(b, ']');
	}
}

struct tensor dialect_row(const struct tensor *t, int64_t i)
{
	struct tensor row = { .dtype = t->dtype, .shape.rank = t->shape.rank - 1 };
	for (int d = 0; d < row.shape.rank; d++)
		row.shape.dim[d] = t->shape.dim[d + 1];
	row.data = (char *)t->data + (size_t)i * tensor_bytes(&row);
	return row;
}
