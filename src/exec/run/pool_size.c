/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_size.c -- how many threads this process may really use
 *
 * The affinity mask, and the cpu.max of our cgroup and of every one above it (cgroup
 * version 2): a container with 2 CPUs of a 64-core host gets 2 threads, not 64.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/run/pool.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

/* CPUs that one cpu.max file allows, rounded up; 0: no limit or no such file. */
static int quota_of(const char *dir)
{
	char path[1200], line[64];
	snprintf(path, sizeof(path), "%s/cpu.max", dir);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	long quota = 0, period = 0;
	int cpus = 0;
	if (fgets(line, sizeof(line), f) && sscanf(line, "%ld %ld", &quota, &period) == 2 &&
		quota > 0 && period > 0)
		cpus = (int)((quota + period - 1) / period);
	fclose(f);
	return cpus;
}

/* Our cgroup's folder; "" where there is none. */
static void own_cgroup(char *ret, size_t size)
{
	char line[1024];
	FILE *f = fopen("/proc/self/cgroup", "re");
	ret[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			snprintf(ret, size, CGROUP_ROOT "%s", line + 3);
	}
	if (f)
		fclose(f);
}

static int affinity_cpus(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return CPU_COUNT(&set);
	return 1;
}

int pool_default_threads(void)
{
	int threads = affinity_cpus();
	char dir[1100];
	own_cgroup(dir, sizeof(dir));
	while (strlen(dir) >= strlen(CGROUP_ROOT)) {
		int quota = quota_of(dir);
		if (quota && quota < threads)
			threads = quota;
		*strrchr(dir, '/') = '\0';
	}
	return threads > 0 ? threads : 1;
}
