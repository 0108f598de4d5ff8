/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_state.h -- what the threads of the HTTP front share
 *
 * Threads: fields are written before the threads start, but for the atomics and what its
 *          lock guards.
 */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include "server/net/endpoint.h"
#include "server/http/call.h"
#include "server/http/http.h"
#include "server/http/route.h"
#include "server/http/sock.h"
#include "server/net/relay.h"

#define IO_THREADS_MAX 64
#define STATUS_CLASSES 6

/* Why a connection or a request was turned away before any handler saw it. */
#define REFUSALS(X) \
	X(CONNECTIONS, "connections") \
	X(CROWDED_OUT, "crowded_out") \
	X(DESCRIPTORS, "descriptors") \
	X(IDLE, "idle_timeout") \
	X(HEADER_TIMEOUT, "header_timeout") \
	X(BODY_TIMEOUT, "body_timeout") \
	X(WRITE_TIMEOUT, "write_timeout") \
	X(FRAMING, "framing") \
	X(TLS, "tls") \
	X(TOO_LARGE, "too_large") \
	X(MEMORY, "memory")
enum refusal {
#define X(id, name) REFUSAL_##id,
	REFUSALS(X)
#undef X
	REFUSAL_COUNT_
};

/* Calls that an IO thread holds back to run them together; gather.c's. */
struct gather {
	struct call *first, *last;
	int n, skips; /* so many more are not held */
};

/* One libmicrohttpd daemon, with its thread. What is held is that thread's. */
struct io {
	struct http *http;
	struct MHD_Daemon *daemon;
	pthread_t thread;
	bool started;
	atomic_bool stop, woken;
	int epoll_fd; /* the daemon's: readable when a connection is ready */
	int wake_fd;
	/* Descriptor of the last newcomer, whose slot names the one before; -1. */
	atomic_int newest;
	int rounds; /* in a row that libmicrohttpd asked for, since a request moved on */
	int answered_at_once; /* since it slept: requests that waited for no other thread */
	struct spares calls; /* idle ones */
	struct gather gather;
	/* Counted here, not for all threads: cores would pass one cache line to and fro. */
	atomic_int in_flight;
	atomic_int waiting; /* calls handed to a batcher or the admin thread, not yet back */
	atomic_uint_least64_t answered[ROUTE_COUNT_ + 1][STATUS_CLASSES]; /* by status / 100 */
};

struct http {
	struct http_conf conf; /* io_threads as they are; strings are copies */
	struct repo *repo;
	struct registry *registry;
	struct arena *arena; /* of the strings */

	struct endpoint endpoint;

	struct io io[IO_THREADS_MAX];
	int n_io;
	struct sock_table socks;
	struct relay *relay; /* NULL: no TLS */
	struct listener *listener;
	struct jobs *admin; /* one thread for handlers that wait: load and unload */

	atomic_bool draining, stopping;
	atomic_uint_least64_t refused[REFUSAL_COUNT_];
};

static inline void http_count_refusal(struct http *h, enum refusal why)
{
	atomic_fetch_add_explicit(&h->refused[why], 1, memory_order_relaxed);
}
