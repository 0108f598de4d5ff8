/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "exec/cpu/contest_part.h"
#include "exec/cpu/trial.h"
#include "exec/packs.h"

static struct arena *arena;
static struct packs *packs;
static struct choices *choices;
static struct arena *trial_arena[TRIAL_ARENAS];
static struct err err;
static struct tensor in, out;
static struct node node = {.op = OP_RELU};
static int runs;
static int64_t images, units;
static const struct graph *graph;
static int threads;
static bool settled, held_up;

static void setup(void)
{
	arena = arena_new(0, 0);
	packs = packs_new();
	choices = choices_new();
	for (int i = 0; i < TRIAL_ARENAS; i++)
		trial_arena[i] = arena_new(1 << 16, 0);
	in = out = (struct tensor){.dtype = DTYPE_F32, .shape = {.rank = 1, .dim = {1000}}};
	runs = 0;
	images = units = 0;
	graph = NULL;
	threads = 1;
	settled = false;
}

static void teardown(void)
{
	choices_free(choices);
	for (int i = 0; i < TRIAL_ARENAS; i++)
		arena_free(trial_arena[i]);
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
	images = max_i64(images, a->out[0].shape.dim[0]);
}

static void run_slow(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
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

static void run_nan(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	copy(a, 0);
	((float *)a->out[0].data)[300] = (float)NAN;
}

static void run_by_units(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)a;
	units += end - begin;
	nanosleep(&(struct timespec){.tv_nsec = 1000000 * (end - begin)}, NULL);
}

static void copy_for(const struct kernel_args *a, int64_t ns)
{
	for (int64_t began = clock_now_ns(); clock_now_ns() - began < ns;)
		;
	copy(a, 0);
}

static void run_300_us(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	copy_for(a, 300000);
}

static void run_306_us(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	copy_for(a, 306000);
}

static enum err_code prepare_300_us(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_300_us;
	return ERR_OK;
}

static enum err_code prepare_306_us(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_306_us;
	return ERR_OK;
}

/* Weights that two threads wait for longer than they take to use them. */
#define HEAVY_BYTES ((size_t)8 << 20)

static void fill(void *to, void *ctx)
{
	(void)ctx;
	memset(to, 1, HEAVY_BYTES);
}

static enum err_code prepare_heavy(struct prep *p, struct kernel *ret, struct err *e)
{
	const void *const key = &node, *packed;
	ret->run = run_300_us;
	ret->units = 2;
	return packs_get(p->packs, &key, sizeof(key), HEAVY_BYTES, fill, NULL, &packed, e);
}

static void run_350_us(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	copy_for(a, 350000);
}

static enum err_code prepare_light(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_350_us;
	ret->units = 2;
	return ERR_OK;
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

static enum err_code prepare_nan(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_nan;
	return ERR_OK;
}

static enum err_code prepare_by_units(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_by_units;
	ret->units = 8;
	return ERR_OK;
}

/* Faster than slow, but for the first part of all. */
static void run_late(const struct kernel_args *a, int64_t begin, int64_t end)
{
	if (held_up)
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	held_up = false;
	if (end == 8)
		copy(a, 0);
	(void)begin;
}

static enum err_code prepare_late(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_late;
	ret->units = 8;
	return ERR_OK;
}

static enum err_code prepare_nothing(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)ret;
	return prep_refuse(e, "not for me");
}

/* What plain rows copy, in blocks of 8 channels. */
static void run_in_blocks(const struct kernel_args *a, int64_t begin, int64_t end)
{
	int64_t channels = a->out[0].shape.dim[1];
	int64_t pixels = shape_count_range(&a->out[0].shape, 2, 4);
	const float *x = a->in[0].data;
	float *y = a->out[0].data;
	for (int64_t i = 0; i < tensor_count(&a->out[0]); i++) {
		int64_t c = i / pixels % channels, image = i / pixels / channels;
		y[(image * channels + c / 8 * 8) * pixels + i % pixels * 8 + c % 8] = x[i];
	}
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	(void)begin, (void)end;
}

static enum err_code prepare_in_blocks(struct prep *p, struct kernel *ret, struct err *e)
{
	(void)p, (void)e;
	ret->run = run_in_blocks;
	ret->out_layout = LAYOUT_NCHW8C;
	return ERR_OK;
}

static const struct cpu_row in_blocks = {.name = "in blocks", .prepare = prepare_in_blocks};
static const struct cpu_row slow = {.name = "slow", .prepare = prepare_slow};
static const struct cpu_row fast = {.name = "fast", .prepare = prepare_fast};
static const struct cpu_row wrong = {.name = "wrong", .prepare = prepare_wrong};
static const struct cpu_row nan_row = {.name = "nan", .prepare = prepare_nan};
static const struct cpu_row by_units = {.name = "by units", .prepare = prepare_by_units};
static const struct cpu_row in_300_us = {.name = "300 us", .prepare = prepare_300_us};
static const struct cpu_row in_306_us = {.name = "306 us", .prepare = prepare_306_us};
static const struct cpu_row heavy = {.name = "heavy", .prepare = prepare_heavy};
static const struct cpu_row light = {.name = "light", .prepare = prepare_light};
static const struct cpu_row late = {.name = "late", .prepare = prepare_late};
static const struct cpu_row nothing = {.name = "nothing", .prepare = prepare_nothing};

