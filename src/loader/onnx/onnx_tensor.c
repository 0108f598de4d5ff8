/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_tensor.c -- the one place where a TensorProto becomes a tensor
 *
 * Initializers, Constant nodes, attributes, sparse values and indices, bodies, functions
 * and test data all come through here, so that no way past the checks is left open.
 *
 * Big raw_data of a file was read past protobuf-c (pb_lift.h). Other raw_data and the typed
 * fields that look like it in memory are used where protobuf-c put them when they are big
 * (pb_mem_adopt), and copied to an aligned place when small.
 */
#include "loader/onnx/onnx_reader.h"

_Static_assert(
	__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian, and read as they are");

enum source {
	SOURCE_NONE,
	SOURCE_RAW,
	SOURCE_EXTERNAL,
	SOURCE_FLOAT,
	SOURCE_INT32,
	SOURCE_STRING,
	SOURCE_INT64,
	SOURCE_DOUBLE,
	SOURCE_UINT64,
	SOURCE_COUNT_
};

static const char *const source_names[SOURCE_COUNT_] = { "no data", "raw_data", "external data",
	"float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data" };

/* Which typed field a type's elements are in, and between what values. lo == hi: the field
   has the elements as they are in memory. */
static const struct typed_field {
	enum source source;
	int64_t lo, hi;
} typed_fields[DTYPE_COUNT_] = {
	[DTYPE_F32] = { SOURCE_FLOAT, 0, 0 },
	[DTYPE_C64] = { SOURCE_FLOAT, 0, 0 },
	[DTYPE_F64] = { SOURCE_DOUBLE, 0, 0 },
	[DTYPE_C128] = { SOURCE_DOUBLE, 0, 0 },
	[DTYPE_I64] = { SOURCE_INT64, 0, 0 },
	[DTYPE_U64] = { SOURCE_UINT64, 0, 0 },
	[DTYPE_U32] = { SOURCE_UINT64, 0, UINT32_MAX },
	[DTYPE_STRING] = { SOURCE_STRING, 0, 0 },
	[DTYPE_I32] = { SOURCE_INT32, 0, 0 },
	[DTYPE_I16] = { SOURCE_INT32, INT16_MIN, INT16_MAX },
	[DTYPE_I8] = { SOURCE_INT32, INT8_MIN, INT8_MAX },
	[DTYPE_BOOL] = { SOURCE_INT32, 0, 1 },
	[DTYPE_U16] = { SOURCE_INT32, 0, UINT16_MAX },
	[DTYPE_F16] = { SOURCE_INT32, 0, UINT16_MAX },
	[DTYPE_BF16] = { SOURCE_INT32, 0, UINT16_MAX },
	[DTYPE_U8] = { SOURCE_INT32, 0, UINT8_MAX },
	[DTYPE_F8E4M3FN] = { SOURCE_INT32, 0, UINT8_MAX },
	[DTYPE_F8E4M3FNUZ] = { SOURCE_INT32, 0, UINT8_MAX },
	[DTYPE_F8E5M2] = { SOURCE_INT32, 0, UINT8_MAX },
	[DTYPE_F8E5M2FNUZ] = { SOURCE_INT32, 0, UINT8_MAX },
	[DTYPE_F8E8M0] = { SOURCE_INT32, 0, UINT8_MAX },
	/* A byte with two or four elements each. */
	[DTYPE_U4] = { SOURCE_INT32, 0, UINT8_MAX },
	[DTYPE_I4] = { SOURCE_INT32, 0, UINT8_MAX },
	[DTYPE_F4E2M1] = { SOURCE_INT32, 0, UINT8_MAX },
	[DTYPE_U2] = { SOURCE_INT32, 0, UINT8_MAX },
	[DTYPE_I2] = { SOURCE_INT32, 0, UINT8_MAX },
};

/* A typed field as the array that protobuf-c made of it. */
struct typed {
	void *data;
	size_t n, element_bytes;
};

static struct typed typed_data(const Onnx__TensorProto *p, enum source source)
{
	switch (source) {
	case SOURCE_FLOAT: return (struct typed){ p->float_data, p->n_float_data, 4 };
	case SOURCE_INT32: return (struct typed){ p->int32_data, p->n_int32_data, 4 };
	case SOURCE_INT64: return (struct typed){ p->int64_data, p->n_int64_data, 8 };
	case SOURCE_DOUBLE: return (struct typed){ p->double_data, p->n_double_data, 8 };
	case SOURCE_UINT64: return (struct typed){ p->uint64_data, p->n_uint64_data, 8 };
	case SOURCE_STRING:
		return (struct typed){ p->string_data, p->n_string_data, sizeof(*p->string_data) };
	default: return (struct typed){ 0 };
	}
}

static const struct pb_piece *lifted(const struct onnx_reader *r, const Onnx__TensorProto *p)
{
	return pb_lifted_piece(&r->lifted, &p->base);
}

static size_t raw_bytes(const struct onnx_reader *r, const Onnx__TensorProto *p)
{
	const struct pb_piece *piece = lifted(r, p);
	return piece ? piece->bytes : p->raw_data.len;
}

static enum err_code find_source(const struct onnx_reader *r, const Onnx__TensorProto *p,
	enum dtype dtype, enum source *ret, struct err *err)
{
	enum source found = p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL
				    ? SOURCE_EXTERNAL
				    : SOURCE_NONE;
	for (enum source s = SOURCE_RAW; s < SOURCE_COUNT_; s++) {
		bool has = s == SOURCE_RAW ? raw_bytes(r, p) > 0 : typed_data(p, s).n > 0;
		if (has && found != SOURCE_NONE)
			return err_set(err, ERR_INVALID_ARGUMENT, "has both %s and %s",
				source_names[found], source_names[s]);
		if (has)
			found = s;
	}
	if (found >= SOURCE_FLOAT && found != typed_fields[dtype].source)
		return err_set(err, ERR_INVALID_ARGUMENT, "is %s with its elements in %s",
			dtype_name(dtype), source_names[found]);
	if (found == SOURCE_RAW && dtype_info(dtype)->file_bits == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "is %s, which has no form in raw_data",
			dtype_name(dtype));
	*ret = found;
	return ERR_OK;
}

static enum err_code wrong_size(const char *where, size_t is, size_t want, const char *unit,
	struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "has %zu %s in %s, its shape and type need %zu",
		is, unit, where, want);
}

