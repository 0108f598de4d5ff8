/* SPDX-License-Identifier: Apache-2.0 */
/* The largest and least of runs of every length about the sizes that reduce_t.h takes at once. */
#include <check.h>
#include <math.h>
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
	uint64_t acc[REDUCE_LANES];
	l->fill(step, acc, REDUCE_LANES);
	l->run[step](acc, x, n);
	for (int64_t half = REDUCE_LANES / 2; half; half /= 2)
		l->fold(step, acc, half);
	l->finish(FINISH_NONE, ret, acc, 1, n);
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

Suite *suite_reduce(void);
Suite *suite_reduce(void)
{
	Suite *s = suite_create("reduce");
	TCase *t = tcase_create("all");
	tcase_add_test(t, extremes_of_bytes_are_found_in_runs_of_any_length);
	tcase_add_test(t, extremes_of_floats_stand_anywhere_and_nan_wins);
	suite_add_tcase(s, t);
	return s;
}
