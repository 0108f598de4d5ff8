/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of shared memory; a directory stands for /dev/shm. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "server/regions.h"
#include "support/arena_case.h"
#include "support/tempdir.h"

Suite *suite_regions(void);

static struct tempdir dir;
static struct regions *all;

static void open_all(void)
{
	setup();
	dir = tempdir_new();
	tempdir_put_str(&dir, "object", "0123456789abcdef");
	ck_assert_int_eq(regions_new(dir.path, &all, &err), ERR_OK);
}

static void close_all(void)
{
	teardown();
	regions_free(all);
	tempdir_free(&dir);
}

static enum err_code add(const char *name, const char *key, uint64_t offset, uint64_t bytes)
{
	struct region_spec s = { slice_of(name), slice_of(key), offset, bytes };
	return regions_register(all, &s, &err);
}

static struct region_window window(const char *name, uint64_t offset, uint64_t bytes)
{
	return (struct region_window){ slice_of(name), offset, bytes };
}

static enum err_code fetch(struct region_window w, struct slice *ret)
{
	return regions_read(all, &w, arena, ret, &err);
}

static int open_files(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

START_TEST(a_window_is_read_into_aligned_memory)
{
	struct slice got;
	ck_assert_int_eq(add("r", "/object", 2, 10), ERR_OK);

	ck_assert_int_eq(fetch(window("r", 3, 4), &got), ERR_OK);

	ck_assert(slice_is(got, "5678"));
	ck_assert_uint_eq((uintptr_t)got.ptr % ARENA_ALIGN_TENSOR, 0);
	ck_assert_int_eq(fetch(window("r", 10, 0), &got), ERR_OK);
	ck_assert_uint_eq(got.len, 0);
}
END_TEST

START_TEST(what_is_held_is_written_to_although_it_was_unregistered)
{
	struct region *r;
	char text[17] = "";
	struct region_window w = window("r", 1, 5);
	int files = open_files();
	ck_assert_int_eq(add("r", "object", 2, 10), ERR_OK);
	ck_assert_int_eq(regions_hold(all, &w, arena, &r, &err), ERR_OK);
	regions_unregister(all, slice_of("r"));
	ck_assert_int_eq(add("r", "object", 0, 1), ERR_OK);

	ck_assert_int_eq(region_write(r, &w, SLICE_LIT("XYZ"), &err), ERR_OK);

	int fd = openat(dir.fd, "object", O_RDONLY);
	ck_assert_int_eq(read(fd, text, 16), 16);
	close(fd);
	ck_assert_str_eq(text, "012XYZ6789abcdef");
	regions_unregister(all, SLICE_LIT(""));
	ck_assert_int_eq(open_files(), files + 1);
	arena_reset(arena, 0);
	ck_assert_int_eq(open_files(), files);
}
END_TEST

static const struct {
	uint64_t offset, bytes;
} outside[] = { { 0, 11 }, { 10, 1 }, { 11, 0 }, { UINT64_MAX, 1 }, { 1, UINT64_MAX },
	{ UINT64_MAX, UINT64_MAX }, { (uint64_t)1 << 63, (uint64_t)1 << 63 } };

START_TEST(a_window_that_is_not_in_its_region_is_refused)
{
	struct slice got;
	struct region *r;
	struct region_window w = window("r", outside[_i].offset, outside[_i].bytes);
	ck_assert_int_eq(add("r", "object", 2, 10), ERR_OK);
	int files = open_files();

	ck_assert_int_eq(fetch(w, &got), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(regions_hold(all, &w, arena, &r, &err), ERR_INVALID_ARGUMENT);

	ck_assert_msg(strstr(err.msg, "region 'r' has 10 bytes"), "%s", err.msg);
	regions_unregister(all, SLICE_LIT(""));
	ck_assert_int_eq(open_files(), files - 1);
}
END_TEST

static const struct {
	const char *name, *key;
	uint64_t offset, bytes;
	enum err_code code;
	const char *says;
} bad[] = {
	{ "", "object", 0, 1, ERR_INVALID_ARGUMENT, "the name of a region is empty" },
	{ "a\nb", "object", 0, 1, ERR_INVALID_ARGUMENT, "the name of a region has a control" },
	{ "\xff", "object", 0, 1, ERR_INVALID_ARGUMENT, "the name of a region is no valid" },
	{ "r", "a\nb", 0, 1, ERR_INVALID_ARGUMENT, "the key of a region has a control" },
	{ "r", "", 0, 1, ERR_INVALID_ARGUMENT, "a key" },
	{ "r", "/", 0, 1, ERR_INVALID_ARGUMENT, "a key" },
	{ "r", "//object", 0, 1, ERR_INVALID_ARGUMENT, "a key" },
	{ "r", "/object/", 0, 1, ERR_INVALID_ARGUMENT, "a key" },
	{ "r", "..", 0, 1, ERR_INVALID_ARGUMENT, "a key" },
	{ "r", "sem.a", 0, 1, ERR_INVALID_ARGUMENT, "a key" },
	{ "r", "link", 0, 1, ERR_INVALID_ARGUMENT, "symbolic link" },
	{ "r", "fifo", 0, 1, ERR_INVALID_ARGUMENT, "not a regular file" },
	{ "r", "none", 0, 1, ERR_NOT_FOUND, "No such file" },
	{ "r", "object", 0, 0, ERR_INVALID_ARGUMENT, "no object has 0 bytes" },
	{ "r", "object", 0, 17, ERR_INVALID_ARGUMENT, "needs 17 bytes of its object" },
	{ "r", "object", 16, 1, ERR_INVALID_ARGUMENT, "needs 17 bytes" },
	{ "r", "object", UINT64_MAX, 2, ERR_INVALID_ARGUMENT, "no object has" },
	{ "r", "object", 2, UINT64_MAX, ERR_INVALID_ARGUMENT, "no object has" },
	{ "r", "object", INT64_MAX, 1, ERR_INVALID_ARGUMENT, "no object has" },
	{ "there", "object", 0, 1, ERR_ALREADY_EXISTS, "'there' is already registered" },
};

START_TEST(what_cannot_be_registered_leaves_nothing)
{
	ck_assert_int_eq(symlinkat("object", dir.fd, "link"), 0);
	ck_assert_int_eq(mkfifoat(dir.fd, "fifo", 0600), 0);
	ck_assert_int_eq(add("there", "object", 0, 1), ERR_OK);
	int files = open_files();

	enum err_code rc = add(bad[_i].name, bad[_i].key, bad[_i].offset, bad[_i].bytes);

	ck_assert_int_eq(rc, bad[_i].code);
	ck_assert_msg(strstr(err.msg, bad[_i].says), "%s", err.msg);
	ck_assert_int_eq(open_files(), files);
}
END_TEST

START_TEST(long_names_are_refused_and_dots_inside_are_not)
{
	char name[REGION_NAME_MAX_BYTES + 2];
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	tempdir_put_str(&dir, "input.1_0", "0123");
	ck_assert_int_eq(add(name, "object", 0, 1), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(add("r", name, 0, 1), ERR_INVALID_ARGUMENT);
	ck_assert_int_eq(add(name + 1, "/input.1_0", 0, 4), ERR_OK);
}
END_TEST

START_TEST(an_object_that_was_cut_short_is_an_error_and_stays_short)
{
	struct region *r;
	struct slice got;
	struct region_window w = window("r", 4, 8);
	ck_assert_int_eq(add("r", "object", 0, 16), ERR_OK);
	ck_assert_int_eq(regions_hold(all, &w, arena, &r, &err), ERR_OK);
	tempdir_put_str(&dir, "object", "012345");

	ck_assert_int_eq(fetch(w, &got), ERR_FAILED_PRECONDITION);
	ck_assert_msg(strstr(err.msg, "region 'r': object: ends after 6"), "%s", err.msg);
	ck_assert_int_eq(region_write(r, &w, SLICE_LIT("abcd"), &err), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, "needs 8 bytes of its object, which has 6"), "%s", err.msg);
	ck_assert_int_eq(region_write(r, &w, SLICE_LIT("ab"), &err), ERR_OK);
	ck_assert_int_eq(region_write(r, &w, SLICE_LIT("123456789"), &err), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, "9 bytes do not fit into"), "%s", err.msg);
}
END_TEST

START_TEST(the_list_is_in_order_and_keys_have_their_slash)
{
	static const char *const names[] = { "b", "aa", "c", "a", "B" };
	static const char *const sorted[] = { "B", "a", "aa", "b", "c" };
	struct region_spec *s;
	int n;
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(add(names[i], i % 2 ? "object" : "/object", 1, 2), ERR_OK);

	ck_assert_int_eq(regions_list(all, SLICE_LIT(""), arena, &s, &n, &err), ERR_OK);

	ck_assert_int_eq(n, 5);
	for (int i = 0; i < n; i++) {
		ck_assert(slice_is(s[i].name, sorted[i]) && slice_is(s[i].key, "/object"));
		ck_assert(s[i].offset == 1 && s[i].bytes == 2);
	}
	ck_assert_int_eq(regions_list(all, SLICE_LIT("aa"), arena, &s, &n, &err), ERR_OK);
	ck_assert(n == 1 && slice_is(s[0].name, "aa"));
	ck_assert_int_eq(regions_list(all, SLICE_LIT("ab"), arena, &s, &n, &err), ERR_NOT_FOUND);
}
END_TEST

START_TEST(they_are_bounded_in_number)
{
	char name[16];
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < REGIONS_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i * 7919 % REGIONS_MAX);
		ck_assert_msg(add(name, "object", 0, 16) == ERR_OK, "%s", err.msg);
	}
	ck_assert_int_eq(add("more", "object", 0, 16), ERR_RESOURCE_EXHAUSTED);
	regions_unregister(all, slice_of("77"));
	regions_unregister(all, slice_of("77"));
	ck_assert_int_eq(add("more", "object", 0, 16), ERR_OK);
}
END_TEST

