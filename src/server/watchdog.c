/* SPDX-License-Identifier: Apache-2.0 */
#include "server/watchdog.h"

/* The accepting thread goes round twice a second; looking more often would see it stand. */
#define INTERVAL_MIN_NS (INT64_C(1100) * 1000 * 1000)

void watchdog_init(struct watchdog *w, int64_t timeout_ns, int64_t now_ns)
{
	/* A third: one look may be late, or miss, and still be in time. */
	int64_t interval = timeout_ns / 3;
	if (timeout_ns > 0 && interval < INTERVAL_MIN_NS)
		interval = INTERVAL_MIN_NS;
	*w = (struct watchdog){ .interval_ns = interval, .next_ns = now_ns };
}

bool watchdog_is_due(const struct watchdog *w, int64_t now_ns)
{
	return w->interval_ns > 0 && now_ns >= w->next_ns;
}

bool watchdog_look(struct watchdog *w, uint64_t progress, bool stuck, int64_t now_ns)
{
	bool alive = !stuck && (!w->looked || progress != w->seen);
	w->seen = progress;
	w->looked = true;
	w->next_ns = now_ns + w->interval_ns;
	return alive;
}
