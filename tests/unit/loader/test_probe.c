/* SPDX-License-Identifier: Apache-2.0 */
/* When two computations of one thing agree (loader/probe.h). */
#include <check.h>
#include "loader/probe.h"

/* Answers of two rows, and the first as half precision may give it in a batch. */
static float alone[4] = { 0.8f, -0.06f, 0.002f, 0.4f };
static float rounded[4] = { 0.803f, -0.0583f, 0.0046f, 0.397f };
static float other[4] = { 0.1f, 0.5f, -0.3f, 0.2f };

static bool agree(float *a, enum precision precision)
{
	int64_t at;
	struct tensor x = { .dtype = DTYPE_F32, .shape = shape_of(4), .data = a };
	struct tensor y = { .dtype = DTYPE_F32, .shape = shape_of(4), .data = alone };
	return probe_equal(&x, 0, &y, 4, tolerance_of(DTYPE_F32, precision), &at);
}

START_TEST(a_program_that_rounds_is_given_what_it_rounds)
{
	ck_assert(!agree(rounded, PRECISION_FAST));
	ck_assert(!agree(rounded, PRECISION_EXACT));
	ck_assert(agree(rounded, PRECISION_FP16));
	ck_assert(agree(rounded, PRECISION_TF32));
	ck_assert(agree(rounded, PRECISION_BF16));
}
END_TEST

START_TEST(another_rows_answer_never_agrees)
{
	for (int p = 0; p < PRECISION_COUNT_; p++) {
		ck_assert(agree(alone, (enum precision)p));
		ck_assert(!agree(other, (enum precision)p));
	}
}
END_TEST

Suite *suite_probe(void);
Suite *suite_probe(void)
{
	Suite *s = suite_create("probe");
	TCase *t = tcase_create("tolerance");
	tcase_add_test(t, a_program_that_rounds_is_given_what_it_rounds);
	tcase_add_test(t, another_rows_answer_never_agrees);
	suite_add_tcase(s, t);
	return s;
}
