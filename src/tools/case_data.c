/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/case_data.h"

#include <inttypes.h>

#include "base/cursor.h"
#include "loader/onnx.h"
#include "tools/tool_file.h"
#include "tools/values.h"

/* Field numbers of SequenceProto and OptionalProto (proto/onnx.proto). */
#define SEQUENCE_TENSOR_VALUES 3
#define OPTIONAL_TENSOR_VALUE 3
#define OPTIONAL_SEQUENCE_VALUE 5

static uint64_t read_varint(struct cursor *c)
{
	uint64_t v = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		uint8_t b = cursor_u8(c);
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	c->failed = true;
	return 0;
}

/* The next field that is a message or a string; the others are left out. False: the end, or
   c->failed. */
static bool next_message(struct cursor *c, uint64_t *ret_field, struct slice *ret)
{
	while (cursor_left(c) && !c->failed) {
		uint64_t tag = read_varint(c);
		*ret_field = tag >> 3;
		switch (tag & 7) {
		case 0:
			read_varint(c);
			break;
		case 1:
			cursor_skip(c, 8);
			break;
		case 2:
			*ret = cursor_slice(c, read_varint(c));
			return !c->failed;
		case 5:
			cursor_skip(c, 4);
			break;
		default:
			c->failed = true;
		}
	}
	return false;
}

static enum err_code read_sequence(struct slice bytes, struct arena *arena, struct tensor *ret, struct err *err)
{
	struct cursor c = cursor_of(bytes.ptr, bytes.len);
	struct slice one;
	uint64_t field;
	int64_t n = 0;
	while (next_message(&c, &field, &one))
		n += field == SEQUENCE_TENSOR_VALUES;
	if (c.failed)
		return err_set(err, ERR_INVALID_ARGUMENT, "not a SequenceProto");
	struct tensor *list = ARENA_ARRAY(arena, struct tensor, (size_t)n + 1);
	if (!list)
		return err_oom(err);
	*ret = (struct tensor){ .data = list, .dtype = DTYPE_TENSOR, .shape = shape_of(n) };
	c = cursor_of(bytes.ptr, bytes.len);
	for (int64_t i = 0; i < n && next_message(&c, &field, &one);) {
		const char *name;
		if (field != SEQUENCE_TENSOR_VALUES)
			continue;
		enum err_code rc = onnx_parse_tensor(one, arena, &list[i++], &name, err);
		if (rc != ERR_OK)
			return rc;
	}
	return ERR_OK;
}

static enum err_code read_value(struct slice bytes, bool is_sequence, struct arena *arena, struct tensor *ret,
	struct err *err)
{
	const char *name;
	return is_sequence ? read_sequence(bytes, arena, ret, err)
			   : onnx_parse_tensor(bytes, arena, ret, &name, err);
}

static enum err_code read_optional(struct slice bytes, struct arena *arena, struct tensor *ret, struct err *err)
{
	struct cursor c = cursor_of(bytes.ptr, bytes.len);
	struct slice one;
	uint64_t field;
	while (next_message(&c, &field, &one)) {
		if (field == OPTIONAL_TENSOR_VALUE || field == OPTIONAL_SEQUENCE_VALUE)
			return read_value(one, field == OPTIONAL_SEQUENCE_VALUE, arena, ret, err);
	}
	if (c.failed)
		return err_set(err, ERR_INVALID_ARGUMENT, "not an OptionalProto");
	*ret = (struct tensor){ .shape = SHAPE_UNKNOWN };
	return ERR_OK;
}

enum err_code case_data_read(const char *dir, const char *what, int i, const struct type *type,
	struct arena *arena, struct tensor *ret, struct err *err)
{
	struct slice bytes;
	const char *path = arena_printf(arena, "%s/%s_%d.pb", dir, what, i);
	enum err_code rc = path ? tool_file_read(path, arena, &bytes, err) : err_oom(err);
	if (rc != ERR_OK)
		return rc;
	rc = type->is_optional ? read_optional(bytes, arena, ret, err)
			       : read_value(bytes, type->is_sequence, arena, ret, err);
	return rc == ERR_OK ? rc : err_prefix(err, "%s_%d.pb", what, i);
}

enum err_code case_data_compare(const struct tensor *got, const struct tensor *want, double rtol, double atol,
	struct err *err)
{
	bool got_absent = got->shape.rank == RANK_UNKNOWN, want_absent = want->shape.rank == RANK_UNKNOWN;
	if (got_absent || want_absent)
		return got_absent == want_absent ? ERR_OK
			: err_set(err, ERR_FAILED_PRECONDITION, "it is %s, expected it %s",
				got_absent ? "absent" : "there", want_absent ? "absent" : "there");
	if (want->dtype != DTYPE_TENSOR)
		return values_compare(got, want, rtol, atol, err);
	if (got->dtype != DTYPE_TENSOR || !shape_equal(&got->shape, &want->shape))
		return err_set(err, ERR_FAILED_PRECONDITION, "%s%s, expected a sequence of %" PRId64,
			got->dtype == DTYPE_TENSOR ? "a sequence of " : "a tensor of shape ",
			SHAPE_TEXT(&got->shape), want->shape.dim[0]);
	for (int64_t i = 0; i < want->shape.dim[0]; i++) {
		enum err_code rc = values_compare((const struct tensor *)got->data + i,
			(const struct tensor *)want->data + i, rtol, atol, err);
		if (rc != ERR_OK)
			return err_prefix(err, "element %" PRId64 " of the sequence", i);
	}
	return ERR_OK;
}
