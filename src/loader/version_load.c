/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/pages.h"
#include "exec/infer/infer.h"
#include "exec/module.h"
#include "exec/packs.h"
#include "exec/pass/passes.h"
#include "loader/foreign.h"
#include "loader/model_read.h"
#include "loader/repo/layout.h"
#include "loader/signature_build.h"
#include "loader/warmup.h"

struct loading {
	struct version *v;
	const struct version_conf *conf;
	int dirfd;
	const char *file;
	bool compiled; /* the file's graph has been through the passes */
	struct err *err;
};

static enum err_code enter(const struct loading *l, enum version_state s)
{
	if (l->conf->cancel && atomic_load(l->conf->cancel))
		return err_set(l->err, ERR_CANCELLED, "the load was cancelled");
	if (l->conf->on_state)
		l->conf->on_state(l->conf->ctx, s);
	return ERR_OK;
}

static enum err_code read_model(struct loading *l)
{
	struct version *v = l->v;
	struct model m = { 0 };
	enum err_code rc = enter(l, VERSION_LOADING);
	if (rc == ERR_OK)
		rc = model_read(l->dirfd, l->file, l->conf, v->packs, v->arena, &m, l->err);
	if (rc != ERR_OK)
		return rc;
	v->graph = m.graph;
	v->prop = m.prop;
	v->n_prop = m.n_prop;
	v->platform = m.platform;
	l->compiled = m.compiled;
	return ERR_OK;
}

static enum err_code compile_model(struct loading *l)
{
	struct version *v = l->v;
	struct passes_opts passes = passes_opts_for(v->backend, l->conf->precision);
	const char *doubt = NULL;
	enum err_code rc = enter(l, VERSION_COMPILING);
	if (rc == ERR_OK)
		rc = graph_check(v->graph, l->err);
	if (rc == ERR_OK)
		rc = infer_model(v->graph, &doubt, l->err);
	if (doubt)
		v->warning = doubt;
	if (rc == ERR_OK)
		rc = signatures_declare(v, l->conf, l->err);
	passes.compiled = l->compiled;
	if (rc == ERR_OK)
		rc = passes_run(v->graph, &passes, l->err);
	return rc == ERR_OK ? signatures_compile(v, l->conf, l->err) : rc;
}

static size_t memory_of(const struct version *v)
{
	/* The memory of retired weights is the arena's, but it has been given back to the system,
	   or holds packed weights, which are counted already. */
	size_t bytes = sizeof(*v) + arena_held_bytes(v->arena) + packs_bytes(v->packs) -
		       packs_retired_bytes(v->packs);
	for (int i = 0; i < v->n_sig; i++) {
		struct program_stats stats;
		program_stats(v->sig[i].program, &stats);
		bytes += stats.workspace_bytes;
	}
	return bytes;
}

static enum err_code warm_model(struct loading *l)
{
	struct version *v = l->v;
	size_t most = l->conf->memory_bytes_max;
	enum err_code rc = enter(l, VERSION_WARMING);
	if (rc == ERR_OK)
		rc = warmup_run(l->dirfd, v, l->conf, l->err);
	if (rc != ERR_OK)
		return rc;
	atomic_store(&v->settled, true);
	packs_settle(v->packs);
	v->memory_bytes = memory_of(v);
	if (most && v->memory_bytes > most)
		return err_set(l->err, ERR_RESOURCE_EXHAUSTED,
			"it takes %zu bytes, %zu are left of the memory for models",
			v->memory_bytes, most);
	return ERR_OK;
}

static struct version *new_version(const struct version_conf *conf)
{
	struct version *v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	v->arena = arena_new(1 << 16, conf->memory_bytes_max);
	v->packs = packs_new();
	if (v->packs && conf->keep_weights)
		packs_keep_retired(v->packs);
	v->model = v->arena ? arena_strdup(v->arena, conf->model ? conf->model : "") : NULL;
	v->number = conf->number;
	atomic_init(&v->refs, 1);
	atomic_init(&v->state, VERSION_WARMING);
	if (!v->packs || !v->model) {
		version_free(v);
		return NULL;
	}
	return v;
}

/* Where the version runs. */
static enum err_code choose_device(struct loading *l)
{
	struct version *v = l->v;
	v->backend = l->conf->backend;
	if (!l->conf->device)
		return ERR_OK;
	enum err_code rc = backend_open(l->conf->device, &v->backend, l->err);
	if (rc != ERR_UNAVAILABLE || !l->conf->device_fallback)
		return rc;
	v->backend = backend_host(l->conf->backend);
	v->warning = arena_printf(v->arena, "it runs on the CPU: %s", l->err->msg);
	return v->warning ? ERR_OK : err_oom(l->err);
}

/* Runs a step and adds its time. */
static enum err_code timed(enum err_code (*step)(struct loading *l), struct loading *l, int64_t *ns)
{
	int64_t began_ns = clock_now_ns();
	enum err_code rc = step(l);
	*ns = clock_now_ns() - began_ns;
	return rc;
}

static enum err_code no_file(int dirfd, struct err *err)
{
	char hint[FOREIGN_HINT_MAX];
	foreign_hint(dirfd, hint);
	return err_set(err, ERR_NOT_FOUND, "there is no %s and no %s%s", layout_files[0],
		layout_files[1], hint);
}

enum err_code version_load(int dirfd, const char *file, const struct version_conf *conf,
	struct version **ret, struct err *err)
{
	struct loading l = { .v = new_version(conf), .conf = conf, .dirfd = dirfd,
		.file = file ? file : layout_find_file(dirfd), .err = err };
	if (!l.v)
		return err_oom(err);
	if (!l.file) {
		version_free(l.v);
		return no_file(dirfd, err);
	}
	pages_keep();
	enum err_code rc = choose_device(&l);
	if (rc == ERR_OK)
		rc = timed(read_model, &l, &l.v->load_ns);
	if (rc == ERR_OK)
		rc = timed(compile_model, &l, &l.v->compile_ns);
	if (rc == ERR_OK)
		rc = timed(warm_model, &l, &l.v->warm_ns);
	pages_keep_end();
	if (rc != ERR_OK) {
		version_free(l.v);
		return rc;
	}
	*ret = l.v;
	return ERR_OK;
}
