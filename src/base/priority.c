/* SPDX-License-Identifier: Apache-2.0 */
#include "base/priority.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A share of one in seventy beside a serving thread: loads get what is left. */
#define NICE 19
#define SHORT_TURN_NS 100000 /* the least that Linux gives */

/* sched_setattr(2). Its header cannot be included beside <sched.h> in older systems. */
struct turn_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

void priority_low(void)
{
	const struct sched_param none = { 0 };
	/* Threads inherit a real-time policy, under which nice values count for nothing. */
	(void)sched_setscheduler(0, SCHED_BATCH, &none);
	/* Linux takes a thread's number here, and its nice value is its own. Raising it is
	   always allowed; if a filter forbids the call, it is merely less polite. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
}

void priority_short_turns(void)
{
	struct turn_attr now;
	/* A daemon that was started with another policy or nice value keeps it. */
	if (syscall(SYS_sched_getattr, 0, &now, sizeof(now), 0u) != 0 || now.policy != SCHED_OTHER)
		return;
	now.runtime_ns = SHORT_TURN_NS;
	(void)syscall(SYS_sched_setattr, 0, &now, 0u);
}
