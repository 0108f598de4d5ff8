/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rescan.h -- when the disk is looked at again, and sleep in between
 *
 * Life of a version: [WATCH] -> load -> ...
 *
 * A scan is due when somebody asks, when inotify has something to tell, when a directory has
 * settled, or when the time of polling has come. Events wait for a moment after a scan.
 *
 * Ownership: the caller's. Threads: the repo's thread alone.
 */
#pragma once

#include "loader/repo/lifecycle.h"
#include "loader/repo/watch.h"

struct rescan {
	struct lifecycle *lc; /* borrowed: it is told what was seen */
	struct watch *watch;
	struct arena *arena; /* of the last scan */
	int64_t due_ns;
	int64_t scanned_ns;
};

MUST_CHECK enum err_code rescan_init(struct rescan *s, struct lifecycle *lc, struct err *err);
void rescan_done(struct rescan *s); /* one that is all zeros is fine */

void rescan_now(struct rescan *s);
void rescan_if_due(struct rescan *s, int64_t now_ns);

/* Until until_ns, until a scan is due, or until wake_fd is readable. */
void rescan_sleep(struct rescan *s, int wake_fd, int64_t until_ns);
