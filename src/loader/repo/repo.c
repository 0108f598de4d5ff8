/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/repo.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/huge.h"
#include "base/lent.h"
#include "base/priority.h"
#include "exec/module.h"
#include "loader/repo/lifecycle.h"
#include "loader/repo/load.h"
#include "loader/repo/reaper.h"
#include "loader/repo/rescan.h"

/* DESIGN: one thread goes round: scan if it is time, make moves, answer who waits, sleep
   until the inbox, inotify or a deadline wakes it. Everything else posts to its inbox.
   A hung file system hangs this thread and nothing else: requests go on with what is
   published, and repo_last_round_ns() shows it. */

/* What an API thread asks for; on its stack, it waits for `answered`. */
enum order_kind { ORDER_LOAD, ORDER_UNLOAD, ORDER_RELOAD, ORDER_STOP };

struct order {
	struct inbox_item item;
	struct order *next;
	enum order_kind kind;
	struct slice model;
	struct settings *conf; /* ORDER_RELOAD */
	bool begun;
	bool answered; /* under repo->lock */
	struct err err;
};

struct repo {
	struct registry *registry;
	struct inbox inbox;
	struct jobs *loads;
	struct reaper *reaper;
	struct lifecycle *lc;
	pthread_t thread;
	bool running;

	/* The thread's own. */
	struct order *orders; /* not answered yet */
	struct rescan rescan;
	bool stop;

	atomic_llong last_round_ns;
	atomic_bool ready;
	atomic_bool closing; /* nobody waits for an order any more */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* CLOCK_MONOTONIC */
	bool settled;           /* under lock */
};

/* -- what comes back from other threads ------------------------------------------------------ */

#define OUTER(item, type, field) ((type *)((char *)(item) - offsetof(type, field)))

static void take_loaded(void *ctx, struct inbox_item *item)
{
	struct repo *r = ctx;
	lifecycle_loaded(r->lc, OUTER(item, struct load, done), clock_now_ns());
}

static void take_gone(void *ctx, struct inbox_item *item)
{
	struct repo *r = ctx;
	lifecycle_gone(r->lc, OUTER(item, struct instance, gone));
}

static void take_order(void *ctx, struct inbox_item *item)
{
	struct repo *r = ctx;
	struct order *o = OUTER(item, struct order, item);
	o->next = r->orders;
	r->orders = o;
	rescan_now(&r->rescan); /* an order is about what is on disk now */
}

/* On a loading thread. */
static void run_load(void *ctx)
{
	struct load *l = ctx;
	load_run(l);
	inbox_post(l->inbox, &l->done);
	lent_settle();
	huge_collapse(); /* while the version serves already */
}

static void on_load(void *ctx, struct load *l)
{
	struct repo *r = ctx;
	l->done.take = take_loaded;
	l->job = (struct job){ .run = run_load, .ctx = l };
	jobs_submit(r->loads, &l->job);
}

static void on_adopt(void *ctx, struct version *v, struct instance *x)
{
	struct repo *r = ctx;
	x->gone.take = take_gone;
	reaper_adopt(r->reaper, v, &x->gone);
}

/* -- orders ---------------------------------------------------------------------------------- */

static void begin_order(struct repo *r, struct order *o)
{
	o->begun = true;
	switch (o->kind) {
	case ORDER_LOAD:
		o->err.code = lifecycle_want_model(r->lc, o->model, clock_now_ns(), &o->err);
		break;
	case ORDER_UNLOAD:
		o->err.code = lifecycle_drop_model(r->lc, o->model, &o->err);
		break;
	case ORDER_RELOAD:
		lifecycle_configure(r->lc, o->conf, clock_now_ns());
		rescan_now(&r->rescan);
		break;
	case ORDER_STOP:
		lifecycle_drop_all(r->lc);
		break;
	}
}

static bool is_given_up(struct repo *r, struct order *o)
{
	if (!atomic_load(&r->closing))
		return false;
	err_set(&o->err, ERR_UNAVAILABLE, "the server is shutting down");
	return true;
}

/* What was ordered last holds: an earlier order the other way would wait for ever. */
static bool is_overruled(const struct models *ms, struct order *o)
{
	bool load = o->kind == ORDER_LOAD;
	if (models_is_held(ms, o->model) != load)
		return false;
	err_set(&o->err, ERR_ABORTED, "model '%.*s' was ordered to be %s meanwhile",
		SLICE_ARG(o->model), load ? "unloaded" : "loaded");
	return true;
}

static bool is_done(struct repo *r, struct order *o)
{
	const struct models *ms = lifecycle_models(r->lc);
	if (o->err.code != ERR_OK)
		return true;
	switch (o->kind) {
	case ORDER_LOAD:
		return is_overruled(ms, o) || models_is_settled(ms, o->model, &o->err) ||
		       is_given_up(r, o);
	case ORDER_UNLOAD:
		return models_is_gone(ms, o->model) || is_overruled(ms, o) || is_given_up(r, o);
	case ORDER_STOP:
		return r->stop = models_all_gone(ms);
	case ORDER_RELOAD:
		break;
	}
	return true;
}

static void begin_orders(struct repo *r)
{
	for (struct order *o = r->orders; o; o = o->next)
		if (!o->begun)
			begin_order(r, o);
}

static void answer_orders(struct repo *r)
{
	for (struct order **at = &r->orders; *at;) {
		struct order *o = *at;
		if (!o->begun || !is_done(r, o)) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		pthread_mutex_lock(&r->lock);
		o->answered = true; /* and it may be gone */
		pthread_cond_broadcast(&r->changed);
		pthread_mutex_unlock(&r->lock);
	}
}

