/* SPDX-License-Identifier: Apache-2.0 */
/* Operators on strings: what is refused, and that no pattern hangs. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "support/models.h"
#include "support/runner.h"

/* y = op(x) of a list of strings; the attributes come next. */
static struct graph *given_node(enum op_id op)
{
	struct graph *g = model_new();
	int32_t x = model_input(g, "x", DTYPE_STRING, shape_of(DIM_UNKNOWN));
	model_output(g, MODEL_NODE(g, op, x));
	return g;
}

static enum err_code run_strings(struct runner *r, struct slice *s, int64_t n)
{
	return run(r, &(struct tensor){ .data = s, .dtype = DTYPE_STRING, .shape = shape_of(n) });
}

static const struct {
	const char *pattern, *says;
} refused[] = {
	{ "(", "missing closing parenthesis" },
	{ "(a)\\1", "back-references" },
	{ "(*UCP)\\w", "repetition of nothing" },
	{ "\\C", "disabled by the application" },
	{ "a{5,2}", "out of order" },
	{ "((((((a{1,1000}){1,1000}){1,1000}){1,1000}){1,1000})", "missing" },
	{ "(((a{1,1000}){1,1000}){1,1000})", "too large" },
	{ "\xff", "UTF-8" },
};

START_TEST(a_bad_pattern_is_refused_with_the_reason)
{
	struct graph *g = given_node(OP_REGEX_FULL_MATCH);
	model_attr_string(g, "pattern", refused[_i].pattern);
	struct runner r = given_program(g, 0);
	struct slice s = SLICE_LIT("a");

	ck_assert_int_eq(run_strings(&r, &s, 1), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(r.err.msg, refused[_i].says), "%s", r.err.msg);
	ck_assert_msg(strstr(r.err.msg, "(RegexFullMatch): pattern '"), "%s", r.err.msg);
	done(&r);
}
END_TEST

static const struct {
	const char *pattern;
	size_t len; /* of a string of a's */
	int want;   /* -1: more work than is allowed */
} costly[] = {
	{ "(a*)*b", 100000, 0 },
	{ "(a+)+", 100000, 1 },
	{ "(a|aa)+b", 100000, 0 },
	{ "(a|b|ab)*?(b|a|ba)*c", 10000, 0 },
	{ "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x", 10000, 0 },
	{ ".*a.{1000}b", 1500, 0 },
	{ ".*a.{3000}b", 100000, -1 },
	{ "(?:(?=(a*))a)*", 100000, -1 },
	{ "(a+)+b", 24, 0 },
	{ "(?:(?:-)*|(a+)+b)", 24, 0 },
	{ "(a+)+b", 100000, -1 },
};

START_TEST(no_pattern_takes_for_ever)
{
	struct graph *g = given_node(OP_REGEX_FULL_MATCH);
	model_attr_string(g, "pattern", costly[_i].pattern);
	struct runner r = given_program(g, 0);
	char *text = malloc(costly[_i].len);
	memset(text, 'a', costly[_i].len);
	struct slice s[2] = { SLICE_LIT("c"), { text, costly[_i].len } };
	int64_t began_ns = clock_now_ns();

	enum err_code rc = run_strings(&r, s, 2);

	ck_assert_int_lt(clock_now_ns() - began_ns, 20 * NS_PER_S);
	if (costly[_i].want >= 0) {
		ck_assert_msg(rc == ERR_OK, "%s", r.err.msg);
		ck_assert_int_eq(tensor_int(&r.out[0], 1), costly[_i].want);
	} else {
		ck_assert_int_eq(rc, ERR_INVALID_ARGUMENT);
		ck_assert_msg(strstr(r.err.msg, "string 1 takes more steps"), "%s", r.err.msg);
	}
	free(text);
	done(&r);
}
END_TEST

START_TEST(a_locale_that_is_not_installed_is_named)
{
	struct graph *g = given_node(OP_STRING_NORMALIZER);
	model_attr_string(g, "locale", "xx_XX");
	struct runner r = given_program(g, 0);
	struct slice s = SLICE_LIT("a");

	ck_assert_int_eq(run_strings(&r, &s, 1), ERR_FAILED_PRECONDITION);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "locale 'xx_XX' is not installed"));
	done(&r);
}
END_TEST

START_TEST(an_ngram_that_is_there_twice_is_refused)
{
	static const struct slice pool[4] = { SLICE_LIT("a"), SLICE_LIT("b"), SLICE_LIT("a"),
		SLICE_LIT("b") };
	struct graph *g = given_node(OP_TF_IDF_VECTORIZER);
	model_attr_int(g, "max_gram_length", 2);
	model_attr_int(g, "min_gram_length", 1);
	model_attr_int(g, "max_skip_count", 0);
	model_attr_string(g, "mode", "TF");
	MODEL_ATTR_INTS(g, "ngram_counts", 0, 0);
	MODEL_ATTR_INTS(g, "ngram_indexes", 0, 1);
	model_attr_strings(g, "pool_strings", 4, pool);
	struct runner r = given_program(g, 0);
	struct slice s = SLICE_LIT("a");

	ck_assert_int_eq(run_strings(&r, &s, 1), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(r.err.msg, "n-gram 1 of the pool is the same as n-gram 0"));
	done(&r);
}
END_TEST

Suite *suite_text(void);
Suite *suite_text(void)
{
	Suite *s = suite_create("text");
	TCase *t = tcase_create("text");
	tcase_add_loop_test(t, a_bad_pattern_is_refused_with_the_reason, 0,
		sizeof(refused) / sizeof(refused[0]));
	tcase_add_loop_test(t, no_pattern_takes_for_ever, 0, sizeof(costly) / sizeof(costly[0]));
	tcase_add_test(t, a_locale_that_is_not_installed_is_named);
	tcase_add_test(t, an_ngram_that_is_there_twice_is_refused);
	suite_add_tcase(s, t);
	return s;
}
