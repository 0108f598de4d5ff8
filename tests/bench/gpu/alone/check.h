/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h -- as much of Check as the unit tests of a device use, for machines that have none
 * (executor.mk)
 *
 * Tests run one after the other, each in a process of its own or, with CK_FORK=no, in this one; one
 * that fails is left by a jump. CK_RUN_SUITE names the only suite that runs. What is printed looks
 * as Check's does.
 *
 * Threads: none. Memory: of the process.
 */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*check_fn)(int i);
typedef const void *check_pointer;

struct check_test {
	const char *suite, *test_case, *name;
	check_fn run;
	void (*before)(void);
	int from, to;
};

typedef struct check_case {
	const char *name;
	void (*before)(void);
} TCase;
typedef struct check_suite {
	const char *name;
} Suite;
typedef struct check_runner {
	int run, failed;
} SRunner;
enum print_output { CK_ENV };

/* main.c includes this once for the program; the tests of all files meet in these. */
#define CHECK_TESTS_MAX 512
extern struct check_test check_tests[CHECK_TESTS_MAX];
extern int check_n;
extern const char *check_suite; /* that is being filled */
extern jmp_buf check_out;
extern char check_message[1024];
extern const char *check_file;
extern int check_line;

#define START_TEST(test) \
	static void test##_run(int _i); \
	static const struct check_test test = { .name = #test, .run = test##_run }; \
	static void test##_run(int _i) \
	{ \
		(void)_i;
#define END_TEST }

#define ck_fail_(...) \
	do { \
		check_file = __FILE__; \
		check_line = __LINE__; \
		snprintf(check_message, sizeof(check_message), __VA_ARGS__); \
		longjmp(check_out, 1); \
	} while (0)
#define ck_assert_msg(expr, ...) \
	do { \
		if (!(expr)) \
			ck_fail_("" __VA_ARGS__); \
	} while (0)
#define ck_assert(expr) ck_assert_msg(expr, "Assertion '%s' failed", #expr)
#define ck_compare_(type, format, a, op, b) \
	do { \
		type ck_a_ = (type)(a), ck_b_ = (type)(b); \
		ck_assert_msg(ck_a_ op ck_b_, "Assertion '%s %s %s' failed: " format ", " format, \
			#a, #op, #b, ck_a_, ck_b_); \
	} while (0)
#define ck_assert_int_eq(a, b) ck_compare_(long long, "%lld", a, ==, b)
#define ck_assert_int_ge(a, b) ck_compare_(long long, "%lld", a, >=, b)
#define ck_assert_int_lt(a, b) ck_compare_(long long, "%lld", a, <, b)
#define ck_assert_uint_eq(a, b) ck_compare_(unsigned long long, "%llu", a, ==, b)
#define ck_assert_uint_ge(a, b) ck_compare_(unsigned long long, "%llu", a, >=, b)
#define ck_assert_ptr_ne(a, b) ck_compare_(check_pointer, "%p", a, !=, b)
#define ck_assert_ptr_null(a) ck_compare_(check_pointer, "%p", a, ==, NULL)
#define ck_assert_ptr_nonnull(a) ck_compare_(check_pointer, "%p", a, !=, NULL)
#define ck_assert_str_eq(a, b) \
	ck_assert_msg(strcmp(a, b) == 0, "Assertion '%s == %s' failed: %s, %s", #a, #b, a, b)
#define ck_assert_mem_eq(a, b, n) \
	ck_assert_msg(memcmp(a, b, n) == 0, "Assertion '%s == %s' failed", #a, #b)

static inline Suite *suite_create(const char *name)
{
	static Suite s;
	check_suite = s.name = name;
	return &s;
}

static inline TCase *tcase_create(const char *name)
{
	TCase *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->name = name;
	return c;
}

static inline void check_add(const TCase *c, const struct check_test *t, int from, int to)
{
	if (check_n == CHECK_TESTS_MAX)
		abort();
	check_tests[check_n] = *t;
	check_tests[check_n].suite = check_suite;
	check_tests[check_n].test_case = c->name;
	check_tests[check_n].before = c->before;
	check_tests[check_n].from = from;
	check_tests[check_n++].to = to;
}
#define tcase_add_test(c, t) check_add(c, &(t), 0, 1)
#define tcase_add_loop_test(c, t, from, to) check_add(c, &(t), from, to)
/* Those that are there want nothing done afterwards; it comes before the case's tests are added. */
#define tcase_add_checked_fixture(c, setup, teardown) ((void)(teardown), (c)->before = (setup))
#define tcase_set_timeout(c, seconds) ((void)(c), (void)(seconds))
#define suite_add_tcase(s, c) ((void)(s), (void)(c))
#define srunner_add_suite(r, s) ((void)(r), (void)(s))
#define srunner_ntests_run(r) ((r)->run)
#define srunner_ntests_failed(r) ((r)->failed)
#define srunner_free(r) ((void)(r))

SRunner *srunner_create(const Suite *s);
void srunner_run_all(SRunner *r, enum print_output how);
