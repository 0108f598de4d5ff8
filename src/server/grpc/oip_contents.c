/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "server/grpc/oip_call.h"

/* Names and numbers as in proto/inference.proto. */
enum { CONTENTS_BOOL = 1, CONTENTS_INT, CONTENTS_INT64, CONTENTS_UINT, CONTENTS_UINT64,
	CONTENTS_FP32, CONTENTS_FP64, CONTENTS_BYTES };

/* Which field of InferTensorContents carries a type; 0: none, such tensors come raw. */
static uint32_t contents_field(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_BOOL: return CONTENTS_BOOL;
	case DTYPE_I8: case DTYPE_I16: case DTYPE_I32: return CONTENTS_INT;
	case DTYPE_I64: return CONTENTS_INT64;
	case DTYPE_U8: case DTYPE_U16: case DTYPE_U32: return CONTENTS_UINT;
	case DTYPE_U64: return CONTENTS_UINT64;
	case DTYPE_F32: return CONTENTS_FP32;
	case DTYPE_F64: return CONTENTS_FP64;
	case DTYPE_STRING: return CONTENTS_BYTES;
	default: return 0;
	}
}

struct typed {
	struct tensor *t;
	int64_t n, want;
	bool out_of_range;
};

/* A whole number as the element that it is, when it fits. */
static void put_whole(struct typed *d, uint64_t v)
{
	size_t bytes = dtype_bytes(d->t->dtype);
	if (d->n == d->want) {
		d->n++;
		return;
	}
	int bits = (int)bytes * 8;
	if (d->t->dtype == DTYPE_BOOL)
		v = v != 0;
	else if (bits < 64 && dtype_info(d->t->dtype)->class == DTYPE_CLASS_INT)
		d->out_of_range |= (int64_t)v < -(INT64_C(1) << (bits - 1)) ||
				   (int64_t)v >= INT64_C(1) << (bits - 1);
	else if (bits < 64)
		d->out_of_range |= v >> bits != 0;
	/* Little-endian, as the machine is. */
	memcpy((char *)d->t->data + (size_t)d->n++ * bytes, &v, bytes);
}

static void put_fixed(struct typed *d, struct wire *w)
{
	size_t bytes = dtype_bytes(d->t->dtype);
	size_t n = w->left / bytes;
	if (w->left % bytes || n > (size_t)(d->want - d->n)) {
		d->n = d->want + 1;
		return;
	}
	wire_copy(w, (char *)d->t->data + (size_t)d->n * bytes, n * bytes);
	d->n += (int64_t)n;
}

static void put_contents(struct typed *d, struct wire *w, enum wire_type type, struct arena *arena)
{
	struct wire inner;
	bool is_fixed = d->t->dtype == DTYPE_F32 || d->t->dtype == DTYPE_F64;
	if (type != WIRE_BYTES) {
		uint64_t v = is_fixed ? (type == WIRE_FIXED32 ? wire_fixed32(w, type) :
								wire_fixed64(w, type)) :
					wire_varint(w, type);
		if (is_fixed && d->n < d->want)
			memcpy((char *)d->t->data + (size_t)d->n * dtype_bytes(d->t->dtype), &v,
				dtype_bytes(d->t->dtype));
		if (is_fixed)
			d->n++;
		else
			put_whole(d, v);
		return;
	}
	inner = wire_message(w, type);
	if (d->t->dtype == DTYPE_STRING) {
		struct slice s = wire_bytes(&inner, arena);
		if (d->n < d->want)
			((struct slice *)d->t->data)[d->n] = s;
		d->n++;
		w->bad |= !s.ptr;
	} else if (is_fixed) {
		put_fixed(d, &inner);
	} else {
		while (inner.left && d->n <= d->want)
			put_whole(d, wire_raw_varint(&inner));
	}
	w->bad |= inner.bad;
}

enum err_code oip_take_contents(struct request *r, struct wire w, const struct oip_input *in,
	struct tensor *t, struct err *err)
{
	uint32_t field, want = contents_field(t->dtype);
	enum wire_type type;
	struct typed d = { .t = t, .want = tensor_count(t) };
	if (!want)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': %.*s has no typed contents: send it in raw_input_contents",
			SLICE_ARG(in->name), SLICE_ARG(in->datatype));
	/* Each element takes a byte of the message at least: before memory is asked for. */
	if ((uint64_t)d.want > w.left)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': contents of %zu bytes cannot hold its shape %s",
			SLICE_ARG(in->name), w.left, SHAPE_TEXT(&t->shape));
	t->data = arena_alloc_aligned(r->arena, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
	if (!t->data)
		return err_oom(err);
	while (wire_next(&w, &field, &type)) {
		if (field != want)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"input '%.*s': contents are not of its datatype %.*s",
				SLICE_ARG(in->name), SLICE_ARG(in->datatype));
		put_contents(&d, &w, type, r->arena);
	}
	if (!wire_ok(&w))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"the message is not a well-formed InferTensorContents");
	if (d.out_of_range)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': an element does not fit %.*s", SLICE_ARG(in->name),
			SLICE_ARG(in->datatype));
	if (d.n != d.want)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': contents have %s elements than its shape %s",
			SLICE_ARG(in->name), d.n < d.want ? "fewer" : "more",
			SHAPE_TEXT(&t->shape));
	return ERR_OK;
}
