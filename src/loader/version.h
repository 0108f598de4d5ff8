/* SPDX-License-Identifier: Apache-2.0 */
/*
 * version.h -- one version of one model, from its file to its last request
 *
 * Life of a version: watch -> [LOAD -> CHECK -> COMPILE -> WARM -> PUBLISH -> DRAIN -> UNLOAD]
 *
 * Immutable once published. Requests hold references; the last one dropped hands the
 * version to the reaper thread, never frees on the request's thread.
 *
 * Ownership: version_ref/release. Everything inside lives in the version's arena.
 * Threads:   any, once published; before it the loading thread.
 */
#pragma once

#include <stdatomic.h>
#include "loader/signature.h"

/* STATE(id, text, Open Inference index state, TensorFlow Serving state, its number) */
#define VERSION_STATES(X) \
	X(FOUND, "found", "UNAVAILABLE", "START", 10) \
	X(LOADING, "loading", "LOADING", "LOADING", 20) \
	X(COMPILING, "compiling", "LOADING", "LOADING", 20) \
	X(WARMING, "warming", "LOADING", "LOADING", 20) \
	X(READY, "ready", "READY", "AVAILABLE", 30) \
	X(DRAINING, "draining", "UNLOADING", "UNLOADING", 40) \
	X(UNLOADED, "unloaded", "UNAVAILABLE", "END", 50) \
	X(FAILED, "failed", "UNAVAILABLE", "END", 50)

enum version_state {
#define X(id, text, oip, tfs, number) VERSION_##id,
	VERSION_STATES(X)
#undef X
	VERSION_STATE_COUNT_
};

struct version_state_info {
	const char *text, *oip, *tfs;
	int tfs_number;
};
const struct version_state_info *version_state_info(enum version_state s);

/* The one table of legal moves. */
bool version_may_move(enum version_state from, enum version_state to);

struct metadata_prop {
	const char *key, *value;
};

struct inbox_item;

struct version {
	const char *model; /* name */
	int64_t number;
	struct signature *sig; /* [0] is serving_default */
	int n_sig;
	const struct metadata_prop *prop; /* metadata_props of the file */
	int n_prop;
	const char *platform; /* "onnx_onnxv1", "signet_native" */
	struct graph *graph;
	int32_t n_own_output; /* of the graph; those behind are there for signatures */
	struct packs *packs;
	struct arena *arena;
	size_t memory_bytes; /* weights, packed weights, workspaces: estimate at publish */
	int64_t load_ns, compile_ns, warm_ns;
	const char *warning; /* what the warm-up could not do; NULL: nothing */
	const struct backend *backend; /* runs it */

	atomic_bool settled; /* warm: its programs time no kernels any more */

	atomic_long refs;
	atomic_int state; /* enum version_state; VERSION_DRAINING: no new requests */
	void (*on_last_release)(struct version *v); /* the reaper's door; NULL: freed at once */
	void *owner;
	struct version *next_dead; /* the reaper's list */
	struct inbox_item *gone;   /* posted after it was freed; NULL: nobody asked */
	void *stats; /* the server's; set before publish by repo_hooks */
};

/* What a load needs to know; one per model, from configuration. */
struct version_conf {
	const char *model;
	int64_t number;
	const struct backend *backend; /* where device is NULL */
	const char *device;       /* (optional) as backend_open() takes it */
	bool device_fallback;     /* no such device: on the host, with a warning */
	struct pool *pool;        /* for warm-up */
	int max_batch;            /* rows; 1: never batch */
	int threads;              /* per run */
	size_t memory_bytes_max;  /* refuse a load that needs more; 0: no limit */
	enum precision precision;
	bool keep_weights; /* also those that nobody reads once they are packed: to write them */
	struct choices *choices;  /* NULL: kernels are not timed */
	bool allow_hardlinks;     /* external data with st_nlink > 1 */
	const struct signature_conf *sig; /* named signatures from configuration */
	int n_sig;
	const char *batch_dim;    /* NULL: found; else the symbol's name; "none": never batch */
	atomic_bool *cancel;      /* (optional) true: give up at the next step */
	void (*on_state)(void *ctx, enum version_state s); /* LOADING, COMPILING, WARMING */
	void *ctx;
};

/* A named signature as configured: NAME=VALUE pairs; value of the graph. */
struct signature_conf {
	const char *name;
	const struct signature_name_pair {
		const char *name, *value;
	} *in, *out;
	int n_in, n_out;
};

/* Reads, checks, compiles, warms. dirfd: the version's directory, or where the file is;
   file: NULL for whichever of model.onnx, model.signet is there. On ERR_OK *ret has one
   reference, state WARMING. Any thread; takes long. */
MUST_CHECK enum err_code version_load(int dirfd, const char *file, const struct version_conf *conf,
	struct version **ret, struct err *err);

void version_ref(struct version *v);
void version_release(struct version *v);

/* Frees. Only when nobody holds a reference; NULL is fine. */
void version_free(struct version *v);

/* NULL when there is none; name empty: serving_default. */
struct signature *version_signature(const struct version *v, struct slice name);
