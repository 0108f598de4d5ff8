/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "exec/module.h"
#include "exec/op_library.h"
#include "exec/run/pool.h"
#include "loader/repo/layout.h"
#include "server/batcher.h"
#include "server/certificates.h"
#include "server/grpc/rpc.h"
#include "server/http/http.h"
#include "server/learned.h"
#include "server/model_set.h"
#include "server/net/endpoint.h"
#include "server/notify.h"
#include "server/stats.h"

#define LIST_BYTES_MAX (16u << 20)
/* The repository's thread rescans at least this much later than it is told to. */
#define REPO_LATE_NS (60 * NS_PER_S)

struct server {
	pthread_mutex_t reload_lock; /* reloads come one by one */
	pthread_mutex_t lock; /* of config, which a reload replaces */
	struct config *config;
	const struct backend *backend; /* of models that name no device */
	struct pool *pool;
	struct learned *learned;
	struct repo *repo;
	struct http *http; /* NULL: off */
	struct rpc *rpc;   /* NULL: off */
	struct certificates certs; /* until their fronts have them */
};

/* -- a version gets its queues and its numbers ----------------------------------------------- */

static void detach(struct version *v)
{
	for (int i = 0; i < v->n_sig; i++) {
		batcher_free(v->sig[i].queue);
		v->sig[i].queue = NULL;
	}
	stats_detach(v);
}

