/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifecycle.h -- the deciding thread's work: makes the moves that disk and policy ask for
 *
 * Life of a version: [FOUND -> LOADING -> COMPILING -> WARMING -> READY -> DRAINING -> UNLOADED]
 *
 * Every move is made here, and is one line in the log and one call of on_state. A version
 * is announced as ready after it can be acquired. What takes long is done elsewhere:
 * ops->load() hands a load to a loading thread, the last release hands a version to the
 * reaper; both come back as lifecycle_loaded() and lifecycle_gone().
 *
 * Ownership: struct lifecycle owns all it makes; borrows registry, inbox and ops.
 * Threads:   the repo's thread alone. Time is given, so that a test may own the clock.
 */
#pragma once

#include "loader/repo/load.h"

struct lifecycle;

struct lifecycle_ops {
	/* Takes the load until lifecycle_loaded(). */
	void (*load)(void *ctx, struct load *l);
	/* Called on a version that was loaded, before it becomes visible: its last release
	   goes to the reaper, which then posts instance->gone. */
	void (*adopt)(void *ctx, struct version *v, struct instance *x);
	void *ctx;
	struct repo_hooks hooks;
};

/* Borrows registry, inbox; takes the reference on conf on ERR_OK. */
MUST_CHECK enum err_code lifecycle_new(struct registry *r, struct inbox *inbox,
	const struct lifecycle_ops *ops, struct settings *conf, struct lifecycle **ret,
	struct err *err);
/* Nothing may be loading or draining. NULL is fine. */
void lifecycle_free(struct lifecycle *lc);

/* A new configuration, from now on. Takes the reference. */
void lifecycle_configure(struct lifecycle *lc, struct settings *conf, int64_t now_ns);

/* What the disk looks like. Returns when to scan again at the latest, INT64_MAX: when
   something changes. */
int64_t lifecycle_saw(
	struct lifecycle *lc, const struct scan *scan, int64_t now_ns, int64_t now_wall_ms);

/* A load has ended; frees it. */
void lifecycle_loaded(struct lifecycle *lc, struct load *l, int64_t now_ns);
/* The version of this instance has been freed. */
void lifecycle_gone(struct lifecycle *lc, struct instance *x);

/* Makes every move that can be made now. Returns when it could make another. */
int64_t lifecycle_step(struct lifecycle *lc, int64_t now_ns);

/* Orders: a model is wanted (again), or not any more. NOT_FOUND: nobody knows it. */
MUST_CHECK enum err_code lifecycle_want_model(
	struct lifecycle *lc, struct slice model, int64_t now_ns, struct err *err);
MUST_CHECK enum err_code lifecycle_drop_model(
	struct lifecycle *lc, struct slice model, struct err *err);
/* All models, for good: the daemon stops. */
void lifecycle_drop_all(struct lifecycle *lc);

/* To be asked after lifecycle_step(). */
const struct models *lifecycle_models(const struct lifecycle *lc);

/* For the owner of the thread, which may not log: one line of its own trouble. */
void lifecycle_warn(struct lifecycle *lc, const char *what);
