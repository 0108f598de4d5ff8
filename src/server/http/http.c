/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/http/call_pool.h"
#include "server/http/http_state.h"
#include "server/http/io.h"
#include "server/http/listen.h"

/* For the last bytes to leave through TLS. */
#define LINGER_MS 500
#define IO_THREADS_DEFAULT_MAX 8
/* How long before the end a connection may have been quiet and still be waited for; how long for
   all of them. */
#define QUIET_MS 250
#define LAST_WORDS_MS 1000

static int default_threads(void)
{
	int n = pool_default_threads();
	return n < IO_THREADS_DEFAULT_MAX ? n : IO_THREADS_DEFAULT_MAX;
}

static enum err_code copy_conf(struct http *h, const struct http_conf *conf, struct err *err)
{
	h->conf = *conf;
	if (h->conf.io_threads == 0)
		h->conf.io_threads = default_threads();
	if (h->conf.io_threads > IO_THREADS_MAX)
		h->conf.io_threads = IO_THREADS_MAX;
	h->conf.listen = arena_strdup(h->arena, conf->listen);
	h->conf.cors_origins = arena_strdup(h->arena, conf->cors_origins);
	return h->conf.listen && h->conf.cors_origins ? ERR_OK : err_oom(err);
}

static void http_free(struct http *h)
{
	listener_free(h->listener);
	h->listener = NULL;
	for (int i = 0; i < h->n_io; i++)
		io_stop(&h->io[i]);
	relay_free(h->relay, LINGER_MS);
	tls_free(h->conf.tls);
	jobs_free(h->admin);
	sock_table_done(&h->socks);
	endpoint_done(&h->endpoint);
	arena_free(h->arena);
	free(h);
}

static enum err_code start_relay(struct http *h, struct err *err)
{
	const struct http_conf *c = &h->conf;
	const struct relay_conf conf = { .name = "http-relay", .threads = 1 + c->io_threads / 4,
		.connections_max = c->connections_max, .handshake_timeout_ms = c->tls_timeout_ms,
		.on_failure = c->on_tls_failure, .ctx = c->ctx };
	if (!c->tls)
		return ERR_OK;
	TRY(relay_new(&conf, c->tls, &h->relay, err));
	h->conf.tls = NULL; /* the relay's now */
	return ERR_OK;
}

static enum err_code start_threads(struct http *h, struct err *err)
{
	const struct jobs_conf admin = { .name = "http-admin", .threads = 1 };
	enum err_code rc = jobs_new(&admin, &h->admin, err);
	if (rc == ERR_OK)
		rc = start_relay(h, err);
	while (rc == ERR_OK && h->n_io < h->conf.io_threads) {
		struct io *io = &h->io[h->n_io++];
		*io = (struct io){ .http = h, .calls = SPARES_INIT };
		rc = io_start(io, err);
	}
	/* Last: from here on connections come. */
	return rc == ERR_OK ? listener_new(h, err) : rc;
}

enum err_code http_start(
	const struct http_conf *conf, struct repo *repo, struct http **ret, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));
	if (!h) {
		tls_free(conf->tls);
		return err_oom(err);
	}
	h->conf.tls = conf->tls;
	h->endpoint.fd = -1;
	h->repo = repo;
	h->registry = repo_registry(repo);
	h->arena = arena_new(4096, 0);
	enum err_code rc = h->arena ? copy_conf(h, conf, err) : err_oom(err);
	if (rc == ERR_OK)
		rc = sock_table_init(&h->socks, err);
	if (rc == ERR_OK)
		rc = endpoint_open("http", h->conf.listen, h->conf.listen_fd, &h->endpoint, err);
	if (rc == ERR_OK)
		rc = start_threads(h, err);
	if (rc != ERR_OK) {
		http_free(h);
		return rc;
	}
	*ret = h;
	return ERR_OK;
}

void http_set_tls(struct http *h, struct tls *tls)
{
	relay_set_tls(h->relay, tls);
}

const char *http_address(const struct http *h)
{
	return h->endpoint.address;
}

void http_drain(struct http *h)
{
	atomic_store(&h->draining, true);
}

int http_in_flight(const struct http *h)
{
	int n = 0;
	for (int i = 0; i < h->n_io; i++)
		n += atomic_load(&h->io[i].in_flight);
	return n;
}

static int waiting(const struct http *h)
{
	int n = 0;
	for (int i = 0; i < h->n_io; i++)
		n += atomic_load(&h->io[i].waiting);
	return n;
}

bool http_tidy(struct http *h)
{
	bool any = false;
	for (int i = 0; i < h->n_io; i++)
		any |= call_pool_tidy(&h->io[i]);
	return any;
}

uint64_t http_progress(const struct http *h)
{
	return listener_rounds(h->listener);
}

/* A client that connected or was answered a moment ago may have sent a request that has not arrived
   yet. Closing now would reset it without a word; an answer tells that the connection closes. */
static bool more_may_come(struct http *h)
{
	return sock_any_may_ask(&h->socks, QUIET_MS) ||
		(h->relay && relay_counts(h->relay).open > (uint64_t)atomic_load(&h->socks.open));
}

/* In this order: a connection goes from the listener to a slot, from there to in_flight. */
static bool has_work(struct http *h, bool wait_for_more)
{
	bool accepts = !listener_is_closed(h->listener);
	bool more = wait_for_more && more_may_come(h);
	return accepts || more || http_in_flight(h) > 0;
}

void http_stop(struct http *h, int drain_ms)
{
	if (!h)
		return;
	http_drain(h);
	listener_start_refusing(h->listener);
	int64_t began_ns = clock_now_ns(), past_ms = 0;
	while (past_ms < drain_ms && has_work(h, past_ms < LAST_WORDS_MS)) {
		usleep(1000);
		past_ms = (clock_now_ns() - began_ns) / NS_PER_MS;
	}
	/* libmicrohttpd must not be stopped while a connection is suspended. */
	atomic_store(&h->stopping, true);
	while (waiting(h) > 0) {
		sock_cancel_all(&h->socks);
		usleep(1000);
	}
	http_free(h);
}