static enum err_code on_configure(void *ctx, const char *model, struct slice text, struct arena *arena,
	struct model_conf *ret, struct err *err)
{
	struct server *s = ctx;
	pthread_mutex_lock(&s->lock);
	enum err_code rc = config_model_file(s->config, model, text, LAYOUT_CONF, arena, ret, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* Its warm-up has timed kernels. Not knowing them at the next start costs time, no more. */
static void save_learned(struct server *s)
{
	struct err err;
	if (learned_save(s->learned, &err) != ERR_OK)
		log_warning("what was learned of kernels could not be saved in state_dir: %s", err.msg);
}

static enum err_code on_publish(void *ctx, struct version *v, const struct model_conf *conf, struct err *err)
{
	struct server *s = ctx;
	save_learned(s);
	enum err_code rc = stats_attach(v, err);
	if (rc != ERR_OK)
		return rc;
	struct batcher_conf c = {
		.max_delay_us = conf->batch_delay_ns / NS_PER_US,
		.max_queued_rows = conf->queue_rows,
		.max_queued_bytes = conf->queue_bytes,
		.max_running = conf->batches_max,
		.pool = s->pool,
		.observer = stats_observer(v),
	};
	for (int i = 0; i < v->n_sig; i++) {
		struct batcher *b;
		c.max_batch = v->sig[i].max_batch;
		rc = batcher_new(&v->sig[i], &c, &b, err);
		if (rc != ERR_OK) {
			detach(v);
			return rc;
		}
		v->sig[i].queue = b;
	}
	return ERR_OK;
}

static void on_unload(void *ctx, struct version *v)
{
	(void)ctx;
	detach(v);
}

static void on_state(void *ctx, const char *model, int64_t number, enum version_state state,
	const struct err *why)
{
	(void)ctx;
	(void)why;
	stats_on_state(model, number, state);
}

/* -- what can be checked before anything starts ------------------------------------------------ */

static enum err_code load_libraries(const struct config *config, struct err *err)
{
	const char *const *lists[] = { config->op_libraries, config->server->op_libraries.item };
	for (int k = 0; k < 2; k++)
		for (int i = 0; lists[k] && lists[k][i]; i++)
			if (op_library_load(lists[k][i], err) != ERR_OK)
				return err_prefix(err, "op-library");
	return ERR_OK;
}

static bool is_off(const char *listen)
{
	return strcmp(listen, "off") == 0;
}

static enum err_code check_listen(const struct config *config, struct err *err)
{
	if (!is_off(config->http->listen))
		TRY(endpoint_check("http", config->http->listen, err));
	return is_off(config->grpc->listen) ? ERR_OK : endpoint_check("grpc", config->grpc->listen, err);
}

/* It may be mounted later, so it is no error. */
static void warn_of_missing_roots(const struct config *config)
{
	for (const char *const *root = config->repo.roots; *root; root++) {
		DIR *dir = file_open_dir(AT_FDCWD, *root, 0);
		if (!dir)
			log_warning("model root %s: %s", *root, strerror(errno));
		else
			closedir(dir);
	}
}

enum err_code server_check(const struct config *config, struct err *err)
{
	struct certificates certs = { 0 };
	TRY(check_listen(config, err));
	TRY(load_libraries(config, err));
	TRY(certificates_load(config, &certs, err));
	certificates_free(&certs);
	warn_of_missing_roots(config);
	return ERR_OK;
}

/* A client can cause these as often as it likes. ctx: the front's name. */
static void on_tls_failure(void *ctx, const char *why)
{
	static struct log_limit limit;
	int suppressed;
	if (!log_limit_allow(&limit, 1, &suppressed))
		return;
	log_info("%s: a TLS handshake failed: %s (%d before it not logged)", (const char *)ctx, why,
		suppressed);
}

static struct tls *hand_over(struct tls **t)
{
	struct tls *taken = *t;
	*t = NULL;
	return taken;
}

/* -- start and stop -------------------------------------------------------------------------- */

static void log_device(void *ctx, const char *device, const struct backend *b)
{
	(void)ctx;
	struct device_gauges g;
	b->device->gauges(b, &g);
	log_notice("device %s is %s, %.1f GiB", device, g.name, g.memory_total / ((size_t)1 << 30));
}

static enum err_code open_device(struct server *s, struct err *err)
{
	const struct options_server *o = s->config->server;
	enum err_code rc = backend_open(o->device, &s->backend, err);
	if (rc == ERR_OK) {
		backend_each_device(log_device, NULL);
		return ERR_OK;
	}
	if (rc != ERR_UNAVAILABLE || !o->device_fallback)
		return err_prefix(err, "[server] device = %s", o->device);
	log_warning("[server] device = %s: %s; models run on the CPU, as device_fallback says", o->device,
		err->msg);
	s->backend = &cpu_backend;
	return ERR_OK;
}

/* What the configuration does not say of the repository. */
static void complete_repo_conf(const struct server *s, struct repo_conf *r)
{
	r->backend = s->backend;
	r->device_fallback = s->config->server->device_fallback;
	r->choices = learned_choices(s->learned);
	r->pool = s->pool;
	r->threads = pool_threads(s->pool);
}

static enum err_code start_repo(struct server *s, struct err *err)
{
	const struct repo_hooks hooks = { .on_configure = on_configure, .on_publish = on_publish,
		.on_unload = on_unload, .on_state = on_state, .ctx = s };
	complete_repo_conf(s, &s->config->repo);
	return repo_new(&s->config->repo, &hooks, &s->repo, err);
}

/* "a,b"; NULL when out of memory. */
static const char *join(struct arena *arena, const struct conf_list *list)
{
	struct buf b = buf_of(arena, 0);
	struct slice all;
	for (int i = 0; i < list->n; i++)
		buf_printf(&b, "%s%s", i ? "," : "", list->item[i]);
	return buf_finish(&b, &all, NULL) == ERR_OK ? all.ptr : NULL;
}

static enum err_code start_http(struct server *s, struct err *err)
{
	const struct options_http *o = s->config->http;
	if (is_off(o->listen))
		return ERR_OK;
	struct http_conf c = {
		.listen = o->listen,
		.listen_fd = notify_take_fd("http"),
		.io_threads = (int)o->io_threads,
		.connections_max = (int)o->connections_max,
		.body_bytes_max = o->body_max,
		.arena_bytes_max = s->config->server->request_memory,
		.header_timeout_ms = (int)(o->header_timeout / NS_PER_MS),
		.body_timeout_ms = (int)(o->body_timeout / NS_PER_MS),
		.idle_timeout_ms = (int)(o->idle_timeout / NS_PER_MS),
		.write_timeout_ms = (int)(o->write_timeout / NS_PER_MS),
		.request_timeout_ms = (int)(o->request_timeout / NS_PER_MS),
		.cors_origins = join(s->config->arena, &o->cors_origins),
		.rpc = s->rpc,
		.allow_nan = o->allow_nan,
		.allow_admin = o->allow_admin,
		.tls_timeout_ms = (int)(o->tls_timeout / NS_PER_MS),
		.on_tls_failure = on_tls_failure,
		.ctx = "http",
	};
	if (!c.cors_origins)
		return err_oom(err);
	c.tls = hand_over(&s->certs.http);
	enum err_code rc = http_start(&c, s->repo, &s->http, err);
	if (rc == ERR_OK)
		log_notice("listening on http%s://%s", *o->tls_cert ? "s" : "", http_address(s->http));
	return rc;
}

/* Until the configuration is reloaded; the options of each model stay what they are. */
static enum err_code set_models(
	void *ctx, struct model_conf *model, int n, struct arena *arena, struct err *err)
{
	struct server *s = ctx;
	struct repo_conf next;
	pthread_mutex_lock(&s->reload_lock);
	enum err_code rc = model_set_conf(&s->config->repo, model, n, arena, &next, err);
	if (rc == ERR_OK)
		rc = repo_reload(s->repo, &next, err);
	pthread_mutex_unlock(&s->reload_lock);
	return rc == ERR_OK ? model_set_await(s->repo, model, n, arena, err) : rc;
}

static enum err_code start_rpc(struct server *s, struct err *err)
{
	const struct options_grpc *o = s->config->grpc;
	if (is_off(o->listen))
		return ERR_OK;
	struct rpc_conf c = {
		.listen = o->listen,
		.listen_fd = notify_take_fd("grpc"),
		.io_threads = (int)o->io_threads,
		.connections_max = (int)o->connections_max,
		.streams_max = (int)o->streams_max,
		.calls_max = (int)o->calls_max,
		.resets_max = (int)o->resets_max,
		.message_bytes_max = o->message_max,
		.keepalive_ms = (int)(o->keepalive / NS_PER_MS),
		.keepalive_timeout_ms = (int)(o->keepalive_timeout / NS_PER_MS),
		.connection_age_ms = (int)(o->connection_age / NS_PER_MS),
		.connection_grace_ms = (int)(o->connection_grace / NS_PER_MS),
		.request_timeout_ms = (int)(o->request_timeout / NS_PER_MS),
		.message_timeout_ms = (int)(o->message_timeout / NS_PER_MS),
		.stream_timeout_ms = (int)(o->stream_timeout / NS_PER_MS),
		.write_timeout_ms = (int)(o->write_timeout / NS_PER_MS),
		.allow_admin = o->allow_admin,
		.reflection = o->reflection,
		.guard = (enum rpc_guarding)o->guard,
		.tls = hand_over(&s->certs.grpc),
		.tls_timeout_ms = (int)(o->tls_timeout / NS_PER_MS),
		.on_tls_failure = on_tls_failure,
		.ctx = "grpc",
		.tensor_content = o->tensor_content,
		.set_models = set_models,
		.models_ctx = s,
	};
	enum err_code rc = rpc_start(&c, s->repo, &s->rpc, err);
	if (rc == ERR_OK)
		log_notice("listening on grpc%s://%s", *o->tls_cert ? "s" : "", rpc_address(s->rpc));
	return rc;
}

static int left_ms(int64_t until_ns)
{
	int64_t ms = (until_ns - clock_now_ns()) / NS_PER_MS;
	return ms > INT_MAX ? INT_MAX : ms < 0 ? 0 : (int)ms;
}

/* In the opposite order of the start; whatever is there. */
static void stop_parts(struct server *s, int64_t timeout_ns)
{
	int64_t until_ns = clock_after(clock_now_ns(), timeout_ns);
	http_stop(s->http, left_ms(until_ns));
	rpc_stop(s->rpc, left_ms(until_ns));
	if (s->repo)
		repo_free(s->repo);
	learned_close(s->learned);
	if (s->pool)
		pool_free(s->pool);
	certificates_free(&s->certs);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->reload_lock);
	free(s);
}

enum err_code server_start(struct config *config, struct server **ret, struct err *err)
{
	struct server *s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	pthread_mutex_init(&s->reload_lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	s->config = config;
	log_set_level(config_log_level(config));
	request_set_limits(&(struct request_limits){
		.inflight_max = (int)config->server->inflight_max,
		.arena_bytes_max = config->server->request_memory,
	});
	/* First: what is wrong with them shows before anything listens. */
	enum err_code rc = check_listen(config, err);
	if (rc == ERR_OK)
		rc = certificates_load(config, &s->certs, err);
	if (rc == ERR_OK)
		rc = load_libraries(config, err);
	if (rc == ERR_OK)
		rc = open_device(s, err);
	if (rc == ERR_OK)
		rc = pool_new((int)config->server->threads, cpu_backend.thread_init, &s->pool, err);
	if (rc == ERR_OK)
		rc = learned_open(config->server->state_dir, &cpu_backend, &s->learned, err);
	if (rc == ERR_OK)
		rc = start_repo(s, err);
	if (rc == ERR_OK)
		rc = start_rpc(s, err);
	/* Last: who waits for this one to listen finds the other listening too. */
	if (rc == ERR_OK)
		rc = start_http(s, err);
	if (rc != ERR_OK) {
		stop_parts(s, 0);
		return rc;
	}
	*ret = s;
	return ERR_OK;
}

bool server_is_settled(struct server *s)
{
	return repo_wait_settled(s->repo, 0);
}

void server_drain_times(struct server *s, int64_t *ret_delay_ns, int64_t *ret_timeout_ns)
{
	pthread_mutex_lock(&s->lock);
	*ret_delay_ns = s->config->server->drain_delay;
	*ret_timeout_ns = s->config->server->drain_timeout;
	pthread_mutex_unlock(&s->lock);
}

void server_drain(struct server *s)
{
	if (s->http)
		http_drain(s->http);
	if (s->rpc)
		rpc_drain(s->rpc);
}

void server_stop(struct server *s, int64_t timeout_ns)
{
	struct config *config = s->config;
	stop_parts(s, timeout_ns);
	config_free(config);
}

/* -- while it runs --------------------------------------------------------------------------- */

static void use_certificates(struct server *s, struct certificates *certs)
{
	if (s->http && certs->http)
		http_set_tls(s->http, hand_over(&certs->http));
	if (s->rpc && certs->grpc)
		rpc_set_tls(s->rpc, hand_over(&certs->grpc));
	certificates_free(certs);
}

static enum err_code reload(struct server *s, struct config *next, struct err *err)
{
	struct config *old = s->config; /* only this replaces it */
	struct certificates certs = { 0 };
	TRY(conf_check_reload(old->conf, next->conf, err));
	TRY(certificates_check_reload(old, next, err));
	TRY(certificates_load(next, &certs, err));
	complete_repo_conf(s, &next->repo);
	/* First the new options: the repository may publish before repo_reload() returns. */
	pthread_mutex_lock(&s->lock);
	s->config = next;
	pthread_mutex_unlock(&s->lock);
	enum err_code rc = repo_reload(s->repo, &next->repo, err);
	if (rc != ERR_OK) {
		certificates_free(&certs);
		pthread_mutex_lock(&s->lock);
		s->config = old;
		pthread_mutex_unlock(&s->lock);
		return rc;
	}
	use_certificates(s, &certs);
	log_set_level(config_log_level(next));
	config_free(old);
	return ERR_OK;
}

enum err_code server_reload(struct server *s, struct config *next, struct err *err)
{
	pthread_mutex_lock(&s->reload_lock);
	enum err_code rc = reload(s, next, err);
	pthread_mutex_unlock(&s->reload_lock);
	return rc;
}

/* How late the repository's thread is; 0: it is not. */
static int64_t repo_late_ns(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	int64_t poll = s->config->repository->poll;
	pthread_mutex_unlock(&s->lock);
	int64_t since = clock_now_ns() - repo_last_round_ns(s->repo);
	return since > poll + REPO_LATE_NS ? since : 0;
}

/* All versions; NULL: no memory. The arena is the caller's. */
static struct version_status *list_versions(struct server *s, struct arena *arena, int *ret_n)
{
	struct version_status *all;
	if (!arena || registry_list(repo_registry(s->repo), NULL, arena, &all, ret_n, NULL) != ERR_OK)
		return NULL;
	return all;
}

void server_status(struct server *s, char *buf, size_t size)
{
	int n = 0, ready = 0, failed = 0, loading = 0;
	struct arena *arena = arena_new(4096, LIST_BYTES_MAX);
	const struct version_status *all = list_versions(s, arena, &n);
	for (int i = 0; all && i < n; i++) {
		enum version_state state = all[i].state;
		ready += state == VERSION_READY;
		failed += state == VERSION_FAILED;
		loading += state > VERSION_FOUND && state < VERSION_READY;
	}
	arena_free(arena);
	int64_t late_s = repo_late_ns(s) / NS_PER_S;
	char late[80] = "";
	if (late_s > 0)
		snprintf(late, sizeof(late), "; the repository has not been read for %lld s",
			(long long)late_s);
	snprintf(buf, size, "versions: %d ready, %d loading, %d failed%s", ready, loading, failed, late);
}

uint64_t server_progress(struct server *s)
{
	/* Without a listener nothing but the pool can stand still. */
	if (s->http)
		return http_progress(s->http);
	return s->rpc ? rpc_progress(s->rpc) : (uint64_t)clock_now_ns();
}

bool server_is_stuck(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	int64_t limit = s->config->server->stuck_after;
	pthread_mutex_unlock(&s->lock);
	return pool_is_stuck(s->pool, limit);
}

void server_dump(struct server *s)
{
	int n = 0;
	struct arena *arena = arena_new(4096, LIST_BYTES_MAX);
	const struct version_status *all = list_versions(s, arena, &n);
	log_notice("state: %d requests, %d of them in HTTP, %d in gRPC; %d batches wait for %d threads%s",
		request_inflight(), s->http ? http_in_flight(s->http) : 0,
		s->rpc ? rpc_in_flight(s->rpc) : 0, pool_queued(s->pool),
		pool_threads(s->pool), server_is_stuck(s) ? ", one of which is stuck" : "");
	for (int i = 0; all && i < n; i++)
		log_notice("state: %s/%lld is %s, %zu bytes%s%s%s%s", all[i].model, (long long)all[i].number,
			version_state_info(all[i].state)->text, all[i].memory_bytes,
			*all[i].labels ? ", labels " : "", all[i].labels, *all[i].reason ? ": " : "",
			all[i].reason);
	arena_free(arena);
}
