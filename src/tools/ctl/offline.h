/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offline.h -- a model without a server: the reader, the passes and the plans that the
 * daemon uses, and nothing else
 *
 * Life of a version: watch -> [LOAD -> CHECK -> COMPILE] -> ...
 *
 * What a version has beyond this (signatures, proof of its batch dimension, warm-up) is
 * for `signetctl validate`, which calls version_load() itself.
 *
 * Ownership: the caller's, until offline_close().
 * Threads:   one at a time.
 */
#pragma once

#include "exec/pass/passes.h"
#include "exec/run/program.h"
#include "loader/model_read.h"
#include "tools/model_info.h"

struct offline_conf {
	int threads; /* 0: as many as the machine has */
	enum precision precision;
	const char *device; /* as backend_open() takes it; NULL: cpu */
	bool forget; /* weights go once they are packed: for runs alone */
	/* (optional) As passes_opts.on_pass; "" is the graph as it was read. */
	void (*on_pass)(void *ctx, const char *pass, const struct graph *g);
	void *ctx;
};

struct offline {
	struct arena *arena;
	struct model model;
	struct model_info info; /* inputs and outputs, for model_inputs_make() */
	struct packs *packs;
	struct choices *choices;
	const struct backend *backend;
	struct program *program;
	int threads;
	struct pool *pool; /* NULL: one thread */
	struct profile *profile; /* (optional) gets each step of each run */
	int64_t load_ns;
	bool keeps_pages; /* until it is closed: the first run plans */
};

/* "DIR/FILE" as a descriptor of DIR and FILE, which is how the reader takes it. */
MUST_CHECK enum err_code offline_open_dir(const char *path, int *ret_dirfd, const char **ret_file,
	struct err *err);

MUST_CHECK enum err_code offline_open(const char *path, const struct offline_conf *conf,
	struct offline *ret, struct err *err);
void offline_close(struct offline *o); /* a zeroed one is fine */

/* Outputs land in out (o->info.n_out tensors); memory that fits is used again, else it
   comes from the arena, as does what depends on data. */
MUST_CHECK enum err_code offline_run(struct offline *o, const struct tensor *in,
	struct arena *arena, struct tensor *out, struct err *err);
