/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_value.c -- values in files of their own: test cases, what signetctl reads and writes
 */
#include "loader/onnx/onnx_reader.h"

/* -- maps: keys in one list, values as a sequence of tensors of one element each --------------- */

static enum err_code read_keys(struct onnx_reader *r, const Onnx__MapProto *p, struct tensor *ret,
	struct err *err)
{
	bool is_string = p->n_string_keys;
	size_t n = is_string ? p->n_string_keys : p->n_keys;
	void *data =
		arena_calloc(r->arena, n + 1, is_string ? sizeof(struct slice) : sizeof(int64_t));
	if (!data)
		return err_oom(err);
	if (is_string && p->n_keys)
		return err_set(err, ERR_INVALID_ARGUMENT, "a map has keys of two kinds");
	for (size_t i = 0; i < n; i++) {
		if (!is_string) {
			((int64_t *)data)[i] = p->keys[i];
			continue;
		}
		const ProtobufCBinaryData *from = &p->string_keys[i];
		struct slice *to = (struct slice *)data + i;
		*to = (struct slice){ arena_strndup(r->arena, (char *)from->data, from->len),
			from->len };
		if (!to->ptr)
			return err_oom(err);
	}
	*ret = (struct tensor){ .data = data, .shape = shape_of((int64_t)n),
		.dtype = is_string || p->key_type == (int)DTYPE_STRING ? DTYPE_STRING : DTYPE_I64 };
	return ERR_OK;
}

static enum err_code read_map_values(struct onnx_reader *r, const Onnx__SequenceProto *p, size_t n,
	struct tensor *ret, struct err *err)
{
	struct tensor *t;
	char *data = NULL;
	if ((p ? p->n_tensor_values : 0) != n)
		return err_set(err, ERR_INVALID_ARGUMENT, "a map has %zu keys and %zu values", n,
			p ? p->n_tensor_values : 0);
	*ret = (struct tensor){ .shape = shape_of((int64_t)n), .dtype = DTYPE_F32 };
	for (size_t i = 0; i < n; i++) {
		TRY(onnx_read_tensor(r, p->tensor_values[i], &t, err));
		size_t bytes = dtype_bytes(t->dtype);
		if (i == 0) {
			ret->dtype = t->dtype;
			data = arena_calloc(r->arena, n, bytes);
		}
		if (!data)
			return err_oom(err);
		if (tensor_count(t) != 1 || t->dtype != ret->dtype)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"value %zu of a map is %s %s, one %s is needed", i,
				dtype_name(t->dtype), SHAPE_TEXT(&t->shape),
				dtype_name(ret->dtype));
		memcpy(data + i * bytes, t->data, bytes);
	}
	ret->data = n ? data : arena_calloc(r->arena, 1, 1);
	return ret->data ? ERR_OK : err_oom(err);
}

static enum err_code read_map(struct onnx_reader *r, const Onnx__MapProto *p, struct tensor *ret,
	struct err *err)
{
	struct tensor *pair = ARENA_ARRAY(r->arena, struct tensor, 2);
	if (!pair)
		return err_oom(err);
	TRY(read_keys(r, p, &pair[0], err));
	TRY(read_map_values(r, p->values, (size_t)tensor_count(&pair[0]), &pair[1], err));
	*ret = (struct tensor){ .data = pair, .dtype = DTYPE_TENSOR, .shape = shape_of(2) };
	return ERR_OK;
}

/* -- sequences and optionals ------------------------------------------------------------------- */

static enum err_code read_elements(struct onnx_reader *r, const Onnx__SequenceProto *p,
	struct tensor *ret, struct err *err)
{
	size_t n = p->n_map_values ? p->n_map_values : p->n_tensor_values;
	struct tensor *list = ARENA_ARRAY(r->arena, struct tensor, n), *t;
	if (!list)
		return err_oom(err);
	if (p->n_sequence_values || p->n_optional_values || p->n_sparse_tensor_values ||
		(p->n_map_values && p->n_tensor_values))
		return err_set(err, ERR_UNIMPLEMENTED, "sequences of anything but tensors or maps");
	for (size_t i = 0; i < p->n_map_values; i++)
		TRY(read_map(r, p->map_values[i], &list[i], err));
	for (size_t i = 0; i < p->n_tensor_values; i++) {
		TRY(onnx_read_tensor(r, p->tensor_values[i], &t, err));
		list[i] = *t;
	}
	*ret = (struct tensor){ .data = list, .dtype = DTYPE_TENSOR,
		.shape = shape_of((int64_t)n) };
	return ERR_OK;
}

