/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifecycle_state.h -- inside of the deciding thread's work: for lifecycle*.c only
 *
 * lifecycle.c makes the moves; lifecycle_news.c takes in what disk, configuration and
 * callers ask for, and what a model's own options say.
 *
 * Threads: the repo's thread alone.
 */
#pragma once

#include "loader/repo/lifecycle.h"

struct lifecycle {
	struct models models;
	struct registry *registry;
	struct inbox *inbox;
	struct lifecycle_ops ops;
	uint64_t *told; /* hashes of the last scan's remarks, so that each is logged once */
	int n_told;
	bool keeping_told;
	bool dirty;   /* the registry has to be told */
	bool stopping;
};

#define WHO(x) (x)->model->name, (long long)(x)->number
#define LOG_MODEL "model '%s' version %lld: "

/* When to try again what has failed so many times before; INT64_MAX: other files are needed. */
int64_t lifecycle_retry_at(
	const struct lifecycle *lc, const struct err *why, int failures, int64_t now_ns);

/* A model's own options, in whatever state they are on disk, are in force from now on. */
void lifecycle_take_file(struct lifecycle *lc, struct model *m, int64_t now_ns);
