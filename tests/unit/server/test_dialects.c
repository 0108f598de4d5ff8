/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of both REST dialects in, replies out; no sockets. */
#include <check.h>
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "support/rest.h"

static struct rest_result r;

static const char *run(enum route_id route, const char *model, const char *body)
{
	static char text[4096];
	rest_run(&(struct rest_opts){ .route = route, .model = model, .json_len = -1 },
		slice_of(body), &r);
	snprintf(text, sizeof(text), "%.*s",
		r.code == ERR_OK ? (int)r.reply.len : (int)sizeof(r.err.msg),
		r.code == ERR_OK ? r.reply.ptr : r.err.msg);
	return text;
}

static const float *x_of(void)
{
	return r.call->request->in[0].data;
}

START_TEST(v2_takes_flat_and_nested_data)
{
	static const char *const bodies[] = {
		"{\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"FP32\",\"data\":[1,2."
		"5,-3e-3,4]}]}",
		"{\"inputs\":[{\"data\":[[1,2.5],[-3e-3,4]],\"datatype\":\"FP32\",\"shape\":[2,2],"
		"\"name\":\"x\"}]}",
	};
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(run(ROUTE_V2_INFER, "one", bodies[i]),
			"{\"model_name\":\"one\",\"model_version\":\"3\",\"outputs\":[{\"name\":"
			"\"y\",\"datatype\":\"FP32\","
			"\"shape\":[2,2],\"data\":[0.0,0.0,0.0,0.0]}]}");
		ck_assert(x_of()[0] == 1.0f && x_of()[1] == 2.5f && x_of()[2] == -3e-3f &&
			  x_of()[3] == 4.0f);
		ck_assert_int_eq(r.call->request->rows, 2);
		rest_done(&r);
	}
}
END_TEST

START_TEST(v2_checks_the_range_of_every_integer_type) /* H4 */
{
	static const struct {
		const char *type, *input, *fits, *does_not;
	} rows[] = {
		{ "INT8", "int8", "-128", "128" },
		{ "INT16", "int16", "32767", "-32769" },
		{ "INT32", "int32", "-2147483648", "2147483648" },
		{ "INT64", "int64", "9223372036854775807", "9223372036854775808" },
		{ "UINT8", "uint8", "255", "-1" },
		{ "UINT16", "uint16", "65535", "65536" },
		{ "UINT32", "uint32", "4294967295", "4294967296" },
		{ "UINT64", "uint64", "18446744073709551615", "18446744073709551616" },
		{ "INT64", "int64", "-0", "1.5" },
		{ "INT64", "int64", "0", "1e2" },
		{ "BOOL", "bool", "true", "1" },
		{ "BYTES", "string", "\"1\"", "1" },
		{ "FP32", "float32", "3.4028234e38", "3.5e38" },
		{ "FP64", "float64", "1e308", "1e309" },
	};
	char body[256];
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (int good = 0; good < 2; good++) {
			snprintf(body, sizeof(body),
				"{\"inputs\":[{\"name\":\"%s\",\"shape\":[1],\"datatype\":\"%s\","
				"\"data\":[%s]}]}",
				rows[i].input, rows[i].type,
				good ? rows[i].fits : rows[i].does_not);
			run(ROUTE_V2_INFER, "many", body);
			ck_assert_msg(r.code == (good ? ERR_OK : ERR_INVALID_ARGUMENT), "%s: %s",
				body, r.err.msg);
			rest_done(&r);
		}
}
END_TEST

START_TEST(v2_refuses_a_claimed_size_before_it_asks_for_memory) /* H7 */
{
	const char *says = run(ROUTE_V2_INFER, "many",
		"{\"inputs\":[{\"name\":\"int8\",\"shape\":[1099511627776],\"datatype\":\"INT8\","
		"\"data\":[1,2,3]}]}");
	ck_assert_int_eq(r.code, ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(says, "at most 3 elements"), "%s", says);
	ck_assert_uint_lt(arena_held_bytes(r.call->request->arena), 1 << 20);
	rest_done(&r);
}
END_TEST

