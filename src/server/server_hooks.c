/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the repository calls: a version that is published gets its batchers and its numbers.
 */
#include "server/server_state.h"

#include "base/clock.h"
#include "base/log.h"
#include "exec/run/program.h"
#include "loader/repo/layout.h"
#include "server/batch/batcher.h"
#include "server/stats.h"

static void detach(struct version *v)
{
	for (int i = 0; i < v->n_sig; i++) {
		batcher_free(v->sig[i].queue);
		v->sig[i].queue = NULL;
	}
	stats_detach(v);
}

static enum err_code on_configure(void *ctx, const char *model, struct slice text,
	struct arena *arena, struct model_conf *ret, struct err *err)
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
		log_warning(
			"what was learned of kernels could not be saved in state_dir: %s", err.msg);
}

static enum err_code on_publish(
	void *ctx, struct version *v, const struct model_conf *conf, struct err *err)
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
		.pool = s->pool,
		.observer = stats_observer(v),
	};
	for (int i = 0; i < v->n_sig; i++) {
		struct batcher *b;
		c.max_batch = v->sig[i].max_batch;
		c.max_running = conf->batches_max > 0 ? conf->batches_max
						      : program_runs_at_once(v->sig[i].program);
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

struct repo_hooks server_hooks(struct server *s)
{
	return (struct repo_hooks){ .on_configure = on_configure, .on_publish = on_publish,
		.on_unload = on_unload, .on_state = on_state, .ctx = s };
}
