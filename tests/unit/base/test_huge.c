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
#include "base/huge.h"
#include "base/pages.h"

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
	huge_set_clock(clock_of_pages);
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
		ck_assert_ptr_nonnull(p[i] = pages_map(AREA * HUGE_BYTES));
}

static void unmap_areas(char **p, int n)
{
	for (int i = 0; i < n; i++)
		pages_unmap(p[i], AREA * HUGE_BYTES);
	huge_set_clock(NULL);
}

START_TEST(huge_pages_that_are_quick_are_asked_for)
{
	char *p[2];
	given_huge_pages_that_take(NS_PER_MS / 10);
	map_areas(p, 2);
	for (int i = 0; i < 2 * AREA; i++)
		ck_assert(has_flag(p[i / AREA] + i % AREA * HUGE_BYTES, " hg"));
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
		ck_assert(has_flag(p[0] + i * HUGE_BYTES, " nh"));
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
	huge_expect(p[0] + 1, AREA * HUGE_BYTES - 1);

	ck_assert(has_flag(p[0] + HUGE_BYTES, " hg")); /* the slow one */
	for (int i = 2; i < AREA; i++)
		ck_assert(has_flag(p[0] + i * HUGE_BYTES, " nh"));
	unmap_areas(p, 1);
}
END_TEST

/* Linux 5.14: before, each comes when it is touched. */
START_TEST(small_pages_that_are_about_to_be_written_come_at_once)
{
	unsigned char there[AREA * HUGE_BYTES / 4096];
	char *p[1];
	given_huge_pages_that_take(5 * NS_PER_MS);
	map_areas(p, 1);

	huge_expect(p[0] + HUGE_BYTES, (AREA - 1) * HUGE_BYTES - 4096);

	bool can = madvise(p[0], 4096, MADV_POPULATE_WRITE) == 0;
	ck_assert_int_eq(mincore(p[0], AREA * HUGE_BYTES, there), 0);
	for (size_t i = HUGE_BYTES / 4096; i < sizeof(there); i++)
		ck_assert_int_eq(there[i] & 1, can && i < sizeof(there) - 1);
	unmap_areas(p, 1);
}
END_TEST

START_TEST(full_ones_are_collapsed_when_there_is_time)
{
	char *p[1];
	given_huge_pages_that_take(5 * NS_PER_MS);
	map_areas(p, 1);
	memset(p[0], 1, (AREA - 1) * HUGE_BYTES + 4096);

	huge_collapse();

	for (int i = 1; i < AREA - 1; i++)
		ck_assert(has_flag(p[0] + i * HUGE_BYTES, " hg"));
	ck_assert(has_flag(p[0] + (AREA - 1) * HUGE_BYTES, " nh")); /* would take memory */
	ck_assert_int_eq(p[0][(AREA - 1) * HUGE_BYTES - 1], 1);
	unmap_areas(p, 1);
}
END_TEST

/* Where an area was, another one stands. */
START_TEST(what_is_unmapped_is_forgotten)
{
	char *p[1];
	given_huge_pages_that_take(5 * NS_PER_MS);
	map_areas(p, 1);
	unmap_areas(p, 1);
	char *other = mmap(p[0], AREA * HUGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ck_assert_ptr_eq(other, p[0]);
	ck_assert_int_eq(madvise(other, AREA * HUGE_BYTES, MADV_NOHUGEPAGE), 0);
	memset(other, 1, AREA * HUGE_BYTES);

	huge_collapse();

	for (int i = 0; i < AREA; i++)
		ck_assert(has_flag(other + i * HUGE_BYTES, " nh"));
	munmap(other, AREA * HUGE_BYTES);
}
END_TEST

/* Of a kernel without huge pages there is nothing to ask. */
static bool has_huge_pages(void)
{
	return access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0;
}

Suite *suite_huge(void);
Suite *suite_huge(void)
{
	Suite *s = suite_create("huge");
	TCase *t = tcase_create("huge");
	if (has_huge_pages()) {
		tcase_add_test(t, huge_pages_that_are_quick_are_asked_for);
		tcase_add_test(t, after_a_slow_huge_page_the_rest_of_its_area_is_small);
		tcase_add_test(t, slow_huge_pages_are_tried_again_twice_as_late);
		tcase_add_test(t, an_area_that_begins_well_need_not_go_on_badly);
		tcase_add_test(t, small_pages_that_are_about_to_be_written_come_at_once);
		tcase_add_test(t, full_ones_are_collapsed_when_there_is_time);
		tcase_add_test(t, what_is_unmapped_is_forgotten);
	}
	suite_add_tcase(s, t);
	return s;
}
