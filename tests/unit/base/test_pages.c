/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"
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

static bool is_mapped(void *p)
{
	unsigned char there;
	return mincore(p, 4096, &there) == 0;
}

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

/* -- huge pages that are slow ------------------------------------------------------------------ */

enum { ASKERS = 8, AREA = 4 }; /* who get small pages after a slow one; huge pages of an area */

static int64_t now, page_ns;

/* Read before a page is touched and after it. */
static int64_t clock_of_pages(void)
{
	return now += page_ns;
}

static void given_huge_pages_that_take(int64_t ns)
{
	page_ns = ns;
	pages_set_clock(clock_of_pages);
}

/* What the system was told of the page at p: "hg" a huge one is wanted, "nh" none. */
static bool has_flag(const void *p, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	bool here = false, has = false;
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		uintptr_t begin, end;
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
			here = (uintptr_t)p >= begin && (uintptr_t)p < end;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flag);
	}
	fclose(f);
	return has;
}

static void map_areas(char **p, int n)
{
	for (int i = 0; i < n; i++)
		ck_assert_ptr_nonnull(p[i] = pages_map(AREA * PAGES_HUGE_BYTES));
}

static void unmap_areas(char **p, int n)
{
	for (int i = 0; i < n; i++)
		pages_unmap(p[i], AREA * PAGES_HUGE_BYTES);
	pages_set_clock(NULL);
}

START_TEST(huge_pages_that_are_quick_are_asked_for)
{
	char *p[2];
	given_huge_pages_that_take(NS_PER_MS / 10);
	map_areas(p, 2);
	for (int i = 0; i < 2 * AREA; i++)
		ck_assert(has_flag(p[i / AREA] + i % AREA * PAGES_HUGE_BYTES, " hg"));
	unmap_areas(p, 2);
}
END_TEST

START_TEST(after_a_slow_huge_page_the_rest_of_its_area_is_small)
{
	char *p[1];
	given_huge_pages_that_take(5 * NS_PER_MS);
	map_areas(p, 1);
	ck_assert(has_flag(p[0], " hg"));
	for (int i = 1; i < AREA; i++)
		ck_assert(has_flag(p[0] + i * PAGES_HUGE_BYTES, " nh"));
	unmap_areas(p, 1);
}
END_TEST

START_TEST(slow_huge_pages_are_tried_again_twice_as_late)
{
	enum { N = 1 + ASKERS + 1 + 2 * ASKERS + 1 };
	char *p[N];
	given_huge_pages_that_take(5 * NS_PER_MS);
	map_areas(p, N);
	for (int i = 0; i < N; i++) {
		bool tries = i == 0 || i == ASKERS + 1 || i == N - 1;
		ck_assert_msg(has_flag(p[i], tries ? " hg" : " nh"), "area %d", i);
	}
	unmap_areas(p, N);
}
END_TEST

START_TEST(an_area_that_begins_well_need_not_go_on_badly)
{
	char *p[1];
	given_huge_pages_that_take(NS_PER_MS / 10);
	map_areas(p, 1);
	page_ns = 5 * NS_PER_MS;
	pages_expect(p[0] + 1, AREA * PAGES_HUGE_BYTES - 1);
	ck_assert(has_flag(p[0] + PAGES_HUGE_BYTES, " hg")); /* the slow one */
	for (int i = 2; i < AREA; i++)
		ck_assert(has_flag(p[0] + i * PAGES_HUGE_BYTES, " nh"));
	unmap_areas(p, 1);
}
END_TEST

/* Of a kernel without huge pages there is nothing to ask. */
static bool has_huge_pages(void)
{
	return access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0;
}

Suite *suite_pages(void);
Suite *suite_pages(void)
{
	Suite *s = suite_create("pages");
	TCase *t = tcase_create("pages");
	tcase_add_test(t, pages_are_zero_and_writable_to_their_last_byte);
	tcase_add_test(t, large_ones_begin_where_a_huge_page_may);
	tcase_add_test(t, what_is_freed_while_somebody_keeps_is_taken_again);
	tcase_add_test(t, what_is_kept_goes_with_the_last_keeper);
	tcase_add_test(t, no_more_is_kept_than_is_allowed);
	suite_add_tcase(s, t);
	if (!has_huge_pages())
		return s;
	TCase *huge = tcase_create("huge or small");
	tcase_add_test(huge, huge_pages_that_are_quick_are_asked_for);
	tcase_add_test(huge, after_a_slow_huge_page_the_rest_of_its_area_is_small);
	tcase_add_test(huge, slow_huge_pages_are_tried_again_twice_as_late);
	tcase_add_test(huge, an_area_that_begins_well_need_not_go_on_badly);
	suite_add_tcase(s, huge);
	return s;
}
