/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "support/arena_case.h"
#include "tools/protocol.h"
#include "tools/values.h"

#define IO(name_, dtype_, ...) { .name = name_, .dtype = dtype_, .shape = { __VA_ARGS__ } }
static struct model_io in_io[2] = { IO("image", DTYPE_F32, 2, { -1, 2 }),
	IO("text", DTYPE_STRING, 1, { -1 }) };
static struct model_io out_io[2] = { IO("label", DTYPE_I64, 1, { -1 }),
	IO("p", DTYPE_F32, 2, { -1, 2 }) };
static struct model_info model = { .name = "m", .version = "3", .in = in_io, .out = out_io,
	.n_in = 2, .n_out = 2 };

static void given_inputs(struct tensor in[2])
{
	static float pixels[4] = { 0.5f, 1, 2, 3 };
	static struct slice words[2] = { { "hi", 2 }, { "", 0 } };
	in[0] = (struct tensor){ .data = pixels, .dtype = DTYPE_F32, .shape = shape_of(2, 2) };
	in[1] = (struct tensor){ .data = words, .dtype = DTYPE_STRING, .shape = shape_of(2) };
}

static struct slice body_of(const char *protocol)
{
	struct tensor in[2];
	struct slice body;
	size_t json_bytes;
	given_inputs(in);
	ck_assert_int_eq(
		protocol_body(protocol_find(protocol), &model, in, arena, &json_bytes, &body, NULL),
		ERR_OK);
	return body;
}

static struct http_request encoded(const char *protocol)
{
	struct tensor in[2];
	struct http_request q = { 0 };
	given_inputs(in);
	ck_assert_int_eq(
		protocol_request(protocol_find(protocol), &model, in, arena, &q, NULL), ERR_OK);
	return q;
}

static enum err_code decoded(const char *protocol, const char *body, size_t len, size_t json_bytes,
	struct tensor *out, struct err *err)
{
	memset(out, 0, 2 * sizeof(*out));
	struct slice all = { body, len };
	return protocol_find(protocol)->decode(&model, all, json_bytes, arena, out, err);
}

START_TEST(v1_writes_columns)
{
	struct http_request q = encoded("v1");
	ck_assert_str_eq(q.path, "/v1/models/m/versions/3:predict");
	ck_assert_str_eq(q.body.ptr,
		"{\"inputs\":{\"image\":[[0.5, 1.0], [2.0, 3.0]],\"text\":[\"hi\", \"\"]}}");
}
END_TEST

START_TEST(v2_writes_flat_data)
{
	struct http_request q = encoded("v2");
	ck_assert_str_eq(q.path, "/v2/models/m/versions/3/infer");
	ck_assert_str_eq(q.body.ptr, "{\"inputs\":[{\"name\":\"image\",\"datatype\":\"FP32\","
				     "\"shape\":[2,2],\"data\":[0.5,1.0,2.0,3.0]},"
				     "{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[2],"
				     "\"data\":[\"hi\",\"\"]}]}");
}
END_TEST

START_TEST(v2_binary_puts_raw_tensors_behind_the_json)
{
	struct http_request q = encoded("v2-binary");
	ck_assert_uint_eq(q.body.len - q.json_bytes, 16 + 4 + 2 + 4);
	ck_assert_mem_eq(q.body.ptr + q.json_bytes + 16, "\2\0\0\0hi\0\0\0\0", 10);
	ck_assert_ptr_nonnull(memmem(q.body.ptr, q.json_bytes, "\"binary_data_size\":10", 21));
}
END_TEST

START_TEST(grpc_v2_writes_a_message_with_raw_tensors)
{
	static const char want[] =
		"\012\001m\022\0013"
		"*\021\012\005image\022\004FP32\032\002\002\002"
		"*\020\012\004text\022\005BYTES\032\001\002"
		":\020\0\0\0\077\0\0\200\077\0\0\0\100\0\0\100\100"
		":\012\2\0\0\0hi\0\0\0\0";
	struct slice body = body_of("grpc-v2");
	ck_assert_uint_eq(body.len, sizeof(want) - 1);
	ck_assert_mem_eq(body.ptr, want, body.len);
}
END_TEST

