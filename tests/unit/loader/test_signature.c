/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "loader/signature.h"

static struct err err;
static float bytes[64];

/* image: float32 [batch,64]; weight: float32 [batch], optional; -> probs: float32 [batch,10] */
static struct signature_io in_io[2], out_io[1];
static struct signature sig;

static void setup(void)
{
	int64_t batch = DIM_SYMBOL(0);
	in_io[0] = (struct signature_io){ .name = "image", .value = "image",
		.type.dtype = DTYPE_F32, .shape = shape_of(batch, 64), .dim_name = { "batch" } };
	in_io[1] = (struct signature_io){ .name = "weight", .value = "weight",
		.type.dtype = DTYPE_F32, .shape = shape_of(batch), .dim_name = { "batch" },
		.optional = true };
	out_io[0] = (struct signature_io){ .name = "probs", .value = "probs",
		.type.dtype = DTYPE_F32, .shape = shape_of(batch, 10), .dim_name = { "batch" } };
	sig = (struct signature){ .name = SIGNATURE_DEFAULT, .in = in_io, .out = out_io, .n_in = 2,
		.n_out = 1, .batchable = true, .max_batch = 8 };
}

static struct tensor given(enum dtype dtype, struct shape shape)
{
	return (struct tensor){ .data = bytes, .dtype = dtype, .shape = shape };
}

static const struct tensor absent = { .shape = { .rank = RANK_UNKNOWN } };

static void refuses(const struct tensor *in, const char *message)
{
	int64_t rows = -7;
	ck_assert_int_eq(signature_check(&sig, in, &rows, &err), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, message);
	ck_assert_int_eq(rows, -7);
}

START_TEST(inputs_that_fit_pass_and_say_their_rows)
{
	struct tensor in[] = { given(DTYPE_F32, shape_of(3, 64)), given(DTYPE_F32, shape_of(3)) };
	int64_t rows;
	ck_assert_int_eq(signature_check(&sig, in, &rows, &err), ERR_OK);
	ck_assert_int_eq(rows, 3);
}
END_TEST

START_TEST(an_absent_optional_input_passes)
{
	struct tensor in[] = { given(DTYPE_F32, shape_of(0, 64)), absent };
	int64_t rows;
	ck_assert_int_eq(signature_check(&sig, in, &rows, &err), ERR_OK);
	ck_assert_int_eq(rows, 0);
}
END_TEST

START_TEST(an_unbatchable_signature_has_one_row)
{
	sig.batchable = false;
	struct tensor in[] = { given(DTYPE_F32, shape_of(5, 64)), absent };
	int64_t rows;
	ck_assert_int_eq(signature_check(&sig, in, &rows, &err), ERR_OK);
	ck_assert_int_eq(rows, 1);
}
END_TEST

START_TEST(refusals_name_input_value_and_rule)
{
	struct tensor ok = given(DTYPE_F32, shape_of(3, 64));
	refuses((struct tensor[]){ absent, absent }, "input 'image' is missing");
	refuses((struct tensor[]){ given(DTYPE_F64, shape_of(3, 64)), absent },
		"input 'image' is float64, signature says float32");
	refuses((struct tensor[]){ given(DTYPE_F32, shape_of(3, 5)), absent },
		"input 'image': dimension 1 is 5, signature says 64");
	refuses((struct tensor[]){ given(DTYPE_F32, shape_of(64)), absent },
		"input 'image': shape [64] has 1 dimensions, signature says 2");
	refuses((struct tensor[]){ ok, given(DTYPE_F32, shape_of(4)) },
		"input 'weight': dimension 0 (batch) is 4, but dimension 0 of input 'image' is 3 "
		"and the signature says that they are equal");
}
END_TEST

START_TEST(rows_are_compared_where_the_graph_has_no_name_for_them)
{
	in_io[0].shape.dim[0] = in_io[1].shape.dim[0] = DIM_UNKNOWN;
	refuses((struct tensor[]){ given(DTYPE_F32, shape_of(3, 64)),
			given(DTYPE_F32, shape_of(4)) },
		"input 'weight' has 4 rows, input 'image' has 3");
}
END_TEST

