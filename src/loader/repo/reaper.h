/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reaper.h -- frees versions away from the requests that used them last
 *
 * Life of a version: ... -> drain -> [UNLOAD]
 *
 * Ownership: takes the version at its last release; posts version->gone to the inbox when
 *            the memory is back.
 * Threads:   its own, of low priority. A last release may come on any thread: it never blocks.
 */
#pragma once

#include "loader/repo/inbox.h"
#include "loader/version.h"

struct reaper;

struct reaper_conf {
	struct inbox *inbox;
	void (*on_unload)(void *ctx, struct version *v); /* (optional) before it is freed */
	void *ctx;
};

/* Borrows the inbox. */
MUST_CHECK enum err_code reaper_new(
	const struct reaper_conf *conf, struct reaper **ret, struct err *err);

/* Frees what is waiting, then ends the thread. NULL is fine. */
void reaper_free(struct reaper *r);

/* From now on v's last release ends here. */
void reaper_adopt(struct reaper *r, struct version *v, struct inbox_item *gone);
