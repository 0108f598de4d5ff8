/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "loader/repo/layout.h"
#include "loader/repo/scan.h"
#include "support/tempdir.h"

static struct tempdir dir;
static struct arena *arena;
static struct scan scan;
static struct err err;
static int ranks_wanted;
static bool strict;
static int64_t entries_max;

static void setup(void)
{
	dir = tempdir_new();
	arena = arena_new(0, 0);
	ranks_wanted = 64;
	strict = false;
	entries_max = 0;
}

static void teardown(void)
{
	tempdir_free(&dir);
	arena_free(arena);
}

static const char *at(const char *name)
{
	static char path[4][512];
	static int turn;
	char *p = path[turn++ % 4];
	snprintf(p, sizeof(path[0]), "%s/%s", dir.path, name);
	return p;
}

static void given_file(const char *name, const char *text)
{
	tempdir_put_str(&dir, name, text);
}

static bool wants(void *ctx, const char *model, int64_t number, int rank)
{
	(void)ctx, (void)model, (void)number;
	return rank < ranks_wanted;
}

static void when_scanned(const struct scan_place *places, int n)
{
	const char *roots[] = { dir.path, NULL };
	const char *none[] = { NULL };
	struct scan_conf conf = {
		.roots = n ? none : roots, .places = places, .n_places = n, .wants = wants,
		.entries_max = entries_max, .strict_permissions = strict
	};
	arena_reset(arena, SIZE_MAX);
	ck_assert_int_eq(scan_run(&conf, arena, &scan, &err), ERR_OK);
}

static const struct scan_version *version(const char *model, int64_t number)
{
	for (int i = 0; i < scan.n_model; i++)
		for (int k = 0; k < scan.model[i].n_version; k++)
			if (strcmp(scan.model[i].name, model) == 0 &&
				scan.model[i].version[k].number == number)
				return &scan.model[i].version[k];
	return NULL;
}

static int remarks(const char *part)
{
	int n = 0;
	for (int i = 0; i < scan.n_remark; i++)
		n += strstr(scan.remark[i].text, part) != NULL;
	return n;
}

START_TEST(models_and_versions_are_found_highest_first)
{
	given_file("b/1/model.onnx", "x");
	given_file("a/2/model.onnx", "x");
	given_file("a/10/model.onnx", "xyz");
	when_scanned(NULL, 0);
	ck_assert_int_eq(scan.n_model, 2);
	ck_assert_str_eq(scan.model[0].name, "a");
	ck_assert_int_eq(scan.model[0].n_version, 2);
	ck_assert_int_eq(scan.model[0].version[0].number, 10);
	ck_assert_str_eq(scan.model[0].version[0].file, "model.onnx");
	ck_assert_uint_eq(scan.model[0].version[0].bytes, 3);
	ck_assert_int_eq(scan.n_root_models, 2);
	ck_assert_int_eq(scan.n_remark, 0);
	ck_assert(!scan.incomplete);
}
END_TEST

START_TEST(m26_only_plain_decimal_directories_are_versions)
{
	static const char *const bad[] = { "00", "01", "-1", "+1", "1.0", "1e3", "0x1", " 1", "1 ",
		"\xd9\xa1", "9223372036854775808", "18446744073709551616", "latest", "1~", "1.tmp",
		"lost+found", "" };
	int64_t n;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(
			!layout_parse_version(slice_of(bad[i]), &n), "'%s' was taken", bad[i]);
	ck_assert(layout_parse_version(SLICE_LIT("0"), &n) && n == 0);
	ck_assert(layout_parse_version(SLICE_LIT("9223372036854775807"), &n) && n == INT64_MAX);

	given_file("m/01/model.onnx", "x");
	given_file("m/latest/model.onnx", "x");
	given_file("m/.1/model.onnx", "x");
	given_file("m/0/model.onnx", "x");
	when_scanned(NULL, 0);
	ck_assert_int_eq(scan.model[0].n_version, 1);
	ck_assert_ptr_nonnull(version("m", 0));
	ck_assert_int_eq(remarks("m/01: ignored, a version's number has no leading zeros"), 1);
	ck_assert_int_eq(
		remarks("m/latest: ignored, not a version directory: versions are numbers"), 1);
}
END_TEST

