/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h -- a repository's configuration, copied and shared
 *
 * Life of a version: a load in progress keeps the configuration that it began with, also
 * when the daemon has been given another one meanwhile.
 *
 * Ownership: settings_new() gives one reference; everything in it lies in its own arena.
 * Threads:   immutable; references from any.
 */
#pragma once

#include <stdatomic.h>
#include "loader/repo/repo.h"

struct settings {
	atomic_int refs;
	struct arena *arena;
	struct repo_conf c;
};

/* INVALID_ARGUMENT: a model twice, a name that is none, a policy or a label that says
   nothing; the message names it. */
MUST_CHECK enum err_code settings_new(
	const struct repo_conf *c, struct settings **ret, struct err *err);
void settings_ref(struct settings *c);
void settings_release(struct settings *c); /* NULL is fine */

/* All that it points to is copied into the arena. INVALID_ARGUMENT as settings_new(). */
MUST_CHECK enum err_code settings_copy_model(const struct model_conf *from, struct arena *arena,
	struct model_conf *ret, struct err *err);

/* A number that differs when versions would be loaded or queued for otherwise. */
uint64_t settings_print(const struct model_conf *c);

/* The model's own section, or the defaults. */
const struct model_conf *settings_model(const struct settings *c, const char *name);
