/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "server/grpc/descriptors.h"

Suite *suite_descriptors(void);

START_TEST(files_are_found_by_name)
{
	ck_assert_int_gt(descriptors_count(), 2);
	ck_assert_int_ge(descriptors_find_file(SLICE_LIT("health.proto")), 0);
	ck_assert_int_eq(descriptors_find_file(SLICE_LIT("")), -1);
	ck_assert_int_eq(descriptors_find_file(SLICE_LIT("health")), -1);
	for (int i = 0; i < descriptors_count(); i++)
		ck_assert_uint_gt(descriptors_file(i).len, 0);
	ck_assert_uint_eq(descriptors_file(descriptors_count()).len, 0);
	ck_assert_uint_eq(descriptors_file(-1).len, 0);
}
END_TEST

START_TEST(symbols_are_found_in_their_scopes)
{
	static const struct {
		const char *symbol;
		bool found, is_message;
	} rows[] = {
		{ "grpc.health.v1.Health", true, false },
		{ "grpc.health.v1.Health.Check", true, false },
		{ "grpc.health.v1.HealthCheckRequest", true, true },
		{ "grpc.health.v1.HealthCheckRequest.service", true, false },
		{ "grpc.health.v1.HealthCheckResponse.ServingStatus", true, false },
		{ "grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING", true, false },
		{ "grpc.health.v1.HealthCheckResponse.SERVING", true, false },
		{ "inference.ModelInferRequest.InferInputTensor", true, true },
		{ "inference.InferParameter.parameter_choice", true, false },
		{ "grpc.reflection.v1.ServerReflection", true, false },
		{ "grpc.reflection.v1alpha.ServerReflection", true, false },
		{ "", false, false },
		{ ".", false, false },
		{ "inference", false, false },
		{ "inference.", false, false },
		{ ".inference.ModelInferRequest", false, false },
		{ "inference.ModelInferRequest.", false, false },
		{ "inference..ModelInferRequest", false, false },
		{ "inference.ModelInferRequest.InferInputTensor.nothing", false, false },
		{ "inferenceXModelInferRequest", false, false },
		{ "grpc.health.v1.HealthCheckRequest.service.x", false, false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct slice symbol = slice_of(rows[i].symbol);
		ck_assert_msg((descriptors_find_symbol(symbol) >= 0) == rows[i].found, "%s",
			rows[i].symbol);
		ck_assert_msg(descriptors_has_message(symbol) == rows[i].is_message, "%s",
			rows[i].symbol);
	}
}
END_TEST

START_TEST(a_file_without_imports_needs_itself_alone)
{
	bool needed[DESCRIPTORS_FILES_MAX] = { false };
	int file = descriptors_find_file(SLICE_LIT("inference.proto")), n = 0;
	descriptors_mark_imports(file, needed);
	for (int i = 0; i < DESCRIPTORS_FILES_MAX; i++)
		n += needed[i];
	ck_assert_int_eq(n, 1);
	ck_assert(needed[file]);
}
END_TEST

Suite *suite_descriptors(void)
{
	Suite *s = suite_create("descriptors");
	TCase *tc = tcase_create("descriptors");
	tcase_add_test(tc, files_are_found_by_name);
	tcase_add_test(tc, symbols_are_found_in_their_scopes);
	tcase_add_test(tc, a_file_without_imports_needs_itself_alone);
	suite_add_tcase(s, tc);
	return s;
}
