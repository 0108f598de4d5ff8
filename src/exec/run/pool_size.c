/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_size.c -- how many threads this process may really use
 *
 * The affinity mask, and the quota of our cgroup and of every one above it: a container with
 * 2 CPUs of a 64-core host gets 2 threads, not 64. Version 2 has both numbers in cpu.max,
 * version 1 a file each.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cgroup.h"
#include "exec/run/pool.h"
#include "exec/run/pool_size.h"

/* Thousandths of a CPU that a cgroup's folder allows; no limit where it does not say. */
static int64_t quota_of(const char *dir)
{
	char line[64], period_line[64];
	long quota = 0, period = 0;
	cgroup_read_line(dir, "cpu.max", line, sizeof(line));
	if (line[0]) {
		(void)!sscanf(line, "%ld %ld", &quota, &period);
	} else {
		cgroup_read_line(dir, "cpu.cfs_quota_us", line, sizeof(line));
		cgroup_read_line(dir, "cpu.cfs_period_us", period_line, sizeof(period_line));
		quota = atol(line);
		period = atol(period_line);
	}
	return quota > 0 && period > 0 ? (int64_t)quota * 1000 / period : CPUS_UNLIMITED;
}

int64_t pool_quota_milli_cpus(const char *proc_cgroup, const char *root)
{
	static const struct cgroup_limit limit = { "cpu", quota_of, CPUS_UNLIMITED };
	return cgroup_least(&limit, proc_cgroup, root);
}

static int affinity_cpus(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return CPU_COUNT(&set);
	return 1;
}

/* extra: added before rounding down. */
static int usable_cpus(int64_t extra)
{
	int64_t quota = pool_quota_milli_cpus(CGROUP_PROC, CGROUP_ROOT);
	int cpus = affinity_cpus();
	return quota / 1000 < cpus ? (int)((quota + extra) / 1000) : cpus;
}

int pool_default_threads(void)
{
	int threads = usable_cpus(999);
	return threads > 0 ? threads : 1;
}

int pool_whole_cpus(void)
{
	return usable_cpus(0);
}