static int chosen(const struct cpu_row *a, const struct cpu_row *b, struct choices *c)
{
	const struct cpu_row *rows[] = {a, b};
	struct prep p = {.graph = graph,
		.node = &node,
		.in = &in,
		.out = &out,
		.n_in = 1,
		.n_out = 1,
		.threads = threads,
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

START_TEST(of_two_that_are_near_each_other_the_first_row_is_taken)
{
	ck_assert_int_eq(chosen(&in_306_us, &in_300_us, choices), 0);
}
END_TEST

START_TEST(threads_that_wait_for_the_same_memory_want_fewer_weights)
{
	struct tensor weights = { .dtype = DTYPE_F32, .shape = shape_of(8 << 20) };
	struct gvalue value = { .constant = &weights };
	struct graph cold = { .value = &value, .n_value = 1 };
	threads = 2;
	ck_assert_int_eq(chosen(&heavy, &light, choices), 0);
	graph = &cold;
	ck_assert_int_eq(chosen(&heavy, &light, choices), 1);
	threads = 1;
	ck_assert_int_eq(chosen(&heavy, &light, choices), 0);
}
END_TEST

START_TEST(one_that_disagrees_is_not_however_fast)
{
	ck_assert_int_eq(chosen(&wrong, &slow, choices), 1);
}
END_TEST

START_TEST(a_plain_result_may_agree_with_one_in_blocks)
{
	in.shape = out.shape = shape_of(2, 24, 5, 7);
	ck_assert_int_eq(chosen(&fast, &in_blocks, choices), 0);
	ck_assert_int_eq(chosen(&wrong, &in_blocks, choices), 1);
}
END_TEST

START_TEST(no_number_agrees_with_nothing)
{
	ck_assert_int_eq(chosen(&nan_row, &slow, choices), 1);
}
END_TEST

START_TEST(who_is_far_behind_is_not_run_to_its_end)
{
	ck_assert_int_eq(chosen(&by_units, &fast, choices), 1);
	ck_assert_int_eq(units, 4); /* a quarter, twice */
}
END_TEST

START_TEST(who_is_held_up_once_is_not_far_behind)
{
	held_up = true;
	ck_assert_int_eq(chosen(&late, &slow, choices), 0);
}
END_TEST

START_TEST(of_a_batch_a_few_images_run)
{
	in.shape = out.shape = shape_of(1000, 8, 20, 20);
	ck_assert_int_eq(chosen(&fast, &slow, choices), 0);
	ck_assert_int_ge(images, 50);
	ck_assert_int_le(images, 100);
	in.shape = out.shape = shape_of(2, 8, 200, 201);
	images = 0;
	ck_assert_int_eq(chosen(&fast, &slow, choices), 0);
	ck_assert_int_eq(images, 1);
}
END_TEST

START_TEST(one_that_refuses_takes_no_part)
{
	ck_assert_int_eq(chosen(&nothing, &slow, choices), 1);
}
END_TEST

START_TEST(who_has_no_rival_is_not_run)
{
	ck_assert_int_eq(chosen(&nothing, &fast, choices), 1);
	ck_assert_int_eq(runs, 0);
}
END_TEST

/* Of a convolution with 3x3 weights, from 64 channels to oc, that keeps the image's size. */
static struct contest_part part_of_conv(int64_t size, int64_t oc, bool sum, bool cold)
{
	static const int64_t pads[] = { 1, 1, 1, 1 };
	struct attr attr = { .name = "pads", .kind = ATTR_INTS, .ints = pads, .n = 4 };
	struct node conv = { .op = OP_CONV, .attr = &attr, .n_attr = 1 };
	struct tensor image = { .dtype = DTYPE_F32, .shape = shape_of(1, 64, size, size) };
	struct tensor weights = { .dtype = DTYPE_F32, .shape = shape_of(oc, 64, 3, 3),
		.data = &weights };
	struct tensor out = { .dtype = DTYPE_F32, .shape = shape_of(1, oc, size, size) };
	struct tensor ins[] = { image, weights, tensor_absent(), out };
	struct prep p = { .node = &conv, .in = ins, .out = &out, .n_in = sum ? 4 : 3, .n_out = 1,
		.threads = 1 };
	struct contest_part c = contest_part_of(&p, cold);
	if (sum && c.out_rows)
		ck_assert_int_eq(contest_part_in(&c, &p, 3).shape.dim[2], c.out_rows);
	return c;
}

START_TEST(who_is_far_ahead_after_two_runs_needs_no_more)
{
	ck_assert_int_eq(chosen(&fast, &in_300_us, choices), 0);
	ck_assert_int_eq(runs, 4); /* two of each */
}
END_TEST

/* Of weights and bias the first ones, of the other inputs all and as many as come out. */
START_TEST(of_many_channels_some_are_worked_out)
{
	struct tensor weights = { .shape = shape_of(512, 64, 3, 3), .data = &weights };
	struct tensor bias = { .shape = shape_of(512), .data = &bias };
	struct tensor image = { .shape = shape_of(1, 64, 14, 14) },
		all = { .shape = shape_of(1, 512, 12, 12) };
	struct tensor ins[] = { image, weights, bias, all };
	struct node conv = { .op = OP_FUSED_CONV };
	struct prep p = { .node = &conv, .in = ins, .out = &all, .n_in = 4, .n_out = 1,
		.threads = 1 };

	struct contest_part c = contest_part_of(&p, true);

	ck_assert_int_eq(contest_part_in(&c, &p, 0).shape.dim[1], 64);
	ck_assert_int_eq(contest_part_in(&c, &p, 1).shape.dim[0], 128);
	ck_assert_ptr_eq(contest_part_in(&c, &p, 1).data, &weights);
	ck_assert_int_eq(contest_part_in(&c, &p, 2).shape.dim[0], 128);
	ck_assert_int_eq(contest_part_in(&c, &p, 3).shape.dim[1], 128);
	ck_assert_int_eq(contest_part_out(&c, &p).shape.dim[1], 128);
}
END_TEST

START_TEST(channels_that_fill_no_vector_are_all_worked_out)
{
	ck_assert_int_eq(part_of_conv(14, 512, false, true).channels, 128);
	ck_assert_int_eq(part_of_conv(14, 510, false, true).channels, 0);
	ck_assert_int_eq(part_of_conv(14, 128, false, true).channels, 0);
}
END_TEST

START_TEST(of_a_large_image_some_rows_run)
{
	struct contest_part c = part_of_conv(224, 64, true, true);
	ck_assert_int_eq(c.in_rows, 12);
	ck_assert_int_eq(c.out_rows, 12);
}
END_TEST

START_TEST(few_channels_of_the_result_count_as_a_full_vector)
{
	struct contest_part one = part_of_conv(112, 1, false, true),
			    all = part_of_conv(112, 16, false, true);
	ck_assert_int_gt(one.out_rows, 0);
	ck_assert_int_eq(one.out_rows, all.out_rows);
}
END_TEST

START_TEST(weights_from_caches_need_fewer_pixels)
{
	ck_assert_int_eq(part_of_conv(28, 512, false, false).out_rows, 12);
	ck_assert_int_eq(part_of_conv(28, 512, false, true).out_rows, 0);
}
END_TEST

START_TEST(a_small_image_runs_whole)
{
	ck_assert_int_eq(part_of_conv(28, 64, false, true).out_rows, 0);
	ck_assert_int_eq(part_of_conv(1, 64, false, true).out_rows, 0);
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
	tcase_add_test(t, of_two_that_are_near_each_other_the_first_row_is_taken);
	tcase_add_test(t, threads_that_wait_for_the_same_memory_want_fewer_weights);
	tcase_add_test(t, one_that_disagrees_is_not_however_fast);
	tcase_add_test(t, a_plain_result_may_agree_with_one_in_blocks);
	tcase_add_test(t, no_number_agrees_with_nothing);
	tcase_add_test(t, who_is_far_behind_is_not_run_to_its_end);
	tcase_add_test(t, who_is_held_up_once_is_not_far_behind);
	tcase_add_test(t, of_a_batch_a_few_images_run);
	tcase_add_test(t, one_that_refuses_takes_no_part);
	tcase_add_test(t, who_has_no_rival_is_not_run);
	tcase_add_test(t, who_is_far_ahead_after_two_runs_needs_no_more);
	tcase_add_test(t, of_many_channels_some_are_worked_out);
	tcase_add_test(t, channels_that_fill_no_vector_are_all_worked_out);
	tcase_add_test(t, of_a_large_image_some_rows_run);
	tcase_add_test(t, few_channels_of_the_result_count_as_a_full_vector);
	tcase_add_test(t, weights_from_caches_need_fewer_pixels);
	tcase_add_test(t, a_small_image_runs_whole);
	tcase_add_test(t, what_was_found_before_is_not_timed_again);
	tcase_add_test(t, when_settled_other_sizes_have_to_do);
	tcase_add_test(t, without_a_memory_nothing_is_timed);
	tcase_add_test(t, inputs_that_cannot_be_made_up_are_not_timed);
	suite_add_tcase(s, t);
	return s;
}