START_TEST(repositories_of_others_are_told_what_is_different)
{
	given_file("triton/config.pbtxt", "x");
	given_file("flat/model.onnx", "x");
	given_file("tfs/1/saved_model.pb", "x");
	given_file("ovms/1/resnet50.onnx", "x");
	given_file("torch/1/model.pt", "x");
	given_file("anything/1/notes.txt", "x");
	given_file("loose.onnx", "x");
	when_scanned(NULL, 0);
	ck_assert_int_eq(remarks("triton/config.pbtxt: ignored, options of a model stand in "
				 "model.conf; signetctl import reads this file"),
		1);
	ck_assert_int_eq(
		remarks("flat/model.onnx: ignored, a version is a directory: move it to 1/"), 1);
	ck_assert_int_eq(remarks("tfs/1: no model.onnx or model.signet in it (yet); saved_model.pb "
				 "is a SavedModel"),
		1);
	ck_assert_int_eq(remarks("ovms/1: no model.onnx or model.signet in it (yet); resnet50.onnx "
				 "has to be named model.onnx"),
		1);
	ck_assert_int_eq(remarks("torch/1: no model.onnx or model.signet in it (yet); model.pt has "
				 "to be exported"),
		1);
	ck_assert_int_eq(remarks("anything/1: no model.onnx or model.signet in it (yet)"), 1);
	ck_assert_int_eq(remarks("loose.onnx: ignored, not a directory; a root holds "
				 "NAME/VERSION/model.onnx"),
		1);
}
END_TEST

START_TEST(m27_versions_may_be_links_but_not_files_or_loops)
{
	given_file("store/x/model.onnx", "x");
	given_file("m/1", "a file");
	ck_assert_int_eq(symlink("../store/x", at("m/2")), 0);
	ck_assert_int_eq(symlink("nowhere", at("m/3")), 0);
	ck_assert_int_eq(symlink("4", at("m/4")), 0);
	when_scanned(NULL, 0);
	ck_assert_ptr_nonnull(version("m", 2));
	ck_assert_int_eq(version("m", 2)->code, ERR_OK);
	for (int64_t bad = 1; bad <= 4; bad += bad == 1 ? 2 : 1)
		ck_assert_ptr_null(version("m", bad));
}
END_TEST

START_TEST(m27_a_config_map_s_file_link_is_followed_beneath_its_directory)
{
	given_file("m/1/..2026/model.onnx", "x");
	ck_assert_int_eq(symlink("..2026", at("m/1/..data")), 0);
	ck_assert_int_eq(symlink("..data/model.onnx", at("m/1/model.onnx")), 0);
	given_file("outside.onnx", "x");
	given_file("n/1/readme", "x");
	ck_assert_int_eq(symlink("../../outside.onnx", at("n/1/model.onnx")), 0);
	when_scanned(NULL, 0);
	ck_assert_int_eq(version("m", 1)->code, ERR_OK);
	ck_assert_str_eq(version("m", 1)->dir + strlen(version("m", 1)->dir) - 7, "/..2026");
	ck_assert_int_eq(version("n", 1)->code, ERR_FAILED_PRECONDITION);
	ck_assert_str_eq(version("n", 1)->reason, "model.onnx is a link that leaves its directory");
}
END_TEST

START_TEST(m27_what_is_there_but_unreadable_is_reported_as_such)
{
	if (geteuid() == 0) /* root reads everything */
		return;
	given_file("m/1/model.onnx", "x");
	given_file("m/2/model.onnx", "x");
	chmod(at("m/1"), 0);
	chmod(at("m/2/model.onnx"), 0);
	when_scanned(NULL, 0);
	ck_assert_int_eq(version("m", 1)->code, ERR_PERMISSION_DENIED);
	ck_assert_int_eq(version("m", 2)->code, ERR_PERMISSION_DENIED);
	chmod(at("m/1"), 0700); /* to be removed */
}
END_TEST

