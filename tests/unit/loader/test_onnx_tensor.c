/* SPDX-License-Identifier: Apache-2.0 */
/* Every encoding of a tensor, and what is refused: rows M14, M16 of the bad inputs. */
#include <check.h>
#include <stdlib.h>
#include "loader/onnx/onnx.h"
#include "support/arena_case.h"
#include "support/onnx_text.h"

static struct tensor got;
static const char *name;

static Onnx__TensorProto proto_of(int dtype, int64_t *dims, size_t n_dims)
{
	Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;
	t.name = (char *)"w";
	t.has_data_type = 1;
	t.data_type = dtype;
	t.dims = dims;
	t.n_dims = n_dims;
	return t;
}

static enum err_code parse(const Onnx__TensorProto *t)
{
	return onnx_parse_tensor(onnx_text_pack(arena, &t->base), arena, &got, &name, &err);
}

static void set_raw(Onnx__TensorProto *t, const void *data, size_t len)
{
	t->has_raw_data = 1;
	t->raw_data = (ProtobufCBinaryData){ len, (uint8_t *)data };
}

/* -- what is read ----------------------------------------------------------------------------- */

#define D(id) DTYPE_##id

/* The same elements as raw_data and in a typed field, and in memory. */
static const struct encoding {
	enum dtype dtype;
	int64_t dim;
	const char *raw;
	size_t raw_len;
	int32_t int32[4];
	size_t n_int32;
	const char *memory;
	size_t memory_len;
} encodings[] = {
#define ROW(id, dim, raw, n, m, ...) \
	{ D(id), dim, raw, sizeof(raw) - 1, { __VA_ARGS__ }, n, m, sizeof(m) - 1 }
	ROW(I32, 2, "\1\0\0\0\xff\xff\xff\xff", 2, "\1\0\0\0\xff\xff\xff\xff", 1, -1),
	ROW(I16, 2, "\1\0\xff\xff", 2, "\1\0\xff\xff", 1, -1),
	ROW(U16, 2, "\1\0\xff\xff", 2, "\1\0\xff\xff", 1, 65535),
	ROW(F16, 2, "\0\x3c\0\xc0", 2, "\0\x3c\0\xc0", 0x3c00, 0xc000),
	ROW(BF16, 1, "\x80\x3f", 1, "\x80\x3f", 0x3f80),
	ROW(I8, 3, "\1\x80\xff", 3, "\1\x80\xff", 1, -128, -1),
	ROW(U8, 3, "\1\x80\xff", 3, "\1\x80\xff", 1, 128, 255),
	ROW(BOOL, 2, "\0\1", 2, "\0\1", 0, 1),
	ROW(F8E4M3FN, 2, "\x38\xb8", 2, "\x38\xb8", 0x38, 0xb8),
	ROW(F8E4M3FNUZ, 1, "\x40", 1, "\x40", 0x40),
	ROW(F8E5M2, 1, "\x3c", 1, "\x3c", 0x3c),
	ROW(F8E5M2FNUZ, 1, "\x40", 1, "\x40", 0x40),
	ROW(F8E8M0, 1, "\x7f", 1, "\x7f", 0x7f),
	/* First element in the low bits; an odd count leaves the last bits unused. */
	ROW(U4, 3, "\x21\xff", 2, "\1\2\xf", 0x21, 0xff),
	ROW(I4, 3, "\x81\x0f", 2, "\1\xf8\xff", 0x81, 0x0f),
	ROW(F4E2M1, 2, "\x2a", 1, "\xa\2", 0x2a),
	ROW(U2, 5, "\xe4\x03", 2, "\0\1\2\3\3", 0xe4, 3),
	ROW(I2, 4, "\xe4", 1, "\0\1\xfe\xff", 0xe4),
#undef ROW
};

static void expect_memory(const struct encoding *e, const char *how)
{
	ck_assert_int_eq(got.dtype, e->dtype);
	ck_assert_int_eq(got.shape.rank, 1);
	ck_assert_uint_eq(tensor_bytes(&got), e->memory_len);
	ck_assert_msg(memcmp(got.data, e->memory, e->memory_len) == 0, "%s from %s",
		dtype_name(e->dtype), how);
	ck_assert_uint_eq((uintptr_t)got.data % 64, 0);
	ck_assert_str_eq(name, "w");
}

