/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h -- time: monotonic for deadlines and durations, wall only for showing
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* CLOCK_MONOTONIC. */
int64_t clock_now_ns(void);

/* What the calling thread has had of a CPU; a system call. */
int64_t clock_thread_ns(void);

/* CLOCK_REALTIME, milliseconds since 1970. */
int64_t clock_wall_ms(void);

/* The same as of the last tick of the system, some milliseconds ago, at a fraction of the cost. */
int64_t clock_wall_coarse_ms(void);

/* now + add, INT64_MAX instead of an overflow. */
int64_t clock_after(int64_t now_ns, int64_t add_ns);