static void give_order(struct repo *r, struct order *o)
{
	o->item.take = take_order;
	inbox_post(&r->inbox, &o->item);
	pthread_mutex_lock(&r->lock);
	while (!o->answered)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

/* -- the thread ------------------------------------------------------------------------------ */

static void show(struct repo *r)
{
	const struct models *ms = lifecycle_models(r->lc);
	bool settled = models_all_settled(ms);
	atomic_store(&r->ready, models_are_ready(ms, atomic_load(&r->ready)));
	pthread_mutex_lock(&r->lock);
	if (settled != r->settled)
		pthread_cond_broadcast(&r->changed);
	r->settled = settled;
	pthread_mutex_unlock(&r->lock);
}

static void *run(void *arg)
{
	struct repo *r = arg;
	pthread_setname_np(pthread_self(), "repo");
	while (!r->stop) {
		int64_t now_ns = clock_now_ns();
		atomic_store(&r->last_round_ns, now_ns);
		rescan_if_due(&r->rescan, now_ns);
		begin_orders(r);
		int64_t step_ns = lifecycle_step(r->lc, now_ns);
		show(r);
		answer_orders(r);
		if (!r->stop)
			rescan_sleep(&r->rescan, r->inbox.fd, step_ns);
		inbox_take(&r->inbox, r);
	}
	return NULL;
}

/* -- the public face ------------------------------------------------------------------------- */

static enum err_code start(
	struct repo *r, struct settings *conf, const struct repo_hooks *hooks, struct err *err)
{
	struct lifecycle_ops ops = { .load = on_load, .adopt = on_adopt, .ctx = r };
	struct reaper_conf rc_conf = { .inbox = &r->inbox };
	const struct jobs_conf loads = { .name = "load", .threads = conf->c.load_threads,
		.on_start = priority_low };
	if (hooks) {
		ops.hooks = *hooks;
		rc_conf.on_unload = hooks->on_unload;
		rc_conf.ctx = hooks->ctx;
	}
	enum err_code rc = lifecycle_new(r->registry, &r->inbox, &ops, conf, &r->lc, err);
	if (rc != ERR_OK) {
		settings_release(conf);
		return rc;
	}
	rc = reaper_new(&rc_conf, &r->reaper, err);
	if (rc == ERR_OK)
		rc = jobs_new(&loads, &r->loads, err);
	if (rc == ERR_OK)
		rc = rescan_init(&r->rescan, r->lc, err);
	if (rc == ERR_OK && pthread_create(&r->thread, NULL, run, r) != 0)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"the repository's thread could not be started");
	r->running = rc == ERR_OK;
	return rc;
}

enum err_code repo_new(const struct repo_conf *c, const struct repo_hooks *hooks, struct repo **ret,
	struct err *err)
{
	struct repo *r = calloc(1, sizeof(*r));
	struct settings *conf = NULL;
	pthread_condattr_t attr;
	if (!r)
		return err_oom(err);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&r->lock, NULL);
	atomic_init(&r->last_round_ns, clock_now_ns());
	r->inbox.fd = -1;
	(void)lent_watch(); /* from here, for loading threads are slow; without it files are read */
	enum err_code rc = inbox_init(&r->inbox, err);
	if (rc == ERR_OK)
		rc = registry_new(&r->registry, err);
	if (rc == ERR_OK)
		rc = settings_new(c, &conf, err);
	if (rc == ERR_OK)
		rc = start(r, conf, hooks, err);
	if (rc != ERR_OK) {
		repo_free(r);
		return rc;
	}
	*ret = r;
	return ERR_OK;
}

void repo_free(struct repo *r)
{
	if (!r)
		return;
	if (r->running) {
		struct order o = { .kind = ORDER_STOP };
		give_order(r, &o);
		pthread_join(r->thread, NULL);
	}
	jobs_free(r->loads);
	reaper_free(r->reaper);
	lifecycle_free(r->lc);
	rescan_done(&r->rescan);
	registry_free(r->registry);
	inbox_done(&r->inbox);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct registry *repo_registry(struct repo *r)
{
	return r->registry;
}

enum err_code repo_reload(struct repo *r, const struct repo_conf *c, struct err *err)
{
	struct order o = { .kind = ORDER_RELOAD };
	enum err_code rc = settings_new(c, &o.conf, err);
	if (rc == ERR_OK)
		give_order(r, &o);
	return rc;
}

bool repo_wait_settled(struct repo *r, int timeout_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = until.tv_nsec + timeout_ms % 1000 * NS_PER_MS;
	until.tv_sec += timeout_ms / 1000 + ns / NS_PER_S;
	until.tv_nsec = ns % NS_PER_S;
	pthread_mutex_lock(&r->lock);
	while (!r->settled) {
		if (timeout_ms < 0)
			pthread_cond_wait(&r->changed, &r->lock);
		else if (pthread_cond_timedwait(&r->changed, &r->lock, &until) == ETIMEDOUT)
			break;
	}
	bool settled = r->settled;
	pthread_mutex_unlock(&r->lock);
	return settled;
}

bool repo_is_ready(struct repo *r)
{
	return atomic_load(&r->ready) && !backend_any_sick();
}

enum err_code repo_load(struct repo *r, struct slice model, struct err *err)
{
	struct order o = { .kind = ORDER_LOAD, .model = model };
	give_order(r, &o);
	return err_copy(err, &o.err);
}

enum err_code repo_unload(struct repo *r, struct slice model, struct err *err)
{
	struct order o = { .kind = ORDER_UNLOAD, .model = model };
	give_order(r, &o);
	return err_copy(err, &o.err);
}

void repo_stop_waiting(struct repo *r)
{
	atomic_store(&r->closing, true);
	inbox_wake(&r->inbox);
}

int64_t repo_last_round_ns(struct repo *r)
{
	return atomic_load(&r->last_round_ns);
}
