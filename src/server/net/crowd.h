/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd.h -- who makes way for a newcomer when there are as many connections as may be
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * Who only holds a connection shall not keep others out: whoever has been idle for longest
 * makes way. A look at all connections costs as much as there may be, and newcomers may
 * come in a flood: so it finds the CROWD_MAX longest idle at once, and the next look is one
 * tick of the caller's clock later at the earliest.
 *
 * Threads: one. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CROWD_MAX 512
#define CROWD_IDLE_MS 1000 /* who has been for less stays */

struct crowd_member {
	int fd;
	uint32_t generation;
	int64_t since_ms;
};

struct crowd {
	int n, next;
	int64_t looked_ms;
	struct crowd_member idle[CROWD_MAX]; /* those from next on are left, longest idle first */
};

/* Is a look at all connections due? Then the caller offers each that is idle. */
bool crowd_begin(struct crowd *c, int64_t now_ms);
void crowd_offer(struct crowd *c, struct crowd_member m);

/* Each once; may have changed since. NULL: none is left. */
const struct crowd_member *crowd_next(struct crowd *c);
