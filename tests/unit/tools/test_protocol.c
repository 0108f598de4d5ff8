/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "tools/protocol.h"
#include "tools/values.h"

static struct arena *arena;
#define IO(name_, dtype_, ...) { .name = name_, .dtype = dtype_, .shape = { __VA_ARGS__ } }
static struct model_io in_io[2] = { IO("image", DTYPE_F32, 2, { -1, 2 }), IO("text", DTYPE_STRING, 1, { -1 }) };
static struct model_io out_io[2] = { IO("label", DTYPE_I64, 1, { -1 }), IO("p", DTYPE_F32, 2, { -1, 2 }) };
static struct model_info model = { .name = "m", .version = "3", .in = in_io, .out = out_io, .n_in = 2, .n_out = 2 };

static void setup(void)
{
	arena = arena_new(4096, 0);
}

static void teardown(void)
{
	arena_free(arena);
}

static struct http_request encoded(const char *protocol)
{
	static float pixels[4] = { 0.5f, 1, 2, 3 };
	static struct slice words[2] = { { "hi", 2 }, { "", 0 } };
	struct tensor in[2] = {
		{ pixels, DTYPE_F32, LAYOUT_PLAIN, shape_of(2, 2) },
		{ words, DTYPE_STRING, LAYOUT_PLAIN, shape_of(2) },
	};
	struct http_request q = { 0 };
	ck_assert_int_eq(protocol_request(protocol_find(protocol), &model, in, arena, &q, NULL), ERR_OK);
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
	ck_assert_str_eq(q.body.ptr,
		"{\"inputs\":[{\"name\":\"image\",\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[0.5,1.0,2.0,3.0]},"
		"{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"hi\",\"\"]}]}");
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
	static const char body[] =
		"{\"outputs\":[{\"name\":\"p\",\"shape\":[1,2],\"datatype\":\"FP32\",\"parameters\":"
		"{\"binary_data_size\":8}},{\"data\":[7],\"shape\":[1],\"datatype\":\"INT64\",\"name\":\"label\"}]}"
		"\0\0\0\0\0\0\200\77";
	struct tensor out[2];
	size_t len = sizeof(body) - 1;
	ck_assert_int_eq(decoded("v2-binary", body, len, len - 8, out, NULL), ERR_OK);
	ck_assert_int_eq(tensor_int(&out[0], 0), 7);
	ck_assert(tensor_float(&out[1], 1) == 1);
}
END_TEST

START_TEST(answers_that_contradict_themselves_are_refused)
{
	static const char *const wrong[] = {
		"{\"outputs\":[{\"name\":\"label\",\"shape\":[2],\"datatype\":\"INT64\",\"data\":[7]}]}",
		"{\"outputs\":[{\"name\":\"label\",\"shape\":[1],\"datatype\":\"INT64\",\"data\":[7,8]}]}",
		"{\"outputs\":[{\"name\":\"label\",\"shape\":[1],\"datatype\":\"INT64\",\"data\":[\"7\"]}]}",
		"{\"outputs\":[{\"name\":\"label\",\"shape\":[1],\"datatype\":\"INT64\"}]}",
		"{\"outputs\":[{\"name\":\"label\",\"shape\":[1],\"datatype\":\"INT64\",\"parameters\":{\"binary_data_size\":8}}]}",
		"{\"outputs\":[{\"name\":\"label\",\"shape\":[4000000000000],\"datatype\":\"INT64\",\"data\":[7]}]}",
		"{\"outputs\":[{\"name\":\"other\",\"shape\":[1],\"datatype\":\"INT64\",\"data\":[7]}]}",
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
	tcase_add_test(t, v1_answers_take_their_shape_from_their_lists);
	tcase_add_test(t, v2_answers_mix_json_and_binary);
	tcase_add_test(t, answers_that_contradict_themselves_are_refused);
	suite_add_tcase(s, t);
	return s;
}
