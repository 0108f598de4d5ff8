/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text and back: what numpy, and so the specification, writes and reads. */
#include <check.h>
#include <math.h>
#include <string.h>
#include "exec/cpu/cpu.h"
#include "support/models.h"
#include "support/tensors.h"

static struct arena *arena;
static struct fault fault;

static void setup(void)
{
	arena = arena_new(1 << 16, 0);
	fault = (struct fault){ 0 };
}

static void teardown(void)
{
	arena_free(arena);
}

/* Casts one element. */
static void cast(enum dtype from, const void *value, enum dtype to, void *ret)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", from, shape_of(1));
	MODEL_NODE(g, OP_CAST, x);
	model_attr_int(g, "to", to);
	struct tensor in = { .data = (void *)value, .dtype = from, .shape = shape_of(1) };
	struct tensor out = { .data = ret, .dtype = to, .shape = shape_of(1) };
	struct prep p = { .graph = g, .node = &g->node[0], .in = &in, .out = &out, .n_in = 1,
		.n_out = 1, .threads = 1, .arena = arena, .tmp = arena };
	struct kernel k;
	struct err err;
	bool want_plain;
	ck_assert_msg(cpu_prepare(&p, &k, &want_plain, &err) == ERR_OK, "%s", err.msg);
	struct kernel_args a = { .in = &in, .out = &out, .n_in = 1, .n_out = 1, .state = k.state,
		.fault = &fault, .arena = arena };
	k.run(&a, 0, k.units);
	model_free(g);
}

static void expect_text(enum dtype from, const void *value, const char *want)
{
	struct slice got;
	cast(from, value, DTYPE_STRING, &got);
	ck_assert_msg(slice_is(got, want), "'%.*s', want '%s'", SLICE_ARG(got), want);
}

static void expect_f32(float v, const char *want)
{
	expect_text(DTYPE_F32, &v, want);
}

static void expect_f64(double v, const char *want)
{
	expect_text(DTYPE_F64, &v, want);
}

START_TEST(floats_are_as_short_as_they_can_be)
{
	expect_f32(0.1f, "0.1");
	expect_f32(1, "1.0");
	expect_f32(-0.0f, "-0.0");
	expect_f32(123456.0f, "123456.0");
	expect_f32(0.0001f, "0.0001");
	expect_f64(0.1, "0.1");
	expect_f64(1.0 / 3, "0.3333333333333333");
	expect_f64(1234567890123456, "1234567890123456.0");
}
END_TEST

START_TEST(large_and_small_floats_have_an_exponent)
{
	expect_f32(0.00001f, "1e-05");
	expect_f64(1e16, "1e+16");
	expect_f64(1.5e300, "1.5e+300");
	expect_f64(-2.5e-7, "-2.5e-07");
}
END_TEST

START_TEST(what_is_no_number_is_a_word)
{
	expect_f32(INFINITY, "inf");
	expect_f32(-INFINITY, "-inf");
	expect_f32(NAN, "nan");
}
END_TEST

START_TEST(integers_and_bools_are_whole)
{
	expect_text(DTYPE_I64, &(int64_t){ INT64_MIN }, "-9223372036854775808");
	expect_text(DTYPE_U64, &(uint64_t){ UINT64_MAX }, "18446744073709551615");
	expect_text(DTYPE_I8, &(int8_t){ -7 }, "-7");
	expect_text(DTYPE_BOOL, &(uint8_t){ 1 }, "True");
}
END_TEST

static double read_f64(const char *text)
{
	struct slice s = slice_of(text);
	double v;
	cast(DTYPE_STRING, &s, DTYPE_F64, &v);
	return v;
}

START_TEST(text_is_read_plain_with_exponent_and_as_words)
{
	ck_assert_double_eq(read_f64("3.25"), 3.25);
	ck_assert_double_eq(read_f64("1e-5"), 1e-5);
	ck_assert_double_eq(read_f64("-INF"), -INFINITY);
	ck_assert_double_eq(read_f64("+inf"), INFINITY);
	ck_assert(isnan(read_f64("NaN")));
	ck_assert_int_eq(atomic_load(&fault.code), FAULT_NONE);
}
END_TEST

START_TEST(large_integers_are_read_exactly)
{
	struct slice s = SLICE_LIT("9223372036854775807");
	int64_t v;
	cast(DTYPE_STRING, &s, DTYPE_I64, &v);
	ck_assert_int_eq(v, INT64_MAX);
}
END_TEST

START_TEST(integers_of_text_wrap_to_the_bits_of_their_type)
{
	static const struct {
		const char *text;
		enum dtype to;
		int want;
	} cases[] = { { "-3", DTYPE_I4, -3 }, { "20", DTYPE_I4, 4 }, { "15", DTYPE_I4, -1 },
		{ "-3", DTYPE_U4, 13 }, { "300", DTYPE_U4, 12 }, { "3", DTYPE_I2, -1 },
		{ "6", DTYPE_U2, 2 }, { "300", DTYPE_I8, 44 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice s = slice_of(cases[i].text);
		int8_t v;
		cast(DTYPE_STRING, &s, cases[i].to, &v);
		ck_assert_msg(
			v == cases[i].want, "'%s' is %d, want %d", cases[i].text, v, cases[i].want);
	}
}
END_TEST

START_TEST(text_that_is_no_number_is_a_fault)
{
	static const char *const bad[] = { "", "abc", "1.5x", "--1" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fault = (struct fault){ 0 };
		read_f64(bad[i]);
		ck_assert_msg(atomic_load(&fault.code) == FAULT_VALUE, "'%s' was read", bad[i]);
	}
}
END_TEST

Suite *suite_cast_string(void);
Suite *suite_cast_string(void)
{
	Suite *s = suite_create("cast_string");
	TCase *t = tcase_create("all");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, floats_are_as_short_as_they_can_be);
	tcase_add_test(t, large_and_small_floats_have_an_exponent);
	tcase_add_test(t, what_is_no_number_is_a_word);
	tcase_add_test(t, integers_and_bools_are_whole);
	tcase_add_test(t, text_is_read_plain_with_exponent_and_as_words);
	tcase_add_test(t, large_integers_are_read_exactly);
	tcase_add_test(t, integers_of_text_wrap_to_the_bits_of_their_type);
	tcase_add_test(t, text_that_is_no_number_is_a_fault);
	suite_add_tcase(s, t);
	return s;
}
