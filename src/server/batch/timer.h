/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.h -- calls at a time, from one thread
 *
 * Few timers (one per batcher), armed rarely: a sorted list does.
 *
 * Ownership: a timer is its owner's, intrusive.
 * Threads:   any; timer_cancel() waits until a running call of that timer has ended, so it
 *            must not be called from it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct timer {
	struct timer *next;
	int64_t at_ns; /* clock_now_ns() */
	bool armed;
	void (*fire)(struct timer *t);
};

/* The thread starts with the first timer armed. */
void timer_arm(struct timer *t, int64_t at_ns); /* armed earlier already: stays so */
void timer_cancel(struct timer *t);
