/* SPDX-License-Identifier: Apache-2.0 */
/* Sums, the largest and the least of rows of every length about the sizes that reduce_t.h and
   arg_row.c take at once. */
#include <check.h>
#include <math.h>
#include "exec/cpu/math/along_axis.h"
#include "exec/cpu/math/reduce.h"

#define LONGEST 1100

/* The tables of every instruction set that this machine has. */
static int tables(const struct reduce_loops *const *ret[3])
{
	int n = 0;
	ret[n++] = reduce_loops_base;
#ifdef __x86_64__
	if (cpu_features() & CPU_AVX2)
		ret[n++] = reduce_loops_avx2;
	if (cpu_features() & CPU_AVX512)
		ret[n++] = reduce_loops_avx512;
#endif
	return n;
}

static void extreme(
	const struct reduce_loops *l, enum reduce_step step, const void *x, int64_t n, void *ret)
{
	uint64_t acc;
	l->fill(step, &acc, 1);
	l->rows[step](&acc, x, 1, n);
	l->finish(FINISH_NONE, ret, &acc, 1, n);
}

static uint32_t next(uint32_t *seed)
{
	return (*seed = *seed * 1664525u + 1013904223u) >> 8;
}

START_TEST(extremes_of_bytes_are_found_in_runs_of_any_length)
{
	const struct reduce_loops *const *table[3];
	uint8_t x[LONGEST], got;
	uint32_t seed = 1;
	for (int64_t n = 1; n <= LONGEST; n++) {
		uint8_t most = 0, least = 255;
		for (int64_t i = 0; i < n; i++) {
			x[i] = (uint8_t)next(&seed);
			most = x[i] > most ? x[i] : most;
			least = x[i] < least ? x[i] : least;
		}
		for (int t = tables(table) - 1; t >= 0; t--) {
			extreme(table[t][DTYPE_U8], REDUCE_MAX, x, n, &got);
			ck_assert_uint_eq(got, most);
			extreme(table[t][DTYPE_U8], REDUCE_MIN, x, n, &got);
			ck_assert_uint_eq(got, least);
		}
	}
}
END_TEST

START_TEST(extremes_of_floats_stand_anywhere_and_nan_wins)
{
	const struct reduce_loops *const *table[3];
	static const int64_t length[] = { 1, 17, 63, 64, 127, 128, 129, 191, 192, 200, 1000 };
	float x[LONGEST], got;
	for (size_t k = 0; k < sizeof(length) / sizeof(length[0]); k++)
		for (int64_t at = 0; at < length[k]; at++)
			for (int t = tables(table) - 1; t >= 0; t--) {
				for (int64_t i = 0; i < length[k]; i++)
					x[i] = (float)(i % 7);
				x[at] = 8;
				extreme(table[t][DTYPE_F32], REDUCE_MAX, x, length[k], &got);
				ck_assert_float_eq(got, 8);
				x[at] = -INFINITY;
				extreme(table[t][DTYPE_F32], REDUCE_MIN, x, length[k], &got);
				ck_assert_float_eq(got, -INFINITY);
				x[at] = NAN;
				extreme(table[t][DTYPE_F32], REDUCE_MAX, x, length[k], &got);
				ck_assert(isnan(got));
				extreme(table[t][DTYPE_F32], REDUCE_MIN, x, length[k], &got);
				ck_assert(isnan(got));
			}
}
END_TEST

START_TEST(sums_of_rows_are_those_of_doubles)
{
	const struct reduce_loops *const *table[3];
	enum { ROWS = 3 };
	float x[ROWS * 150];
	double acc[ROWS];
	uint32_t seed = 1;
	for (int i = 0; i < ROWS * 150; i++)
		x[i] = (float)(int)(next(&seed) % 2001 - 1000) / 64;
	for (int64_t n = 1; n <= 150; n++)
		for (int t = tables(table) - 1; t >= 0; t--)
			for (int step = REDUCE_SUM; step <= REDUCE_SQUARE; step++) {
				const struct reduce_loops *l = table[t][DTYPE_F32];
				l->fill((enum reduce_step)step, acc, ROWS);
				l->rows[step](acc, x, ROWS, n);
				for (int64_t r = 0; r < ROWS; r++) {
					double want = 0;
					for (int64_t i = 0; i < n; i++) {
						double v = (double)x[r * n + i];
						want += step == REDUCE_SUM ? v
							: step == REDUCE_L1 ? fabs(v) : v * v;
					}
					ck_assert_double_eq(acc[r], want);
				}
			}
}
END_TEST

START_TEST(the_first_and_the_last_of_the_largest_and_the_least_are_found)
{
	const arg_row_fn *table[3] = { arg_row_base };
	int tables = 1;
#ifdef __x86_64__
	if (cpu_features() & CPU_AVX2)
		table[tables++] = arg_row_avx2;
	if (cpu_features() & CPU_AVX512)
		table[tables++] = arg_row_avx512;
#endif
	float x[200];
	uint8_t bytes[200];
	for (int64_t n = 2; n <= 200; n++)
		for (int64_t at = 0; at + 1 < n; at++) {
			for (int64_t i = 0; i < n; i++) {
				bool is_most = i == at || i == at + (n - at) / 2;
				x[i] = is_most ? 8 : (float)(i % 7);
				bytes[i] = is_most ? 3 : (uint8_t)(10 + i % 9);
			}
			for (int t = 0; t < tables; t++) {
				arg_row_fn f32 = table[t][DTYPE_F32], u8 = table[t][DTYPE_U8];
				ck_assert_int_eq(f32(x, n, true, false), at);
				ck_assert_int_eq(f32(x, n, true, true), at + (n - at) / 2);
				ck_assert_int_eq(u8(bytes, n, false, false), at);
				ck_assert_int_eq(u8(bytes, n, false, true), at + (n - at) / 2);
				float was = x[n - 1];
				x[n - 1] = NAN;
				ck_assert_int_eq(f32(x, n, false, false), n - 1);
				ck_assert_int_eq(f32(x, n, true, true), n - 1);
				x[n - 1] = was;
			}
		}
}
END_TEST

Suite *suite_reduce(void);
Suite *suite_reduce(void)
{
	Suite *s = suite_create("reduce");
	TCase *t = tcase_create("all");
	tcase_add_test(t, extremes_of_bytes_are_found_in_runs_of_any_length);
	tcase_add_test(t, extremes_of_floats_stand_anywhere_and_nan_wins);
	tcase_add_test(t, sums_of_rows_are_those_of_doubles);
	tcase_add_test(t, the_first_and_the_last_of_the_largest_and_the_least_are_found);
	suite_add_tcase(s, t);
	return s;
}