enum err_code onnx_read_dims(const int64_t *dim, size_t n, struct shape *ret, struct err *err)
{
	if (n > RANK_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"has %zu dimensions, at most %d are allowed", n, RANK_MAX);
	struct shape s = { .rank = (int32_t)n };
	for (size_t i = 0; i < n; i++)
		s.dim[i] = dim[i];
	for (size_t i = 0; i < n; i++)
		if (dim[i] < 0)
			return err_set(err, ERR_INVALID_ARGUMENT, "dimension %zu is %lld", i,
				(long long)dim[i]);
	int64_t count;
	if (shape_count_overflows(&s, &count))
		return err_set(
			err, ERR_INVALID_ARGUMENT, "its shape %s is too large", SHAPE_TEXT(&s));
	*ret = s;
	return ERR_OK;
}

/* What a tensor is to be. */
struct spec {
	enum dtype dtype;
	struct shape shape;
};

/* -- bytes to elements --------------------------------------------------------------------- */

/* A kernel may take a bool for 0 or 1; a file may not mean it. */
static void normalize(struct tensor *t)
{
	if (t->dtype != DTYPE_BOOL)
		return;
	uint8_t *p = t->data;
	for (int64_t i = 0, n = tensor_count(t); i < n; i++)
		p[i] = p[i] != 0;
}

