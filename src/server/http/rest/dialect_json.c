/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/rest/dialect_json.h"

#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "exec/half.h"
#include "server/http/rest/base64.h"

/* --- elements in --- */

/* Of every type that JSON numbers may become: text of the refusal, and range. */
#define INT_TYPES(X) \
	X(I8, int8_t, i64, INT8_MIN, INT8_MAX, "int8") \
	X(I16, int16_t, i64, INT16_MIN, INT16_MAX, "int16") \
	X(I32, int32_t, i64, INT32_MIN, INT32_MAX, "int32") \
	X(I64, int64_t, i64, INT64_MIN, INT64_MAX, "int64")
#define UINT_TYPES(X) \
	X(U8, uint8_t, UINT8_MAX, "uint8") \
	X(U16, uint16_t, UINT16_MAX, "uint16") \
	X(U32, uint32_t, UINT32_MAX, "uint32") \
	X(U64, uint64_t, UINT64_MAX, "uint64")

static bool fail_at(struct json *j, const char *at, const char *text)
{
	if (!j->error)
		j->at = at;
	json_fail(j, text);
	return false;
}

#define X(id, type, wide, min, max, name) \
	static bool read_##id(struct literal *l, struct json *j, void *to) \
	{ \
		struct number n; \
		int64_t v; \
		(void)l; \
		json_peek(j); \
		const char *at = j->at; \
		if (!json_number(j, &n)) \
			return false; \
		if (!number_to_i64(&n, min, max, &v)) \
			return fail_at(j, at, "a value is not of expected type: " name); \
		*(type *)to = (type)v; \
		return true; \
	}
INT_TYPES(X)
#undef X

#define X(id, type, max, name) \
	static bool read_##id(struct literal *l, struct json *j, void *to) \
	{ \
		struct number n; \
		uint64_t v; \
		(void)l; \
		json_peek(j); \
		const char *at = j->at; \
		if (!json_number(j, &n)) \
			return false; \
		if (!number_to_u64(&n, max, &v)) \
			return fail_at(j, at, "a value is not of expected type: " name); \
		*(type *)to = (type)v; \
		return true; \
	}
UINT_TYPES(X)
#undef X

static bool read_F32(struct literal *l, struct json *j, void *to)
{
	struct number n;
	double special;
	(void)l;
	if (json_special(j, &special)) {
		*(float *)to = (float)special;
		return true;
	}
	if (!json_number(j, &n))
		return false;
	if (!number_to_f32(&n, to))
		return fail_at(j, n.text.ptr, "a number is out of the range of float32");
	return true;
}

/* By way of float32. Infinity is what a client may say, and no number may become. */
#define HALF(id, from_float, infinity, name) \
	static bool read_##id(struct literal *l, struct json *j, void *to) \
	{ \
		float wide; \
		json_peek(j); \
		const char *at = j->at; \
		if (!read_F32(l, j, &wide)) \
			return false; \
		uint16_t bits = from_float(wide); \
		if ((bits & 0x7fff) == (infinity) && !isinf(wide)) \
			return fail_at(j, at, "a number is out of the range of " name); \
		*(uint16_t *)to = bits; \
		return true; \
	}
HALF(F16, float_to_half, 0x7c00, "float16")
HALF(BF16, float_to_bfloat, 0x7f80, "bfloat16")

static bool read_F64(struct literal *l, struct json *j, void *to)
{
	struct number n;
	(void)l;
	if (json_special(j, to))
		return true;
	if (!json_number(j, &n))
		return false;
	if (!number_to_f64(&n, to))
		return fail_at(j, n.text.ptr, "a number is out of the range of float64");
	return true;
}

static bool read_BOOL(struct literal *l, struct json *j, void *to)
{
	bool v;
	(void)l;
	if (!json_bool(j, &v))
		return false;
	*(uint8_t *)to = v;
	return true;
}

/* {"b64": "..."}: an object with that one key. */
static bool read_b64(struct literal *l, struct json *j, struct slice *to)
{
	struct slice key, text;
	const char *at = j->at;
	if (!json_enter_object(j) || !json_member(j, &key) || !slice_is(key, "b64") ||
		!json_string(j, &text) || json_member(j, &key) || j->error)
		return fail_at(j, at, "an object where a value or {\"b64\": \"...\"} is expected");
	if (!base64_decode(text, l->arena, to))
		return fail_at(j, at, "a string is not formatted correctly for base64 data");
	return true;
}

static bool read_STRING(struct literal *l, struct json *j, void *to)
{
	if (l->b64 && json_peek(j) == JSON_OBJECT)
		return read_b64(l, j, to);
	return json_string(j, to);
}

/* Of many numbers at a time; NULL: the type has none. */
static json_run_fn *run_of(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F32: return json_run_f32;
	case DTYPE_F64: return json_run_f64;
	case DTYPE_I8: return json_run_i8;
	case DTYPE_I16: return json_run_i16;
	case DTYPE_I32: return json_run_i32;
	case DTYPE_I64: return json_run_i64;
	case DTYPE_U8: return json_run_u8;
	case DTYPE_U16: return json_run_u16;
	case DTYPE_U32: return json_run_u32;
	case DTYPE_U64: return json_run_u64;
	default: return NULL;
	}
}

static literal_fn *reader_of(enum dtype dtype)
{
	switch (dtype) {
#define X(id, type, wide, min, max, name) case DTYPE_##id: return read_##id;
		INT_TYPES(X)
#undef X
#define X(id, type, max, name) case DTYPE_##id: return read_##id;
		UINT_TYPES(X)
#undef X
	case DTYPE_F32: return read_F32;
	case DTYPE_F64: return read_F64;
	case DTYPE_F16: return read_F16;
	case DTYPE_BF16: return read_BF16;
	case DTYPE_BOOL: return read_BOOL;
	case DTYPE_STRING: return read_STRING;
	default: return NULL;
	}
}

