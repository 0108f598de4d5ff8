/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h -- one load, from the order to its outcome
 *
 * Life of a version: ... -> [LOAD -> CHECK -> COMPILE -> WARM] -> publish -> ...
 *
 * The deciding thread makes it and hands it to a loading thread, which runs it and posts
 * it back. In between only `cancel` and `progress` are shared.
 *
 * Ownership: the deciding thread's; lent to the loading thread until `done` is posted.
 * Threads:   load_run() on the loading thread; the rest on the deciding one.
 */
#pragma once

#include "base/jobs.h"
#include "loader/repo/models.h"

struct load {
	struct inbox_item done;
	struct job job;
	struct inbox *inbox;
	struct instance *instance; /* not to be touched by the loading thread */

	/* What to load: copies, since the instance may be changed meanwhile. */
	struct scan_version from;
	char *model, *dir, *file;
	struct settings *conf;
	struct own_conf *own;
	const struct model_conf *options; /* of own or conf */
	struct version_conf vc;
	atomic_bool cancel;
	atomic_int progress; /* enum version_state */

	/* The outcome. */
	struct version *version; /* one reference; NULL unless code is ERR_OK */
	struct err err;
};

/* budget_bytes: 0: no limit. NULL: no memory. */
struct load *load_new(
	struct instance *x, struct settings *conf, size_t budget_bytes, struct inbox *inbox);
void load_free(struct load *l); /* NULL is fine; not the version */

/* On the loading thread. ABORTED: the files are not those that were ordered, or changed
   while they were read. CANCELLED: told to stop. */
void load_run(struct load *l);
