/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention as exporters spell it out, in tiny: what is left of it, and that the results
 * are the same.
 */
#include <math.h>
#include "support/graph_case.h"

#define BATCH 2
#define HEADS 3
#define LEN 5
#define SIZE 4
#define WIDTH (HEADS * SIZE)

/* Of the results before and after the passes the same is left, in so many nodes, of which
   so many are Attention. */
static void expect(int32_t y, int nodes, int attentions)
{
	model_output(g, y);
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_ATTENTION), attentions);
	ck_assert_int_eq(model_count(g, OP_NONE), nodes);
}

static int32_t input(const char *name, struct shape s)
{
	return model_input(g, name, DTYPE_F32, s);
}

static int32_t transpose(int32_t x, const int64_t *perm, int rank)
{
	int32_t y = MODEL_NODE(g, OP_TRANSPOSE, x);
	model_attr_ints(g, "perm", rank, perm);
	return y;
}
#define TRANSPOSE(x, ...) \
	transpose(x, (int64_t[]){ __VA_ARGS__ }, \
		(int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))

static int32_t softmax(int32_t x)
{
	int32_t y = MODEL_NODE(g, OP_SOFTMAX, x);
	model_attr_int(g, "axis", -1);
	return y;
}

/* [batch, length, width] to heads; [batch, heads, size, length] if turned. */
static int32_t split(int32_t x, bool turned)
{
	int32_t h = MODEL_NODE(g, OP_RESHAPE, x, MODEL_INTS(g, 0, 0, HEADS, SIZE));
	return turned ? TRANSPOSE(h, 0, 2, 3, 1) : TRANSPOSE(h, 0, 2, 1, 3);
}

static int32_t join(int32_t h)
{
	return MODEL_NODE(g, OP_RESHAPE, TRANSPOSE(h, 0, 2, 1, 3), MODEL_INTS(g, 0, 0, WIDTH));
}

static int32_t times(int32_t x, float number)
{
	return MODEL_NODE(g, OP_MUL, x, model_scalar(g, number));
}

static struct shape flat(void)
{
	return shape_of(BATCH, LEN, WIDTH);
}

/* Which keys each row sees; the first row none. */
static int32_t seen(void)
{
	static const float limit[LEN] = { -9, 1, 0, 9, -1 };
	int32_t m = input("m", shape_of(BATCH, 1, LEN, LEN));
	return MODEL_NODE(g, OP_LESS, m, model_floats(g, shape_of(LEN, 1), limit));
}

/* What differs from exporter to exporter: how scores come of queries and keys. */
enum scores { BY_HAND, PYTORCH, DYNAMO, SCALED_QUERY, UNSCALED, SCORES_COUNT_ };

static int32_t swapped_by_way_of_rank_3(int32_t k)
{
	int32_t f = MODEL_NODE(g, OP_RESHAPE, k, MODEL_INTS(g, -1, LEN, SIZE));
	return MODEL_NODE(g, OP_RESHAPE, TRANSPOSE(f, 0, 2, 1),
		MODEL_INTS(g, BATCH, HEADS, SIZE, LEN));
}

static int32_t make_scores(enum scores form, int32_t q, int32_t k)
{
	float root = sqrtf(sqrtf(1.0f / SIZE));
	int32_t heads = split(q, false);
	switch (form) {
	case BY_HAND:
		return MODEL_NODE(g, OP_DIV, MODEL_NODE(g, OP_MATMUL, heads, split(k, true)),
			model_scalar(g, sqrtf(SIZE)));
	case PYTORCH:
		return MODEL_NODE(g, OP_MATMUL, times(heads, root),
			times(TRANSPOSE(split(k, false), 0, 1, 3, 2), root));
	case DYNAMO:
		return MODEL_NODE(g, OP_MATMUL, times(heads, root),
			times(swapped_by_way_of_rank_3(split(k, false)), root));
	case SCALED_QUERY:
		return MODEL_NODE(g, OP_MATMUL, times(heads, root * root), split(k, true));
	default: return MODEL_NODE(g, OP_MATMUL, heads, split(k, true));
	}
}

