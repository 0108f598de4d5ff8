/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What listens: HTTP and gRPC with the options of their sections.
 */
#include "server/server_state.h"

#include <config.h>
#include <grpc/support/log.h>
#include <limits.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "server/model_set.h"
#include "server/net/endpoint.h"
#include "server/notify.h"

static bool is_off(const char *listen)
{
	return strcmp(listen, "off") == 0;
}

enum err_code server_fronts_check(const struct config *config, struct err *err)
{
	if (!is_off(config->http->listen))
		TRY(endpoint_check("http", config->http->listen, err));
	return is_off(config->grpc->listen) ? ERR_OK
					    : endpoint_check("grpc", config->grpc->listen, err);
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

#ifdef HAVE_GPR_SET_LOG_FUNCTION
/* gRPC's own lines, which look like no others in the log. They are of calls, mostly. */
static void on_library_line(gpr_log_func_args *line)
{
	static struct log_limit limit;
	int suppressed;
	if (log_limit_allow(&limit, 1, &suppressed))
		log_info("grpc: %s (%d lines before it not logged)", line->message, suppressed);
}
#endif

static struct tls *hand_over(struct tls **t)
{
	struct tls *taken = *t;
	*t = NULL;
	return taken;
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
		.regions = s->regions,
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
		log_notice(
			"listening on http%s://%s", *o->tls_cert ? "s" : "", http_address(s->http));
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
		.memory_bytes_max = config_inflight_bytes(s->config),
		.keepalive_ms = (int)(o->keepalive / NS_PER_MS),
		.keepalive_timeout_ms = (int)(o->keepalive_timeout / NS_PER_MS),
		.connection_age_ms = (int)(o->connection_age / NS_PER_MS),
		.connection_grace_ms = (int)(o->connection_grace / NS_PER_MS),
		.request_timeout_ms = (int)(o->request_timeout / NS_PER_MS),
		.message_timeout_ms = (int)(o->message_timeout / NS_PER_MS),
		.stream_timeout_ms = (int)(o->stream_timeout / NS_PER_MS),
		.write_timeout_ms = (int)(o->write_timeout / NS_PER_MS),
		.regions = s->regions,
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
#ifdef HAVE_GPR_SET_LOG_FUNCTION
	gpr_set_log_function(on_library_line);
#endif
	enum err_code rc = rpc_start(&c, s->repo, &s->rpc, err);
	if (rc == ERR_OK)
		log_notice(
			"listening on grpc%s://%s", *o->tls_cert ? "s" : "", rpc_address(s->rpc));
	return rc;
}

enum err_code server_fronts_start(struct server *s, struct err *err)
{
	TRY(start_rpc(s, err));
	TRY(start_http(s, err));
	return notify_check_fds(err);
}

static int left_ms(int64_t until_ns)
{
	int64_t ms = (until_ns - clock_now_ns()) / NS_PER_MS;
	return ms > INT_MAX ? INT_MAX : ms < 0 ? 0 : (int)ms;
}

void server_fronts_stop(struct server *s, int64_t timeout_ns)
{
	int64_t until_ns = clock_after(clock_now_ns(), timeout_ns);
	if (s->repo)
		repo_stop_waiting(s->repo);
	http_stop(s->http, left_ms(until_ns));
	rpc_stop(s->rpc, left_ms(until_ns));
}

void server_fronts_set_tls(struct server *s, struct certificates *certs)
{
	if (s->http && certs->http)
		http_set_tls(s->http, hand_over(&certs->http));
	if (s->rpc && certs->grpc)
		rpc_set_tls(s->rpc, hand_over(&certs->grpc));
	certificates_free(certs);
}
