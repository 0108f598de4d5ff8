/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_waste.h -- how much clients may waste within a second, one of them and all together
 *
 * Life of a request: [LISTEN -> DECODE] -> ...
 *
 * A call that is reset costs nearly what it would have cost, and many connections that each
 * stay within their limit are too much together. All together may waste twice as much at
 * once as one in a second, of which so many a second are forgotten; and one no more than
 * is left to all: the more others waste, the less, and who has wasted most goes first.
 *
 * Threads: any. Memory: the caller's, zeroed but for the limits.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rpc_tally {
	atomic_uint_least64_t word; /* second << 32 | how many in it */
};

struct rpc_waste {
	uint32_t one_max;   /* in a second */
	int64_t forgets_ns; /* one of all of them in so long */
	atomic_int_least64_t until_ns; /* when all of them are forgotten */
};

/* One more; how many there are in this second. */
uint32_t rpc_tally_add(struct rpc_tally *t, int64_t now_ns);

/* One more, the nth of a connection in this second. False: it is one too many. */
bool rpc_waste_add(struct rpc_waste *w, uint32_t nth, int64_t now_ns);
