/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repo.h -- the model repository: what is on disk becomes what is served
 *
 * Life of a version: [WATCH -> LOAD -> ... -> PUBLISH -> DRAIN -> UNLOAD]
 *
 * One thread decides: it wakes on inotify, on the rescan timer, on requests and when a
 * load or a drain ends; looks at the disk; asks the policy for the next moves; makes
 * them. Loads run on low-priority threads, unloads on the reaper. A version that fails
 * never evicts a good one.
 *
 * Threads: all functions from any thread, except repo_free() (once, last).
 */
#pragma once

#include "loader/repo/policy.h"
#include "loader/registry.h"

struct repo;

#define MODEL_LABELS_MAX 64

/* One model's settings: defaults from the daemon's configuration, then its own section. */
struct model_conf {
	const char *name;
	const char *path; /* NULL: under one of the roots; else --model NAME=PATH */
	enum version_policy policy;
	int latest_n;
	const int64_t *versions; /* POLICY_SPECIFIC */
	int n_versions;
	const struct model_label {
		const char *name;
		int64_t number;
	} *labels;
	int n_labels; /* at most MODEL_LABELS_MAX */
	const char *on_break; /* signature breaks old callers: "publish", "warn" or "refuse" */
	int max_batch;
	const char *batch_dim;
	int64_t batch_delay_ns;
	int queue_rows; /* of each signature, as the next two */
	size_t queue_bytes;
	int batches_max;
	enum precision precision;
	const char *device; /* NULL: as repo_conf.backend says */
	const struct signature_conf *sig;
	int n_sig;
	/* A client has said which versions and labels; the model's own file does
	   not change that. */
	bool asked;
};

/* Whose version must be ready before repo_is_ready() says so. */
enum readiness {
	READINESS_ALL,  /* each model's */
	READINESS_ANY,  /* one model's, when each has been loaded or has failed */
	READINESS_NONE, /* nobody's: that the repository is running will do */
};

struct repo_conf {
	const char *const *roots; /* --model-root, NULL terminated */
	const struct model_conf *models;
	int n_models;
	struct model_conf defaults; /* for models found under a root without a section */
	bool explicit_only; /* only repo_load() loads */
	enum readiness readiness;
	int poll_ms;   /* rescan without events */
	int settle_ms; /* a directory must be unchanged this long, unless renamed in */
	int load_threads;
	/* A failed version is tried again when its files change; one that failed for want of
	   rights or memory, after this (doubled each time). */
	int retry_ms;
	size_t memory_bytes_max;
	int64_t entries_max; /* directory entries that one scan may read; 0: any number */
	bool strict_permissions; /* refuse what anyone may write */
	bool allow_hardlinks;
	const struct backend *backend; /* of models that name no device */
	bool device_fallback; /* see version.h */
	struct choices *choices; /* (optional) kernels that were timed; outlives the repo */
	struct pool *pool;
	int threads;
};

/* Calls into the server; on the repo's or a loader's thread. */
struct repo_hooks {
	/* (optional; else such files are ignored) A model's own file, LAYOUT_CONF: what it
	   says, laid over the configuration. All of *ret lies in the arena. */
	enum err_code (*on_configure)(void *ctx, const char *model, struct slice text,
		struct arena *arena, struct model_conf *ret, struct err *err);
	/* Before a version becomes visible: attach queues, as conf says. May fail: the load
	   fails. */
	enum err_code (*on_publish)(void *ctx, struct version *v, const struct model_conf *conf,
		struct err *err);
	/* No new request can reach it; those in flight hold references. */
	void (*on_drain)(void *ctx, struct version *v);
	/* On the reaper, before version_free(). */
	void (*on_unload)(void *ctx, struct version *v);
	/* Every move, for metrics and STATUS=. */
	void (*on_state)(void *ctx, const char *model, int64_t number, enum version_state s,
		const struct err *why);
	void *ctx;
};

/* Copies conf. Starts the threads; returns before anything is loaded. */
MUST_CHECK enum err_code repo_new(const struct repo_conf *conf, const struct repo_hooks *hooks,
	struct repo **ret, struct err *err);

/* Drains and unloads everything, ends the threads. */
void repo_free(struct repo *r);

struct registry *repo_registry(struct repo *r);

/* A new configuration for a running repository: models that left it are drained. On any
   error nothing has changed. */
MUST_CHECK enum err_code repo_reload(struct repo *r, const struct repo_conf *conf, struct err *err);

/* Waits until everything found on the first scan is ready or has failed; true: it is.
   timeout_ms -1: for ever. */
bool repo_wait_settled(struct repo *r, int timeout_ms);

/* What conf.readiness asks for is ready, and no device has failed. */
bool repo_is_ready(struct repo *r);

/* Explicit load: rescans the model and waits until its wanted versions are ready or
   failed (the error is then the newest one's). NOT_FOUND: no such model on disk. ABORTED:
   repo_unload() of it was called meanwhile. */
MUST_CHECK enum err_code repo_load(struct repo *r, struct slice model, struct err *err);
/* Drains all versions and forgets the model until repo_load(). Waits for the drain. ABORTED:
   repo_load() of it was called meanwhile. */
MUST_CHECK enum err_code repo_unload(struct repo *r, struct slice model, struct err *err);

/* From now on both answer UNAVAILABLE rather than wait, those that wait already too: a load may
   take minutes, or wait for files that somebody is still writing. */
void repo_stop_waiting(struct repo *r);

/* Has the deciding thread gone round lately? For the watchdog's view, not its veto. */
int64_t repo_last_round_ns(struct repo *r);
