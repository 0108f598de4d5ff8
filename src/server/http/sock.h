/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.h -- what we know of each TCP connection while libmicrohttpd reads and writes it
 *
 * libmicrohttpd's own timeout is one of idleness: a client that sends a byte now and then
 * lives for ever, and a suspended connection has none at all. So each connection has a
 * slot here, by its descriptor; IO threads note the phase, and the listener's thread goes
 * round four times a second and shuts down what is over its time. A client that is gone for
 * good (reset) while its request is queued cancels that request.
 *
 * Ownership: the slot is the connection's from sock_open() to sock_close(), which comes
 *            before the descriptor is closed: under the slot's lock the descriptor is valid.
 * Threads:   open, sweep and hang-up on the listener's; the rest on the connection's IO
 *            thread.
 * Memory:    one table at start.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "base/err.h"
#include "server/request.h"

struct crowd;
struct http;

#define SOCK_BYTES 64

enum sock_phase {
	SOCK_CLOSED,
	SOCK_IDLE,  /* new, or kept alive: waits for (the rest of) a request's headers */
	SOCK_BODY,  /* headers are there, the body is coming */
	SOCK_BUSY,  /* the request is complete, we work */
	SOCK_REPLY, /* the answer is being sent */
	SOCK_OVER,  /* out of time: shut down, not yet closed */
};

/* A cache line each: neighbours are different IO threads'. */
struct sock {
	alignas(SOCK_BYTES) atomic_uchar phase;
	atomic_flag lock;
	uint32_t generation;
	int wire; /* under lock: the client's socket when ours is a relay's, a copy; or -1 */
	int added_before; /* on the way to the IO thread (io.c): the next descriptor; -1: none */
	struct request *request;       /* under lock: queued or running */
	atomic_int_least64_t since_ms; /* of the table's clock */
	atomic_size_t received;        /* of the body */
	/* The sweep's. */
	int64_t mark_ms; /* header: when its first byte was noticed; reply: last progress */
	/* Idle, body: since_ms when the client's end was noticed; -1: was not. */
	int64_t ended_ms;
	uint64_t acked;
};

struct sock_table {
	struct sock *slot; /* in memory */
	void *memory;
	int n; /* descriptors from here on are refused */
	atomic_int open, highest;
	atomic_int over; /* of the open ones */
	atomic_int_least64_t now_ms;
};

MUST_CHECK enum err_code sock_table_init(struct sock_table *t, struct err *err);
void sock_table_done(struct sock_table *t);

/* Right after accept(); takes wire; NULL: no slot for so high a descriptor, nothing taken. */
struct sock *sock_open(struct sock_table *t, int fd, int wire);
void sock_close(struct sock_table *t, struct sock *s);

/* The descriptor of a slot of that generation has been closed, and may be another's by now. */
void sock_abandon(struct sock_table *t, struct sock *s, uint32_t generation);

/* False: the sweep was first, the connection is over. */
bool sock_enter(struct sock_table *t, struct sock *s, enum sock_phase phase);

/* While a request is submitted: whom to cancel. */
void sock_set_request(struct sock *s, struct request *r);

/* The descriptor had an error or was reset. */
void sock_hang_up(struct sock_table *t, int fd, uint32_t generation);

/* One round over all connections. */
void sock_sweep(struct http *h);

/* Shuts down whoever has been idle for longest, a second at least, and sends nothing just now.
   False: nobody is. */
bool sock_make_room(struct http *h, struct crowd *crowd);

/* Cancels what is queued or running on any connection. */
void sock_cancel_all(struct sock_table *t);

/* Is there a connection without a request from which one may well be on its way? Something of one
   is there, or the connection or its last byte is younger than quiet_ms. */
bool sock_any_may_ask(struct sock_table *t, int64_t quiet_ms);

/* Writes a whole small answer and a close, bypassing libmicrohttpd, which has none under
   way; then lets the client read it before the reset that unread input would cause. origin: of the
   request, or CORS_UNKNOWN. */
void sock_refuse(struct http *h, int fd, int status, const char *msg, struct slice origin);
