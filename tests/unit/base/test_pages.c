/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include "base/pages.h"

START_TEST(pages_are_zero_and_writable_to_their_last_byte)
{
	static const size_t sizes[] = { 1, 4096, PAGES_HUGE_BYTES - 4096, PAGES_HUGE_BYTES - 1,
		PAGES_HUGE_BYTES, PAGES_HUGE_BYTES + 1, 3 * PAGES_HUGE_BYTES - 5,
		5 * PAGES_HUGE_BYTES / 2 };
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

static bool is_mapped(void *p)
{
	unsigned char there;
	return mincore(p, 4096, &there) == 0;
}

START_TEST(what_is_shrunk_keeps_its_begin_and_gives_back_its_end)
{
	static const size_t sizes[] = { 1, 4096, 8192, PAGES_HUGE_BYTES - 1, PAGES_HUGE_BYTES,
		PAGES_HUGE_BYTES + 1, 3 * PAGES_HUGE_BYTES };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (size_t k = 0; k <= i; k++) {
			char *p = pages_map(sizes[i]);
			p[sizes[k] - 1] = 7;
			pages_shrink(p, sizes[i], sizes[k]);
			ck_assert_int_eq(p[sizes[k] - 1], 7);
			ck_assert(!is_mapped(p + sizes[k] + PAGES_HUGE_BYTES / 8 + 4096) ||
				  sizes[i] < sizes[k] + PAGES_HUGE_BYTES / 8);
			pages_unmap(p, sizes[k]);
			ck_assert(!is_mapped(p));
		}
}
END_TEST

/* A page that was not given back has what was written. */
START_TEST(what_is_freed_while_somebody_keeps_is_taken_again)
{
	size_t bytes = 3 * PAGES_HUGE_BYTES;
	pages_keep();
	char *p = pages_take(bytes);
	memset(p, 1, bytes);
	pages_unmap(p, bytes);

	char *less = pages_take(PAGES_HUGE_BYTES), *rest = pages_take(2 * PAGES_HUGE_BYTES - 4096);
	ck_assert_ptr_eq(less, p);
	ck_assert_ptr_eq(rest, p + PAGES_HUGE_BYTES);
	ck_assert_int_eq(rest[PAGES_HUGE_BYTES], 1);
	char *zeroed = pages_map(PAGES_HUGE_BYTES);
	ck_assert_int_eq(zeroed[PAGES_HUGE_BYTES - 1], 0);

	pages_unmap(zeroed, PAGES_HUGE_BYTES);
	pages_unmap(less, PAGES_HUGE_BYTES);
	pages_unmap(rest, 2 * PAGES_HUGE_BYTES - 4096);
	pages_keep_end();
}
END_TEST

START_TEST(what_is_kept_goes_with_the_last_keeper)
{
	char *p = pages_take(PAGES_HUGE_BYTES);
	pages_keep();
	pages_keep();
	pages_unmap(p, PAGES_HUGE_BYTES);
	pages_keep_end();
	ck_assert(is_mapped(p));
	pages_keep_end();
	ck_assert(!is_mapped(p));
}
END_TEST

START_TEST(no_more_is_kept_than_is_allowed)
{
	char *p = pages_take(PAGES_KEPT_MAX), *more = pages_take(PAGES_HUGE_BYTES);
	pages_keep();
	pages_unmap(p, PAGES_KEPT_MAX);
	pages_unmap(more, PAGES_HUGE_BYTES);
	ck_assert(is_mapped(p));
	ck_assert(!is_mapped(more));
	pages_keep_end();
	ck_assert(!is_mapped(p));
}
END_TEST

Suite *suite_pages(void);
Suite *suite_pages(void)
{
	Suite *s = suite_create("pages");
	TCase *t = tcase_create("pages");
	tcase_add_test(t, pages_are_zero_and_writable_to_their_last_byte);
	tcase_add_test(t, what_is_shrunk_keeps_its_begin_and_gives_back_its_end);
	tcase_add_test(t, large_ones_begin_where_a_huge_page_may);
	tcase_add_test(t, what_is_freed_while_somebody_keeps_is_taken_again);
	tcase_add_test(t, what_is_kept_goes_with_the_last_keeper);
	tcase_add_test(t, no_more_is_kept_than_is_allowed);
	suite_add_tcase(s, t);
	return s;
}