static enum err_code read_one(struct onnx_reader *r, const Onnx__TensorProto *p, struct tensor *ret,
	struct err *err)
{
	struct tensor *t = NULL;
	enum err_code rc = onnx_read_tensor(r, p, &t, err);
	if (rc == ERR_OK)
		*ret = *t;
	return rc;
}

static enum err_code read_optional(struct onnx_reader *r, const Onnx__OptionalProto *p,
	struct tensor *ret, struct err *err)
{
	if (p->tensor_value)
		return read_one(r, p->tensor_value, ret, err);
	if (p->sequence_value)
		return read_elements(r, p->sequence_value, ret, err);
	if (p->optional_value || p->map_value || p->sparse_tensor_value)
		return err_set(
			err, ERR_UNIMPLEMENTED, "optionals of anything but tensors and sequences");
	*ret = tensor_absent();
	return ERR_OK;
}

static enum err_code read_value(struct onnx_reader *r, const ProtobufCMessage *m,
	struct tensor *ret, const char **ret_name, struct err *err)
{
	const char *name;
	enum err_code rc;
	if (m->descriptor == &onnx__optional_proto__descriptor) {
		name = ((const Onnx__OptionalProto *)m)->name;
		rc = read_optional(r, (const Onnx__OptionalProto *)m, ret, err);
	} else if (m->descriptor == &onnx__sequence_proto__descriptor) {
		name = ((const Onnx__SequenceProto *)m)->name;
		rc = read_elements(r, (const Onnx__SequenceProto *)m, ret, err);
	} else if (m->descriptor == &onnx__map_proto__descriptor) {
		name = ((const Onnx__MapProto *)m)->name;
		rc = read_map(r, (const Onnx__MapProto *)m, ret, err);
	} else {
		name = ((const Onnx__TensorProto *)m)->name;
		rc = read_one(r, (const Onnx__TensorProto *)m, ret, err);
	}
	*ret_name = rc == ERR_OK ? onnx_keep_name(r, name) : NULL;
	return rc == ERR_OK && !*ret_name ? err_oom(err) : rc;
}

enum err_code onnx_parse_value(struct slice bytes, const struct type *type, struct arena *arena,
	struct tensor *ret, const char **ret_name, struct err *err)
{
	const ProtobufCMessageDescriptor *what =
		type->is_optional		   ? &onnx__optional_proto__descriptor
		: type->is_sequence		   ? &onnx__sequence_proto__descriptor
		: type->map_key != DTYPE_UNDEFINED ? &onnx__map_proto__descriptor
						   : &onnx__tensor_proto__descriptor;
	struct onnx_reader r;
	ProtobufCMessage *m = NULL;
	enum err_code rc = onnx_reader_init(&r, -1, NULL, arena, err);
	if (rc != ERR_OK)
		return rc;
	rc = onnx_unpack(&r, what, bytes, &m, err);
	if (rc == ERR_OK)
		rc = read_value(&r, m, ret, ret_name, err);
	pb_mem_done(&r.mem);
	return rc;
}

enum err_code onnx_parse_tensor(struct slice bytes, struct arena *arena, struct tensor *ret,
	const char **ret_name, struct err *err)
{
	static const struct type tensor = { 0 };
	return onnx_parse_value(bytes, &tensor, arena, ret, ret_name, err);
}

/* -- writing ----------------------------------------------------------------------------------- */

/* Types under a byte, the first element in the low bits. */
static void *pack_bits(const struct tensor *t, struct arena *arena, size_t *ret_bytes)
{
	unsigned bits = dtype_info(t->dtype)->file_bits, mask = (1u << bits) - 1;
	size_t n = (size_t)tensor_count(t);
	const uint8_t *from = t->data;
	*ret_bytes = (n * bits + 7) / 8;
	uint8_t *to = arena_calloc(arena, *ret_bytes, 1);
	for (size_t i = 0; to && i < n; i++)
		to[i * bits / 8] |= (uint8_t)((from[i] & mask) << (i * bits % 8));
	return to;
}

