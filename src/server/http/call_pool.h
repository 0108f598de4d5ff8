/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_pool.h -- calls that wait for their next request, with the memory they have grown
 *
 * Life of a request: [LISTEN] -> decode -> ... -> encode -> [WRITE]
 *
 * Ownership: a call is its connection's from call_pool_take() to call_pool_release().
 * Threads:   the IO thread's, but for call_pool_tidy().
 * Memory:    idle calls hold at most 32 MiB of arenas per IO thread.
 */
#pragma once

#include "server/http/http_state.h"

/* Zeroed but for http, arena and the empty reply. NULL: no memory. */
struct call *call_pool_take(struct io *io);

/* Frees the request, if it has one. Nobody may look at the reply any more. */
void call_pool_release(struct io *io, struct call *c);

/* Any thread: frees the calls that nobody has needed since it was called last. true: some. */
bool call_pool_tidy(struct io *io);

/* When no call is out. */
void call_pool_free(struct io *io);
