/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog.h -- may systemd be told that we are alive
 *
 * Only while what serves goes round: the accepting thread has moved since the last look,
 * and no worker of the pool is stuck. The repository's thread has no say: a disk that
 * hangs must not take down what is served from memory.
 *
 * Threads: one at a time. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct watchdog {
	int64_t interval_ns; /* between two looks; 0: nobody asks */
	int64_t next_ns;
	uint64_t seen;       /* progress at the last look */
	bool looked;
};

/* timeout_ns: after which silence is death; 0: none. */
void watchdog_init(struct watchdog *w, int64_t timeout_ns, int64_t now_ns);

/* Is it time for a look? */
bool watchdog_is_due(const struct watchdog *w, int64_t now_ns);

/* One look; true: say so. */
bool watchdog_look(struct watchdog *w, uint64_t progress, bool stuck, int64_t now_ns);