static enum err_code
point_to_data(Onnx__TensorProto *p, const struct tensor *t, struct arena *arena, struct err *err)
{
	const struct dtype_info *info = dtype_info(t->dtype);
	const struct slice *s = t->data;
	p->has_raw_data = t->dtype != DTYPE_STRING;
	if (t->dtype == DTYPE_STRING) {
		p->n_string_data = (size_t)tensor_count(t);
		p->string_data = ARENA_ARRAY(arena, ProtobufCBinaryData, p->n_string_data);
		for (size_t i = 0; p->string_data && i < p->n_string_data; i++)
			p->string_data[i] = (ProtobufCBinaryData){ s[i].len, (uint8_t *)s[i].ptr };
		return p->string_data ? ERR_OK : err_oom(err);
	}
	p->raw_data = (ProtobufCBinaryData){ tensor_bytes(t), t->data };
	if (info->file_bits >= 8)
		return ERR_OK;
	p->raw_data.data = pack_bits(t, arena, &p->raw_data.len);
	return p->raw_data.data ? ERR_OK : err_oom(err);
}

static enum err_code fill_tensor(Onnx__TensorProto *p, const struct tensor *t, const char *name,
	struct arena *arena, struct err *err)
{
	onnx__tensor_proto__init(p);
	if (t->dtype == DTYPE_TENSOR || t->shape.rank < 0)
		return err_set(err, ERR_UNIMPLEMENTED,
			"'%.120s' is no tensor: it has no form in a TensorProto", name);
	p->name = (char *)name;
	p->has_data_type = 1;
	p->data_type = (int32_t)t->dtype;
	p->dims = (int64_t *)t->shape.dim;
	p->n_dims = (size_t)t->shape.rank;
	return point_to_data(p, t, arena, err);
}

static enum err_code fill_sequence(Onnx__SequenceProto *p, const struct tensor *t, const char *name,
	struct arena *arena, struct err *err)
{
	size_t n = (size_t)tensor_count(t);
	Onnx__TensorProto *item = ARENA_ARRAY(arena, Onnx__TensorProto, n + 1);
	onnx__sequence_proto__init(p);
	p->name = (char *)name;
	p->has_elem_type = 1;
	p->elem_type = ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR;
	p->tensor_values = ARENA_ARRAY(arena, Onnx__TensorProto *, n + 1);
	if (!item || !p->tensor_values)
		return err_oom(err);
	for (; p->n_tensor_values < n; p->n_tensor_values++) {
		p->tensor_values[p->n_tensor_values] = &item[p->n_tensor_values];
		TRY(fill_tensor(&item[p->n_tensor_values],
			(struct tensor *)t->data + p->n_tensor_values, "", arena, err));
	}
	return ERR_OK;
}

/* What one message may be made of. */
struct value_proto {
	Onnx__TensorProto tensor;
	Onnx__SequenceProto sequence;
	Onnx__OptionalProto optional;
};

static void wrap_optional(struct value_proto *v, const struct tensor *t, const char *name)
{
	Onnx__OptionalProto *o = &v->optional;
	bool is_sequence = t->dtype == DTYPE_TENSOR;
	onnx__optional_proto__init(o);
	o->name = (char *)name;
	o->has_elem_type = 1;
	if (tensor_is_absent(t))
		return;
	o->elem_type = is_sequence ? ONNX__OPTIONAL_PROTO__DATA_TYPE__SEQUENCE
				   : ONNX__OPTIONAL_PROTO__DATA_TYPE__TENSOR;
	if (is_sequence)
		o->sequence_value = &v->sequence;
	else
		o->tensor_value = &v->tensor;
}

static enum err_code pack(
	const ProtobufCMessage *m, struct arena *arena, struct slice *ret, struct err *err)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *bytes = arena_alloc(arena, len + 1);
	if (!bytes)
		return err_oom(err);
	protobuf_c_message_pack(m, bytes);
	*ret = (struct slice){ (char *)bytes, len };
	return ERR_OK;
}

enum err_code onnx_format_value(const struct tensor *t, const struct type *type, const char *name,
	struct arena *arena, struct slice *ret, struct err *err)
{
	struct value_proto v;
	const ProtobufCMessage *m = t->dtype == DTYPE_TENSOR ? &v.sequence.base : &v.tensor.base;
	if (type->map_key != DTYPE_UNDEFINED)
		return err_set(err, ERR_UNIMPLEMENTED,
			"'%.120s' is made of maps, which are not written", name);
	if (t->dtype == DTYPE_TENSOR)
		TRY(fill_sequence(&v.sequence, t, name, arena, err));
	else if (!type->is_optional || !tensor_is_absent(t))
		TRY(fill_tensor(&v.tensor, t, name, arena, err));
	if (type->is_optional) {
		wrap_optional(&v, t, name);
		m = &v.optional.base;
	}
	return pack(m, arena, ret, err);
}
