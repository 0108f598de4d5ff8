/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/low_priority.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

/* A share of one in seventy beside a serving thread: loads get what is left. */
#define NICE 19

void low_priority_thread(void)
{
	const struct sched_param none = { 0 };
	/* Threads inherit a real-time policy, under which nice values count for nothing. */
	(void)sched_setscheduler(0, SCHED_BATCH, &none);
	/* Linux takes a thread's number here, and its nice value is its own. Raising it is
	   always allowed; if a filter forbids the call, it is merely less polite. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
}
