/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INVARIANTS
 *
 * 1. x->state moves by move_silently() alone, along version_may_move(); what could not be
 *    published is moved back before anybody has seen it.
 * 2. x->version is set exactly while x is READY.
 * 3. x->load is set exactly while x is LOADING, COMPILING or WARMING.
 * 4. What the registry shows is what the models say, except while `dirty`.
 */
#include "loader/repo/lifecycle_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"

enum err_code lifecycle_new(struct registry *r, struct inbox *inbox,
	const struct lifecycle_ops *ops, struct settings *conf, struct lifecycle **ret,
	struct err *err)
{
	struct lifecycle *lc = calloc(1, sizeof(*lc));
	uint64_t *told = calloc(SCAN_REMARKS_MAX, sizeof(*told));
	if (!lc || !told) {
		free(lc);
		free(told);
		return err_oom(err);
	}
	*lc = (struct lifecycle){ .registry = r, .inbox = inbox, .ops = *ops, .told = told };
	lc->models.conf = conf;
	*ret = lc;
	return ERR_OK;
}

void lifecycle_free(struct lifecycle *lc)
{
	if (!lc)
		return;
	models_free(&lc->models);
	free(lc->told);
	free(lc);
}

void lifecycle_warn(struct lifecycle *lc, const char *what)
{
	(void)lc;
	log_warning("%s", what);
}

/* -- moves ----------------------------------------------------------------------------------- */

static void tell(struct lifecycle *lc, struct instance *x)
{
	const struct repo_hooks *h = &lc->ops.hooks;
	if (h->on_state)
		h->on_state(h->ctx, x->model->name, x->number, x->state,
			x->state == VERSION_FAILED ? &x->why : NULL);
}

static void move_silently(struct lifecycle *lc, struct instance *x, enum version_state to)
{
	assert(version_may_move(x->state, to)); /* (1) */
	x->state = to;
	x->since_ms = clock_wall_ms();
	lc->dirty = true;
}

static void move(struct lifecycle *lc, struct instance *x, enum version_state to)
{
	move_silently(lc, x, to);
	if (to == VERSION_FAILED)
		log_err(LOG_MODEL "failed: %s", WHO(x), x->why.msg);
	else
		log_info(LOG_MODEL "%s", WHO(x), version_state_info(to)->text);
	tell(lc, x);
}

static void fail(struct lifecycle *lc, struct instance *x, const struct err *why, int64_t now_ns)
{
	x->why = *why;
	x->retry_ns = lifecycle_retry_at(lc, why, x->failures++, now_ns);
	move(lc, x, VERSION_FAILED);
}

static bool publish(struct lifecycle *lc)
{
	struct err err;
	if (!lc->dirty)
		return true;
	if (models_publish(&lc->models, lc->registry, &err) != ERR_OK) {
		log_err("the registry could not be brought up to date, will be tried again: %s",
			err.msg);
		return false;
	}
	lc->dirty = false;
	return true;
}

/* -- loading --------------------------------------------------------------------------------- */

static void begin_load(struct lifecycle *lc, struct instance *x, int64_t now_ns)
{
	struct load *l = load_new(x, lc->models.conf, models_memory_left(&lc->models), lc->inbox);
	x->tried_stamp = x->stamp;
	x->print = x->model->print;
	move(lc, x, VERSION_LOADING);
	if (!l) {
		struct err err;
		err_oom(&err);
		fail(lc, x, &err, now_ns);
		return;
	}
	x->load = l;
	lc->ops.load(lc->ops.ctx, l);
}

/* Catches up with how far the load has come, a step at a time. */
static void follow(struct lifecycle *lc, struct instance *x)
{
	enum version_state to =
		x->load ? (enum version_state)atomic_load(&x->load->progress) : x->state;
	while (policy_is_loading(x->state) && x->state < to && to <= VERSION_WARMING)
		move(lc, x, (enum version_state)(x->state + 1));
}

/* Does the new version break callers of the one that answers now? Going back to an older
   one is the operator's wish and is not judged. */
