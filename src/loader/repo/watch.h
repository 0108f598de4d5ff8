/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h -- inotify as an alarm clock: it says that a scan is worth while, not what changed
 *
 * Life of a version: [WATCH] -> load -> ...
 *
 * Roots, model directories and version directories are watched, as the last scan saw
 * them. The one fact that is taken from events is that a directory was renamed in, and so
 * is complete. Lost events (a full queue, no watches left, a file system without events)
 * cost time, not truth: the repository is scanned every now and then anyway.
 *
 * Ownership: the caller's. Threads: the repo's thread alone.
 */
#pragma once

#include "loader/repo/scan.h"

struct watch;

/* Works without inotify too: then watch_fd() is -1. */
MUST_CHECK enum err_code watch_new(struct watch **ret, struct err *err);
void watch_free(struct watch *w); /* NULL is fine */

/* Readable when something has happened; -1: poll. */
int watch_fd(const struct watch *w);

/* Takes in what has happened; of more than some thousand events the rest is left to the next call.
   true: scan. */
bool watch_read(struct watch *w);

/* Was dir, or the directory it is in, renamed in since the last watch_follow()? */
bool watch_moved_in(const struct watch *w, const char *dir);

/* After a scan: watches what it saw, no longer what it did not. true: some of it for the first
   time, so that what happened there since the scan looked is known to nobody: scan again. */
bool watch_follow(struct watch *w, const char *const *roots, const struct scan *scan);

/* New trouble in words for the log, each kind once; NULL: none. */
const char *watch_trouble(struct watch *w);
