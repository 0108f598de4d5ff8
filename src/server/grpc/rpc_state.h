/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_state.h -- what the threads of the gRPC front share, and one call
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * rpc_call.c receives a message and gives it to the method's handler, which either writes
 * a reply, or decodes into c->request, which rpc_call.c then submits and whose outcome the
 * method's encoder turns into the reply. Whatever fails becomes the call's status.
 *
 * Ownership: the call owns its request, in whose arena all that it needs lives, replies
 *            too: big parts are sent from where they lie, and the call waits for gRPC to
 *            let go of them.
 * Threads:   a call is its queue's thread's, but while its request is being computed, its
 *            handler runs on the admin thread, or its watch is being looked at.
 */
#pragma once

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "base/jobs.h"
#include "server/net/endpoint.h"
#include "server/grpc/rpc.h"
#include "server/grpc/rpc_conn.h"
#include "server/grpc/rpc_guard.h"
#include "server/grpc/wire.h"
#include "server/net/relay.h"
#include "server/request.h"

#define RPC_QUEUES_MAX 64

struct rpc_call;
struct rpc_acceptor;

enum rpc_kind {
	RPC_CONTROL, /* the handler replies */
	RPC_ADMIN,   /* as that, on the admin thread, and only where it is allowed */
	RPC_INFER,   /* the handler decodes an inference, the encoder replies */
	RPC_STREAM,  /* as RPC_INFER or RPC_CONTROL for each message, one after the other */
	RPC_WATCH,   /* as RPC_CONTROL, and again whenever the reply becomes another */
};

struct rpc_method {
	const char *path;
	enum rpc_kind kind;
	enum err_code (*handle)(struct rpc_call *c, struct wire message, struct err *err);
	enum err_code (*encode)(struct rpc_call *c, struct err *err);
	/* RPC_STREAM: the reply that says what failed; NULL: a failure ends the call. */
	enum err_code (*encode_error)(struct rpc_call *c, const struct err *why, struct err *err);
};

extern const struct rpc_method rpc_methods[];
extern const int rpc_method_count;

/* NULL: unknown, or switched off. */
const struct rpc_method *rpc_find_method(const struct rpc *r, struct slice path);

/* Each service of the methods once: *at is 0 at first; false: that was all. */
bool rpc_next_service(const struct rpc *r, int *at, struct slice *ret);

/* Calls without a message, by their age. */
struct rpc_silent_list {
	struct rpc_call *oldest, *newest;
};

/* One completion queue and its thread. */
struct rpc_queue {
	struct rpc *rpc;
	grpc_completion_queue *cq;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;  /* of the lists */
	struct rpc_call *idle;
	int n_idle;
	struct rpc_call *accepted;
	struct rpc_silent_list silent; /* the thread's */
	int owed; /* calls that should be waited for and could not be; the thread's */
};

struct rpc {
	struct rpc_conf conf;
	struct repo *repo;
	struct registry *registry;
	struct endpoint endpoint;
	grpc_server *server;
	grpc_server_credentials *credentials;
	struct relay *relay; /* NULL: gRPC has the clients' own sockets */
	struct rpc_guard_conf guard;
	struct rpc_waste resets; /* that the guard has seen */
	struct rpc_acceptor *acceptor;
	struct rpc_conns conns;
	struct jobs *admin; /* one thread for handlers that wait: load and unload */
	struct rpc_queue queue[RPC_QUEUES_MAX];
	int n_queue;
	pthread_mutex_t watch_lock;
	struct rpc_call *watching; /* under watch_lock: their last reply was sent */
	bool watch_ended;          /* under watch_lock: none waits any more */
	atomic_int watches;        /* calls of RPC_WATCH that exist */
	atomic_int_least64_t now_ms; /* of the last round */
	atomic_bool draining;
	atomic_bool is_shut; /* gRPC has no connection left */
	atomic_int in_flight; /* calls accepted, without their status sent */
	atomic_int live;      /* calls that exist, waiting ones too */
};

/* What a completion queue hands back. */
struct rpc_event {
	void (*fire)(struct rpc_call *c, bool ok);
	struct rpc_call *call;
};

#define RPC_PARTS_MAX 64 /* more are joined */

struct rpc_call {
	struct rpc_call *next; /* freelist, or rpc->watching */
	struct rpc_call *earlier, *later; /* under the queue's lock: of its accepted ones */
	struct rpc_call *silent_before, *silent_after; /* of its silent ones */
	bool is_silent;
	atomic_int waits_for; /* enum rpc_wait */
	atomic_int_least64_t waits_since_ms;
	struct rpc_queue *queue;
	struct rpc *rpc;
	atomic_int refs;   /* events to come, and slices that gRPC holds */
	atomic_int events; /* to come: gRPC's call is let go of after the last */
	struct rpc_event on_new, on_message, on_close, on_sent;

	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *message, *sending;
	grpc_byte_buffer *sent; /* of a watch: the last reply; sending is used up */
	const struct rpc_method *method;
	struct rpc_ticket ticket;
	int64_t began_ns, deadline_ns; /* the latter the client's; INT64_MAX: none */
	atomic_bool cancelled;
	atomic_bool close_taken; /* somebody asks, or has asked, for the client's end */
	bool refused; /* takes no place, but memory until its status is sent */
	bool opened, ended, is_watch, closes_with_status;
	int was_cancelled;

	struct request *request;
	bool submitted;
	/* Of a call that runs several inferences: a request that changes hands while it is not
	   queued is not to be cancelled. again: the encoder has decoded the next one. */
	bool in_turn, again;
	void *dialect; /* what its decoder leaves for its encoder */
	struct job job;
	int n_part;
	struct slice part[RPC_PARTS_MAX]; /* last: not zeroed for each call */
};

/* The reply: pieces in the request's arena, or for ever. */
MUST_CHECK enum err_code rpc_reply(struct rpc_call *c, struct buf *b, struct err *err);

/* Does the call go on after a reply? */
static inline bool rpc_is_lasting(const struct rpc_call *c)
{
	return c->method->kind == RPC_STREAM || c->method->kind == RPC_WATCH;
}

/* One that is refused, to another call. */
static inline void rpc_give_place(struct rpc_call *c)
{
	atomic_fetch_sub(&c->rpc->in_flight, 1);
	c->refused = true;
}

static inline bool rpc_is_ready(struct rpc *r)
{
	return !atomic_load(&r->draining) && repo_is_ready(r->repo);
}