START_TEST(v2_binary_data_is_used_where_it_lies_or_copied_aligned)
{
	static const char head[] = "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":"
				   "\"FP32\",\"parameters\":{\"binary_data_size\":8}}],"
				   "\"parameters\":{\"binary_data_output\":true}}";
	char body[sizeof(head) - 1 + 8];
	memcpy(body, head, sizeof(head) - 1);
	memcpy(body + sizeof(head) - 1, (float[]){ 1.5f, -2.0f }, 8);
	rest_run(
		&(struct rest_opts){
			.route = ROUTE_V2_INFER, .model = "one", .json_len = sizeof(head) - 1 },
		(struct slice){ body, sizeof(body) }, &r);
	ck_assert_msg(r.code == ERR_OK, "%s", r.err.msg);
	ck_assert(x_of()[0] == 1.5f && x_of()[1] == -2.0f);
	ck_assert_uint_eq((uintptr_t)x_of() % ARENA_ALIGN_TENSOR, 0);
	ck_assert_str_eq(r.call->reply.type, "application/octet-stream");
	ck_assert_uint_eq(r.reply.len, (size_t)r.call->reply.json_len + 8);
	rest_done(&r);
}
END_TEST

static void fill_rising(struct request *req)
{
	float *y = req->out[0].data;
	for (int64_t i = 0; i < tensor_count(&req->out[0]); i++)
		y[i] = (float)i;
}

START_TEST(v2_tensors_in_shared_memory_take_no_place_in_the_body)
{
	static const char body[] =
		"{\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"FP32\","
		"\"parameters\":{\"shared_memory_region\":\"r\",\"shared_memory_byte_size\":16}}],"
		"\"outputs\":[{\"name\":\"y\",\"parameters\":{\"shared_memory_region\":\"r\","
		"\"shared_memory_offset\":48,\"shared_memory_byte_size\":16}}]}";
	const char *says = run(ROUTE_V2_INFER, "one", body);
	ck_assert_msg(strstr(says, "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[2,2]}"),
		"%s", says);
	ck_assert(x_of()[0] == 1 && x_of()[3] == 4);
	rest_done(&r);
	run(ROUTE_V2_INFER, "one", body);
	unsigned long before = arena_chunk_count();
	rest_done(&r);
	run(ROUTE_V2_INFER, "one", body);
	ck_assert_uint_eq(arena_chunk_count() - before, 1); /* the call's own */
	rest_done(&r);
}
END_TEST

START_TEST(v2_classification_gives_the_largest_first)
{
	rest_run(&(struct rest_opts){ .route = ROUTE_V2_INFER,
			 .model = "one",
			 .json_len = -1,
			 .fill = fill_rising },
		slice_of("{\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"FP32\","
			 "\"data\":[1,2,3,4]}],"
			 "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":1}}]}"),
		&r);
	ck_assert_int_eq(r.code, ERR_OK);
	static const char want[] =
		"\"BYTES\",\"shape\":[2,1],\"data\":[\"1.000000:1\",\"3.000000:1\"]";
	ck_assert(memmem(r.reply.ptr, r.reply.len, want, sizeof(want) - 1));
	rest_done(&r);
}
END_TEST

static void fill_float8(struct request *req)
{
	req->out[0].dtype = DTYPE_F8E4M3FN;
}

START_TEST(v2_classification_is_of_numbers_that_compare)
{
	rest_run(&(struct rest_opts){ .route = ROUTE_V2_INFER, .model = "one", .json_len = -1,
		.fill = fill_float8 },
		slice_of("{\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"FP32\","
			 "\"data\":[1,2,3,4]}],"
			 "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":1}}]}"),
		&r);
	ck_assert_int_eq(r.code, ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(r.err.msg, "classification of an output of type float8e4m3fn"), "%s",
		r.err.msg);
	rest_done(&r);
}
END_TEST

static void fill_special(struct request *req)
{
	float *y = req->out[0].data;
	y[0] = NAN;
	y[1] = -INFINITY;
}

START_TEST(outputs_that_are_no_numbers_are_valid_json_unless_allowed) /* H5 */
{
	for (int allow = 0; allow < 2; allow++) {
		rest_run(&(struct rest_opts){ .route = ROUTE_V1_PREDICT,
				 .model = "one",
				 .json_len = -1,
				 .fill = fill_special,
				 .allow_nan = allow },
			slice_of("{\"instances\":[[1,2]]}"), &r);
		ck_assert_int_eq(r.code, ERR_OK);
		const char *want = allow ? "{\"predictions\":[[NaN,-Infinity]]}" :
					   "{\"predictions\":[[null,null]]}";
		ck_assert_msg(slice_is(r.reply, want), "%.*s", SLICE_ARG(r.reply));
		rest_done(&r);
	}
}
END_TEST

