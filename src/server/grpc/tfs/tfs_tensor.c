/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/tfs/tfs_tensor.h"

#include <limits.h>
#include "base/buf.h"
#include "server/grpc/typed.h"

/* Names and numbers as in proto/tensorflow.proto. */
enum { TENSOR_DTYPE = 1, TENSOR_SHAPE = 2, TENSOR_CONTENT = 4, TENSOR_FLOAT = 5, TENSOR_DOUBLE,
	TENSOR_INT, TENSOR_STRING, TENSOR_SCOMPLEX, TENSOR_INT64, TENSOR_BOOL, TENSOR_DCOMPLEX,
	TENSOR_HALF, TENSOR_UINT32 = 16, TENSOR_UINT64, TENSOR_FLOAT8 };
enum { SHAPE_DIM = 2, SHAPE_UNKNOWN_RANK = 3 };
enum { DIM_SIZE = 1, DIM_NAME = 2 };

/* The field of a type's elements; 0: none. */
static uint32_t field_of(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F32: return TENSOR_FLOAT;
	case DTYPE_F64: return TENSOR_DOUBLE;
	case DTYPE_I8: case DTYPE_I16: case DTYPE_I32: case DTYPE_U8: case DTYPE_U16:
		return TENSOR_INT;
	case DTYPE_STRING: return TENSOR_STRING;
	case DTYPE_C64: return TENSOR_SCOMPLEX;
	case DTYPE_I64: return TENSOR_INT64;
	case DTYPE_BOOL: return TENSOR_BOOL;
	case DTYPE_C128: return TENSOR_DCOMPLEX;
	case DTYPE_F16: case DTYPE_BF16: return TENSOR_HALF;
	case DTYPE_U32: return TENSOR_UINT32;
	case DTYPE_U64: return TENSOR_UINT64;
	default: return dtype_in(dtype, T_F8) ? TENSOR_FLOAT8 : 0;
	}
}

bool tfs_tensor_has(enum dtype dtype)
{
	return field_of(dtype) != 0;
}

/* --- reading --- */

static enum err_code malformed(struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "the message is not a well-formed TensorProto");
}

static enum err_code bad_shape(struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		"a shape has at most %d dimensions, none negative or unknown", RANK_MAX);
}

static uint64_t read_dim(struct wire *w, enum wire_type outer)
{
	struct wire inner = wire_message(w, outer);
	uint32_t field;
	enum wire_type type;
	uint64_t size = 0;
	while (wire_next(&inner, &field, &type)) {
		if (field == DIM_SIZE)
			size = wire_varint(&inner, type);
		else
			wire_skip(&inner, type);
	}
	w->bad |= inner.bad;
	return size;
}

enum err_code tfs_tensor_read_shape(struct wire w, struct shape *ret, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	bool wrong = false;
	struct shape s = SHAPE_SCALAR;
	while (!wrong && wire_next(&w, &field, &type)) {
		if (field == SHAPE_DIM) {
			int64_t size = (int64_t)read_dim(&w, type);
			wrong = s.rank == RANK_MAX;
			if (!wrong)
				s.dim[s.rank++] = size < 0 ? DIM_UNKNOWN : size;
		} else if (field == SHAPE_UNKNOWN_RANK) {
			wrong = wire_varint(&w, type) != 0;
		} else {
			wire_skip(&w, type);
		}
	}
	if (wrong)
		return bad_shape(err);
	*ret = s;
	return wire_ok(&w) ? ERR_OK : malformed(err);
}

struct head {
	uint64_t dtype;
	struct wire shape, content;
};

static enum err_code read_head(struct wire w, struct head *h, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*h = (struct head){ 0 };
	while (wire_next(&w, &field, &type)) {
		if (field == TENSOR_DTYPE)
			h->dtype = wire_varint(&w, type);
		else if (field == TENSOR_SHAPE)
			h->shape = wire_message(&w, type);
		else if (field == TENSOR_CONTENT)
			h->content = wire_message(&w, type);
		else
			wire_skip(&w, type);
	}
	return wire_ok(&w) ? ERR_OK : malformed(err);
}

/* Never NULL: that would be an input that is absent. */
static enum err_code take_memory(struct arena *arena, struct tensor *t, struct err *err)
{
	t->data = arena_alloc_aligned(arena, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
	return t->data ? ERR_OK : err_oom(err);
}

static enum err_code take_content(
	struct wire content, struct arena *arena, struct tensor *t, struct err *err)
{
	size_t bytes = tensor_bytes(t);
	if (t->dtype == DTYPE_STRING)
		return err_set(err, ERR_INVALID_ARGUMENT, "strings do not come in tensor_content");
	if (content.left != bytes)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"tensor_content has %zu bytes, dtype %s and shape %s take %zu",
			content.left, dtype_info(t->dtype)->tf_name, SHAPE_TEXT(&t->shape), bytes);
	TRY(take_memory(arena, t, err));
	wire_copy(&content, t->data, bytes);
	for (size_t i = 0; t->dtype == DTYPE_BOOL && i < bytes; i++)
		((uint8_t *)t->data)[i] = ((uint8_t *)t->data)[i] != 0;
	return ERR_OK;
}

