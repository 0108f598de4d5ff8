/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h -- which version answers a request, right now
 *
 * Life of a request: listen -> [PIN A VERSION] -> decode -> ...
 * Life of a version: ... -> warm -> [PUBLISH -> DRAIN] -> unload
 *
 * An immutable snapshot of all models behind one pointer. Readers enter an epoch, look up,
 * take a reference, leave: no lock. Writers (the repo's thread) build a new snapshot,
 * store the pointer, and free the old one when every reader has left it.
 *
 * Threads: acquire from any; the rest from the repo's thread.
 */
#pragma once

#include "loader/version.h"

struct registry;

enum version_pick { VERSION_PICK_LATEST, VERSION_PICK_NUMBER, VERSION_PICK_LABEL };

struct version_spec {
	enum version_pick pick;
	/* 0 is the latest where no version 0 is, as clients of OpenVINO's server mean it. */
	int64_t number;
	struct slice label;
};

/* Pins a version for a request: *ret holds a reference, give it back with
   version_release(). NOT_FOUND: no such model, version or label. UNAVAILABLE: it is there
   but not ready (loading, failed, draining). */
MUST_CHECK enum err_code registry_acquire(struct registry *r, struct slice model,
	const struct version_spec *spec, struct version **ret, struct err *err);

/* One row per version known, for status, index and metrics; newest version first, models
   by name. Copied into the arena. model NULL: all. */
struct version_status {
	const char *model;
	int64_t number; /* -1: the model has no version (yet) */
	enum version_state state;
	enum err_code code; /* why it failed */
	const char *reason; /* "" or one line: why it failed, waits, or has older options */
	bool aside;         /* on disk, but not to be served; FOUND or UNLOADED */
	const char *labels; /* "stable,canary" or "" */
	int64_t since_ms;   /* wall clock of the last move */
	size_t memory_bytes;
};
MUST_CHECK enum err_code registry_list(struct registry *r, const struct slice *model,
	struct arena *arena, struct version_status **ret, int *ret_n, struct err *err);

/* -- the writer's side: the repo's thread alone ---------------------------------------------- */

struct registry_version {
	struct version_status status; /* labels is left out: it is made from the model's */
	struct version *version;      /* READY: requests may have it; else NULL */
};

struct registry_label {
	const char *name;
	int64_t number;
};

struct registry_model {
	const char *name;
	const struct registry_version *version; /* highest number first */
	int n_version;
	const struct registry_label *label;
	int n_label;
};

MUST_CHECK enum err_code registry_new(struct registry **ret, struct err *err);

/* No reader may be left. NULL is fine. */
void registry_free(struct registry *r);

/* Replaces everything; models by name. Copies, and takes references on the versions.
   When it returns, no reader can acquire from what was before. RESOURCE_EXHAUSTED:
   nothing has changed. */
MUST_CHECK enum err_code registry_set(struct registry *r, const struct registry_model *model, int n,
	struct err *err);
