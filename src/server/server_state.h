/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_state.h -- inside of the daemon: for server*.c only
 *
 * server.c starts, reloads and stops it; server_fronts.c opens what listens, server_hooks.c
 * is what the repository calls, server_status.c tells how it goes.
 *
 * Threads: what is set at the start stays until server_close(), but for config.
 */
#pragma once

#include <pthread.h>
#include "exec/run/pool.h"
#include "loader/repo/repo.h"
#include "server/certificates.h"
#include "server/grpc/rpc.h"
#include "server/http/http.h"
#include "server/learned.h"
#include "server/regions.h"
#include "server/server.h"

struct server {
	pthread_mutex_t reload_lock; /* reloads come one by one */
	pthread_mutex_t lock; /* of config, which a reload replaces */
	struct config *config;
	const struct backend *backend; /* of models that name no device */
	struct pool *pool;
	struct learned *learned;
	struct repo *repo;
	struct regions *regions; /* NULL: no shared memory */
	struct http *http; /* NULL: off */
	struct rpc *rpc;   /* NULL: off */
	struct certificates certs; /* until their fronts have them */
	int64_t tidied_ns;
};

/* What the repository calls; ctx is the server. */
struct repo_hooks server_hooks(struct server *s);

/* Is what the configuration says of listening an address, or off? */
MUST_CHECK enum err_code server_fronts_check(const struct config *config, struct err *err);

/* gRPC first: who waits for HTTP to listen finds the other listening too. On an error
   some may have started. */
MUST_CHECK enum err_code server_fronts_start(struct server *s, struct err *err);

/* Those that are there; each has what is left of the time to finish its requests. */
void server_fronts_stop(struct server *s, int64_t timeout_ns);

/* Takes what the fronts use of certs, frees the rest. */
void server_fronts_set_tls(struct server *s, struct certificates *certs);
