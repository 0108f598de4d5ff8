/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_conn.h -- one connection of the relay: a handshake, then bytes both ways
 *
 * Life of a request: listen -> [RELAY] -> decode -> ...
 *
 * Ownership: owns both descriptors. Threads: its relay thread. Memory: relay.h.
 */
#pragma once

#include "server/net/relay.h"

enum relay_step {
	RELAY_WAIT,  /* for events */
	RELAY_MORE,  /* there is more to do, but others have their turn */
	RELAY_READY, /* the handshake is over: relay_conn_open() is due */
	RELAY_OVER,
};

/* Bytes that go one way. */
struct relay_flow {
	uint8_t *rest; /* read and not yet written; NULL: none */
	size_t at, len;
	bool in_blocked, out_blocked; /* until an event says otherwise */
	bool ended;  /* nothing more to read */
	bool closed; /* and its end passed on */
};

struct relay_side {
	struct relay_conn *conn;
	int fd; /* -1: none yet */
	bool ending; /* the far end has closed, wholly or half */
};

struct relay_conn {
	struct relay_conn *next, *prev, *next_busy;
	bool busy;
	struct relay_side wire, plain;
	SSL *ssl;      /* NULL: as they are */
	bool opened;
	bool broken;   /* one side is gone for good */
	bool cut_off;  /* by the one who looks */
	bool late;     /* out of time */
	int64_t began_ns, hung_up_ns; /* the latter 0: not yet */
	struct relay_flow up, down; /* to the library, to the client */
	const struct relay_conf *conf;
	uint64_t look_state[]; /* aligned for anything */
};

/* Takes fd and ssl, borrows conf. NULL: no memory, nothing is taken. */
struct relay_conn *relay_conn_new(const struct relay_conf *conf, int fd, SSL *ssl);
void relay_conn_free(struct relay_conn *c);

/* What epoll says of one side. */
void relay_conn_on_event(struct relay_side *side, uint32_t events);

/* As much as can be done now. scratch: RELAY_BYTES that nobody else uses meanwhile. */
enum relay_step relay_conn_step(struct relay_conn *c, uint8_t *scratch);

/* Makes the pair of sockets; *ret: the library's end. False: no descriptor. */
bool relay_conn_open(struct relay_conn *c, int *ret);
