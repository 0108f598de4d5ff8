/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdint.h>
#include <string.h>
#include "base/pages.h"

START_TEST(pages_are_zero_and_writable_to_their_last_byte)
{
	static const size_t sizes[] = { 1, 4096, PAGES_HUGE_BYTES - 4096, PAGES_HUGE_BYTES - 1, PAGES_HUGE_BYTES,
		PAGES_HUGE_BYTES + 1, 3 * PAGES_HUGE_BYTES - 5, 5 * PAGES_HUGE_BYTES / 2 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *p = pages_map(sizes[i]);
		ck_assert_ptr_nonnull(p);
		ck_assert_int_eq(p[0] | p[sizes[i] - 1], 0);
		memset(p, 1, sizes[i]);
		pages_unmap(p, sizes[i]);
	}
}
END_TEST

START_TEST(large_ones_begin_where_a_huge_page_may)
{
	void *p[8];
	for (size_t i = 0; i < 8; i++) {
		p[i] = pages_map(PAGES_HUGE_BYTES + i * 4096);
		ck_assert_uint_eq((uintptr_t)p[i] % PAGES_HUGE_BYTES, 0);
	}
	for (size_t i = 0; i < 8; i++)
		pages_unmap(p[i], PAGES_HUGE_BYTES + i * 4096);
}
END_TEST

Suite *suite_pages(void);
Suite *suite_pages(void)
{
	Suite *s = suite_create("pages");
	TCase *t = tcase_create("pages");
	tcase_add_test(t, pages_are_zero_and_writable_to_their_last_byte);
	tcase_add_test(t, large_ones_begin_where_a_huge_page_may);
	suite_add_tcase(s, t);
	return s;
}
