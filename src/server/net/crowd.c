/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/crowd.h"

#include <stddef.h>

bool crowd_begin(struct crowd *c, int64_t now_ms)
{
	if (c->next < c->n || c->looked_ms == now_ms)
		return false;
	c->looked_ms = now_ms;
	c->n = c->next = 0;
	return true;
}

void crowd_offer(struct crowd *c, struct crowd_member m)
{
	if (c->looked_ms - m.since_ms < CROWD_IDLE_MS)
		return;
	if (c->n == CROWD_MAX && m.since_ms >= c->idle[CROWD_MAX - 1].since_ms)
		return;
	int at = c->n < CROWD_MAX ? c->n++ : CROWD_MAX - 1;
	for (; at > 0 && c->idle[at - 1].since_ms > m.since_ms; at--)
		c->idle[at] = c->idle[at - 1];
	c->idle[at] = m;
}

const struct crowd_member *crowd_next(struct crowd *c)
{
	return c->next < c->n ? &c->idle[c->next++] : NULL;
}