START_TEST(raw_data_and_int32_data_say_the_same)
{
	const struct encoding *e = &encodings[_i];
	int64_t dim = e->dim;
	Onnx__TensorProto t = proto_of((int)e->dtype, &dim, 1);
	set_raw(&t, e->raw, e->raw_len);
	ck_assert_msg(parse(&t) == ERR_OK, "%s: %s", dtype_name(e->dtype), err.msg);
	expect_memory(e, "raw_data");

	t = proto_of((int)e->dtype, &dim, 1);
	t.int32_data = (int32_t *)e->int32;
	t.n_int32_data = e->n_int32;
	ck_assert_msg(parse(&t) == ERR_OK, "%s: %s", dtype_name(e->dtype), err.msg);
	expect_memory(e, "int32_data");
}
END_TEST

START_TEST(other_typed_fields_are_read)
{
	int64_t dim = 2, i64[2] = { INT64_MIN, 5 };
	uint64_t u64[2] = { UINT64_MAX, 1 }, u32[2] = { UINT32_MAX, 2 };
	float f[4] = { 1, 2, 3, 4 };
	double d[4] = { 1, 2, 3, 4 };
	Onnx__TensorProto t = proto_of(D(I64), &dim, 1);
	t.int64_data = i64, t.n_int64_data = 2;
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_mem_eq(got.data, i64, sizeof(i64));
	t = proto_of(D(U64), &dim, 1), t.uint64_data = u64, t.n_uint64_data = 2;
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_mem_eq(got.data, u64, sizeof(u64));
	t = proto_of(D(U32), &dim, 1), t.uint64_data = u32, t.n_uint64_data = 2;
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_uint_eq(((uint32_t *)got.data)[0], UINT32_MAX);
	t = proto_of(D(F32), &dim, 1), t.float_data = f, t.n_float_data = 2;
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_mem_eq(got.data, f, 8);
	t = proto_of(D(C64), &dim, 1), t.float_data = f, t.n_float_data = 4;
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_mem_eq(got.data, f, 16);
	t = proto_of(D(F64), &dim, 1), t.double_data = d, t.n_double_data = 2;
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_mem_eq(got.data, d, 16);
	t = proto_of(D(C128), &dim, 1), t.double_data = d, t.n_double_data = 4;
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_mem_eq(got.data, d, 32);
}
END_TEST

START_TEST(strings_keep_every_byte)
{
	int64_t dim = 2;
	ProtobufCBinaryData s[2] = { { 3, (uint8_t *)"a\0b" }, { 0, NULL } };
	Onnx__TensorProto t = proto_of(D(STRING), &dim, 1);
	t.string_data = s;
	t.n_string_data = 2;
	ck_assert_int_eq(parse(&t), ERR_OK);
	const struct slice *is = got.data;
	ck_assert(slice_eq(is[0], SLICE_LIT("a\0b")));
	ck_assert_uint_eq(is[1].len, 0);
}
END_TEST

START_TEST(big_data_is_aligned_and_outlives_the_file)
{
	int64_t dim = 1 << 20;
	float *f = malloc(sizeof(float) << 20);
	for (int i = 0; i < 1 << 20; i++)
		f[i] = (float)i;
	Onnx__TensorProto t = proto_of(D(F32), &dim, 1);
	set_raw(&t, f, sizeof(float) << 20);
	size_t before = arena_used_bytes(arena);
	size_t packed = onnx__tensor_proto__get_packed_size(&t);

	ck_assert_int_eq(parse(&t), ERR_OK);

	ck_assert_uint_eq((uintptr_t)got.data % 64, 0);
	ck_assert_mem_eq(got.data, f, sizeof(float) << 20);
	/* The packed bytes, one copy of the data, and little else. */
	ck_assert_uint_lt(arena_used_bytes(arena) - before, 2 * packed + 4096);
	free(f);
}
END_TEST

START_TEST(M14_zero_elements_and_rank_zero_are_fine)
{
	int64_t dims[2] = { 3, 0 };
	Onnx__TensorProto t = proto_of(D(F32), dims, 2);
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_int_eq(tensor_count(&got), 0);
	ck_assert_ptr_nonnull(got.data);
	float one = 1;
	t = proto_of(D(F32), NULL, 0);
	t.float_data = &one;
	t.n_float_data = 1;
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_int_eq(got.shape.rank, 0);
}
END_TEST

START_TEST(a_bool_that_is_neither_is_true)
{
	int64_t dim = 3;
	Onnx__TensorProto t = proto_of(D(BOOL), &dim, 1);
	set_raw(&t, "\0\x80\x02", 3);
	ck_assert_int_eq(parse(&t), ERR_OK);
	ck_assert_mem_eq(got.data, "\0\1\1", 3);
}
END_TEST