START_TEST(a_model_file_that_is_none_is_an_error_of_its_version)
{
	given_file("m/1/readme", "x");
	ck_assert_int_eq(mkfifo(at("m/1/model.onnx"), 0600), 0);
	given_file("m/2/readme", "x");
	when_scanned(NULL, 0);
	ck_assert_int_eq(version("m", 1)->code, ERR_FAILED_PRECONDITION);
	ck_assert_str_eq(version("m", 1)->reason, "model.onnx is not a regular file");
	ck_assert_ptr_null(version("m", 2));
	ck_assert_int_eq(remarks("no model.onnx or model.signet in it (yet)"), 1);
}
END_TEST

START_TEST(m28_a_root_that_is_gone_makes_the_scan_incomplete)
{
	tempdir_free(&dir);
	when_scanned(NULL, 0);
	ck_assert(scan.incomplete);
	ck_assert_int_eq(scan.n_model, 0);
	ck_assert_int_eq(remarks("No such file or directory"), 1);
	dir = tempdir_new();
}
END_TEST

START_TEST(m31_many_versions_are_listed_but_few_are_looked_at)
{
	char name[64];
	mkdir(at("m"), 0755);
	for (int i = 1; i <= 500; i++) {
		snprintf(name, sizeof(name), "m/%d", i);
		mkdir(at(name), 0755);
	}
	given_file("m/500/model.onnx", "x");
	given_file("m/7/model.onnx", "x");
	ranks_wanted = 3;
	when_scanned(NULL, 0);
	ck_assert_int_eq(scan.model[0].n_version, 1);
	ck_assert_ptr_nonnull(version("m", 500));
	ck_assert_int_eq(scan.n_remark, 2);
}
END_TEST

START_TEST(m31_of_too_many_versions_the_highest_are_listed)
{
	char name[64];
	mkdir(at("m"), 0755);
	for (int i = 1; i <= 2 * SCAN_VERSIONS_MAX + 1; i++) {
		snprintf(name, sizeof(name), "m/%d", i);
		mkdir(at(name), 0755);
	}
	given_file("m/7/model.onnx", "x");
	given_file("m/32769/model.onnx", "x");
	given_file("n/1/model.onnx", "x");
	ranks_wanted = 1;
	when_scanned(NULL, 0);
	ck_assert_ptr_nonnull(version("m", 2 * SCAN_VERSIONS_MAX + 1));
	ck_assert_int_eq(scan.model[0].lowest, SCAN_VERSIONS_MAX + 2);
	ck_assert_int_eq(remarks("more than 16384 versions, the lowest are not looked at"), 1);
	ck_assert_int_eq(scan.model[1].lowest, 0);
	ck_assert(!scan.incomplete);
}
END_TEST

static void given_strays(const char *prefix, int n)
{
	char name[64];
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%sstray%d", prefix, i);
		given_file(name, "");
	}
}

/* So many that what could not be looked at finds room. */
START_TEST(m31_strays_make_a_bounded_number_of_remarks)
{
	const char *roots[] = { dir.path, "/gone", NULL };
	struct scan_conf conf = { .roots = roots, .wants = wants };
	given_file("m/1/model.onnx", "x");
	given_strays("", SCAN_REMARKS_MAX + 100);
	ck_assert_int_eq(scan_run(&conf, arena, &scan, &err), ERR_OK);
	ck_assert_int_gt(scan.n_remark, SCAN_REMARKS_MAX / 2);
	ck_assert_int_lt(scan.n_remark, SCAN_REMARKS_MAX);
	ck_assert_int_eq(remarks("model root /gone: "), 1);
	ck_assert_ptr_nonnull(version("m", 1));
}
END_TEST

