/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of examples to inputs: what is there, what the context has, what fits. */
#include <check.h>
#include "server/dialect/example.h"
#include "support/served.h"

Suite *suite_example(void);

#define BYTES_MAX 4096

static struct request *r;
static struct examples e;
static struct err err;

static void setup(void)
{
	const struct version_spec latest = { .pick = VERSION_PICK_LATEST };
	r = request_new();
	ck_assert_int_eq(
		request_pin(r, served_registry(), SLICE_LIT("judge"), &latest, SLICE_LIT(""), &err),
		ERR_OK);
}

static void teardown(void)
{
	request_free(r);
}

static void given_examples(int64_t n)
{
	ck_assert_int_eq(examples_init(&e, r, n, BYTES_MAX, &err), ERR_OK);
}

/* n floats from `first` on. */
static enum err_code put(int64_t row, const char *name, int64_t n, float first)
{
	struct tensor to;
	TRY(examples_place(&e, row, slice_of(name), n, &to, &err));
	for (int64_t i = 0; to.data && i < n; i++) {
		if (to.dtype == DTYPE_F32)
			((float *)to.data)[i] = first + (float)i;
		else if (to.dtype == DTYPE_I64)
			((int64_t *)to.data)[i] = (int64_t)first + i;
		else
			((uint16_t *)to.data)[i] = (uint16_t)(first + (float)i);
	}
	return ERR_OK;
}

START_TEST(rows_come_from_examples_or_else_from_the_context)
{
	given_examples(4);
	ck_assert_int_eq(put(EXAMPLE_CONTEXT, "n", 1, 9), ERR_OK);
	ck_assert_int_eq(put(EXAMPLE_CONTEXT, "f", 2, 100), ERR_OK);
	ck_assert_int_eq(put(1, "n", 1, 1), ERR_OK);
	ck_assert_int_eq(put(1, "f", 2, 10), ERR_OK);
	ck_assert_int_eq(put(2, "f", 2, 20), ERR_OK);
	ck_assert_int_eq(put(2, "f", 2, 30), ERR_OK); /* once more: the last counts */
	ck_assert_int_eq(put(2, "nobody's", 7, 0), ERR_OK);
	ck_assert_int_eq(examples_end(&e, &err), ERR_OK);

	static const float f[] = { 100, 101, 10, 11, 30, 31, 100, 101 };
	static const int64_t n[] = { 9, 1, 9, 9 };
	ck_assert_mem_eq(r->in[0].data, f, sizeof(f));
	ck_assert_mem_eq(r->in[1].data, n, sizeof(n));
	ck_assert(r->in[0].shape.rank == 2 && r->in[0].shape.dim[0] == 4 &&
		  r->in[0].shape.dim[1] == 2);
	ck_assert(r->in[1].shape.rank == 1 && r->in[1].shape.dim[0] == 4);
	ck_assert_msg(
		!r->in[2].data && !r->in[3].data, "optional inputs that nothing feeds are absent");
}
END_TEST

START_TEST(the_first_row_says_how_wide_an_open_dimension_is)
{
	given_examples(2);
	ck_assert_int_eq(put(EXAMPLE_CONTEXT, "f", 2, 0), ERR_OK);
	ck_assert_int_eq(put(EXAMPLE_CONTEXT, "n", 1, 0), ERR_OK);
	ck_assert_int_eq(put(0, "h", 3, 1), ERR_OK);
	ck_assert_int_eq(put(1, "h", 2, 1), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg,
		"Feature: h (data type: float16) has 2 values, a row of the input takes 3");
	ck_assert_int_eq(put(1, "h", 3, 4), ERR_OK);
	ck_assert_int_eq(examples_end(&e, &err), ERR_OK);
	ck_assert(r->in[3].shape.rank == 2 && r->in[3].shape.dim[1] == 3);
}
END_TEST

START_TEST(what_is_required_must_be_in_every_row)
{
	given_examples(3);
	ck_assert_int_eq(put(EXAMPLE_CONTEXT, "f", 2, 0), ERR_OK);
	ck_assert_int_eq(put(0, "n", 1, 0), ERR_OK);
	ck_assert_int_eq(put(2, "n", 1, 0), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg,
		"Feature: n (data type: int64) is required but could not be found in example 1");
	ck_assert_int_eq(examples_end(&e, &err), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(an_optional_input_is_in_every_row_or_in_none)
{
	given_examples(2);
	ck_assert_int_eq(put(EXAMPLE_CONTEXT, "f", 2, 0), ERR_OK);
	ck_assert_int_eq(put(EXAMPLE_CONTEXT, "n", 1, 0), ERR_OK);
	ck_assert_int_eq(put(0, "h", 1, 0), ERR_OK);
	ck_assert_int_eq(examples_end(&e, &err), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg,
		"Feature: h (data type: float16) is required but could not be found in example 1");
}
END_TEST

START_TEST(a_context_does_not_make_much_of_little)
{
	given_examples(INT64_C(1) << 40);
	ck_assert_int_eq(put(EXAMPLE_CONTEXT, "f", 2, 0), ERR_OK);
	ck_assert_int_eq(put(EXAMPLE_CONTEXT, "n", 1, 0), ERR_OK);
	ck_assert_int_eq(examples_end(&e, &err), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "input 'f': 1099511627776 examples of 2 elements make inputs "
				  "larger than a request may be");
}
END_TEST

START_TEST(no_example_is_no_input)
{
	ck_assert_int_eq(examples_init(&e, r, 0, BYTES_MAX, &err), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "Input is empty.");
}
END_TEST

Suite *suite_example(void)
{
	Suite *s = suite_create("example");
	TCase *t = tcase_create("example");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, rows_come_from_examples_or_else_from_the_context);
	tcase_add_test(t, the_first_row_says_how_wide_an_open_dimension_is);
	tcase_add_test(t, what_is_required_must_be_in_every_row);
	tcase_add_test(t, an_optional_input_is_in_every_row_or_in_none);
	tcase_add_test(t, a_context_does_not_make_much_of_little);
	tcase_add_test(t, no_example_is_no_input);
	suite_add_tcase(s, t);
	return s;
}