START_TEST(whatever_way_scores_are_made)
{
	int32_t q = input("q", flat()), k = input("k", flat()), v = input("v", flat());
	int32_t p = softmax(make_scores((enum scores)_i, q, k));

	expect(join(MODEL_NODE(g, OP_MATMUL, p, split(v, false))), 1, 1);
}
END_TEST

START_TEST(an_added_mask_is_attentions)
{
	int32_t x = input("x", flat()), m = input("m", shape_of(BATCH, 1, 1, LEN));
	int32_t s = make_scores(BY_HAND, x, x);
	s = _i ? MODEL_NODE(g, OP_ADD, s, m) : MODEL_NODE(g, OP_ADD, m, s);

	expect(join(MODEL_NODE(g, OP_MATMUL, softmax(s), split(x, false))), 1, 1);
}
END_TEST

/* A row may see nothing: what is filled in then counts after all, or there is NaN. */
START_TEST(a_filled_in_mask_is_added)
{
	static const float fill[] = { -INFINITY, -3.4028235e38f };
	int32_t x = input("x", flat()), m = seen();
	int32_t s = make_scores(PYTORCH, x, x), low = model_scalar(g, fill[_i / 2]);
	s = _i % 2 ? MODEL_NODE(g, OP_WHERE, m, s, low)
		   : MODEL_NODE(g, OP_WHERE, MODEL_NODE(g, OP_NOT, m), low, s);

	/* Less (and Not) and Where make the mask. */
	expect(join(MODEL_NODE(g, OP_MATMUL, softmax(s), split(x, false))), _i % 2 ? 3 : 4, 1);
}
END_TEST

START_TEST(rows_that_see_nothing_may_be_zeros)
{
	int32_t x = input("x", flat());
	int32_t bias =
		MODEL_NODE(g, OP_WHERE, seen(), model_scalar(g, 0), model_scalar(g, -INFINITY));
	int32_t p = softmax(MODEL_NODE(g, OP_ADD, make_scores(PYTORCH, x, x), bias));
	p = MODEL_NODE(g, OP_WHERE, MODEL_NODE(g, OP_IS_NAN, p), model_scalar(g, 0), p);

	/* Less and Where make the mask, IsNaN and Where the zeros. */
	expect(join(MODEL_NODE(g, OP_MATMUL, p, split(x, false))), 5, 1);
}
END_TEST

START_TEST(batches_and_lengths_may_be_open)
{
	int64_t n = graph_symbol(g, SLICE_LIT("n")), t = graph_symbol(g, SLICE_LIT("t"));
	int32_t x = input("x", shape_of(n, t, WIDTH)), m = input("m", shape_of(n, 1, 1, t));
	int32_t s = MODEL_NODE(g, OP_ADD, make_scores(BY_HAND, x, x), m);

	expect(join(MODEL_NODE(g, OP_MATMUL, softmax(s), split(x, false))), 1, 1);
}
END_TEST

START_TEST(heads_that_come_as_such_stay_so)
{
	struct shape s = shape_of(BATCH, HEADS, LEN, SIZE);
	int32_t q = input("q", s), k = input("k", s), v = input("v", s);
	int32_t p = softmax(times(MODEL_NODE(g, OP_MATMUL, q, TRANSPOSE(k, 0, 1, 3, 2)), 0.5f));

	expect(MODEL_NODE(g, OP_MATMUL, p, v), 1, 1);
}
END_TEST

START_TEST(rank_3_is_one_head)
{
	struct shape s = shape_of(BATCH, LEN, SIZE);
	int32_t q = input("q", s), k = input("k", s), m = input("m", shape_of(LEN, LEN));
	int32_t p = MODEL_NODE(g, OP_MATMUL, times(q, 0.5f), TRANSPOSE(k, 0, 2, 1));

	expect(MODEL_NODE(g, OP_MATMUL, softmax(MODEL_NODE(g, OP_ADD, p, m)), k), 1, 1);
}
END_TEST

/* -- what only looks like it ------------------------------------------------------------------- */

START_TEST(weights_that_somebody_reads_stay)
{
	struct shape s = shape_of(BATCH, HEADS, LEN, SIZE);
	int32_t q = input("q", s), v = input("v", s);
	int32_t p = softmax(MODEL_NODE(g, OP_MATMUL, q, TRANSPOSE(q, 0, 1, 3, 2)));
	model_output(g, p);

	expect(MODEL_NODE(g, OP_MATMUL, p, v), 3, 0);
}
END_TEST