START_TEST(a_scan_that_may_read_no_more_says_where_the_entries_are)
{
	char says[256];
	given_strays("big/", 300);
	given_file("big/1/model.onnx", "x");
	entries_max = 200;
	when_scanned(NULL, 0);
	ck_assert_int_eq(scan.n_model, 1);
	ck_assert(scan.model[0].unreadable);
	ck_assert(scan.incomplete);
	ck_assert_int_eq(remarks(" after 200 directory entries ([repository] entries_max), "), 1);
	snprintf(says, sizeof(says), " in %s/big; ", dir.path);
	ck_assert_int_eq(remarks(says), 1);
	ck_assert(scan.remark[scan.n_remark - 1].serious);

	entries_max = 400;
	when_scanned(NULL, 0);
	ck_assert(!scan.incomplete);
	ck_assert_ptr_nonnull(version("big", 1));
	ck_assert_int_eq(remarks("entries_max"), 0);
}
END_TEST

START_TEST(a_place_that_was_not_read_to_its_end_is_not_taken_for_a_flat_one)
{
	struct scan_place place = { "m", dir.path };
	given_file("model.onnx", "x");
	given_file("1/model.onnx", "x");
	entries_max = 1;
	when_scanned(&place, 1);
	ck_assert(scan.model[0].unreadable);
	ck_assert_int_eq(scan.model[0].n_version, 0);
}
END_TEST

START_TEST(m34_names_are_strict_and_the_first_of_two_models_stays)
{
	given_file("good.name_1-x/1/model.onnx", "x");
	given_file("bad name/1/model.onnx", "x");
	given_file("bad\nname/1/model.onnx", "x");
	given_file("Good.name_1-x/1/model.onnx", "x");
	when_scanned(NULL, 0);
	ck_assert_int_eq(scan.n_model, 2);
	ck_assert_int_eq(remarks("a model name is 1 to 128 of"), 2);

	struct scan_place twice[] = { { "m", at("good.name_1-x") }, { "m", at("Good.name_1-x") } };
	when_scanned(twice, 2);
	ck_assert_int_eq(scan.n_model, 1);
	ck_assert_str_eq(scan.model[0].dir, twice[0].path);
	ck_assert_int_eq(remarks("model 'm' is already served from"), 1);

	char long_name[200];
	memset(long_name, 'a', sizeof(long_name));
	ck_assert(layout_is_model_name((struct slice){ long_name, 128 }));
	ck_assert(!layout_is_model_name((struct slice){ long_name, 129 }));
	ck_assert(!layout_is_model_name(SLICE_LIT("..")));
	ck_assert(!layout_is_model_name(SLICE_LIT("a/b")));
	ck_assert(!layout_is_model_name(SLICE_LIT("")));
}
END_TEST

START_TEST(a_named_path_may_be_versions_a_flat_directory_a_repository_or_a_file)
{
	given_file("versions/3/model.onnx", "x");
	given_file("versions/labels.txt", "x");
	given_file("flat/model.onnx", "x");
	given_file("flat/weights.bin", "yy");
	given_file("repository/d/4/model.onnx", "x");
	given_file("some.onnx", "x");
	struct scan_place places[] = { { "a", at("versions") }, { "b", at("flat") },
		{ "d", at("repository") }, { "e", at("some.onnx") } };
	char kept[4][512];
	for (int i = 0; i < 4; i++) {
		strcpy(kept[i], places[i].path);
		places[i].path = kept[i];
	}
	when_scanned(places, 4);
	ck_assert_ptr_nonnull(version("a", 3));
	ck_assert_ptr_nonnull(version("b", 1));
	ck_assert_uint_eq(version("b", 1)->bytes, 3);
	ck_assert_ptr_nonnull(version("d", 4));
	ck_assert_ptr_nonnull(version("e", 1));
	ck_assert_str_eq(version("e", 1)->file, "some.onnx");
	ck_assert_str_eq(version("e", 1)->dir, dir.path);
	ck_assert(version("e", 1)->file_only);
}
END_TEST

/* -- stamps ---------------------------------------------------------------------------------- */