bool dialect_has_json(enum dtype dtype)
{
	return reader_of(dtype) != NULL;
}

/* --- literals --- */

static bool grow(struct literal *l, size_t capacity)
{
	size_t bytes;
	if (mul_overflows(capacity, dtype_bytes(l->dtype), &bytes))
		return false;
	/* Never NULL, not even for nothing: that would mean an input that is absent. */
	char *data = arena_alloc_aligned(l->arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR);
	if (!data)
		return false;
	if (l->n)
		memcpy(data, l->data, l->n * dtype_bytes(l->dtype));
	l->data = data;
	l->capacity = capacity;
	return true;
}

static enum err_code init(
	struct literal *l, enum dtype dtype, struct arena *arena, struct err *err)
{
	*l = (struct literal){ .dtype = dtype, .arena = arena, .rank = -1 };
	for (int i = 0; i < RANK_MAX; i++)
		l->dim[i] = -1;
	l->read = reader_of(dtype);
	l->run = run_of(dtype);
	if (l->read)
		return ERR_OK;
	return err_set(err, ERR_UNIMPLEMENTED,
		"Conversion of JSON Value to type %s is not supported", dtype_name(dtype));
}

enum err_code literal_init(
	struct literal *l, enum dtype dtype, struct arena *arena, size_t capacity, struct err *err)
{
	TRY(init(l, dtype, arena, err));
	return grow(l, capacity) ? ERR_OK : err_oom(err);
}

enum err_code literal_init_over(
	struct literal *l, const struct tensor *to, struct arena *arena, struct err *err)
{
	TRY(init(l, to->dtype, arena, err));
	l->data = to->data;
	l->capacity = (size_t)tensor_count(to);
	l->fixed = l->b64 = true;
	return ERR_OK;
}

static bool make_room(struct literal *l, struct json *j)
{
	if (l->n == l->capacity) {
		if (l->fixed) {
			json_fail(j, "more elements than the shape says");
			return false;
		}
		if (!grow(l, l->capacity < 128 ? 256 : l->capacity * 2)) {
			json_fail(j, "no memory for a tensor");
			return false;
		}
	}
	return true;
}

/* The element next, or in an array as many as can be read at once: how many, 0: error. */
static size_t append(struct literal *l, struct json *j, struct json_rows *rows)
{
	if (!make_room(l, j))
		return 0;
	char *to = l->data + l->n * dtype_bytes(l->dtype);
	size_t n = l->run && rows ? l->run(j, to, l->capacity - l->n, rows) : 0;
	if (n == 0) {
		n = l->read(l, j, to);
		if (rows)
			rows->at += n;
	}
	l->n += n;
	return n;
}

/* The array of dimension d has ended with count elements. */
static bool close_dim(struct literal *l, struct json *j, int d, int64_t count)
{
	if (l->rank < 0)
		l->rank = d + 1; /* empty */
	if (l->dim[d] < 0)
		l->dim[d] = count;
	if (l->dim[d] == count && d < l->rank)
		return true;
	json_fail(
		j, "Encountered list at unexpected size: the arrays of one level differ in length");
	return false;
}

/* A scalar at depth. count: of the elements in each dimension; NULL: it is in no array, else
   the rest of its array follows, and arrays of its kind beside it. */
static bool read_scalars(struct literal *l, struct json *j, int depth, int level, int64_t *count)
{
	if (l->rank < 0)
		l->rank = depth;
	if (l->rank != depth) {
		json_fail(j, "a value is found at incorrect level of nesting");
		return false;
	}
	if (depth == level)
		return append(l, j, NULL) != 0;
	bool known = depth - 1 > level && l->dim[depth - 1] > 0;
	struct json_rows rows = { .length = known ? (size_t)l->dim[depth - 1] : SIZE_MAX };
	while (append(l, j, &rows) && json_next(j))
		;
	count[depth - 1] = (int64_t)rows.at;
	if (rows.passed)
		count[depth - 2] += (int64_t)rows.passed;
	return !j->error;
}

static bool open_dim(struct literal *l, struct json *j, int depth)
{
	if (depth == RANK_MAX || (l->rank >= 0 && depth >= l->rank)) {
		json_fail(j, "an array is found at incorrect level of nesting");
		return false;
	}
	return json_enter_array(j);
}

bool literal_read(struct literal *l, struct json *j, int level)
{
	int64_t count[RANK_MAX] = { 0 };
	int depth = level; /* arrays that are open, and those above level */
	do {
		/* At a value. */
		if (json_peek(j) == JSON_ARRAY) {
			if (!open_dim(l, j, depth))
				return false;
			count[depth++] = 0;
		} else {
			if (!read_scalars(l, j, depth, level, count))
				return false;
			if (depth == level)
				return true;
			/* The run has met the end of its array. */
			depth--;
			if (!close_dim(l, j, depth, count[depth]))
				return false;
		}
		while (depth > level && !json_next(j)) {
			depth--;
			if (j->error || !close_dim(l, j, depth, count[depth]))
				return false;
		}
		if (depth > level)
			count[depth - 1]++;
	} while (depth > level);
	return true;
}

struct tensor literal_tensor(const struct literal *l)
{
	struct tensor t = {
		.data = l->data, .dtype = l->dtype, .shape.rank = l->rank < 0 ? 0 : l->rank
	};
	for (int i = 0; i < t.shape.rank; i++)
		t.shape.dim[i] = l->dim[i] < 0 ? 0 : l->dim[i];
	return t;
}
