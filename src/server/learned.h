/* SPDX-License-Identifier: Apache-2.0 */
/*
 * learned.h -- what one start of the daemon learns for the next: which kernels were fastest, and
 * what devices compiled
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * A file in the state directory, and exec/gpu/lib/keep.h's folder. Without a directory all is as it
 * was, but measured anew by each start. A file that is damaged, or of another machine, is left
 * aside and replaced.
 *
 * Threads: learned_save() one at a time; the choices from any.
 */
#pragma once

#include "exec/backend.h"

struct learned;

/* dir "": systemd's state directory, if it gave one, else none. */
MUST_CHECK enum err_code learned_open(
	const char *dir, const struct backend *backend, struct learned **ret, struct err *err);
void learned_close(struct learned *l); /* NULL is fine */

struct choices *learned_choices(struct learned *l);

/* Writes the file if something was added since. */
MUST_CHECK enum err_code learned_save(struct learned *l, struct err *err);
