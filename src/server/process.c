/* SPDX-License-Identifier: Apache-2.0 */
#include "server/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

double process_resident_bytes(void)
{
	long pages = -1;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f) {
		if (fscanf(f, "%*s %ld", &pages) != 1)
			pages = -1;
		fclose(f);
	}
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

double process_open_fds(void)
{
	int n = -3; /* ".", "..", and its own */
	DIR *d = opendir("/proc/self/fd");
	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

double process_max_fds(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : -1;
}

static double started_at = -1;

void process_note_start(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	started_at = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double process_start_time(void)
{
	return started_at;
}

static double seconds_of(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec * 1e-6;
}

double process_cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return seconds_of(&u.ru_utime) + seconds_of(&u.ru_stime);
}
