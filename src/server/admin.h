/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h -- one thread for handlers that wait: load and unload by request
 *
 * Loading takes seconds; on an IO thread it would stop every connection of that thread.
 * Such a call is suspended like an inference and handed over to here.
 *
 * Ownership: a job lies in the call that waits for it, and is the thread's until its run()
 *            gives the call back.
 * Threads:   admin_submit() from any. Memory: none per call.
 */
#pragma once

#include "base/err.h"

struct admin;

struct admin_job {
	struct admin_job *next;
	void (*run)(void *ctx);
	void *ctx;
};

/* name: the thread's. */
MUST_CHECK enum err_code admin_new(const char *name, struct admin **ret, struct err *err);
void admin_submit(struct admin *a, struct admin_job *job);
/* Runs what is queued, then ends. NULL is fine. */
void admin_free(struct admin *a);