/* -- what is refused --------------------------------------------------------------------------- */

static const struct {
	int64_t dims[3];
	size_t n;
} bad_dims[] = {
	{ { -1 }, 1 },
	{ { INT64_MAX }, 1 },
	{ { INT64_MIN }, 1 },
	{ { 1LL << 32, 1LL << 32 }, 2 },
	{ { 1LL << 62, 4 }, 2 },
	{ { (1LL << 60) + 2, 16, 0 }, 3 }, /* a zero does not excuse it */
	{ { 1LL << 47, 1 }, 2 },
};

START_TEST(M14_bad_shapes_are_refused_before_any_memory_is_taken)
{
	Onnx__TensorProto t = proto_of(D(F64), (int64_t *)bad_dims[_i].dims, bad_dims[_i].n);
	size_t before = arena_used_bytes(arena);
	set_raw(&t, "abc", 3);
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "tensor 'w'"));
	ck_assert_uint_lt(arena_used_bytes(arena) - before, 4096);
}
END_TEST

START_TEST(M14_more_than_12_dimensions_are_refused)
{
	int64_t dims[65];
	for (int i = 0; i < 65; i++)
		dims[i] = 1;
	Onnx__TensorProto t = proto_of(D(U8), dims, 65);
	set_raw(&t, "a", 1);
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(M16_raw_data_of_another_size_is_refused)
{
	static const size_t sizes[] = { 0, 7, 9, 80 };
	int64_t dim = 2;
	Onnx__TensorProto t = proto_of(D(F32), &dim, 1);
	char zeros[80] = { 0 };
	set_raw(&t, zeros, sizes[_i]);
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "tensor 'w'"));
}
END_TEST

START_TEST(M16_four_bit_data_of_an_odd_count_needs_its_last_byte)
{
	int64_t dim = 3;
	Onnx__TensorProto t = proto_of(D(U4), &dim, 1);
	set_raw(&t, "\x21", 1);
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
	set_raw(&t, "\x21\x03\x00", 3);
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(M16_data_in_the_wrong_field_is_refused)
{
	int64_t dim = 1, i64 = 1;
	float f = 1;
	Onnx__TensorProto t = proto_of(D(F32), &dim, 1);
	t.int64_data = &i64;
	t.n_int64_data = 1;
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "int64_data"));
	t = proto_of(D(I64), &dim, 1), t.float_data = &f, t.n_float_data = 1;
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
	/* Two fields, even if one of them is right. */
	t = proto_of(D(F32), &dim, 1), t.float_data = &f, t.n_float_data = 1;
	set_raw(&t, &f, 4);
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "both"));
	t = proto_of(D(STRING), &dim, 1);
	set_raw(&t, "abc", 3);
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(M16_elements_out_of_their_type_are_refused)
{
	int64_t dim = 1;
	int32_t v = 256;
	Onnx__TensorProto t = proto_of(D(U8), &dim, 1);
	t.int32_data = &v;
	t.n_int32_data = 1;
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "256"));
	t.data_type = D(BOOL);
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
	t.data_type = D(I16);
	ck_assert_int_eq(parse(&t), ERR_OK);
}
END_TEST

START_TEST(M16_types_that_are_none_are_refused)
{
	static const int types[] = { 0, 27, 99, -1, INT32_MAX };
	int64_t dim = 1;
	Onnx__TensorProto t = proto_of(types[_i], &dim, 1);
	set_raw(&t, "abcd", 4);
	ck_assert_int_eq(parse(&t), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "data_type"));
}
END_TEST

/* -- values in files --------------------------------------------------------------------------- */

START_TEST(what_is_written_reads_back)
{
	const struct encoding *e = &encodings[_i];
	struct tensor t = { .data = (void *)e->memory, .dtype = e->dtype,
		.shape = shape_of(e->dim) };
	struct slice bytes;
	ck_assert_int_eq(onnx_format_value(
		&t, &(struct type){ .dtype = t.dtype }, "w", arena, &bytes, &err), ERR_OK);
	ck_assert_int_eq(onnx_parse_tensor(bytes, arena, &got, &name, &err), ERR_OK);
	expect_memory(e, "what was written");
}
END_TEST