static void look(const struct scan_version *v, struct scan_id *id, uint64_t *stamp)
{
	int fd = open(v->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(scan_look(fd, v, id, stamp, &err), ERR_OK);
	close(fd);
}

START_TEST(m24_writing_in_place_changes_the_stamp_not_the_identity)
{
	struct scan_id id;
	uint64_t stamp;
	given_file("m/1/model.onnx", "x");
	when_scanned(NULL, 0);
	const struct scan_version *v = version("m", 1);
	look(v, &id, &stamp);
	ck_assert(scan_id_equal(&id, &v->id));
	ck_assert_uint_eq(stamp, v->stamp);

	given_file("m/1/model.onnx", "xx");
	look(v, &id, &stamp);
	ck_assert(scan_id_equal(&id, &v->id));
	ck_assert_uint_ne(stamp, v->stamp);
}
END_TEST

START_TEST(m29_new_files_under_the_old_name_are_another_identity)
{
	struct scan_id id;
	uint64_t stamp;
	given_file("m/1/model.onnx", "x");
	when_scanned(NULL, 0);
	const struct scan_version *v = version("m", 1);
	ck_assert_int_eq(rename(at("m/1"), at("m/old")), 0);
	given_file("m/1/model.onnx", "x");
	look(v, &id, &stamp);
	ck_assert(!scan_id_equal(&id, &v->id));
}
END_TEST

START_TEST(files_in_folders_of_a_version_belong_to_its_stamp)
{
	struct scan_id id;
	uint64_t stamp;
	given_file("m/1/model.onnx", "x");
	given_file("m/1/data/deep/w.bin", "1");
	when_scanned(NULL, 0);
	const struct scan_version *v = version("m", 1);
	given_file("m/1/data/deep/w.bin", "22");
	look(v, &id, &stamp);
	ck_assert_uint_ne(stamp, v->stamp);
}
END_TEST

static void given_mode(const char *name, mode_t mode)
{
	ck_assert_int_eq(chmod(at(name), mode), 0);
}

START_TEST(m40_what_anyone_may_write_is_remarked_on)
{
	given_file("m/1/model.onnx", "x");
	given_file("m/2/model.onnx", "x");
	given_mode("m/1/model.onnx", 0666);
	given_mode("m/2", 0777);
	when_scanned(NULL, 0);
	ck_assert_int_eq(version("m", 1)->code, ERR_OK);
	ck_assert_int_eq(version("m", 2)->code, ERR_OK);
	ck_assert_int_eq(remarks("m/1/model.onnx: anyone may write it (mode 0666)"), 1);
	ck_assert_int_eq(remarks("m/2: anyone may write it (mode 0777)"), 1);
	ck_assert_int_eq(scan.n_remark, 2);
}
END_TEST

START_TEST(m40_strict_permissions_refuse_it)
{
	strict = true;
	given_file("m/1/model.onnx", "x");
	given_file("m/2/model.onnx", "x");
	given_file("m/3/model.onnx", "x");
	given_mode("m/1/model.onnx", 0666);
	given_mode("m/2", 0777);
	given_mode("m/3", 01777); /* anyone may add, nobody may replace */
	when_scanned(NULL, 0);
	ck_assert_int_eq(version("m", 1)->code, ERR_PERMISSION_DENIED);
	ck_assert_str_eq(version("m", 1)->reason,
		"model.onnx: anyone may write it (mode 0666), which strict_permissions forbids");
	ck_assert_int_eq(version("m", 2)->code, ERR_PERMISSION_DENIED);
	ck_assert_int_eq(version("m", 3)->code, ERR_OK);
	given_mode(".", 0777);
	when_scanned(NULL, 0);
	ck_assert(scan.incomplete);
	ck_assert_int_eq(scan.n_model, 0);
	ck_assert_int_eq(remarks("not looked at, its directory: anyone may write it"), 1);
}
END_TEST

static const struct scan_conf_file *own_file(const char *model)
{
	for (int i = 0; i < scan.n_model; i++)
		if (strcmp(scan.model[i].name, model) == 0)
			return &scan.model[i].conf;
	ck_abort_msg("no model %s", model);
	return NULL;
}

START_TEST(m33_a_models_own_file_is_seen_with_its_changes)
{
	given_file("m/1/model.onnx", "x");
	when_scanned(NULL, 0);
	ck_assert_uint_eq(own_file("m")->stamp, 0);

	given_file("m/model.conf", "[model]\n");
	when_scanned(NULL, 0);
	uint64_t first = own_file("m")->stamp;
	ck_assert_uint_ne(first, 0);
	ck_assert_int_eq(scan.n_remark, 0);

	given_file("m/model.conf", "[model]\nmax_batch = 4\n");
	when_scanned(NULL, 0);
	ck_assert_uint_ne(own_file("m")->stamp, first);
}
END_TEST

START_TEST(m33_it_is_no_part_of_a_flat_version)
{
	given_file("m/model.onnx", "x");
	struct scan_place place = { "m", at("m") };
	when_scanned(&place, 1);
	uint64_t before = version("m", 1)->stamp;
	given_file("m/model.conf", "[model]\n");
	when_scanned(&place, 1);
	ck_assert_uint_ne(own_file("m")->stamp, 0);
	ck_assert_uint_eq(version("m", 1)->stamp, before);
}
END_TEST

START_TEST(m33_strict_permissions_refuse_one_that_anyone_may_write)
{
	strict = true;
	given_file("m/1/model.onnx", "x");
	given_file("m/model.conf", "[model]\n");
	given_mode("m/model.conf", 0666);
	when_scanned(NULL, 0);
	ck_assert_int_eq(own_file("m")->code, ERR_PERMISSION_DENIED);
	ck_assert_str_eq(own_file("m")->reason,
		"model.conf: anyone may write it (mode 0666), which strict_permissions forbids");
}
END_TEST

Suite *suite_scan(void);
Suite *suite_scan(void)
{
	Suite *s = suite_create("scan");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, models_and_versions_are_found_highest_first);
	tcase_add_test(t, m26_only_plain_decimal_directories_are_versions);
	tcase_add_test(t, repositories_of_others_are_told_what_is_different);
	tcase_add_test(t, m27_versions_may_be_links_but_not_files_or_loops);
	tcase_add_test(t, m27_a_config_map_s_file_link_is_followed_beneath_its_directory);
	tcase_add_test(t, m27_what_is_there_but_unreadable_is_reported_as_such);
	tcase_add_test(t, a_model_file_that_is_none_is_an_error_of_its_version);
	tcase_add_test(t, a_scan_that_may_read_no_more_says_where_the_entries_are);
	tcase_add_test(t, a_place_that_was_not_read_to_its_end_is_not_taken_for_a_flat_one);
	tcase_add_test(t, m28_a_root_that_is_gone_makes_the_scan_incomplete);
	tcase_add_test(t, m31_many_versions_are_listed_but_few_are_looked_at);
	tcase_add_test(t, m31_of_too_many_versions_the_highest_are_listed);
	tcase_add_test(t, m31_strays_make_a_bounded_number_of_remarks);
	tcase_add_test(t, m34_names_are_strict_and_the_first_of_two_models_stays);
	tcase_add_test(t, a_named_path_may_be_versions_a_flat_directory_a_repository_or_a_file);
	tcase_add_test(t, m24_writing_in_place_changes_the_stamp_not_the_identity);
	tcase_add_test(t, m29_new_files_under_the_old_name_are_another_identity);
	tcase_add_test(t, files_in_folders_of_a_version_belong_to_its_stamp);
	tcase_add_test(t, m40_what_anyone_may_write_is_remarked_on);
	tcase_add_test(t, m40_strict_permissions_refuse_it);
	tcase_add_test(t, m33_a_models_own_file_is_seen_with_its_changes);
	tcase_add_test(t, m33_it_is_no_part_of_a_flat_version);
	tcase_add_test(t, m33_strict_permissions_refuse_one_that_anyone_may_write);
	suite_add_tcase(s, t);
	return s;
}
