/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/pages.h"
#include "exec/module.h"
#include "exec/op_library.h"
#include "server/request.h"

#define TIDY_INTERVAL_NS (5 * NS_PER_S)

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

/* It may be mounted later, so it is no error. */
static void warn_of_missing_paths(const struct config *config)
{
	for (const char *const *root = config->repo.roots; *root; root++) {
		DIR *dir = file_open_dir(AT_FDCWD, *root, 0);
		if (!dir)
			log_warning("model root %s: %s", *root, strerror(errno));
		else
			closedir(dir);
	}
	for (int i = 0; i < config->repo.n_models; i++) {
		const struct model_conf *m = &config->repo.models[i];
		if (m->path && access(m->path, R_OK) != 0)
			log_warning(
				"model '%s': its path %s: %s", m->name, m->path, strerror(errno));
	}
}

enum err_code server_check(const struct config *config, struct err_all *all, struct err *err)
{
	struct certificates certs = { 0 };
	TRY_ALL(all, err, server_fronts_check(config, err));
	TRY_ALL(all, err, load_libraries(config, err));
	TRY_ALL(all, err, certificates_load(config, &certs, err));
	certificates_free(&certs);
	warn_of_missing_paths(config);
	return err_all_end(all, err);
}

/* -- start and stop -------------------------------------------------------------------------- */

static void log_device(void *ctx, const char *device, const struct backend *b)
{
	(void)ctx;
	struct device_gauges g;
	b->device->gauges(b, &g);
	log_notice("device %s is %s, %.1f GiB", device, g.name, g.memory_total / ((size_t)1 << 30));
	if (b->without)
		log_warning("device %s: %s", device, b->without);
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
	log_warning("[server] device = %s: %s; models run on the CPU, as device_fallback says",
		o->device, err->msg);
	s->backend = &cpu_backend;
	return ERR_OK;
}

static enum err_code open_regions(struct server *s, struct err *err)
{
	if (!s->config->server->shared_memory)
		return ERR_OK;
	if (regions_new("/dev/shm", &s->regions, err) != ERR_OK)
		return err_prefix(err, "[server] shared_memory");
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
	const struct repo_hooks hooks = server_hooks(s);
	complete_repo_conf(s, &s->config->repo);
	return repo_new(&s->config->repo, &hooks, &s->repo, err);
}

/* What is there beside the fronts, in the opposite order of the start. */
static void free_parts(struct server *s)
{
	if (s->repo)
		repo_free(s->repo);
	learned_close(s->learned);
	regions_free(s->regions);
	if (s->pool)
		pool_free(s->pool);
	certificates_free(&s->certs);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->reload_lock);
	free(s);
}

static enum err_code start_parts(struct server *s, struct err *err)
{
	const struct options_server *o = s->config->server;
	/* First: what is wrong with them shows before anything listens. */
	TRY(server_fronts_check(s->config, err));
	TRY(certificates_load(s->config, &s->certs, err));
	TRY(load_libraries(s->config, err));
	TRY(open_device(s, err));
	TRY(open_regions(s, err));
	TRY(pool_new((int)o->threads, cpu_backend.thread_init, &s->pool, err));
	TRY(learned_open(o->state_dir, &cpu_backend, &s->learned, err));
	TRY(start_repo(s, err));
	return server_fronts_start(s, err);
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
		.room_bytes_max = config_inflight_bytes(config),
	});
	enum err_code rc = start_parts(s, err);
	if (rc != ERR_OK) {
		server_close(s, 0);
		free_parts(s);
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

void server_tidy(struct server *s)
{
	int64_t now = clock_now_ns();
	if (now - s->tidied_ns < TIDY_INTERVAL_NS)
		return;
	s->tidied_ns = now;
	bool any = request_tidy();
	if (s->http)
		any |= http_tidy(s->http);
	if (any)
		pages_trim();
}

void server_drain(struct server *s)
{
	if (s->http)
		http_drain(s->http);
	if (s->rpc)
		rpc_drain(s->rpc);
}

void server_close(struct server *s, int64_t timeout_ns)
{
	server_fronts_stop(s, timeout_ns);
}

void server_free(struct server *s)
{
	struct config *config = s->config;
	free_parts(s);
	config_free(config);
}

/* -- while it runs --------------------------------------------------------------------------- */

static void use_config(struct server *s, struct config *config)
{
	pthread_mutex_lock(&s->lock);
	s->config = config;
	pthread_mutex_unlock(&s->lock);
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
	use_config(s, next);
	enum err_code rc = repo_reload(s->repo, &next->repo, err);
	if (rc != ERR_OK) {
		certificates_free(&certs);
		use_config(s, old);
		return rc;
	}
	server_fronts_set_tls(s, &certs);
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
