/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbox.h -- what other threads have to tell the deciding thread
 *
 * Life of a version: loads and the reaper post what has ended; API threads post orders.
 *
 * An intrusive stack that is taken as a whole, and an eventfd to sleep on. Posting never
 * blocks, allocates or fails, so that the last reference of a version may be dropped on a
 * request's thread.
 *
 * Ownership: an item is its poster's until it is posted, then the taker's.
 * Threads:   post and wake from any; take from one.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include "base/err.h"

struct inbox_item {
	struct inbox_item *next;
	void (*take)(void *ctx, struct inbox_item *item);
};

struct inbox {
	_Atomic(struct inbox_item *) top;
	int fd; /* readable when something was posted or inbox_wake() was called */
};

MUST_CHECK enum err_code inbox_init(struct inbox *b, struct err *err);
void inbox_done(struct inbox *b);

void inbox_post(struct inbox *b, struct inbox_item *item);
void inbox_wake(struct inbox *b);

/* Calls item->take(ctx, item) for all that was posted, in the order of posting. */
void inbox_take(struct inbox *b, void *ctx);
