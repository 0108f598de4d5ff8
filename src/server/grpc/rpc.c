/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc.h"

#include <limits.h>
#include <grpc/grpc_security.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "exec/run/pool.h"
#include "server/grpc/rpc_accept.h"
#include "server/grpc/rpc_call.h"
#include "server/grpc/rpc_life.h"
#include "server/grpc/rpc_watch.h"

/* Calls that each queue is ready for at any time. */
#define AWAITED 64
/* When there was no memory for them. */
#define RETRY_MS 100
#define QUEUES_DEFAULT_MAX 8
#define LINGER_MS 500

/* --- start --- */

static grpc_arg int_arg(const char *key, size_t value)
{
	return (grpc_arg){ .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key,
		.value.integer = value > INT_MAX ? INT_MAX : (int)value };
}

/* The library cancels calls while they hold more than that. */
static grpc_arg memory_arg(grpc_resource_quota *quota)
{
	return (grpc_arg){ .type = GRPC_ARG_POINTER,
		.key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA,
		.value.pointer = { quota, grpc_resource_quota_arg_vtable() } };
}

static grpc_server *new_server(const struct rpc_conf *c)
{
	grpc_resource_quota *quota = grpc_resource_quota_create("signet");
	grpc_resource_quota_resize(quota, c->memory_bytes_max);
	grpc_arg arg[] = {
		memory_arg(quota),
		/* The library inflates before it looks at the size: rpc_message.c does it. */
		int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
		int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
		int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, c->message_bytes_max),
		int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, INT_MAX),
		/* Counters for a service that we do not serve. */
		int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
		int_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, (size_t)c->streams_max),
		int_arg(GRPC_ARG_MAX_METADATA_SIZE, RPC_METADATA_BYTES_MAX),
		int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, (size_t)c->keepalive_ms),
		int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, (size_t)c->keepalive_timeout_ms),
		int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
		int_arg(GRPC_ARG_MAX_CONNECTION_AGE_MS,
			c->connection_age_ms ? (size_t)c->connection_age_ms : INT_MAX),
		int_arg(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, (size_t)c->connection_grace_ms),
	};
	grpc_channel_args args = { sizeof(arg) / sizeof(*arg), arg };
	grpc_server *server = grpc_server_create(&args, NULL);
	grpc_resource_quota_unref(quota);
	return server;
}

static void *run(void *ctx)
{
	struct rpc_queue *q = ctx;
	pthread_setname_np(pthread_self(), "grpc-io");
	for (;;) {
		rpc_call_top_up(q);
		gpr_timespec until = gpr_inf_future(GPR_CLOCK_MONOTONIC);
		if (q->owed)
			until = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
				gpr_time_from_millis(RETRY_MS, GPR_TIMESPAN));
		grpc_event ev = grpc_completion_queue_next(q->cq, until, NULL);
		if (ev.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (ev.type == GRPC_QUEUE_TIMEOUT)
			continue;
		struct rpc_event *e = ev.tag;
		if (!e) {
			atomic_store(&q->rpc->is_shut, true);
			continue;
		}
		/* gRPC's queue orders what others did before; this shows it to who
		   cannot see that. */
		(void)atomic_load_explicit(&e->call->events, memory_order_acquire);
		e->fire(e->call, ev.success);
	}
}

static void make_queues(struct rpc *r)
{
	int n = r->conf.io_threads > 0 ? r->conf.io_threads : pool_default_threads();
	if (r->conf.io_threads <= 0 && n > QUEUES_DEFAULT_MAX)
		n = QUEUES_DEFAULT_MAX;
	for (r->n_queue = 0; r->n_queue < n && r->n_queue < RPC_QUEUES_MAX; r->n_queue++) {
		struct rpc_queue *q = &r->queue[r->n_queue];
		q->rpc = r;
		q->owed = AWAITED;
		pthread_mutex_init(&q->lock, NULL);
		q->cq = grpc_completion_queue_create_for_next(NULL);
		grpc_server_register_completion_queue(r->server, q->cq, NULL);
	}
}

/* Each thread can stand what one connection may waste. */
static void set_waste(struct rpc *r, struct rpc_waste *w)
{
	w->one_max = (uint32_t)r->conf.resets_max;
	w->forgets_ns = NS_PER_S / ((int64_t)w->one_max * r->n_queue);
}

static enum err_code start_relay(struct rpc *r, struct err *err)
{
	const struct rpc_conf *c = &r->conf;
	const struct relay_conf conf = { .name = "grpc-relay", .threads = 1 + r->n_queue / 4,
		.connections_max = c->connections_max, .handshake_timeout_ms = c->tls_timeout_ms,
		.needs_protocol = true, .look = rpc_guard_look,
		.look_bytes = sizeof(struct rpc_guard),
		.look_ctx = &r->guard,
		.on_failure = c->on_tls_failure, .ctx = c->ctx };
	bool guards =
		c->guard == RPC_GUARD_ON || (c->guard == RPC_GUARD_AUTO && !r->endpoint.is_local);
	if (!c->tls && !guards)
		return ERR_OK;
	/* A client may open more before it hears of the limit; those are answered one by one. */
	r->guard = (struct rpc_guard_conf){ .streams_max = (uint32_t)c->streams_max * 2,
		.resets = &r->resets };
	TRY(relay_new(&conf, c->tls, &r->relay, err));
	r->conf.tls = NULL; /* the relay's now */
	return ERR_OK;
}

