/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h -- one thread that accepts, watches for resets and sweeps
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * Accepted connections go to the IO threads in turn. Running out of descriptors is
 * survived: a spare one is given up to take and close what waits. Beyond the limit of
 * connections a newcomer gets 503.
 *
 * Ownership: owns the descriptors until an IO thread has them.
 * Threads:   listener_linger() from any; the rest from http.c's.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"

struct http;
struct listener;

/* Accepts on h->endpoint. Sets h->listener. */
MUST_CHECK enum err_code listener_new(struct http *h, struct err *err);
void listener_start_refusing(struct listener *l); /* closes the listening socket */
void listener_free(struct listener *l); /* NULL is fine */

/* Reads and drops what the peer still sends, on a copy of fd, for two seconds at most. */
void listener_linger(struct listener *l, int fd);

uint64_t listener_rounds(const struct listener *l);
