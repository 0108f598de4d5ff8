/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errand.h -- something that takes long, on a thread of its own, whose end a poll() sees
 *
 * For a thread that must never wait: it begins the errand, polls errand.over_fd beside all
 * else, and ends it when that is readable. One at a time; then the next may begin.
 *
 * Ownership: errand_init() opens a descriptor, which is there until errand_done().
 * Threads:   one; errand_end() may be another's, if the first leaves the errand alone then.
 * Memory:    none.
 */
#pragma once

#include <pthread.h>
#include "base/err.h"

struct errand {
	pthread_t thread;
	void (*run)(void *ctx);
	void *ctx;
	int over_fd; /* readable: errand_end() will not wait */
	bool begun, has_thread;
};

MUST_CHECK enum err_code errand_init(struct errand *e, struct err *err);

/* None is under way. Where there is no thread to be had it runs right here. */
void errand_begin(struct errand *e, const char *thread_name, void (*run)(void *ctx), void *ctx);

/* Waits for its end. Harmless when none was begun. */
void errand_end(struct errand *e);

/* After the last end. */
void errand_done(struct errand *e);
