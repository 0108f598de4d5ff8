/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of bytes by every instruction set that is here: against number by number.
 */
#include <check.h>
#include <string.h>
#include "exec/cpu/int8/qproduct.h"

enum { PIXELS = 75, CHANNELS = 45, FILLED = 64, RUNS = 2, SLOTS_MAX = 24,
	BYTES_MAX = SLOTS_MAX * QPRODUCT_SLOT };

static uint8_t x[(PIXELS + RUNS) * BYTES_MAX], z[PIXELS][CHANNELS], y[PIXELS][CHANNELS];
static int8_t w[FILLED * RUNS * BYTES_MAX];
static int32_t bias[FILLED], windows[PIXELS], w_zero[FILLED];
static float factor[FILLED];

static void fill(void *to, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		((uint8_t *)to)[i] = (uint8_t)(seed >> 24);
	}
}

static int32_t sum_at(int p, int m, int slots)
{
	int32_t sum = bias[m] - windows[p] * w_zero[m];
	int bytes = slots * QPRODUCT_SLOT;
	for (int r = 0; r < RUNS; r++)
		for (int k = 0; k < bytes; k++) {
			int slot = (m / QPRODUCT_PANEL * RUNS + r) * slots + k / QPRODUCT_SLOT;
			sum += x[(p + r) * bytes + k] *
			       w[(slot * QPRODUCT_PANEL + m % QPRODUCT_PANEL) * QPRODUCT_SLOT +
				       k % QPRODUCT_SLOT];
		}
	return sum;
}

static int32_t sums[PIXELS][CHANNELS];

static void expect_right(const struct qproduct *q, const struct requant *r, bool with_z, int slots,
	int pixels)
{
	const int bytes = slots * QPRODUCT_SLOT;
	const int64_t run_at[RUNS] = { 0, bytes };
	struct qproduct_job j = { .x = x, .rows = 1, .pixels = pixels, .x_pixel = bytes,
		.y_pixel = CHANNELS, .run_at = run_at, .runs = RUNS, .slots = slots,
		.w = w, .bias = bias, .factor = factor, .channels = CHANNELS,
		.y = y[0], .z = with_z ? z[0] : NULL, .requant = r, .windows = windows,
		.w_zero = w_zero };
	memset(y, 0, sizeof(y));
	q->run(&j);
	j.sums = sums[0];
	q->run(&j);
	for (int p = 0; p < pixels; p++)
		for (int m = 0; m < CHANNELS; m++) {
			int32_t sum = sum_at(p, m, slots);
			ck_assert_int_eq(sums[p][m], sum);
			ck_assert_int_eq(y[p][m], (uint8_t)requant_one(r, sum, factor[m],
							  with_z ? &z[p][m] : NULL));
		}
}

/* -- channels apart ---------------------------------------------------------------------------- */

enum { WIDTH_MAX = 5, STEP_MAX = 3, COLUMNS = (PIXELS - 1) * STEP_MAX + WIDTH_MAX };

static uint8_t columns[RUNS * COLUMNS + 1][FILLED];
static int32_t weight[RUNS * WIDTH_MAX][FILLED];

static int32_t apart_sum_at(const struct qproduct_job *j, int p, int m)
{
	int32_t sum = bias[m];
	for (int r = 0; r < j->runs; r++)
		for (int k = 0; k < j->slots; k++)
			sum += j->x[p * j->x_pixel + j->run_at[r] + k * j->tap + m] *
			       weight[r * j->slots + k][m];
	return sum;
}

static void expect_apart(const struct qproduct *q, struct qproduct_job j)
{
	memset(y, 0, sizeof(y));
	memset(sums, 0, sizeof(sums));
	q->run_apart(&j);
	for (int p = 0; p < PIXELS; p++)
		for (int m = 0; m < CHANNELS; m++) {
			int32_t sum = apart_sum_at(&j, p, m);
			if (p >= j.pixels)
				ck_assert_int_eq(j.sums ? sums[p][m] : y[p][m], 0);
			else if (j.sums)
				ck_assert_int_eq(sums[p][m], sum);
			else
				ck_assert_int_eq(
					y[p][m], (uint8_t)requant_one(j.requant, sum, factor[m],
							 j.z ? &z[p][m] : NULL));
		}
}

