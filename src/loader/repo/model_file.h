/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_file.h -- ROOT/NAME/model.conf: a model's own options, and whether they hold
 *
 * Life of a version: watch -> [CONFIGURE] -> load -> ...
 *
 * A file that has come to rest is read, and the server, who knows the options, makes a
 * model_conf of it (repo_hooks.on_configure). One that is wrong refuses the model: nothing
 * of it is loaded until the file is mended, and what is served stays as it was loaded.
 *
 * Ownership: a model owns its model_file; loads hold further references on own_conf.
 * Threads:   the repo's thread alone; references on own_conf from any.
 */
#pragma once

#include "loader/repo/scan.h"
#include "loader/repo/settings.h"

/* What a file says, laid over the configuration that held then. */
struct own_conf {
	atomic_int refs;
	struct arena *arena;
	struct settings *base; /* some of c points into it */
	struct model_conf c;
};
void own_conf_ref(struct own_conf *o);     /* NULL is fine for either */
void own_conf_release(struct own_conf *o);

struct model_file {
	/* As the last scan saw it. */
	char *dir;
	uint64_t stamp;   /* 0: there is none */
	int64_t since_ns; /* unchanged since */
	bool settled;     /* nobody is still writing */
	struct err blocked; /* code not ERR_OK: it must not be read */

	/* What became of it. */
	uint64_t taken;        /* the stamp that it had when it was read */
	struct own_conf *conf; /* of the last one that was right; NULL: there is none */
	struct err err;        /* what is wrong with it; code ERR_OK: nothing */
	int64_t retry_ns;      /* read again then, though it is the same; INT64_MAX: not */
};

void model_file_done(struct model_file *f);

/* Is it to be read (again)? */
bool model_file_is_due(const struct model_file *f, int64_t now_ns);

/* Does what was made of it hold for versions that load now? */
bool model_file_holds(const struct model_file *f);

/* Reads it, or takes note that it has gone; sets conf or err. */
void model_file_take(struct model_file *f, const char *model, struct settings *base,
	const struct repo_hooks *hooks);
