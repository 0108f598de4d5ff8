/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <zlib.h>

#include "server/inflate.h"
#include "support/arena_case.h"

#define LIMIT 100000

/* len zeros, as gzip (31), zlib (15) or bare deflate (-15). */
static struct slice zeros(size_t len, int window_bits)
{
	z_stream z = { 0 };
	char *in = calloc(1, len + 1), *out = arena_alloc(arena, len / 500 + 1000);
	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)in;
	z.avail_in = (uInt)len;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)(len / 500 + 1000);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	struct slice ret = { out, z.total_out };
	deflateEnd(&z);
	free(in);
	return ret;
}

START_TEST(all_three_forms_are_read)
{
	struct slice plain;
	ck_assert_int_eq(
		inflate_bytes(zeros(5000, 31), INFLATE_GZIP, LIMIT, arena, &plain, &err), ERR_OK);
	ck_assert_uint_eq(plain.len, 5000);
	ck_assert_int_eq(
		inflate_bytes(zeros(5000, 15), INFLATE_DEFLATE, LIMIT, arena, &plain, &err),
		ERR_OK);
	ck_assert_uint_eq(plain.len, 5000);
	ck_assert_int_eq(
		inflate_bytes(zeros(5000, -15), INFLATE_DEFLATE, LIMIT, arena, &plain, &err),
		ERR_OK);
	ck_assert_uint_eq(plain.len, 5000);
}
END_TEST

START_TEST(a_bomb_costs_its_limit_not_its_size) /* H14 */
{
	struct slice plain, bomb = zeros(50000000, 31);
	size_t before = arena_held_bytes(arena);
	ck_assert_int_eq(inflate_bytes(bomb, INFLATE_GZIP, LIMIT, arena, &plain, &err),
		ERR_RESOURCE_EXHAUSTED);
	ck_assert_uint_lt(arena_held_bytes(arena) - before, 5 * LIMIT);
}
END_TEST

START_TEST(the_limit_itself_fits) /* H14 */
{
	struct slice plain;
	ck_assert_int_eq(
		inflate_bytes(zeros(LIMIT, 31), INFLATE_GZIP, LIMIT, arena, &plain, &err), ERR_OK);
	ck_assert_int_eq(
		inflate_bytes(zeros(LIMIT + 1, 31), INFLATE_GZIP, LIMIT, arena, &plain, &err),
		ERR_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(every_truncation_is_refused) /* H14 */
{
	struct slice plain, whole = zeros(1000, 31);
	for (size_t len = 0; len < whole.len; len++)
		ck_assert_int_eq(inflate_bytes((struct slice){ whole.ptr, len }, INFLATE_GZIP,
					 LIMIT, arena, &plain, &err),
			ERR_INVALID_ARGUMENT);
}
END_TEST

Suite *suite_inflate(void);
Suite *suite_inflate(void)
{
	Suite *s = suite_create("inflate");
	TCase *t = tcase_create("inflate");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, all_three_forms_are_read);
	tcase_add_test(t, a_bomb_costs_its_limit_not_its_size);
	tcase_add_test(t, the_limit_itself_fits);
	tcase_add_test(t, every_truncation_is_refused);
	suite_add_tcase(s, t);
	return s;
}
