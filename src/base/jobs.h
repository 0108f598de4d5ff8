/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.h -- a few threads for what takes long, first come, first served
 *
 * Ownership: a job lies in what it is about, and is the threads' from jobs_submit() until
 *            its run() is called, which may free it.
 * Threads:   jobs_submit() from any.
 * Memory:    none after jobs_new().
 */
#pragma once

#include "base/err.h"

struct jobs;

struct job {
	struct job *next;
	void (*run)(void *ctx);
	void *ctx;
};

struct jobs_conf {
	const char *name; /* of the threads: at most 15 characters */
	int threads;      /* at least 1, at most 64; fewer will do where the system has no more */
	void (*on_start)(void); /* first on each of them, or NULL */
};

/* RESOURCE_EXHAUSTED: not a single thread could be started. Borrows the name. */
MUST_CHECK enum err_code jobs_new(const struct jobs_conf *conf, struct jobs **ret, struct err *err);

void jobs_submit(struct jobs *q, struct job *job);

/* Runs what is queued, then ends the threads. NULL is fine. */
void jobs_free(struct jobs *q);
