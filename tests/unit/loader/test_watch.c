/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include "loader/repo/watch.h"
#include "support/tempdir.h"

static struct tempdir dir;
static struct watch *watch;
static struct err err;
static const char *roots[2];
static char model_dir[128], version_dir[128];

static void setup(void)
{
	dir = tempdir_new();
	roots[0] = dir.path;
	snprintf(model_dir, sizeof(model_dir), "%s/m", dir.path);
	snprintf(version_dir, sizeof(version_dir), "%s/m/1", dir.path);
	tempdir_put_str(&dir, "m/1/model.onnx", "x");
	ck_assert_int_eq(watch_new(&watch, &err), ERR_OK);
}

static void teardown(void)
{
	watch_free(watch);
	tempdir_free(&dir);
}

static bool follow(void)
{
	struct scan_version v = { .number = 1, .dir = version_dir };
	struct scan_model m = { .name = "m", .dir = model_dir, .version = &v, .n_version = 1 };
	struct scan scan = { .model = &m, .n_model = 1 };
	return watch_follow(watch, roots, &scan);
}

static bool wakes(void)
{
	struct pollfd fd = { .fd = watch_fd(watch), .events = POLLIN };
	return poll(&fd, 1, 200) == 1 && watch_read(watch);
}

START_TEST(roots_models_and_versions_are_watched)
{
	follow();
	ck_assert(!wakes());
	tempdir_put_str(&dir, "m/1/weights", "x");
	ck_assert(wakes());
	tempdir_put_str(&dir, "m/2/model.onnx", "x");
	ck_assert(wakes());
	tempdir_put_str(&dir, "n/1/model.onnx", "x");
	ck_assert(wakes());
}
END_TEST

START_TEST(what_a_scan_sees_no_more_is_watched_no_more)
{
	struct scan nothing = { 0 };
	follow();
	watch_follow(watch, roots, &nothing);
	watch_read(watch);
	tempdir_put_str(&dir, "m/1/weights", "x");
	ck_assert(!wakes());
}
END_TEST

START_TEST(a_version_directory_without_a_model_is_watched)
{
	char path[160];
	struct scan_dir empty = { .path = path };
	struct scan scan = { .empty = &empty };
	snprintf(path, sizeof(path), "%s/2", model_dir);
	ck_assert_int_eq(mkdirat(dir.fd, "m/2", 0755), 0);
	watch_follow(watch, roots, &scan);
	tempdir_put_str(&dir, "m/2/model.onnx", "x");
	ck_assert(wakes());
}
END_TEST

START_TEST(m32_what_is_watched_for_the_first_time_is_to_be_looked_at_again)
{
	ck_assert(follow());
	ck_assert(!follow());
	ck_assert_int_eq(renameat(dir.fd, "m", dir.fd, "elsewhere"), 0);
	tempdir_put_str(&dir, "m/1/model.onnx", "x");
	ck_assert(follow());
	ck_assert(!follow());
}
END_TEST

START_TEST(m23_only_a_renamed_directory_is_complete)
{
	char moved[160], made[160], inside[192];
	snprintf(moved, sizeof(moved), "%s/7", model_dir);
	snprintf(made, sizeof(made), "%s/8", model_dir);
	snprintf(inside, sizeof(inside), "%s/1", moved);
	tempdir_put_str(&dir, "spare/model.onnx", "x");
	follow();
	ck_assert_int_eq(renameat(dir.fd, "spare", dir.fd, "m/7"), 0);
	ck_assert_int_eq(mkdirat(dir.fd, "m/8", 0755), 0);
	ck_assert(wakes());
	ck_assert(watch_moved_in(watch, moved));
	ck_assert(watch_moved_in(watch, inside));
	ck_assert(!watch_moved_in(watch, made));
	ck_assert(!watch_moved_in(watch, version_dir));
	follow();
	ck_assert(!watch_moved_in(watch, moved));
}
END_TEST

START_TEST(m32_a_full_event_queue_is_told_once_and_makes_a_scan)
{
	char name[64];
	follow();
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "m/1/file%d", i % 2);
		tempdir_put_str(&dir, name, "x");
	}
	ck_assert(wakes());
	ck_assert_ptr_nonnull(watch_trouble(watch));
	ck_assert_ptr_null(watch_trouble(watch));
}
END_TEST

START_TEST(m32_who_writes_without_end_holds_no_scan_up)
{
	struct pollfd fd = { .fd = watch_fd(watch), .events = POLLIN };
	char name[200];
	int reads = 0;
	follow();
	for (int i = 0; i < 8000; i++) {
		snprintf(name, sizeof(name), "m/1/%0180d", i % 2);
		tempdir_put_str(&dir, name, "x");
	}
	for (; poll(&fd, 1, 0) == 1; reads++)
		ck_assert(watch_read(watch));
	ck_assert_int_gt(reads, 1);
}
END_TEST

Suite *suite_watch(void);
Suite *suite_watch(void)
{
	Suite *s = suite_create("watch");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, roots_models_and_versions_are_watched);
	tcase_add_test(t, what_a_scan_sees_no_more_is_watched_no_more);
	tcase_add_test(t, a_version_directory_without_a_model_is_watched);
	tcase_add_test(t, m32_what_is_watched_for_the_first_time_is_to_be_looked_at_again);
	tcase_add_test(t, m23_only_a_renamed_directory_is_complete);
	tcase_add_test(t, m32_a_full_event_queue_is_told_once_and_makes_a_scan);
	tcase_add_test(t, m32_who_writes_without_end_holds_no_scan_up);
	suite_add_tcase(s, t);
	return s;
}