START_TEST(a_mask_that_is_one_number_per_row_stays)
{
	struct shape s = shape_of(BATCH, HEADS, LEN, SIZE);
	int32_t q = input("q", s), v = input("v", s), m = input("m", shape_of(LEN, 1));
	int32_t p = MODEL_NODE(g, OP_MATMUL, q, TRANSPOSE(q, 0, 1, 3, 2));

	expect(MODEL_NODE(g, OP_MATMUL, softmax(MODEL_NODE(g, OP_ADD, p, m)), v), 4, 0);
}
END_TEST

START_TEST(a_mask_that_makes_more_scores_stays)
{
	struct shape s = shape_of(1, HEADS, LEN, SIZE);
	int32_t q = input("q", s), v = input("v", s), m = input("m", shape_of(BATCH, 1, 1, LEN));
	int32_t p = MODEL_NODE(g, OP_MATMUL, q, TRANSPOSE(q, 0, 1, 3, 2));

	expect(MODEL_NODE(g, OP_MATMUL, softmax(MODEL_NODE(g, OP_ADD, p, m)), v), 4, 0);
}
END_TEST

START_TEST(a_number_that_scores_may_come_near_is_no_mask)
{
	struct shape s = shape_of(BATCH, HEADS, LEN, SIZE);
	int32_t q = input("q", s), m = model_input(g, "m", DTYPE_BOOL, shape_of(LEN, LEN));
	int32_t p = MODEL_NODE(g, OP_MATMUL, q, TRANSPOSE(q, 0, 1, 3, 2));

	expect(MODEL_NODE(g, OP_MATMUL,
		       softmax(MODEL_NODE(g, OP_WHERE, m, p, model_scalar(g, -1e4f))), q), 4, 0);
}
END_TEST

START_TEST(a_softmax_over_queries_is_none)
{
	int32_t q = input("q", shape_of(BATCH, HEADS, LEN, SIZE));
	int32_t s = MODEL_NODE(g, OP_MATMUL, q, TRANSPOSE(q, 0, 1, 3, 2));
	int32_t p = MODEL_NODE(g, OP_SOFTMAX, s);
	model_attr_int(g, "axis", 2);

	expect(MODEL_NODE(g, OP_MATMUL, p, q), 3, 0);
}
END_TEST

START_TEST(keys_of_one_batch_for_all_stay)
{
	int32_t q = input("q", shape_of(BATCH, HEADS, LEN, SIZE));
	int32_t k = input("k", shape_of(1, HEADS, LEN, SIZE));
	int32_t p = softmax(MODEL_NODE(g, OP_MATMUL, q, TRANSPOSE(k, 0, 1, 3, 2)));

	expect(MODEL_NODE(g, OP_MATMUL, p, k), 3, 0);
}
END_TEST

Suite *suite_pass_attention(void);
Suite *suite_pass_attention(void)
{
	Suite *s = suite_create("pass_attention");
	TCase *t = tcase_create("attention");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, whatever_way_scores_are_made, 0, SCORES_COUNT_);
	tcase_add_loop_test(t, an_added_mask_is_attentions, 0, 2);
	tcase_add_loop_test(t, a_filled_in_mask_is_added, 0, 4);
	tcase_add_test(t, rows_that_see_nothing_may_be_zeros);
	tcase_add_test(t, batches_and_lengths_may_be_open);
	tcase_add_test(t, heads_that_come_as_such_stay_so);
	tcase_add_test(t, rank_3_is_one_head);
	tcase_add_test(t, weights_that_somebody_reads_stay);
	tcase_add_test(t, a_mask_that_is_one_number_per_row_stays);
	tcase_add_test(t, a_mask_that_makes_more_scores_stays);
	tcase_add_test(t, a_number_that_scores_may_come_near_is_no_mask);
	tcase_add_test(t, a_softmax_over_queries_is_none);
	tcase_add_test(t, keys_of_one_batch_for_all_stay);
	suite_add_tcase(s, t);
	return s;
}
