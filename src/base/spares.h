/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spares.h -- things kept for their next use, and let go when nobody comes for them
 *
 * A stack: few at work use the few on top. What lies below the lowest point that the stack
 * has had since the last look was of no use all that time, which is what spares_free_unused()
 * frees: after a burst the memory that it grew goes back.
 *
 * Ownership: what is given is the stack's until it is taken.
 * Threads:   any, at any time.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* The first member of what is kept. */
struct spare {
	struct spare *next;
	size_t bytes; /* that it holds */
};

struct spares {
	pthread_mutex_t lock;
	struct spare *top;
	size_t n, least; /* in the stack, and the fewest since the last look */
	size_t bytes;
};

#define SPARES_INIT { .lock = PTHREAD_MUTEX_INITIALIZER }

/* NULL: none is left. */
struct spare *spares_take(struct spares *s);

/* false: they would hold more than bytes_max, and it is the caller's still. */
bool spares_give(struct spares *s, struct spare *item, size_t bytes, size_t bytes_max);

typedef void spare_free_fn(struct spare *item);

/* Those that nobody has needed since this was called last. true: some. */
bool spares_free_unused(struct spares *s, spare_free_fn *free_one);

/* All of them: at the end. */
void spares_free_all(struct spares *s, spare_free_fn *free_one);
