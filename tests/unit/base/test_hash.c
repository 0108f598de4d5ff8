/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "base/hash.h"

START_TEST(equal_bytes_hash_alike_wherever_they_are)
{
	char at[80];
	for (size_t len = 0; len < 40; len++) {
		memset(at, 'x', sizeof(at));
		uint64_t want = hash_bytes(at, len, 7);
		for (size_t shift = 1; shift < 8; shift++)
			ck_assert_uint_eq(hash_bytes(at + shift, len, 7), want);
		ck_assert_uint_ne(hash_bytes(at, len, 8), want);
		ck_assert_uint_ne(hash_bytes(at, len + 1, 7), want);
	}
	ck_assert_uint_eq(hash_bytes(NULL, 0, 1), hash_slice(SLICE_LIT(""), 1));
}
END_TEST

START_TEST(every_input_bit_reaches_about_half_of_the_result)
{
	uint8_t data[24];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 41);
	for (size_t len = 1; len <= sizeof(data); len++) {
		uint64_t base = hash_bytes(data, len, 0);
		long flipped = 0;
		for (size_t bit = 0; bit < len * 8; bit++) {
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			int n = __builtin_popcountll(base ^ hash_bytes(data, len, 0));
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert_int_ge(n, 8);
			ck_assert_int_le(n, 56);
			flipped += n;
		}
		double mean = (double)flipped / (double)(len * 8);
		ck_assert_msg(mean > 27 && mean < 37, "%zu bytes: %g bits", len, mean);
	}
}
END_TEST

/* Shapes are what we hash most: small numbers in wide fields. */
START_TEST(small_shapes_spread_over_a_table)
{
	enum { SIDE = 32, BUCKETS = 4096 };
	static int load[BUCKETS];
	for (int64_t n = 0; n < SIDE; n++) {
		for (int64_t h = 0; h < SIDE; h++) {
			for (int64_t w = 0; w < SIDE; w++) {
				int64_t shape[] = { n, 3, h * 8, w * 8 };
				load[hash_bytes(shape, sizeof(shape), 0) % BUCKETS]++;
			}
		}
	}
	/* 8 each on average; Poisson makes 30 in any bucket a matter of 1e-5. */
	for (int i = 0; i < BUCKETS; i++)
		ck_assert_int_lt(load[i], 30);
}
END_TEST

Suite *suite_hash(void);
Suite *suite_hash(void)
{
	Suite *s = suite_create("hash");
	TCase *t = tcase_create("hash");
	tcase_add_test(t, equal_bytes_hash_alike_wherever_they_are);
	tcase_add_test(t, every_input_bit_reaches_about_half_of_the_result);
	tcase_add_test(t, small_shapes_spread_over_a_table);
	suite_add_tcase(s, t);
	return s;
}
