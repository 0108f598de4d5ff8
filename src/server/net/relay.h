/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h -- moves bytes between connections and libraries that want them plain
 *
 * Life of a request: listen -> [RELAY] -> decode -> ...
 *
 * libmicrohttpd and gRPC get one end of a pair of sockets; the other one is here, and
 * behind it TLS (tls.h), or a look at what passes, or both. A connection is handed out by
 * relay_accept() once its handshake is over, as if it were accepted then. Either side's
 * half-close, close and reset is passed on as what it was.
 *
 * Ownership: takes the sockets it is given; who accepts owns what he gets.
 * Threads:   its own move the bytes. relay_accept() on one thread, the rest on any.
 * Memory:    per connection what OpenSSL needs; bytes are kept only while their taker is
 *            slower than their sender, at most RELAY_BYTES each way.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "server/net/tls.h"

#define RELAY_BYTES 65536

struct relay;

enum relay_way {
	RELAY_UP,   /* from the client */
	RELAY_DOWN, /* to it */
};

/* Looks at the next bytes. False: the connection is cut off. */
typedef bool (*relay_look_fn)(
	const void *ctx, void *state, enum relay_way way, const uint8_t *data, size_t n);

struct relay_conf {
	const char *name;         /* of the threads */
	int threads;
	int connections_max;      /* shaking hands; who accepts bounds the others */
	int handshake_timeout_ms;
	bool needs_protocol;      /* the client must choose ours by ALPN */
	relay_look_fn look;       /* NULL: none */
	size_t look_bytes;        /* of its state, zeroed for each connection */
	const void *look_ctx;     /* the same for all; outlives the relay */
	/* A handshake has failed; why in OpenSSL's words. On a thread of the relay. */
	void (*on_failure)(void *ctx, const char *why);
	void *ctx;
};

/* Takes tls on ERR_OK; NULL: bytes pass as they are. */
MUST_CHECK enum err_code relay_new(
	const struct relay_conf *conf, struct tls *tls, struct relay **ret, struct err *err);

/* For connections from now on. Takes tls. */
void relay_set_tls(struct relay *r, struct tls *tls);

/* Takes fd, a non-blocking socket, whatever comes of it. False: closed, as many as may be are
   shaking hands. */
bool relay_add(struct relay *r, int fd);

/* Readable when relay_accept() has something to give. */
int relay_fd(const struct relay *r);

/* The next plain socket, non-blocking; -1: none now. *ret_wire: a copy of the client's, for
   the kernel's view of it; -1 without memory for one. */
int relay_accept(struct relay *r, int *ret_wire);

/* Gives what was sent linger_ms to leave, then closes all. NULL is fine. */
void relay_free(struct relay *r, int linger_ms);

/* Connections, those still shaking hands too; what became of others: no handshake, no
   liking for what passed, no descriptor. */
struct relay_counts {
	uint64_t open, failed, cut_off, shed;
};
struct relay_counts relay_counts(const struct relay *r);