static void expect_window(
	const struct qproduct *q, const struct requant *r, int width, int step, int pixels)
{
	const int64_t run_at[RUNS] = { 0, COLUMNS * FILLED };
	struct qproduct_job j = { .x = columns[0], .rows = 1, .pixels = pixels,
		.x_pixel = step * FILLED, .y_pixel = CHANNELS, .run_at = run_at, .runs = RUNS,
		.slots = width, .tap = FILLED, .w = weight, .bias = bias, .channels = CHANNELS,
		.sums = sums[0], .requant = r };
	expect_apart(q, j);
	j.sums = NULL;
	j.y = y[0];
	j.factor = factor;
	expect_apart(q, j);
	j.z = z[0];
	expect_apart(q, j);
}

/* Windows that share columns, and others; rows of whole tiles, and shorter ones. */
static void expect_right_apart(const struct qproduct *q, const struct requant *r)
{
	const int shapes[][3] = { { 3, 1, PIXELS }, { 3, 2, PIXELS }, { 5, 1, 16 }, { 5, 2, 7 },
		{ 2, 1, PIXELS }, { 3, 3, 6 }, { 3, 1, 3 }, { 3, 2, 1 } };
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		expect_window(q, r, shapes[i][0], shapes[i][1], shapes[i][2]);
}

/* Slots of a run, pixels of a row. */
static const int shapes[][2] = {
	{ 3, 29 }, { 1, 1 }, { 16, 16 }, { 17, 5 }, { SLOTS_MAX, PIXELS }
};
#define SHAPES ((int)(sizeof(shapes) / sizeof(shapes[0])))

START_TEST(every_instruction_set_gives_the_same)
{
	static const struct requant requant = { .mid_low = -90, .mid_high = 100,
		.mid_factor = 0.75f, .z_factor = 0.5f, .low = -120, .high = 110, .y_zero = 3,
		.z_zero = 140, .z_flip = 0x80 };
	const struct {
		const struct qproduct *q;
		unsigned needs;
	} sets[] = { { &qproduct_base, CPU_BASE },
#ifdef __x86_64__
		{ &qproduct_avx2, CPU_AVX2 }, { &qproduct_avx512, CPU_AVX512 },
		{ &qproduct_avx512_vnni, CPU_VNNI }, { &qproduct_avx512_amx, CPU_AMX }
#endif
	};
	fill(x, sizeof(x), 1);
	fill(w, sizeof(w), 2);
	fill(z, sizeof(z), 3);
	fill(columns, sizeof(columns), 4);
	for (int k = 0; k < RUNS * WIDTH_MAX; k++)
		for (int m = 0; m < FILLED; m++)
			weight[k][m] = (k * 101 + m * 37) % 511 - 255;
	for (int m = 0; m < FILLED; m++) {
		bias[m] = 1000 * (m - 20);
		factor[m] = 0.0031f * (float)(1 + m % 5);
		w_zero[m] = m % 7 - 3;
	}
	for (int p = 0; p < PIXELS; p++)
		windows[p] = 100 * (p - 10);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if ((sets[i].needs & cpu_features()) != sets[i].needs)
			continue;
		for (int k = 0; k < SHAPES; k++) {
			expect_right(sets[i].q, &requant, false, shapes[k][0], shapes[k][1]);
			expect_right(sets[i].q, &requant, true, shapes[k][0], shapes[k][1]);
		}
		expect_right_apart(sets[i].q, &requant);
	}
}
END_TEST

Suite *suite_qproduct(void);
Suite *suite_qproduct(void)
{
	Suite *s = suite_create("qproduct");
	TCase *t = tcase_create("products");
	tcase_add_test(t, every_instruction_set_gives_the_same);
	suite_add_tcase(s, t);
	return s;
}
