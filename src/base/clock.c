/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

static int64_t ns_of(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_now_ns(void)
{
	return ns_of(CLOCK_MONOTONIC);
}

int64_t clock_thread_ns(void)
{
	return ns_of(CLOCK_THREAD_CPUTIME_ID);
}

static int64_t wall_ms(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000 + t.tv_nsec / NS_PER_MS;
}

int64_t clock_wall_ms(void)
{
	return wall_ms(CLOCK_REALTIME);
}

int64_t clock_wall_coarse_ms(void)
{
	return wall_ms(CLOCK_REALTIME_COARSE);
}

int64_t clock_after(int64_t now_ns, int64_t add_ns)
{
	int64_t sum;
	return __builtin_add_overflow(now_ns, add_ns, &sum) ? INT64_MAX : sum;
}
