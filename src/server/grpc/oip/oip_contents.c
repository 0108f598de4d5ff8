/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/oip/oip_call.h"
#include "server/grpc/typed.h"

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

enum err_code oip_take_contents(struct request *r, struct wire w, const struct oip_input *in,
	struct tensor *t, struct err *err)
{
	uint32_t field, want = contents_field(t->dtype);
	enum wire_type type;
	struct typed d;
	if (!want)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': %.*s has no typed contents: send it in raw_input_contents",
			SLICE_ARG(in->name), SLICE_ARG(in->datatype));
	/* Each element takes a byte of the message at least: before memory is asked for. */
	if ((uint64_t)tensor_count(t) > w.left)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': contents of %zu bytes cannot hold its shape %s",
			SLICE_ARG(in->name), w.left, SHAPE_TEXT(&t->shape));
	t->data = arena_alloc_aligned(r->arena, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
	if (!t->data)
		return err_oom(err);
	d = typed_into(t);
	while (wire_next(&w, &field, &type)) {
		if (field != want)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"input '%.*s': contents are not of its datatype %.*s",
				SLICE_ARG(in->name), SLICE_ARG(in->datatype));
		typed_read(&d, &w, type, r->arena);
	}
	if (!wire_ok(&w))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"the message is not a well-formed InferTensorContents");
	if (d.out_of_range)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': an element does not fit %.*s", SLICE_ARG(in->name),
			SLICE_ARG(in->datatype));
	if (d.too_many || d.at != d.room)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': contents have %s elements than its shape %s",
			SLICE_ARG(in->name), d.too_many ? "more" : "fewer",
			SHAPE_TEXT(&t->shape));
	return ERR_OK;
}
