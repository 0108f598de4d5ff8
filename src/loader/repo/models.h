/* SPDX-License-Identifier: Apache-2.0 */
/*
 * models.h -- what the deciding thread knows of every model: its versions as instances
 *
 * Life of a version: watch -> [an instance from FOUND to forgotten] -> unload
 *
 * An instance is one set of files under one version number. When they are replaced by
 * others there are two instances of one number for a while: the old one serves until the
 * new one is ready.
 *
 * Ownership: struct models owns its models, those their instances, those the reference on
 *            a published version and the load in progress.
 * Threads:   the repo's thread alone.
 */
#pragma once

#include "loader/repo/settings.h"
#include "loader/repo/inbox.h"
#include "loader/repo/model_file.h"
#include "loader/repo/scan.h"

struct load;

struct instance {
	struct instance *next; /* highest number first; of one number the newest files first */
	struct model *model;
	int64_t number;

	/* What is on disk. */
	char *dir, *file;
	bool file_only;
	struct scan_id id;
	uint64_t stamp, bytes;
	int64_t stamp_since_ns; /* unchanged since */
	bool settled;           /* complete: nobody is still writing */
	bool present;
	int64_t gone_since_ns;  /* not seen since; 0: seen by the last scan */
	uint64_t told_stamp;    /* of files written in place, when somebody was told of them */
	struct err blocked;     /* code ERR_OK: it can be read */

	/* What became of it. */
	enum version_state state;
	int64_t since_ms; /* wall clock */
	struct err why;   /* of the last failure */
	uint64_t tried_stamp;
	uint64_t print; /* of the options that it was loaded with */
	int failures;
	int64_t retry_ns; /* a failed one is tried again then; INT64_MAX: when its files change */
	bool waiting; /* would load, but for another load that has to end before */
	bool aside;   /* complete, but not among the versions to serve */
	struct load *load;
	struct version *version; /* READY */
	size_t memory_bytes;     /* READY, DRAINING */
	bool dying;              /* its version was released and has not been freed yet */
	struct inbox_item gone;  /* posted by the reaper when it has */
};

struct model {
	struct models *models;
	char *name;
	struct model_file file;        /* its own options */
	const struct model_conf *conf; /* of file.conf, or of models->conf */
	uint64_t print;                /* settings_print() of it */
	struct instance *first;
	bool held;       /* nothing of it is wanted: unloaded, or not loaded yet in explicit mode */
	bool dropped;    /* no longer configured or on disk: goes when its last instance has gone */
	bool unreadable; /* by the last scan */
	bool served;     /* had a ready version once */
	struct registry_label *label; /* as they are now, not as configured */
	int n_label;
};

struct models {
	struct settings *conf;
	struct model **model; /* by name */
	int n, cap;
	bool observed;  /* once at least */
	bool new_roots; /* configured since the last whole scan: what is missing is meant */
	bool changed;   /* an instance was added since models_take_changed() */
	bool keeping;   /* a root lost all its models at once, which is not believed */
};

struct model *models_find(const struct models *ms, struct slice name);
MUST_CHECK enum err_code
models_add(struct models *ms, const char *name, struct model **ret, struct err *err);
void models_remove(struct models *ms, struct model *m);
void models_free(struct models *ms);

/* After file.conf or models->conf has changed. */
void model_use_conf(struct model *m);

/* Written in place since it was loaded. */
bool instance_is_stale(const struct instance *x);
/* The options that its version was, or is being, loaded with are not its model's any more. */
bool instance_is_outdated(const struct instance *x);
/* The same files, loaded with newer options, have failed: what x serves goes on. */
const struct instance *instance_failed_heir(const struct instance *x);

/* At its place in the order; v gives files and numbers. */
MUST_CHECK enum err_code model_add_instance(struct model *m, const struct scan_version *v,
	int64_t now_ns, struct instance **ret, struct err *err);
void model_remove_instance(struct model *m, struct instance *x);

/* Complete, there, readable, and nothing known that would make it fail again? */
bool instance_is_loadable(const struct instance *x, int64_t now_ns);

/* The same files as a further instance that is to take over from x. */
MUST_CHECK enum err_code instance_supersede(struct instance *x, struct err *err);

bool models_take_changed(struct models *ms);

/* Points each configured label at its version once that is ready; until then it stays
   with the version that it named before, if that still serves. true: one has moved. */
bool model_update_labels(struct model *m);

/* What the policy wants done next with a model. */
struct wish {
	enum policy_act act;
	struct instance *x;
	bool news; /* other versions are aside than before */
};
struct wish model_next(const struct model *m, bool enabled, int64_t now_ns);

/* -- questions (query.c); what is pending is known after the policy has been asked ----------- */

/* The one that answers requests for no version in particular; NULL: none. */
struct instance *model_best_ready(const struct model *m);
/* Nothing is loading, or will be as soon as it has settled. *ret: why the newest version
   failed, or that there is none; ERR_OK. */
bool models_is_settled(const struct models *ms, struct slice model, struct err *ret);
/* Is nothing of it wanted? false: it is, or is not known at all. */
bool models_is_held(const struct models *ms, struct slice model);
/* No version of it is in memory any more; also when it is not known at all. */
bool models_is_gone(const struct models *ms, struct slice model);
/* The same of all that are wanted, and the disk has been looked at. */
bool models_all_settled(const struct models *ms);
bool models_all_gone(const struct models *ms);
/* As the option readiness has it, of the models that are wanted and have versions. Once they
   were ready, those that never had a ready version are left out, so that a broken newcomer
   does not take a server out. */
bool models_are_ready(const struct models *ms, bool were);
/* Of the memory for models; what drains still needs its own. 0: no limit. */
size_t models_memory_left(const struct models *ms);
/* May no further load begin before one has ended? */
bool models_has_to_wait(const struct models *ms);
/* The earliest time at which something that failed is to be tried again. */
int64_t models_next_retry(const struct models *ms, int64_t now_ns);
/* The scan's question: is this version worth looking at? rank 0: the highest number. */
bool models_want_version(const struct models *ms, const char *model, int64_t number, int rank);

/* -- comparing with the disk (observe.c) ----------------------------------------------------- */

/* Takes in one scan. *ret_next_ns is lowered to the time by which another look can tell
   more: whether something has settled, or has really gone. */
MUST_CHECK enum err_code models_observe(struct models *ms, const struct scan *scan, int64_t now_ns,
	int64_t now_wall_ms, int64_t *ret_next_ns, struct err *err);

/* -- showing (publish.c) --------------------------------------------------------------------- */

/* A new snapshot of all models for the registry. */
MUST_CHECK enum err_code models_publish(
	const struct models *ms, struct registry *r, struct err *err);
