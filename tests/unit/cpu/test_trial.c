/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
#include <time.h>
#include "exec/cpu/trial.h"

static struct arena *arena;
static struct packs *packs;
static struct choices *choices;
static struct arena *trial_arena;
static struct err err;
static struct tensor in, out;
static struct node node = {.op = OP_RELU};
static int runs;
static bool settled;

static void setup(void)
{
	arena = arena_new(0, 0);
	packs = packs_new();
	choices = choices_new();
	trial_arena = arena_new(1 << 16, 0);
	in = out = (struct tensor){.dtype = DTYPE_F32, .shape = {.rank = 1, .dim = {1000}}};
	runs = 0;
	settled = false;
}

static void teardown(void)
{
	choices_free(choices);
	arena_free(trial_arena);
	packs_free(packs);
	arena_free(arena);
}

static void copy(const struct kernel_args *a, float plus)
{
	const float *x = a->in[0].data;
	float *y = a->out[0].data;
	for (int64_t i = 0; i < tensor_count(&a->out[0]); i++)
		y[i] = x[i] + plus;
	runs++;
}

static void run_slow(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	copy(a, 0);
}

static void run_fast(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	copy(a, 5e-5f);
}

static void run_wrong(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	copy(a, 1e-2f);
}

static enum err_code prepare_slow(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_slow;
	return ERR_OK;
}

static enum err_code prepare_fast(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_fast;
	return ERR_OK;
}

static enum err_code prepare_wrong(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_wrong;
	return ERR_OK;
}

static enum err_code prepare_nothing(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)ret;
	return prep_refuse(e, "not for me");
}

static const struct cpu_row slow = {.name = "slow", .prepare = prepare_slow};
static const struct cpu_row fast = {.name = "fast", .prepare = prepare_fast};
static const struct cpu_row wrong = {.name = "wrong", .prepare = prepare_wrong};
static const struct cpu_row nothing = {.name = "nothing", .prepare = prepare_nothing};

static int chosen(const struct cpu_row *a, const struct cpu_row *b, struct choices *c)
{
	const struct cpu_row *rows[] = {a, b};
	struct prep p = {.node = &node,
		.in = &in,
		.out = &out,
		.n_in = 1,
		.n_out = 1,
		.threads = 1,
		.arena = arena,
		.tmp = arena,
		.trial = trial_arena,
		.packs = packs,
		.choices = c, .settled = settled };
	int best = -1;
	ck_assert_int_eq(trial_choose(&p, rows, 2, &best, &err), ERR_OK);
	return best;
}

START_TEST(the_faster_one_is_taken_when_it_agrees)
{
	ck_assert_int_eq(chosen(&fast, &slow, choices), 0);
}
END_TEST

START_TEST(one_that_is_slower_is_not)
{
	ck_assert_int_eq(chosen(&slow, &fast, choices), 1);
}
END_TEST

START_TEST(one_that_disagrees_is_not_however_fast)
{
	ck_assert_int_eq(chosen(&wrong, &slow, choices), 1);
}
END_TEST

START_TEST(one_that_refuses_takes_no_part)
{
	ck_assert_int_eq(chosen(&nothing, &slow, choices), 1);
}
END_TEST

START_TEST(what_was_found_before_is_not_timed_again)
{
	ck_assert_int_eq(chosen(&fast, &slow, choices), 0);
	runs = 0;
	ck_assert_int_eq(chosen(&fast, &slow, choices), 0);
	ck_assert_int_eq(runs, 0);
	in.shape.dim[0] = out.shape.dim[0] = 999; /* another shape is another question */
	(void)chosen(&fast, &slow, choices);
	ck_assert_int_ne(runs, 0);
}
END_TEST

START_TEST(when_settled_other_sizes_have_to_do)
{
	in.shape = out.shape = shape_of(1, 8, 20, 20);
	settled = true;
	ck_assert_int_eq(chosen(&fast, &slow, choices), 1); /* nothing like it was seen */
	settled = false;
	ck_assert_int_eq(chosen(&fast, &slow, choices), 0);
	runs = 0;
	settled = true;
	in.shape = out.shape = shape_of(3, 8, 70, 9);
	ck_assert_int_eq(chosen(&fast, &slow, choices), 0);
	ck_assert_int_eq(runs, 0);
}
END_TEST

START_TEST(without_a_memory_nothing_is_timed)
{
	ck_assert_int_eq(chosen(&fast, &slow, NULL), 1);
	ck_assert_int_eq(runs, 0);
}
END_TEST

START_TEST(inputs_that_cannot_be_made_up_are_not_timed)
{
	in.dtype = DTYPE_I64;
	ck_assert_int_eq(chosen(&fast, &slow, choices), 1);
	ck_assert_int_eq(runs, 0);
}
END_TEST

Suite *suite_trial(void);
Suite *suite_trial(void)
{
	Suite *s = suite_create("trial");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_faster_one_is_taken_when_it_agrees);
	tcase_add_test(t, one_that_is_slower_is_not);
	tcase_add_test(t, one_that_disagrees_is_not_however_fast);
	tcase_add_test(t, one_that_refuses_takes_no_part);
	tcase_add_test(t, what_was_found_before_is_not_timed_again);
	tcase_add_test(t, when_settled_other_sizes_have_to_do);
	tcase_add_test(t, without_a_memory_nothing_is_timed);
	tcase_add_test(t, inputs_that_cannot_be_made_up_are_not_timed);
	suite_add_tcase(s, t);
	return s;
}
