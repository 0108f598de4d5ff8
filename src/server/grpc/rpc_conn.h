/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_conn.h -- what the gRPC front knows of each connection
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * gRPC holds a client to its limits only once the client has acknowledged them, and hands
 * up every call even if it was reset at once. So calls are counted here, each for its
 * connection: the peer that gRPC names for a call, "fd:17", is the connection's descriptor.
 * A connection that wastes too many calls in a second (rpc_waste.h), or too many bytes
 * without any call, is cut off.
 *
 * gRPC owns a connection once it has it. A copy of its descriptor stays here: when either
 * side hangs up the copy says so, and through it a connection is cut off.
 *
 * Ownership: a slot is its connection's from rpc_conn_open() to rpc_conn_close(). Calls may
 *            outlive it; the generation of their ticket then no longer fits.
 * Threads:   rpc_conn_enter(), _leave(), _waste(), _doom() on any; the rest on the accepting one.
 * Memory:    one table at the start.
 */
#pragma once

#include <grpc/grpc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "server/grpc/rpc.h"
#include "server/grpc/rpc_waste.h"

struct crowd;

struct rpc_conn {
	atomic_uint_least64_t calls;  /* generation << 32 | calls in flight */
	struct rpc_tally wasted;      /* calls */
	atomic_uint started;          /* calls, ever */
	atomic_uint doomed;           /* this generation is to be cut off */
	int copy;                     /* -1: no connection */
	uint32_t seen_started;
	int64_t called_ms;            /* the last round with a call, or its begin */
	uint64_t quiet_from;          /* bytes received when there was a call last */
};

struct rpc_conns {
	struct rpc_conn *slot; /* by gRPC's descriptor */
	int n, highest;
	int64_t now_ms; /* of the last round */
	atomic_int open;
	int calls_max;
	struct rpc_waste waste; /* calls; its limits are set before the first */
	int wake_fd; /* of the accepting thread: it shall sweep */
	atomic_uint_least64_t refused[RPC_REFUSAL_COUNT_];
};

/* What a call keeps of its connection. */
struct rpc_ticket {
	int fd; /* -1: not known */
	uint32_t generation;
};

MUST_CHECK enum err_code rpc_conns_init(
	struct rpc_conns *t, int calls_max, struct err *err);
/* When no call is alive. */
void rpc_conns_done(struct rpc_conns *t);

void rpc_conns_wake(struct rpc_conns *t);
/* All that are left. */
void rpc_conns_cut_off(struct rpc_conns *t);

/* Just accepted, not yet gRPC's; NULL: no slot or descriptor for it. */
struct rpc_conn *rpc_conn_open(struct rpc_conns *t, int fd);
/* Either side has hung up. */
void rpc_conn_close(struct rpc_conns *t, int fd);
uint32_t rpc_conn_generation(const struct rpc_conn *s);

/* Cuts off who is doomed, and who talks without calling. */
void rpc_conns_sweep(struct rpc_conns *t);

/* Cuts off whoever has been without a call for longest, a second at least. The descriptor; -1:
   nobody has. */
int rpc_conns_make_room(struct rpc_conns *t, struct crowd *crowd);

/* Counts a call. False: its connection has too many; it must leave all the same. */
bool rpc_conn_enter(struct rpc_conns *t, grpc_call *call, struct rpc_ticket *ret);
void rpc_conn_leave(struct rpc_conns *t, struct rpc_ticket ticket);

/* The call was refused or cancelled. */
void rpc_conn_waste(struct rpc_conns *t, struct rpc_ticket ticket);

/* Cuts the connection off, as soon as the accepting thread comes to it. */
void rpc_conn_doom(struct rpc_conns *t, struct rpc_ticket ticket);

static inline void rpc_count_refusal(struct rpc_conns *t, enum rpc_refusal why)
{
	atomic_fetch_add_explicit(&t->refused[why], 1, memory_order_relaxed);
}
