/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h -- a line on stderr for what takes longer than a second
 *
 * On a terminal one line that is written over; elsewhere a line every ten seconds, so that
 * logs stay short.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct progress {
	int64_t shown_ns, every_ns;
	bool terminal, visible;
};

void progress_begin(struct progress *p);

/* Shows the line if it is time; cheap otherwise. */
void progress_show(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Clears the line of a terminal. */
void progress_end(struct progress *p);
