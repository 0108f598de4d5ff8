/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_queue.h -- requests that wait for a batch, and which of them go together
 *
 * Inside the batcher. Three classes of priority, served in proportion to 8:4:1 (stride
 * scheduling); in a class first come, first served, but for who does not fit into a batch.
 *
 * INVARIANTS
 * 1. A request is in a queue exactly while its state is REQUEST_QUEUED.
 * 2. The requests of a batch have the same shapes but for dimension 0.
 *
 * Threads: all under the batcher's lock, but for batch_is_quick() and batch_pays().
 * Memory:  none: requests are chained by their own next and prev.
 */
#pragma once

#include "server/request.h"

enum { CLASS_HIGH, CLASS_NORMAL, CLASS_LOW, CLASS_COUNT_ };

struct class_queue {
	struct request *head, *tail;
	int64_t pass; /* rows served / weight; the smallest goes next */
};

struct batch_queue {
	const struct signature *sig;
	int gather_max; /* rows of a batch of several requests */
	struct class_queue class[CLASS_COUNT_];
	int64_t pass; /* at which the last batch was taken: who comes later begins there */
	int64_t rows; /* waiting */
	size_t bytes; /* of their inputs */
};

bool batch_queue_is_empty(const struct batch_queue *q);
void batch_queue_put(struct batch_queue *q, struct request *r);
void batch_queue_remove(struct batch_queue *q, struct request *r, enum request_state to);

/* Whose deadline has passed, chained by next. */
struct request *batch_queue_take_expired(struct batch_queue *q, int64_t now);

/* The next batch, chained by next: the head of the next class, and whoever behind it fits and
   would not pass its deadline there. NULL: nothing waits. */
struct request *batch_queue_take(struct batch_queue *q, int64_t now);

/* When a request that came at *ret must be the first one waiting; INT64_MAX: nobody waits. */
int64_t batch_queue_oldest_ns(const struct batch_queue *q);

/* Has the warm-up learnt that a batch of so many rows is run sooner than handed to a thread? */
bool batch_is_quick(const struct signature *sig, int64_t rows);

/* Does r gain more by joining so many rows than it costs to copy it into their batch, and its
   results out? True where nothing was learnt. */
bool batch_pays(const struct signature *sig, const struct request *r, int64_t rows);
