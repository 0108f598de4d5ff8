/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h -- one thread that accepts, watches for resets and sweeps
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * Connections (intake.h) go to the IO threads in turn. Beyond the limit of connections the
 * one that has been idle for longest makes way (crowd.h); where none is, or no descriptor is
 * left, a newcomer gets 503.
 *
 * Ownership: owns the descriptors until an IO thread has them.
 * Threads:   listener_linger() from any; the rest from http.c's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct http;
struct listener;

/* Accepts on h->endpoint. Sets h->listener. */
MUST_CHECK enum err_code listener_new(struct http *h, struct err *err);
/* Takes who stands at the listening socket and closes it; listener_is_closed() says when. */
void listener_start_refusing(struct listener *l);
bool listener_is_closed(const struct listener *l);
void listener_free(struct listener *l); /* NULL is fine */

/* Reads and drops what the peer still sends, on a copy of fd, for two seconds at most. */
void listener_linger(struct listener *l, int fd);

uint64_t listener_rounds(const struct listener *l);