static enum err_code start_threads(struct rpc *r, struct err *err)
{
	TRY(start_relay(r, err));
	TRY(jobs_new(&(struct jobs_conf){ .name = "grpc-admin", .threads = 1 }, &r->admin, err));
	for (int i = 0; i < r->n_queue; i++) {
		struct rpc_queue *q = &r->queue[i];
		if (pthread_create(&q->thread, NULL, run, q) != 0)
			return err_set(err, ERR_INTERNAL, "grpc: cannot start a thread");
		q->started = true;
	}
	/* Last: from here on connections come. */
	return rpc_accept_start(r, err);
}

enum err_code rpc_start(
	const struct rpc_conf *conf, struct repo *repo, struct rpc **ret, struct err *err)
{
	struct rpc *r = calloc(1, sizeof(*r));
	if (!r) {
		tls_free(conf->tls);
		return err_oom(err);
	}
	pthread_mutex_init(&r->watch_lock, NULL);
	r->conf = *conf;
	r->repo = repo;
	r->registry = repo_registry(repo);
	/* Before the first round comes a call may. */
	atomic_store(&r->now_ms, clock_now_ns() / NS_PER_MS);
	enum err_code rc = rpc_conns_init(&r->conns, conf->streams_max, err);
	if (rc == ERR_OK)
		rc = endpoint_open("grpc", conf->listen, conf->listen_fd, &r->endpoint, err);
	grpc_init();
	r->credentials = grpc_insecure_server_credentials_create();
	r->server = new_server(&r->conf);
	make_queues(r);
	set_waste(r, &r->conns.waste);
	set_waste(r, &r->resets);
	grpc_server_start(r->server);
	if (rc == ERR_OK)
		rc = start_threads(r, err);
	if (rc != ERR_OK) {
		rpc_stop(r, 0);
		return rc;
	}
	*ret = r;
	return ERR_OK;
}

/* --- stop --- */

static bool wait_for_none(const atomic_int *n, int64_t until_ns)
{
	while (atomic_load(n) > 0 && clock_now_ns() < until_ns)
		usleep(1000);
	return atomic_load(n) == 0;
}

static bool is_shut(const struct rpc *r)
{
	return !r->queue[0].started || atomic_load(&r->is_shut);
}

static void shut_down(struct rpc *r, int drain_ms)
{
	/* A queue without a thread still takes the news, for nobody. */
	grpc_server_shutdown_and_notify(r->server, r->queue[0].cq, NULL);
	wait_for_none(&r->in_flight, clock_now_ns() + drain_ms * NS_PER_MS);
	grpc_server_cancel_all_calls(r->server);
	int64_t until_ns = clock_now_ns() + LINGER_MS * NS_PER_MS;
	while (!is_shut(r) && clock_now_ns() < until_ns)
		usleep(1000);
	/* Who does not hang up by itself is cut off. */
	rpc_accept_stop(r->acceptor);
	rpc_conns_cut_off(&r->conns);
	while (!is_shut(r))
		usleep(1000);
}

static void free_queue(struct rpc_queue *q)
{
	grpc_completion_queue_shutdown(q->cq);
	if (q->started) {
		pthread_join(q->thread, NULL);
	} else {
		q->owed = 0;
		run(q); /* what is left in it */
	}
	grpc_completion_queue_destroy(q->cq);
}

void rpc_stop(struct rpc *r, int drain_ms)
{
	if (!r)
		return;
	rpc_drain(r);
	if (r->acceptor)
		rpc_accept_refuse(r->acceptor);
	rpc_watch_end(r);
	shut_down(r, drain_ms > 0 ? drain_ms : 0);
	jobs_free(r->admin);
	for (int i = 0; i < r->n_queue; i++)
		free_queue(&r->queue[i]);
	grpc_server_destroy(r->server);
	grpc_server_credentials_release(r->credentials);
	/* The last slices go with the last connection, which the library closes on its own time. */
	grpc_shutdown_blocking();
	wait_for_none(&r->live, INT64_MAX);
	relay_free(r->relay, LINGER_MS);
	tls_free(r->conf.tls);
	for (int i = 0; i < r->n_queue; i++) {
		rpc_life_free_idle(&r->queue[i]);
		pthread_mutex_destroy(&r->queue[i].lock);
	}
	pthread_mutex_destroy(&r->watch_lock);
	rpc_conns_done(&r->conns);
	endpoint_done(&r->endpoint);
	free(r);
}

void rpc_set_tls(struct rpc *r, struct tls *tls)
{
	relay_set_tls(r->relay, tls);
}

const char *rpc_address(const struct rpc *r)
{
	return r->endpoint.address;
}

void rpc_drain(struct rpc *r)
{
	atomic_store(&r->draining, true);
}

int rpc_in_flight(const struct rpc *r)
{
	return atomic_load(&r->in_flight);
}

void rpc_read(const struct rpc *r, struct rpc_reading *ret)
{
	*ret = (struct rpc_reading){ .connections = atomic_load(&r->conns.open),
		.in_flight = rpc_in_flight(r) };
	for (int i = 0; i < RPC_REFUSAL_COUNT_; i++)
		ret->refused[i] = atomic_load(&r->conns.refused[i]);
	if (!r->relay)
		return;
	struct relay_counts relay = relay_counts(r->relay);
	ret->refused[RPC_REFUSAL_FRAMES] = relay.cut_off;
	ret->refused[RPC_REFUSAL_TLS] = relay.failed;
	ret->refused[RPC_REFUSAL_DESCRIPTORS] += relay.shed;
}

uint64_t rpc_progress(const struct rpc *r)
{
	return rpc_accept_rounds(r->acceptor);
}