/* What is missing is the last value again, or nought where there is none. */
static void fill(struct typed *d)
{
	size_t have = dtype_bytes(d->t->dtype), left = d->room - d->at;
	char *data = d->t->data;
	if (left == 0)
		return;
	if (d->at == 0 && d->t->dtype == DTYPE_STRING)
		*(struct slice *)d->t->data = SLICE_LIT("");
	else if (d->at == 0)
		memset(data, 0, have);
	if (d->at == 0)
		left -= have;
	else
		data += d->at - have;
	while (left) {
		size_t n = have < left ? have : left;
		memcpy(data + have, data, n);
		have += n;
		left -= n;
	}
}

static enum err_code take_typed(struct wire w, struct arena *arena, size_t fill_bytes_max,
	struct tensor *t, struct err *err)
{
	uint32_t field, want = field_of(t->dtype);
	enum wire_type type;
	/* An element takes a byte at least: what is larger will be filled. */
	if ((uint64_t)tensor_count(t) > w.left && tensor_bytes(t) > fill_bytes_max)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"shape %s takes %zu bytes, %zu are the most that may be filled up",
			SHAPE_TEXT(&t->shape), tensor_bytes(t), fill_bytes_max);
	TRY(take_memory(arena, t, err));
	struct typed d = typed_into(t);
	while (wire_next(&w, &field, &type)) {
		if (field == want)
			typed_read(&d, &w, type, arena);
		else if (field >= TENSOR_FLOAT)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"its elements are not in the field of its dtype %s",
				dtype_info(t->dtype)->tf_name);
		else
			wire_skip(&w, type);
	}
	if (!wire_ok(&w) || d.at % dtype_bytes(t->dtype))
		return malformed(err);
	if (d.too_many || d.out_of_range)
		return err_set(err, ERR_INVALID_ARGUMENT,
			d.too_many ? "it has more elements than its shape %s" :
				     "an element does not fit its dtype; shape %s",
			SHAPE_TEXT(&t->shape));
	fill(&d);
	return ERR_OK;
}

enum err_code tfs_tensor_read(struct wire w, struct arena *arena, size_t fill_bytes_max,
	struct tensor *ret, struct err *err)
{
	struct head h;
	struct tensor t = { 0 };
	size_t bytes;
	TRY(read_head(w, &h, err));
	t.dtype = h.dtype > INT_MAX ? DTYPE_UNDEFINED : dtype_find_tf((int)h.dtype);
	if (!tfs_tensor_has(t.dtype))
		return err_set(err, ERR_INVALID_ARGUMENT, "dtype %s (%llu) is not served",
			dtype_info(t.dtype)->tf_name, (unsigned long long)h.dtype);
	TRY(tfs_tensor_read_shape(h.shape, &t.shape, err));
	if (!shape_is_static(&t.shape))
		return bad_shape(err);
	if (tensor_bytes_overflow(t.dtype, &t.shape, &bytes))
		return err_set(err, ERR_INVALID_ARGUMENT, "shape %s has too many elements",
			SHAPE_TEXT(&t.shape));
	if (h.content.left)
		TRY(take_content(h.content, arena, &t, err));
	else
		TRY(take_typed(w, arena, fill_bytes_max, &t, err));
	*ret = t;
	return ERR_OK;
}

/* --- writing --- */

void tfs_tensor_put_shape(
	struct buf *b, uint32_t field, const struct shape *s, const char *const *names)
{
	struct buf shape = buf_of(b->arena, 0);
	for (int i = 0; i < s->rank; i++) {
		struct buf dim = buf_of(b->arena, 0);
		wire_put_uint(&dim, DIM_SIZE, (uint64_t)(s->dim[i] < 0 ? -1 : s->dim[i]));
		wire_put_bytes(&dim, DIM_NAME, slice_of(names && names[i] ? names[i] : ""));
		wire_put_message(&shape, SHAPE_DIM, &dim);
	}
	wire_put_uint(&shape, SHAPE_UNKNOWN_RANK, s->rank < 0);
	wire_put_message(b, field, &shape);
}

static void put_strings(struct buf *b, const struct tensor *t)
{
	const struct slice *s = t->data;
	for (int64_t i = 0; i < tensor_count(t); i++) {
		wire_put_head(b, TENSOR_STRING, s[i].len);
		buf_slice(b, s[i]);
	}
}

enum err_code tfs_tensor_write(const struct tensor *t, bool content, struct arena *arena,
	struct tfs_tensor *ret, struct err *err)
{
	struct buf b = buf_of(arena, 0);
	*ret = (struct tfs_tensor){ .raw = SLICE_LIT("") };
	wire_put_uint(&b, TENSOR_DTYPE, (uint64_t)dtype_info(t->dtype)->tf_number);
	tfs_tensor_put_shape(&b, TENSOR_SHAPE, &t->shape, NULL);
	if (t->dtype == DTYPE_STRING) {
		put_strings(&b, t);
	} else if (tensor_count(t)) {
		ret->raw = content ? (struct slice){ t->data, tensor_bytes(t) } :
				     typed_packed(t, arena);
		if (!ret->raw.ptr)
			return err_oom(err);
		wire_put_head(&b, content ? TENSOR_CONTENT : field_of(t->dtype), ret->raw.len);
	}
	return buf_finish(&b, &ret->head, err);
}