#define P_HEAD "*\015\012\001p\022\004FP32\032\002\001\002"
#define LABEL_HEAD "*\021\012\005label\022\005INT64\032\001\001"
#define P_RAW "2\010\0\0\0\0\0\0\200\077"
#define LABEL_RAW "2\010\7\0\0\0\0\0\0\0"

START_TEST(grpc_v2_answers_have_their_raw_tensors_in_the_order_of_outputs)
{
	static const char body[] = "\012\001m" P_HEAD LABEL_HEAD P_RAW LABEL_RAW;
	struct tensor out[2];
	ck_assert_int_eq(decoded("grpc-v2", body, sizeof(body) - 1, 0, out, NULL), ERR_OK);
	ck_assert_int_eq(tensor_int(&out[0], 0), 7);
	ck_assert(tensor_float(&out[1], 1) == 1);
}
END_TEST

START_TEST(grpc_v2_answers_that_contradict_themselves_are_refused)
{
	static const struct slice wrong[] = {
		SLICE_LIT(P_HEAD), /* no tensor */
		SLICE_LIT(P_HEAD "2\007\0\0\0\0\0\0\200"),
		SLICE_LIT("*\015\012\001q\022\004FP32\032\002\001\002" P_RAW),
		SLICE_LIT("*\015\012\001p\022\004FP3X\032\002\001\002" P_RAW),
		SLICE_LIT(P_HEAD P_RAW "2\011\0"),
		SLICE_LIT("*\020\012\001p" P_RAW),
	};
	struct tensor out[2];
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(
			decoded("grpc-v2", wrong[i].ptr, wrong[i].len, 0, out, NULL) != ERR_OK,
			"row %zu", i);
}
END_TEST

START_TEST(grpc_tfs_writes_a_message_with_contents)
{
	static const char want[] =
		"\012\007\012\001m\022\002\010\003"
		"\022\047\012\005image\022\036\010\001\022\010\022\002\010\002\022\002\010\002"
		"\042\020\0\0\0\077\0\0\200\077\0\0\0\100\0\0\100\100"
		"\022\026\012\004text\022\016\010\007\022\004\022\002\010\002\102\002hi\102\0";
	struct slice body = body_of("grpc-tfs");
	ck_assert_uint_eq(body.len, sizeof(want) - 1);
	ck_assert_mem_eq(body.ptr, want, body.len);
}
END_TEST

/* p is float32[1,2]: in its own field, in tensor_content, and one value for both. */
#define TFS_SHAPE "\010\001\022\010\022\002\010\001\022\002\010\002"
#define TFS_TYPED "\012\033\012\001p\022\026" TFS_SHAPE "\052\010\0\0\0\0\0\0\200\077"
#define TFS_CONTENT "\012\033\012\001p\022\026" TFS_SHAPE "\042\010\0\0\0\0\0\0\200\077"
#define TFS_FILLED "\012\027\012\001p\022\022" TFS_SHAPE "\052\004\0\0\200\077"

START_TEST(grpc_tfs_answers_come_in_every_form)
{
	static const struct slice body[] = { SLICE_LIT(TFS_TYPED), SLICE_LIT(TFS_CONTENT),
		SLICE_LIT(TFS_FILLED) };
	for (size_t i = 0; i < sizeof(body) / sizeof(body[0]); i++) {
		struct tensor out[2];
		ck_assert_int_eq(
			decoded("grpc-tfs", body[i].ptr, body[i].len, 0, out, NULL), ERR_OK);
		ck_assert_ptr_null(out[0].data);
		ck_assert(tensor_float(&out[1], 1) == 1);
	}
}
END_TEST

