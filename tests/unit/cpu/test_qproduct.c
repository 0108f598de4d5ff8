/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of bytes by every instruction set that is here: against number by number.
 */
#include <check.h>
#include <string.h>
#include "exec/cpu/int8/qproduct.h"

enum { PIXELS = 29, CHANNELS = 45, FILLED = 64, RUNS = 2, SLOTS = 3, BYTES = SLOTS * QPRODUCT_SLOT };

static uint8_t x[PIXELS + RUNS][BYTES], z[PIXELS][CHANNELS], y[PIXELS][CHANNELS];
static int8_t w[FILLED / QPRODUCT_PANEL][RUNS][SLOTS][QPRODUCT_PANEL][QPRODUCT_SLOT];
static int32_t bias[FILLED], windows[PIXELS], w_zero[FILLED];
static float factor[FILLED];

static void fill(void *to, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		((uint8_t *)to)[i] = (uint8_t)(seed >> 24);
	}
}

static int32_t sum_at(int p, int m)
{
	int32_t sum = bias[m] - windows[p] * w_zero[m];
	for (int r = 0; r < RUNS; r++)
		for (int k = 0; k < BYTES; k++)
			sum += x[p + r][k] * w[m / QPRODUCT_PANEL][r][k / QPRODUCT_SLOT][m % QPRODUCT_PANEL]
					      [k % QPRODUCT_SLOT];
	return sum;
}

static void expect_right(const struct qproduct *q, const struct requant *r, bool with_z)
{
	const int64_t run_at[RUNS] = { 0, BYTES };
	struct qproduct_job j = { .x = x[0], .rows = 1, .pixels = PIXELS, .x_pixel = BYTES, .y_pixel = CHANNELS,
		.run_at = run_at, .runs = RUNS, .slots = SLOTS, .w = &w[0][0][0][0][0], .bias = bias,
		.factor = factor, .channels = CHANNELS, .y = y[0], .z = with_z ? z[0] : NULL, .requant = r,
		.windows = windows, .w_zero = w_zero };
	memset(y, 0, sizeof(y));
	q->run(&j);
	for (int p = 0; p < PIXELS; p++)
		for (int m = 0; m < CHANNELS; m++)
			ck_assert_int_eq(y[p][m], (uint8_t)requant_one(r, sum_at(p, m), factor[m],
							  with_z ? &z[p][m] : NULL));
}

START_TEST(every_instruction_set_gives_the_same)
{
	static const struct requant requant = { .mid_low = -90, .mid_high = 100, .mid_factor = 0.75f,
		.z_factor = 0.5f, .low = -120, .high = 110, .y_zero = 3, .z_zero = 140, .z_flip = 0x80 };
	const struct {
		const struct qproduct *q;
		unsigned needs;
	} sets[] = { { &qproduct_base, CPU_BASE },
#ifdef __x86_64__
		{ &qproduct_avx2, CPU_AVX2 }, { &qproduct_avx512, CPU_AVX512 },
		{ &qproduct_avx512_vnni, CPU_VNNI }
#endif
	};
	fill(x, sizeof(x), 1);
	fill(w, sizeof(w), 2);
	fill(z, sizeof(z), 3);
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
		expect_right(sets[i].q, &requant, false);
		expect_right(sets[i].q, &requant, true);
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