static enum err_code check_callers(
	const struct instance *x, const struct version *v, struct err *err)
{
	const struct instance *now = model_best_ready(x->model);
	const char *policy = x->model->conf->on_break ? x->model->conf->on_break : "warn";
	char why[300];
	if (!now || now->number > x->number || strcmp(policy, "publish") == 0)
		return ERR_OK;
	for (int i = 0; i < now->version->n_sig; i++) {
		const struct signature *old = &now->version->sig[i];
		const struct signature *new = version_signature(v, slice_of(old->name));
		const char *broken =
			new ? signature_break(old, new, why, sizeof(why)) : "it is gone";
		if (!broken)
			continue;
		if (strcmp(policy, "refuse") == 0)
			return err_set(err, ERR_FAILED_PRECONDITION,
				"signature '%s' would break callers of version %lld: %s", old->name,
				(long long)now->number, broken);
		log_warning(LOG_MODEL "signature '%s' breaks callers of version %lld: %s", WHO(x),
			old->name, (long long)now->number, broken);
	}
	return ERR_OK;
}

static void log_ready(const struct instance *x, const struct version *v)
{
	log_notice(LOG_MODEL "ready; read in %lld ms, compiled in %lld ms, warmed up in %lld ms, "
		   "%zu KiB", WHO(x), (long long)(v->load_ns / NS_PER_MS),
		(long long)(v->compile_ns / NS_PER_MS), (long long)(v->warm_ns / NS_PER_MS),
		v->memory_bytes / 1024);
	if (v->warning)
		log_warning(LOG_MODEL "%s", WHO(x), v->warning);
	for (int i = 0; i < v->n_sig; i++)
		if (!v->sig[i].batchable)
			log_warning(LOG_MODEL "signature '%s' is served unbatched: %s", WHO(x),
				v->sig[i].name, v->sig[i].why_not_batchable);
}

/* Takes the reference on v in any case. From the registry's first look on it is served. */
static void make_ready(struct lifecycle *lc, struct load *l, int64_t now_ns)
{
	struct instance *x = l->instance;
	struct version *v = l->version;
	const struct repo_hooks *h = &lc->ops.hooks;
	struct err err = { .code = ERR_OK };
	enum err_code rc = check_callers(x, v, &err);
	lc->ops.adopt(lc->ops.ctx, v, x);
	if (rc == ERR_OK && h->on_publish)
		rc = h->on_publish(h->ctx, v, l->options, &err);
	if (rc == ERR_OK) {
		x->version = v;
		x->memory_bytes = v->memory_bytes;
		atomic_store(&v->state, VERSION_READY);
		move_silently(lc, x, VERSION_READY);
		if (publish(lc)) {
			x->failures = 0;
			x->model->served = true;
			log_ready(x, v);
			tell(lc, x);
			return;
		}
		/* Back out: nobody has seen it. */
		x->version = NULL;
		x->memory_bytes = 0;
		x->state = VERSION_WARMING;
		err_oom(&err);
	}
	x->dying = true;
	fail(lc, x, &err, now_ns);
	version_release(v);
}

void lifecycle_loaded(struct lifecycle *lc, struct load *l, int64_t now_ns)
{
	struct instance *x = l->instance;
	bool unwanted = !x->present || x->model->held || lc->stopping;
	follow(lc, x);
	x->load = NULL;
	if (l->err.code == ERR_OK && !unwanted) {
		while (x->state < VERSION_WARMING)
			move(lc, x, (enum version_state)(x->state + 1));
		make_ready(lc, l, now_ns);
	} else if (l->err.code == ERR_OK) {
		version_free(l->version);
		move(lc, x, VERSION_UNLOADED);
	} else if (l->err.code == ERR_CANCELLED) {
		move(lc, x, VERSION_UNLOADED);
	} else {
		fail(lc, x, &l->err, now_ns);
	}
	load_free(l);
}

/* -- draining -------------------------------------------------------------------------------- */