START_TEST(inputs_and_outputs_are_found_by_name)
{
	ck_assert_int_eq(signature_find_in(&sig, SLICE_LIT("weight")), 1);
	ck_assert_int_eq(signature_find_in(&sig, SLICE_LIT("weigh")), -1);
	ck_assert_int_eq(signature_find_out(&sig, SLICE_LIT("probs")), 0);
	ck_assert_int_eq(signature_find_out(&sig, SLICE_LIT("image")), -1);
}
END_TEST

/* -- M35: signatures of two versions --------------------------------------------------------- */

static struct signature_io new_in[3], new_out[2];

static struct signature next_version(void)
{
	memcpy(new_in, in_io, sizeof(in_io));
	memcpy(new_out, out_io, sizeof(out_io));
	struct signature s = sig;
	s.in = new_in;
	s.out = new_out;
	return s;
}

static void breaks(const struct signature *s, const char *why)
{
	char buf[200];
	const char *is = signature_break(&sig, s, buf, sizeof(buf));
	if (!why)
		ck_assert_msg(!is, "breaks: %s", is);
	else
		ck_assert_pstr_eq(is, why);
}

START_TEST(m35_what_takes_more_and_gives_more_breaks_nobody)
{
	struct signature s = next_version();
	breaks(&s, NULL);
	new_in[0].shape.dim[1] = DIM_UNKNOWN; /* wider */
	new_in[2] = new_in[1];
	new_in[2].name = "extra"; /* optional */
	s.n_in = 3;
	new_out[1] = new_out[0];
	new_out[1].name = "logits";
	s.n_out = 2;
	breaks(&s, NULL);
}
END_TEST

START_TEST(m35_renamed_retyped_and_narrowed_breaks_are_told)
{
	struct signature s = next_version();
	new_in[0].name = "picture";
	breaks(&s, "input 'image' is gone");

	s = next_version();
	new_in[0].type.dtype = DTYPE_U8;
	breaks(&s, "input 'image' was float32 and is uint8");

	s = next_version();
	new_in[0].shape.dim[1] = 65;
	breaks(&s, "input 'image': dimension 1 was 64 and is 65");

	s = next_version();
	new_in[0].shape.dim[0] = 1;
	breaks(&s, "input 'image': dimension 0 was any size and is 1");

	s = next_version();
	new_in[1].optional = false;
	breaks(&s, "input 'weight' is no longer optional");

	s = next_version();
	new_in[2] = new_in[0];
	new_in[2].name = "mask";
	s.n_in = 3;
	breaks(&s, "input 'mask' is new and not optional");

	s = next_version();
	s.n_out = 0;
	breaks(&s, "output 'probs' is gone");

	s = next_version();
	new_out[0].type.dtype = DTYPE_I64;
	breaks(&s, "output 'probs' was float32 and is int64");

	s = next_version();
	new_out[0].shape.dim[1] = DIM_UNKNOWN;
	breaks(&s, "output 'probs': dimension 1 was 10 and is any size");
}
END_TEST

Suite *suite_signature(void);
Suite *suite_signature(void)
{
	Suite *s = suite_create("signature");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, inputs_that_fit_pass_and_say_their_rows);
	tcase_add_test(t, an_absent_optional_input_passes);
	tcase_add_test(t, an_unbatchable_signature_has_one_row);
	tcase_add_test(t, refusals_name_input_value_and_rule);
	tcase_add_test(t, rows_are_compared_where_the_graph_has_no_name_for_them);
	tcase_add_test(t, inputs_and_outputs_are_found_by_name);
	tcase_add_test(t, m35_what_takes_more_and_gives_more_breaks_nobody);
	tcase_add_test(t, m35_renamed_retyped_and_narrowed_breaks_are_told);
	suite_add_tcase(s, t);
	return s;
}
