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
#include <string.h>
#include "exec/run/pool.h"
#include "exec/run/pool_size.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define PATH_BYTES 1200

/* The one line of a file; "" where there is none. */
static void read_line(const char *dir, const char *name, char *ret, int size)
{
	char path[PATH_BYTES + 32];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "re");
	if (!f || !fgets(ret, size, f))
		ret[0] = '\0';
	if (f)
		fclose(f);
}

/* Thousandths of a CPU that a cgroup's folder allows; no limit where it does not say. */
static int64_t quota_of(const char *dir)
{
	char line[64], period_line[64];
	long quota = 0, period = 0;
	read_line(dir, "cpu.max", line, sizeof(line));
	if (line[0]) {
		(void)!sscanf(line, "%ld %ld", &quota, &period);
	} else {
		read_line(dir, "cpu.cfs_quota_us", line, sizeof(line));
		read_line(dir, "cpu.cfs_period_us", period_line, sizeof(period_line));
		quota = atol(line);
		period = atol(period_line);
	}
	return quota > 0 && period > 0 ? (int64_t)quota * 1000 / period : CPUS_UNLIMITED;
}

/* Our folder of the controller, from a line of /proc/self/cgroup: ID:CONTROLLERS:PATH. Version
   2 has no controllers there. */
static bool folder_of(char *line, const char *root, char ret[PATH_BYTES])
{
	char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return false;
	*path++ = *controllers++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	if (controllers[0] == '\0') {
		snprintf(ret, PATH_BYTES, "%s%s", root, path);
		return true;
	}
	bool cpu = false;
	snprintf(ret, PATH_BYTES, "%s/%s%s", root, controllers, path);
	for (char *save, *c = strtok_r(controllers, ",", &save); c; c = strtok_r(NULL, ",", &save))
		cpu |= strcmp(c, "cpu") == 0;
	return cpu;
}

int64_t pool_quota_milli_cpus(const char *proc_cgroup, const char *root)
{
	int64_t least = CPUS_UNLIMITED;
	char line[1024], dir[PATH_BYTES];
	FILE *f = fopen(proc_cgroup, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!folder_of(line, root, dir))
			continue;
		for (; strlen(dir) >= strlen(root); *strrchr(dir, '/') = '\0') {
			int64_t quota = quota_of(dir);
			least = quota < least ? quota : least;
		}
	}
	if (f)
		fclose(f);
	return least;
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
	int64_t quota = pool_quota_milli_cpus("/proc/self/cgroup", CGROUP_ROOT);
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
