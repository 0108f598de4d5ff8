/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake.h -- takes connections from a listening socket, through a relay where there is one
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * Running out of descriptors is survived: a spare one is given up to take what waits and
 * turn it away.
 *
 * Ownership: borrows endpoint and relay. Threads: one. Memory: none.
 */
#pragma once

#include <stdint.h>
#include "server/net/endpoint.h"
#include "server/net/relay.h"

struct intake {
	struct endpoint *endpoint;
	struct relay *relay; /* NULL: connections are taken as they come */
	/* Takes fd; wire >= 0: a copy of the client's socket, when fd is a relay's. */
	void (*admit)(void *ctx, int fd, int wire);
	/* No descriptor, or no place in the relay. fd >= 0: takes it; it may still be told. */
	void (*refuse)(void *ctx, int fd);
	void *ctx;
	int spare_fd;
};

/* in's public fields are set. Watches, level-triggered, with this key. */
MUST_CHECK enum err_code intake_init(
	struct intake *in, int epoll_fd, uint64_t key, struct err *err);
void intake_done(struct intake *in);

/* Takes some of what waits. */
void intake_some(struct intake *in);

/* Before the socket is closed: takes all that waits there. */
void intake_rest(struct intake *in);
