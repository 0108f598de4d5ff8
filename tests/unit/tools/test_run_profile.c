/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include "support/arena_case.h"
#include "tools/ctl/run_profile.h"

static void when_run(struct run_profile *p, int64_t conv_us, int64_t relu_us)
{
	p->profile.step(p->profile.ctx, "a", "Conv", "conv_tiles", conv_us * 1000);
	p->profile.step(p->profile.ctx, "b", "Relu", "relu", relu_us * 1000);
	p->profile.step(p->profile.ctx, "c", "Conv", "conv_tiles", conv_us * 3000);
	run_profile_ran(p);
}

static char *printed(const struct run_profile *p, int64_t runs)
{
	char *text;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	ck_assert_int_eq(run_profile_print(p, runs, to, NULL), ERR_OK);
	fclose(to);
	return text;
}

START_TEST(a_step_has_its_mean_and_its_least_time)
{
	struct run_profile p;
	run_profile_init(&p, arena);
	when_run(&p, 9000, 9000);
	run_profile_restart(&p);
	when_run(&p, 10, 4);
	when_run(&p, 190, 2);
	char *text = printed(&p, 2);
	ck_assert_str_eq(text,
		"    US/RUN      LEAST  SHARE   STEPS  KERNEL                       NODE\n"
		"     300.0       30.0  74.4%     1.0  conv_tiles                   c\n"
		"     100.0       10.0  24.8%     1.0  conv_tiles                   a\n"
		"       3.0        2.0   0.7%     1.0  relu                         b\n"
		"\n"
		"    US/RUN      LEAST  SHARE   STEPS  OPERATOR\n"
		"     400.0       40.0  99.3%     2.0  Conv                         \n"
		"       3.0        2.0   0.7%     1.0  Relu                         \n");
	free(text);
}
END_TEST

Suite *suite_run_profile(void);
Suite *suite_run_profile(void)
{
	Suite *s = suite_create("run_profile");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_step_has_its_mean_and_its_least_time);
	suite_add_tcase(s, t);
	return s;
}