/* false: could not be done now. */
static bool begin_drain(struct lifecycle *lc, struct instance *x)
{
	struct version *v = x->version;
	const struct repo_hooks *h = &lc->ops.hooks;
	x->version = NULL;
	move_silently(lc, x, VERSION_DRAINING);
	(void)model_update_labels(x->model); /* in the same snapshot: none leads to it any more */
	if (!publish(lc)) {
		x->version = v;
		x->state = VERSION_READY;
		return false;
	}
	log_info(LOG_MODEL "draining", WHO(x));
	tell(lc, x);
	atomic_store(&v->state, VERSION_DRAINING);
	if (h->on_drain)
		h->on_drain(h->ctx, v);
	x->dying = true;
	version_release(v);
	return true;
}

void lifecycle_gone(struct lifecycle *lc, struct instance *x)
{
	x->dying = false;
	if (x->state != VERSION_DRAINING)
		return;
	x->memory_bytes = 0;
	move(lc, x, VERSION_UNLOADED);
}

/* -- deciding -------------------------------------------------------------------------------- */

/* false: it could not be done and has to be tried again. */
static bool act(struct lifecycle *lc, const struct wish *w, int64_t now_ns)
{
	switch (w->act) {
	case POLICY_LOAD:
		w->x->waiting = models_has_to_wait(&lc->models);
		if (w->x->waiting) /* the other's end brings the next step */
			return false;
		begin_load(lc, w->x, now_ns);
		return true;
	case POLICY_CANCEL:
		atomic_store(&w->x->load->cancel, true);
		return true;
	case POLICY_DRAIN:
		return begin_drain(lc, w->x);
	case POLICY_FORGET:
		if (w->x->dying) /* the reaper has it still; it will be back */
			return false;
		lc->dirty = true;
		model_remove_instance(w->x->model, w->x);
		return true;
	case POLICY_NOTHING:
		break;
	}
	return false;
}

/* What changes on disk or of the options mean for one instance. */
static void step_instance(struct lifecycle *lc, struct instance *x, int64_t now_ns)
{
	const struct model_file *f = &x->model->file;
	struct err err;
	x->waiting = false;
	if (x->state == VERSION_FOUND && x->blocked.code != ERR_OK)
		fail(lc, x, &x->blocked, now_ns);
	/* The file is for all versions: the newest one fails, and tells why. */
	if (x->state == VERSION_FOUND && x == x->model->first && !x->model->held &&
		f->err.code != ERR_OK)
		fail(lc, x, &f->err, now_ns);
	if (instance_is_stale(x) && x->told_stamp != x->stamp) {
		x->told_stamp = x->stamp;
		log_warning(LOG_MODEL
			"its files were changed in place; it is served as it was "
			"loaded. Rename new ones in, or order a load",
			WHO(x));
	}
	if (!instance_is_outdated(x))
		return;
	if (x->load)
		atomic_store(&x->load->cancel, true); /* and again from the start */
	else if (instance_supersede(x, &err) == ERR_OK)
		log_info(LOG_MODEL "its options have changed, it is loaded again", WHO(x));
	else /* it is tried again in the next round */
		log_err(LOG_MODEL "its options have changed: %s", WHO(x), err.msg);
}

static void step_model(struct lifecycle *lc, struct model *m, int64_t now_ns)
{
	struct wish w;
	if (model_file_is_due(&m->file, now_ns))
		lifecycle_take_file(lc, m, now_ns);
	for (struct instance *x = m->first; x; x = x->next) {
		follow(lc, x);
		step_instance(lc, x, now_ns);
	}
	do {
		w = model_next(m, !m->held && !lc->stopping, now_ns);
		lc->dirty |= w.news;
	} while (act(lc, &w, now_ns));
	if (model_update_labels(m))
		lc->dirty = true;
}

int64_t lifecycle_step(struct lifecycle *lc, int64_t now_ns)
{
	for (int i = lc->models.n - 1; i >= 0; i--) {
		struct model *m = lc->models.model[i];
		step_model(lc, m, now_ns);
		if (m->dropped && !m->first) {
			models_remove(&lc->models, m);
			lc->dirty = true;
		}
	}
	if (!publish(lc))
		return clock_after(now_ns, NS_PER_S);
	return models_next_retry(&lc->models, now_ns);
}

void lifecycle_drop_all(struct lifecycle *lc)
{
	lc->stopping = true;
}

const struct models *lifecycle_models(const struct lifecycle *lc)
{
	return &lc->models;
}