START_TEST(strings_are_written_and_read_back)
{
	struct slice s[2] = { SLICE_LIT("a\0b"), SLICE_LIT("") }, bytes;
	struct tensor t = { .data = s, .dtype = DTYPE_STRING, .shape = shape_of(2) };
	ck_assert_int_eq(onnx_format_value(
		&t, &(struct type){ .dtype = t.dtype }, "w", arena, &bytes, &err), ERR_OK);
	ck_assert_int_eq(onnx_parse_tensor(bytes, arena, &got, &name, &err), ERR_OK);
	ck_assert(slice_eq(((struct slice *)got.data)[0], s[0]));
}
END_TEST

START_TEST(sequences_and_optionals_are_read_by_their_type)
{
	const struct type sequence = { .is_sequence = true }, optional = { .is_optional = true };
	int64_t dim = 2;
	Onnx__TensorProto t = proto_of(D(U8), &dim, 1), *list[2] = { &t, &t };
	set_raw(&t, "ab", 2);
	Onnx__SequenceProto s = ONNX__SEQUENCE_PROTO__INIT;
	s.name = (char *)"seq";
	s.tensor_values = list;
	s.n_tensor_values = 2;
	struct slice bytes = onnx_text_pack(arena, &s.base);
	ck_assert_int_eq(onnx_parse_value(bytes, &sequence, arena, &got, &name, &err), ERR_OK);
	ck_assert_str_eq(name, "seq");
	ck_assert_int_eq(got.dtype, DTYPE_TENSOR);
	ck_assert_int_eq(got.shape.dim[0], 2);
	ck_assert_mem_eq(((struct tensor *)got.data)[1].data, "ab", 2);

	Onnx__OptionalProto o = ONNX__OPTIONAL_PROTO__INIT;
	ck_assert_int_eq(onnx_parse_value(onnx_text_pack(arena, &o.base), &optional, arena, &got,
				 &name, &err),
		ERR_OK);
	ck_assert_ptr_null(got.data);
	ck_assert_int_eq(got.shape.rank, RANK_UNKNOWN);
	o.sequence_value = &s;
	ck_assert_int_eq(onnx_parse_value(onnx_text_pack(arena, &o.base), &optional, arena, &got,
				 &name, &err),
		ERR_OK);
	ck_assert_int_eq(got.dtype, DTYPE_TENSOR);
	o.sequence_value = NULL;
	o.tensor_value = &t;
	ck_assert_int_eq(onnx_parse_value(onnx_text_pack(arena, &o.base), &optional, arena, &got,
				 &name, &err),
		ERR_OK);
	ck_assert_int_eq(got.dtype, DTYPE_U8);
	ck_assert_int_eq(
		onnx_parse_value(SLICE_LIT("\x1a\x05x"), &sequence, arena, &got, &name, &err),
		ERR_INVALID_ARGUMENT);
}
END_TEST

Suite *suite_onnx_tensor(void);
Suite *suite_onnx_tensor(void)
{
	Suite *s = suite_create("onnx_tensor");
	TCase *t = tcase_create("onnx_tensor");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, raw_data_and_int32_data_say_the_same, 0,
		(int)(sizeof(encodings) / sizeof(encodings[0])));
	tcase_add_test(t, other_typed_fields_are_read);
	tcase_add_test(t, strings_keep_every_byte);
	tcase_add_test(t, big_data_is_aligned_and_outlives_the_file);
	tcase_add_test(t, M14_zero_elements_and_rank_zero_are_fine);
	tcase_add_test(t, a_bool_that_is_neither_is_true);
	tcase_add_loop_test(t, M14_bad_shapes_are_refused_before_any_memory_is_taken, 0,
		(int)(sizeof(bad_dims) / sizeof(bad_dims[0])));
	tcase_add_test(t, M14_more_than_12_dimensions_are_refused);
	tcase_add_loop_test(t, M16_raw_data_of_another_size_is_refused, 0, 4);
	tcase_add_test(t, M16_four_bit_data_of_an_odd_count_needs_its_last_byte);
	tcase_add_test(t, M16_data_in_the_wrong_field_is_refused);
	tcase_add_test(t, M16_elements_out_of_their_type_are_refused);
	tcase_add_loop_test(t, M16_types_that_are_none_are_refused, 0, 5);
	tcase_add_loop_test(t, what_is_written_reads_back, 0,
		(int)(sizeof(encodings) / sizeof(encodings[0])));
	tcase_add_test(t, strings_are_written_and_read_back);
	tcase_add_test(t, sequences_and_optionals_are_read_by_their_type);
	suite_add_tcase(s, t);
	return s;
}