/* 4-bit and 2-bit elements, the first in the low bits, to a byte each. */
static void unpack_bits(const uint8_t *from, struct tensor *t)
{
	int bits = dtype_info(t->dtype)->file_bits;
	bool is_signed = dtype_info(t->dtype)->class == DTYPE_CLASS_INT;
	uint8_t *to = t->data;
	for (int64_t i = 0, n = tensor_count(t); i < n; i++) {
		unsigned v = from[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
		unsigned sign = is_signed ? 1u << (bits - 1) : 0;
		to[i] = (uint8_t)((v ^ sign) - sign);
	}
}

static size_t file_bytes(const struct spec *s)
{
	/* Elements are at most 2^48: no overflow. */
	return ((size_t)shape_count(&s->shape) * dtype_info(s->dtype)->file_bits + 7) / 8;
}

static bool is_packed(enum dtype dtype)
{
	int bits = dtype_info(dtype)->file_bits;
	return bits > 0 && bits < 8;
}

static enum err_code use_bytes(struct onnx_reader *r, void *bytes, const struct spec *s,
	struct tensor **ret, struct err *err)
{
	struct tensor *t = ARENA_NEW(r->arena, struct tensor);
	if (!t)
		return err_oom(err);
	*t = (struct tensor){ .data = bytes, .dtype = s->dtype, .shape = s->shape };
	*ret = t;
	return ERR_OK;
}

/* bytes: as raw_data has them, in memory of protobuf-c's. */
static enum err_code take_bytes(struct onnx_reader *r, void *bytes, size_t len,
	const struct spec *s, struct tensor **ret, struct err *err)
{
	enum err_code rc;
	if (len >= PB_BIG_BYTES && !is_packed(s->dtype)) {
		rc = pb_mem_adopt(&r->mem, bytes, r->arena) == ERR_OK
			? use_bytes(r, bytes, s, ret, err)
			: err_oom(err);
	} else {
		rc = onnx_new_tensor(r, s->dtype, &s->shape, ret, err);
		if (rc == ERR_OK && is_packed(s->dtype))
			unpack_bits(bytes, *ret);
		else if (rc == ERR_OK && len)
			memcpy((*ret)->data, bytes, len);
	}
	if (rc == ERR_OK)
		normalize(*ret);
	return rc;
}

/* data: as raw_data has it, in memory that stays. */
static enum err_code take_piece(struct onnx_reader *r, void *data, const struct spec *s,
	struct tensor **ret, struct err *err)
{
	enum err_code rc = is_packed(s->dtype) ? onnx_new_tensor(r, s->dtype, &s->shape, ret, err)
					       : use_bytes(r, data, s, ret, err);
	if (rc == ERR_OK && is_packed(s->dtype))
		/* the piece stays: a function's constant is read at each call */
		unpack_bits(data, *ret);
	if (rc == ERR_OK)
		normalize(*ret);
	return rc;
}

static enum err_code read_raw(struct onnx_reader *r, const Onnx__TensorProto *p,
	const struct spec *s, struct tensor **ret, struct err *err)
{
	const struct pb_piece *piece = lifted(r, p);
	size_t want = file_bytes(s), len = raw_bytes(r, p);
	if (len != want)
		return wrong_size("raw_data", len, want, "bytes", err);
	if (piece)
		return take_piece(r, piece->data, s, ret, err);
	return take_bytes(r, p->raw_data.data, want, s, ret, err);
}

static enum err_code read_external(struct onnx_reader *r, const Onnx__TensorProto *p,
	const struct spec *s, struct tensor **ret, struct err *err)
{
	if (dtype_info(s->dtype)->file_bits == 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"is %s, which has no form in external data", dtype_name(s->dtype));
	size_t bytes = file_bytes(s);
	struct tensor *t;
	enum err_code rc = onnx_new_tensor(r, s->dtype, &s->shape, &t, err);
	if (rc != ERR_OK)
		return rc;
	void *packed = is_packed(s->dtype) ? r->mem.allocator.alloc(&r->mem, bytes + 1) : NULL;
	if (is_packed(s->dtype) && !packed)
		return err_oom(err);
	rc = onnx_read_external(r, p, packed ? packed : t->data, bytes, err);
	if (rc == ERR_OK && packed)
		unpack_bits(packed, t);
	if (packed)
		r->mem.allocator.free(&r->mem, packed);
	if (rc != ERR_OK)
		return rc;
	normalize(t);
	*ret = t;
	return ERR_OK;
}

/* -- typed fields -------------------------------------------------------------------------- */

static enum err_code read_strings(struct onnx_reader *r, const Onnx__TensorProto *p,
	const struct shape *shape, struct tensor **ret, struct err *err)
{
	enum err_code rc = onnx_new_tensor(r, DTYPE_STRING, shape, ret, err);
	struct slice *to = rc == ERR_OK ? (*ret)->data : NULL;
	for (size_t i = 0; rc == ERR_OK && i < p->n_string_data; i++) {
		const ProtobufCBinaryData *s = &p->string_data[i];
		to[i] = (struct slice){ arena_strndup(r->arena, (char *)s->data, s->len), s->len };
		if (!to[i].ptr)
			rc = err_oom(err);
	}
	return rc;
}

static int64_t typed_element(const struct typed *d, size_t i)
{
	return d->element_bytes == 4 ? ((int32_t *)d->data)[i] : ((int64_t *)d->data)[i];
}

/* Elements kept in something wider than they are. */
static enum err_code narrow(const struct typed *d, const struct typed_field *f, size_t bytes,
	void *to, struct err *err)
{
	for (size_t i = 0; i < d->n; i++) {
		int64_t v = typed_element(d, i);
		if (v < f->lo || v > f->hi)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"element %zu in %s is %lld, it must be in %lld to %lld", i,
				source_names[f->source], (long long)v, (long long)f->lo,
				(long long)f->hi);
		memcpy((char *)to + i * bytes, &v, bytes);
	}
	return ERR_OK;
}

