/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include "exec/run/pool_size.h"
#include "support/tempdir.h"

static int64_t quota(const struct tempdir *d, const char *proc_cgroup)
{
	char file[128];
	snprintf(file, sizeof(file), "%s/proc", d->path);
	tempdir_put_str(d, "proc", proc_cgroup);
	return pool_quota_milli_cpus(file, d->path);
}

START_TEST(version_2_takes_the_least_of_all_folders_above)
{
	struct tempdir d = tempdir_new();
	tempdir_put_str(&d, "cpu.max", "max 100000\n");
	tempdir_put_str(&d, "a/cpu.max", "150000 100000\n");
	tempdir_put_str(&d, "a/b/cpu.max", "400000 100000\n");

	ck_assert_int_eq(quota(&d, "0::/a/b\n"), 1500);
	ck_assert_int_eq(quota(&d, "0::/\n"), CPUS_UNLIMITED);
	ck_assert_int_eq(quota(&d, "0::/gone\n"), CPUS_UNLIMITED);
	tempdir_free(&d);
}
END_TEST

START_TEST(version_1_has_a_tree_of_the_controller)
{
	struct tempdir d = tempdir_new();
	tempdir_put_str(&d, "cpu,cpuacct/pod/cpu.cfs_quota_us", "250000\n");
	tempdir_put_str(&d, "cpu,cpuacct/pod/cpu.cfs_period_us", "100000\n");
	tempdir_put_str(&d, "cpuset/pod/cpu.cfs_quota_us", "1000\n");
	tempdir_put_str(&d, "cpuset/pod/cpu.cfs_period_us", "100000\n");
	tempdir_put_str(&d, "cpu,cpuacct/free/cpu.cfs_quota_us", "-1\n");
	tempdir_put_str(&d, "cpu,cpuacct/free/cpu.cfs_period_us", "100000\n");

	ck_assert_int_eq(
		quota(&d, "3:cpuset:/pod\n2:cpu,cpuacct:/pod/inner\n1:name=systemd:/\n"), 2500);
	ck_assert_int_eq(quota(&d, "2:cpu,cpuacct:/free\n"), CPUS_UNLIMITED);
	tempdir_free(&d);
}
END_TEST

START_TEST(what_makes_no_sense_limits_nothing)
{
	struct tempdir d = tempdir_new();
	tempdir_put_str(&d, "a/cpu.max", "many 0\n");
	tempdir_put_str(&d, "b/cpu.max", "100000 0\n");

	ck_assert_int_eq(quota(&d, "0::/a\n"), CPUS_UNLIMITED);
	ck_assert_int_eq(quota(&d, "0::/b\n"), CPUS_UNLIMITED);
	ck_assert_int_eq(quota(&d, "nonsense\n\n:\n"), CPUS_UNLIMITED);
	ck_assert_int_eq(pool_quota_milli_cpus("/nonexistent", d.path), CPUS_UNLIMITED);
	tempdir_free(&d);
}
END_TEST

Suite *suite_pool_size(void);
Suite *suite_pool_size(void)
{
	Suite *s = suite_create("pool_size");
	TCase *t = tcase_create("pool_size");
	tcase_add_test(t, version_2_takes_the_least_of_all_folders_above);
	tcase_add_test(t, version_1_has_a_tree_of_the_controller);
	tcase_add_test(t, what_makes_no_sense_limits_nothing);
	suite_add_tcase(s, t);
	return s;
}
