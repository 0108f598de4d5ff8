/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include "base/cgroup.h"
#include "support/tempdir.h"

static int64_t memory(const struct tempdir *d, const char *proc_cgroup)
{
	char file[128];
	snprintf(file, sizeof(file), "%s/proc", d->path);
	tempdir_put_str(d, "proc", proc_cgroup);
	return cgroup_memory_bytes(file, d->path);
}

START_TEST(version_2_gives_the_least_memory_of_all_folders_above)
{
	struct tempdir d = tempdir_new();
	tempdir_put_str(&d, "a/memory.max", "8589934592\n");
	tempdir_put_str(&d, "a/b/memory.max", "max\n");
	tempdir_put_str(&d, "a/b/c/memory.max", "1073741824\n");

	ck_assert_int_eq(memory(&d, "0::/a/b\n"), INT64_C(1) << 33);
	ck_assert_int_eq(memory(&d, "0::/a/b/c\n"), 1 << 30);
	ck_assert_int_eq(memory(&d, "0::/\n"), INT64_MAX);
	tempdir_free(&d);
}
END_TEST

START_TEST(version_1_has_a_tree_of_memory)
{
	struct tempdir d = tempdir_new();
	tempdir_put_str(&d, "memory/pod/memory.limit_in_bytes", "2147483648\n");
	tempdir_put_str(&d, "cpu/pod/memory.limit_in_bytes", "1024\n");

	ck_assert_int_eq(memory(&d, "9:memory:/pod\n2:cpu:/pod\n"), INT64_C(1) << 31);
	tempdir_free(&d);
}
END_TEST

Suite *suite_cgroup(void);
Suite *suite_cgroup(void)
{
	Suite *s = suite_create("cgroup");
	TCase *t = tcase_create("cgroup");
	tcase_add_test(t, version_2_gives_the_least_memory_of_all_folders_above);
	tcase_add_test(t, version_1_has_a_tree_of_memory);
	suite_add_tcase(s, t);
	return s;
}