static enum err_code read_narrow(struct onnx_reader *r, const struct typed *d,
	const struct spec *s, struct tensor **ret, struct err *err)
{
	const struct typed_field *f = &typed_fields[s->dtype];
	enum err_code rc = onnx_new_tensor(r, s->dtype, &s->shape, ret, err);
	if (rc != ERR_OK || !is_packed(s->dtype))
		return rc == ERR_OK ? narrow(d, f, dtype_bytes(s->dtype), (*ret)->data, err) : rc;
	void *packed = r->mem.allocator.alloc(&r->mem, d->n + 1);
	if (!packed)
		return err_oom(err);
	rc = narrow(d, f, 1, packed, err);
	if (rc == ERR_OK)
		unpack_bits(packed, *ret);
	r->mem.allocator.free(&r->mem, packed);
	return rc;
}

static enum err_code read_typed(struct onnx_reader *r, const Onnx__TensorProto *p,
	const struct spec *s, struct tensor **ret, struct err *err)
{
	const struct typed_field *f = &typed_fields[s->dtype];
	struct typed d = typed_data(p, f->source);
	size_t want = (size_t)shape_count(&s->shape);
	if (is_packed(s->dtype))
		want = file_bytes(s);
	else if (dtype_info(s->dtype)->class == DTYPE_CLASS_COMPLEX)
		want *= 2;
	if (d.n != want)
		return wrong_size(source_names[f->source], d.n, want, "elements", err);
	if (s->dtype == DTYPE_STRING)
		return read_strings(r, p, &s->shape, ret, err);
	if (f->lo != f->hi)
		return read_narrow(r, &d, s, ret, err);
	return take_bytes(r, d.data, d.n * d.element_bytes, s, ret, err);
}

static enum err_code read_tensor(struct onnx_reader *r, const Onnx__TensorProto *p,
	struct tensor **ret, struct err *err)
{
	struct spec s = { .dtype = (enum dtype)p->data_type };
	if (p->data_type <= DTYPE_UNDEFINED || p->data_type >= DTYPE_TENSOR)
		return err_set(err, ERR_INVALID_ARGUMENT, "data_type %d is none", p->data_type);
	if (p->segment)
		return err_set(err, ERR_UNIMPLEMENTED, "is split into segments");
	enum source source = SOURCE_NONE;
	enum err_code rc = onnx_read_dims(p->dims, p->n_dims, &s.shape, err);
	if (rc == ERR_OK)
		rc = find_source(r, p, s.dtype, &source, err);
	if (rc != ERR_OK)
		return rc;
	if (source == SOURCE_EXTERNAL)
		return read_external(r, p, &s, ret, err);
	if (source == SOURCE_RAW)
		return read_raw(r, p, &s, ret, err);
	return read_typed(r, p, &s, ret, err);
}

enum err_code onnx_read_tensor(struct onnx_reader *r, const Onnx__TensorProto *proto,
	struct tensor **ret, struct err *err)
{
	enum err_code rc = read_tensor(r, proto, ret, err);
	if (rc != ERR_OK)
		return err_prefix(err, "tensor '%.120s'", proto->name ? proto->name : "");
	return ERR_OK;
}
