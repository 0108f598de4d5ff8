/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.h -- the gRPC front: both inference protocols and health over HTTP/2
 *
 * Life of a request: [LISTEN -> DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * Ours accepts (rpc_accept.c: the library's own listener dies of the first descriptor that
 * it cannot have) and hands each connection over; gRPC's C core speaks HTTP/2; one thread
 * for each completion queue drives the calls (rpc_call.c); methods.def says who answers
 * what. The prefix is rpc_ because grpc_ is the library's.
 *
 * Ownership: borrows the repository: it outlives the front. Copies conf.
 * Threads:   any may call any function but rpc_start() and rpc_stop(): those once each.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "loader/repo/repo.h"
#include "server/net/tls.h"

struct regions;
struct rpc;

/* Why a connection or a call was turned away before any handler saw it. */
#define RPC_REFUSALS(X) \
	X(CONNECTIONS, "connections") \
	X(CROWDED_OUT, "crowded_out") \
	X(DESCRIPTORS, "descriptors") \
	X(CALLS, "calls") \
	X(SILENT, "silent_calls") \
	X(STREAMS, "streams") \
	X(WASTED, "wasted_calls") \
	X(BYTES, "bytes_without_call") \
	X(FRAMES, "frames") \
	X(TLS, "tls")
enum rpc_refusal {
#define X(id, name) RPC_REFUSAL_##id,
	RPC_REFUSALS(X)
#undef X
	RPC_REFUSAL_COUNT_
};

/* Whether frames are looked at where there is no TLS; as options.def has the choices. */
enum rpc_guarding {
	RPC_GUARD_AUTO, /* where clients may be on other machines */
	RPC_GUARD_ON,
	RPC_GUARD_OFF,
};

struct rpc_conf {
	const char *listen;     /* "HOST:PORT", ":PORT", "unix:PATH"; port 0: any free one */
	int listen_fd;          /* >= 0: this socket (systemd's) instead; taken on ERR_OK */
	int io_threads;         /* 0: one per core, at most 8 */
	int connections_max;    /* then an idle one makes way, or the next is closed at once */
	int streams_max;        /* calls at once that a connection may have */
	int calls_max;          /* over all connections */
	int resets_max;         /* calls that a connection may waste in a second */
	size_t message_bytes_max;
	size_t memory_bytes_max; /* of all that gRPC has received and nobody has taken yet */
	int keepalive_ms;       /* ping a silent connection this often */
	int keepalive_timeout_ms; /* without an answer to a ping it is closed */
	int connection_age_ms;  /* 0: no limit */
	int connection_grace_ms; /* what its calls still get then */
	int request_timeout_ms; /* 0: none; deadline of a request that brings none */
	int message_timeout_ms; /* from a call's headers to its message */
	int stream_timeout_ms;  /* between a stream's messages; 0: no limit */
	int write_timeout_ms;   /* for a client to take a reply */
	struct regions *regions; /* shared memory; NULL: off. Borrowed as the repository is */
	bool allow_admin;       /* repository load and unload, settings */
	bool reflection;        /* says which services there are */
	enum rpc_guarding guard;
	struct tls *tls;        /* NULL: plain. Taken, whatever comes of the start */
	int tls_timeout_ms;     /* of a handshake */
	/* A handshake has failed, from any thread. */
	void (*on_tls_failure)(void *ctx, const char *why);
	void *ctx;
	bool tensor_content;    /* Predict answers numbers in tensor_content */
	/* A whole new set of models: name, path, versions and labels of each are given, the rest
	   is filled in. Waits until they are ready or have failed. */
	enum err_code (*set_models)(void *ctx, struct model_conf *model, int n,
		struct arena *arena, struct err *err);
	void *models_ctx;
};

/* Binds, starts the threads, answers from then on. */
MUST_CHECK enum err_code rpc_start(
	const struct rpc_conf *conf, struct repo *repo, struct rpc **ret, struct err *err);

/* For connections from now on; takes tls. Only where there was one at the start. */
void rpc_set_tls(struct rpc *r, struct tls *tls);

const char *rpc_address(const struct rpc *r);

/* From now on not ready. Still accepts. */
void rpc_drain(struct rpc *r);

/* Accepts no more and tells clients to go away, waits up to drain_ms for the calls in
   flight, cancels the rest, ends the threads and frees. NULL is fine. */
void rpc_stop(struct rpc *r, int drain_ms);

/* Calls between their headers and their status. */
int rpc_in_flight(const struct rpc *r);

/* For /metrics. */
struct rpc_reading {
	int connections, in_flight;
	uint64_t refused[RPC_REFUSAL_COUNT_];
};
void rpc_read(const struct rpc *r, struct rpc_reading *ret);

/* For the watchdog: grows while the accepting thread goes round (at least twice a second). */
uint64_t rpc_progress(const struct rpc *r);