START_TEST(off_it_is_refused_by_the_name_of_its_option)
{
	struct region_spec spec = { SLICE_LIT("r"), SLICE_LIT("object"), 0, 1 }, *s;
	struct region_window w = window("r", 0, 1);
	struct region *r;
	struct slice got;
	int n;
	ck_assert_int_eq(regions_register(NULL, &spec, &err), ERR_PERMISSION_DENIED);
	ck_assert_int_eq(regions_read(NULL, &w, arena, &got, &err), ERR_PERMISSION_DENIED);
	ck_assert_int_eq(regions_hold(NULL, &w, arena, &r, &err), ERR_PERMISSION_DENIED);
	ck_assert_msg(strstr(err.msg, "[server] shared_memory"), "%s", err.msg);
	ck_assert_int_eq(regions_list(NULL, SLICE_LIT("r"), arena, &s, &n, &err), ERR_NOT_FOUND);
	ck_assert_int_eq(regions_list(NULL, SLICE_LIT(""), arena, &s, &n, &err), ERR_OK);
	ck_assert_int_eq(n, 0);
	regions_unregister(NULL, SLICE_LIT(""));
}
END_TEST

#define LOOP(t, test, rows) tcase_add_loop_test(t, test, 0, sizeof(rows) / sizeof(rows[0]))

Suite *suite_regions(void)
{
	Suite *s = suite_create("regions");
	TCase *t = tcase_create("regions");
	tcase_add_checked_fixture(t, open_all, close_all);
	tcase_add_test(t, a_window_is_read_into_aligned_memory);
	tcase_add_test(t, what_is_held_is_written_to_although_it_was_unregistered);
	LOOP(t, a_window_that_is_not_in_its_region_is_refused, outside);
	LOOP(t, what_cannot_be_registered_leaves_nothing, bad);
	tcase_add_test(t, long_names_are_refused_and_dots_inside_are_not);
	tcase_add_test(t, an_object_that_was_cut_short_is_an_error_and_stays_short);
	tcase_add_test(t, the_list_is_in_order_and_keys_have_their_slash);
	tcase_add_test(t, they_are_bounded_in_number);
	tcase_add_test(t, off_it_is_refused_by_the_name_of_its_option);
	suite_add_tcase(s, t);
	return s;
}