START_TEST(grpc_tfs_answers_that_contradict_themselves_are_refused)
{
	static const struct slice wrong[] = {
		SLICE_LIT("\012\003\012\001q"), /* no output of the model's */
		SLICE_LIT("\012\003\012\001p"), /* without type */
		SLICE_LIT("\012\032\012\001p\022\025" TFS_SHAPE "\042\007\0\0\0\0\0\0\200"),
		SLICE_LIT("\012\040\012\001p"),
	};
	struct tensor out[2];
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(
			decoded("grpc-tfs", wrong[i].ptr, wrong[i].len, 0, out, NULL) != ERR_OK,
			"row %zu", i);
}
END_TEST

START_TEST(v1_answers_take_their_shape_from_their_lists)
{
	const char *body = "{\"outputs\": {\"p\": [[0.25, 1e-3]], \"label\": [7]}}";
	struct tensor out[2];
	ck_assert_int_eq(decoded("v1", body, strlen(body), strlen(body), out, NULL), ERR_OK);
	ck_assert_int_eq(tensor_int(&out[0], 0), 7);
	ck_assert(out[1].shape.rank == 2 && out[1].shape.dim[0] == 1 && out[1].shape.dim[1] == 2);
	ck_assert(tensor_float(&out[1], 0) == 0.25);
}
END_TEST

START_TEST(v2_answers_mix_json_and_binary)
{
	static const char body[] = "{\"outputs\":[{\"name\":\"p\",\"shape\":[1,2],\"datatype\":"
				   "\"FP32\",\"parameters\":"
				   "{\"binary_data_size\":8}},{\"data\":[7],\"shape\":[1],"
				   "\"datatype\":\"INT64\",\"name\":\"label\"}]}"
				   "\0\0\0\0\0\0\200\77";
	struct tensor out[2];
	size_t len = sizeof(body) - 1;
	ck_assert_int_eq(decoded("v2-binary", body, len, len - 8, out, NULL), ERR_OK);
	ck_assert_int_eq(tensor_int(&out[0], 0), 7);
	ck_assert(tensor_float(&out[1], 1) == 1);
}
END_TEST

#define ANSWER(name, shape, rest) \
	"{\"outputs\":[{\"name\":\"" name "\",\"shape\":[" shape "]," \
	"\"datatype\":\"INT64\"" rest "}]}"
#define LABEL(shape, rest) ANSWER("label", shape, rest)

START_TEST(answers_that_contradict_themselves_are_refused)
{
	static const char *const wrong[] = {
		LABEL("2", ",\"data\":[7]"),
		LABEL("1", ",\"data\":[7,8]"),
		LABEL("1", ",\"data\":[\"7\"]"),
		LABEL("1", ""),
		LABEL("1", ",\"parameters\":{\"binary_data_size\":8}"),
		LABEL("4000000000000", ",\"data\":[7]"),
		ANSWER("other", "1", ",\"data\":[7]"),
		"{\"outputs\":[",
		"[]",
	};
	struct tensor out[2];
	struct err err;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		size_t len = strlen(wrong[i]);
		ck_assert_msg(decoded("v2", wrong[i], len, len, out, &err) != ERR_OK, "row %zu", i);
	}
}
END_TEST

Suite *suite_protocol(void);
Suite *suite_protocol(void)
{
	Suite *s = suite_create("protocol");
	TCase *t = tcase_create("protocol");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, v1_writes_columns);
	tcase_add_test(t, v2_writes_flat_data);
	tcase_add_test(t, v2_binary_puts_raw_tensors_behind_the_json);
	tcase_add_test(t, grpc_v2_writes_a_message_with_raw_tensors);
	tcase_add_test(t, grpc_v2_answers_have_their_raw_tensors_in_the_order_of_outputs);
	tcase_add_test(t, grpc_v2_answers_that_contradict_themselves_are_refused);
	tcase_add_test(t, grpc_tfs_writes_a_message_with_contents);
	tcase_add_test(t, grpc_tfs_answers_come_in_every_form);
	tcase_add_test(t, grpc_tfs_answers_that_contradict_themselves_are_refused);
	tcase_add_test(t, v1_answers_take_their_shape_from_their_lists);
	tcase_add_test(t, v2_answers_mix_json_and_binary);
	tcase_add_test(t, answers_that_contradict_themselves_are_refused);
	suite_add_tcase(s, t);
	return s;
}