START_TEST(v1_rows_are_answered_by_predictions_and_columns_by_outputs)
{
	ck_assert_str_eq(run(ROUTE_V1_PREDICT, "one", "{\"instances\":[[1,2],[3,4.5]]}"),
		"{\"predictions\":[[0.0,0.0],[0.0,0.0]]}");
	ck_assert(x_of()[3] == 4.5f);
	rest_done(&r);
	ck_assert_str_eq(run(ROUTE_V1_PREDICT, "one", "{\"instances\":[{\"x\":[1,2]}]}"),
		"{\"predictions\":[[0.0,0.0]]}");
	rest_done(&r);
	ck_assert_str_eq(
		run(ROUTE_V1_PREDICT, "one", "{\"inputs\":{\"x\":[[1,2]],\"extra\":[[]]}}"),
		"{\"outputs\":[[0.0,0.0]]}");
	rest_done(&r);
	ck_assert_str_eq(run(ROUTE_V1_PREDICT, "one",
				 "{\"inputs\":[[1,2]],\"signature_name\":\"serving_default\"}"),
		"{\"outputs\":[[0.0,0.0]]}");
	rest_done(&r);
}
END_TEST

START_TEST(v1_decodes_base64)
{
	run(ROUTE_V1_PREDICT, "many",
		"{\"instances\":[{\"string\":{\"b64\":\"aGk=\"}},{\"string\":\"x\"}]}");
	ck_assert_msg(r.code == ERR_OK, "%s", r.err.msg);
	const struct slice *s = r.call->request->in[11].data;
	ck_assert(slice_is(s[0], "hi") && slice_is(s[1], "x"));
	rest_done(&r);
	run(ROUTE_V1_PREDICT, "many", "{\"instances\":[{\"string\":{\"b64\":\"a\"}}]}");
	ck_assert_int_eq(r.code, ERR_INVALID_ARGUMENT);
	rest_done(&r);
}
END_TEST

START_TEST(v1_names_what_is_wrong)
{
	static const struct {
		const char *body, *says;
	} rows[] = {
		{ "{}", "Missing 'inputs' or 'instances' key" },
		{ "{\"instances\":[[1,2],[3]]}", "Encountered list at unexpected size" },
		{ "{\"instances\":[[1,2],3]}", "incorrect level" },
		{ "{\"instances\":[[1,2],[[3,4]]]}", "incorrect level" },
		{ "{\"instances\":[{\"z\":1}]}", "does not have named input: z" },
		{ "{\"instances\":[{}]}", "does not have named input: x" },
		{ "{\"inputs\":{}}", "Missing named input: x" },
		{ "{\"instances\":[[1,2]],\"signature_name\":\"no\"}",
			"not found in signature def" },
		{ "{\"instances\":[[1,2,3]]}", "signature says 2" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *says = run(ROUTE_V1_PREDICT, "one", rows[i].body);
		ck_assert_int_eq(r.code, ERR_INVALID_ARGUMENT);
		ck_assert_msg(strstr(says, rows[i].says), "%s: %s", rows[i].body, says);
		rest_done(&r);
	}
}
END_TEST

START_TEST(a_warm_request_asks_for_no_memory)
{
	static const char body[] = "{\"instances\":[[1,2],[3,4]]}";
	for (int i = 0; i < 3; i++) {
		run(ROUTE_V1_PREDICT, "one", body);
		rest_done(&r);
	}
	/* One chunk is the fixture's own arena; the request's is recycled. */
	unsigned long before = arena_chunk_count();
	run(ROUTE_V1_PREDICT, "one", body);
	ck_assert_uint_eq(arena_chunk_count() - before, 1);
	rest_done(&r);
}
END_TEST

Suite *suite_dialects(void);
Suite *suite_dialects(void)
{
	Suite *s = suite_create("dialects");
	TCase *t = tcase_create("dialects");
	tcase_add_test(t, v2_takes_flat_and_nested_data);
	tcase_add_test(t, v2_checks_the_range_of_every_integer_type);
	tcase_add_test(t, v2_refuses_a_claimed_size_before_it_asks_for_memory);
	tcase_add_test(t, v2_binary_data_is_used_where_it_lies_or_copied_aligned);
	tcase_add_test(t, v2_tensors_in_shared_memory_take_no_place_in_the_body);
	tcase_add_test(t, v2_classification_gives_the_largest_first);
	tcase_add_test(t, v2_classification_is_of_numbers_that_compare);
	tcase_add_test(t, outputs_that_are_no_numbers_are_valid_json_unless_allowed);
	tcase_add_test(t, v1_rows_are_answered_by_predictions_and_columns_by_outputs);
	tcase_add_test(t, v1_decodes_base64);
	tcase_add_test(t, v1_names_what_is_wrong);
	tcase_add_test(t, a_warm_request_asks_for_no_memory);
	suite_add_tcase(s, t);
	return s;
}
