/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.h -- what only the kernel knows of a connection
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct tcp_state {
	int64_t silent_ms;       /* since the peer's last byte */
	uint64_t received, acked; /* bytes from the peer; of ours that it has */
};

/* False where there is no TCP (unix sockets). */
bool tcp_look(int fd, struct tcp_state *ret);

/* Small answers leave at once. Nothing happens to a unix socket. */
void tcp_no_delay(int fd);

/* How many descriptors there may be, at_most at most. */
int tcp_fds_max(int at_most);
