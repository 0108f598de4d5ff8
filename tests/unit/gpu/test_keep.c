/* SPDX-License-Identifier: Apache-2.0 */
/* What a device compiled, in files: found again whole or not at all, and never too many. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "exec/gpu/lib/keep.h"
#include "support/tempdir.h"

static struct tempdir dir;
static struct arena *arena;

static void setup(void)
{
	dir = tempdir_new();
	arena = arena_new(1 << 16, 0);
}

static void teardown(void)
{
	arena_free(arena);
	tempdir_free(&dir);
}

static void put(const char *key, const char *data)
{
	keep_put(dir.fd, slice_of(key), slice_of(data), arena);
}

static bool found(const char *key, const char *data)
{
	struct slice is;
	return keep_find(dir.fd, slice_of(key), arena, &is) && slice_is(is, data);
}

START_TEST(what_was_kept_is_found_by_its_whole_key)
{
	ck_assert(!found("a key", "data"));
	put("a key", "data");
	put("a kez", "other");
	ck_assert(found("a key", "data"));
	ck_assert(found("a kez", "other"));
	ck_assert(!found("a ke", "data"));
	put("a key", "new");
	ck_assert(found("a key", "new"));
}
END_TEST

START_TEST(without_a_directory_nothing_is_kept)
{
	struct slice is;
	keep_put(-1, slice_of("a key"), slice_of("data"), arena);
	ck_assert(!keep_find(-1, slice_of("a key"), arena, &is));
}
END_TEST

/* The folder's files, by number. */
static int files(char (*ret_name)[64])
{
	int n = 0, folder = openat(dir.fd, KEEP_FOLDER, O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(folder);
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
		if (*e->d_name != '.' && n < 8)
			snprintf(ret_name[n++], sizeof(*ret_name), "%s/%.40s", KEEP_FOLDER,
				e->d_name);
	if (d)
		closedir(d);
	return n;
}

/* Each byte of the file in turn is another one, then each is missing. */
START_TEST(what_is_damaged_is_not_found)
{
	char name[8][64];
	struct stat st;
	put("a key", "data");
	ck_assert_int_eq(files(name), 1);
	int fd = openat(dir.fd, name[0], O_RDWR);
	ck_assert_int_eq(fstat(fd, &st), 0);
	for (off_t i = 0; i < st.st_size; i++) {
		char was, is;
		ck_assert_int_eq(pread(fd, &was, 1, i), 1);
		is = (char)(was ^ 0x10);
		ck_assert_int_eq(pwrite(fd, &is, 1, i), 1);
		ck_assert_msg(!found("a key", "data"), "byte %d", (int)i);
		ck_assert_int_eq(pwrite(fd, &was, 1, i), 1);
	}
	ck_assert(found("a key", "data"));
	for (off_t size = st.st_size - 1; size >= 0; size--) {
		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_msg(!found("a key", "data"), "%d bytes", (int)size);
	}
	close(fd);
	put("a key", "data");
	ck_assert(found("a key", "data"));
}
END_TEST

/* As if it was used so long ago. */
static void used(const char *key, const char *data, time_t s)
{
	char before[8][64], after[8][64];
	int n = files(before);
	put(key, data);
	ck_assert_int_eq(files(after), n + 1);
	for (int i = 0; i <= n; i++) {
		bool old = false;
		for (int k = 0; k < n; k++)
			old |= strcmp(after[i], before[k]) == 0;
		struct timespec at[2] = { { .tv_sec = s }, { .tv_sec = s } };
		if (!old)
			ck_assert_int_eq(utimensat(dir.fd, after[i], at, 0), 0);
	}
}

START_TEST(what_was_used_longest_ago_goes_first)
{
	used("a", "1", 1000);
	used("b", "22", 3000);
	used("c", "333", 2000);
	ck_assert(found("a", "1")); /* which is a use */
	keep_prune(dir.fd, 2, KEEP_BYTES_MAX, arena);
	ck_assert(found("a", "1") && found("b", "22") && !found("c", "333"));
	keep_prune(dir.fd, 2, 40, arena);
	char name[8][64];
	ck_assert_int_eq(files(name), 1);
}
END_TEST

Suite *suite_gpu_keep(void);
Suite *suite_gpu_keep(void)
{
	Suite *s = suite_create("gpu_keep");
	TCase *t = tcase_create("keep");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_was_kept_is_found_by_its_whole_key);
	tcase_add_test(t, without_a_directory_nothing_is_kept);
	tcase_add_test(t, what_is_damaged_is_not_found);
	tcase_add_test(t, what_was_used_longest_ago_goes_first);
	suite_add_tcase(s, t);
	return s;
}
