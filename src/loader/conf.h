/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.h -- a repository's configuration, copied and shared
 *
 * Life of a version: a load in progress keeps the configuration that it began with, also
 * when the daemon has been given another one meanwhile.
 *
 * Ownership: conf_new() gives one reference; everything in it lies in its own arena.
 * Threads:   immutable; references from any.
 */
#pragma once

#include <stdatomic.h>
#include "loader/repo.h"

struct conf {
	atomic_int refs;
	struct arena *arena;
	struct repo_conf c;
};

/* INVALID_ARGUMENT: a model twice, a name that is none, a policy or a label that says
   nothing; the message names it. */
MUST_CHECK enum err_code conf_new(const struct repo_conf *c, struct conf **ret, struct err *err);
void conf_ref(struct conf *c);
void conf_release(struct conf *c); /* NULL is fine */

/* The model's own section, or the defaults. */
const struct model_conf *conf_model(const struct conf *c, const char *name);
