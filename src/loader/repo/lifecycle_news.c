/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wanted from now on: news of the disk, of the configuration, of callers. The moves
 * that follow are lifecycle_step()'s.
 */
#include "loader/repo/lifecycle_state.h"

#include "base/clock.h"
#include "base/log.h"
#include "loader/repo/layout.h"

#define RETRY_DOUBLINGS_MAX 6 /* a failing version is tried every 64 retry_ms at last */

/* Which failures may go away by themselves? The others wait for other files. */
static bool is_passing(enum err_code code)
{
	return code == ERR_PERMISSION_DENIED || code == ERR_RESOURCE_EXHAUSTED ||
	       code == ERR_UNAVAILABLE || code == ERR_ABORTED;
}

int64_t lifecycle_retry_at(
	const struct lifecycle *lc, const struct err *why, int failures, int64_t now_ns)
{
	int doublings = failures < RETRY_DOUBLINGS_MAX ? failures : RETRY_DOUBLINGS_MAX;
	return is_passing(why->code)
		       ? clock_after(now_ns, (lc->models.conf->c.retry_ms * NS_PER_MS) << doublings)
		       : INT64_MAX;
}

void lifecycle_take_file(struct lifecycle *lc, struct model *m, int64_t now_ns)
{
	struct model_file *f = &m->file;
	bool same = f->stamp == f->taken;
	model_file_take(f, m->name, lc->models.conf, &lc->ops.hooks);
	model_use_conf(m);
	lc->dirty = true;
	if (f->err.code != ERR_OK) {
		f->retry_ns = lifecycle_retry_at(lc, &f->err, 0, now_ns);
		log_err("model '%s': nothing of it is loaded until this is mended: %s", m->name,
			f->err.msg);
	} else if (!same) {
		log_info("model '%s': " LAYOUT_CONF " %s", m->name, f->conf ? "holds" : "has gone");
	}
}

/* -- the disk -------------------------------------------------------------------------------- */

static bool was_told(const struct lifecycle *lc, uint64_t hash)
{
	for (int i = 0; i < lc->n_told; i++)
		if (lc->told[i] == hash)
			return true;
	return false;
}

static void tell_remarks(struct lifecycle *lc, const struct scan *scan)
{
	for (int i = 0; i < scan->n_remark; i++)
		if (!was_told(lc, scan->remark[i].hash))
			log_line(scan->remark[i].serious ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE,
				"%s", scan->remark[i].text);
	lc->n_told = scan->n_remark;
	for (int i = 0; i < scan->n_remark; i++)
		lc->told[i] = scan->remark[i].hash;
	if (lc->models.keeping && !lc->keeping_told)
		log_warning("the model roots are gone or empty; what is served stays served");
	lc->keeping_told = lc->models.keeping;
}

int64_t lifecycle_saw(
	struct lifecycle *lc, const struct scan *scan, int64_t now_ns, int64_t now_wall_ms)
{
	struct err err;
	int64_t next_ns = INT64_MAX;
	int before = lc->models.n;
	if (models_observe(&lc->models, scan, now_ns, now_wall_ms, &next_ns, &err) != ERR_OK) {
		log_err("the model repository could not be looked at: %s", err.msg);
		return clock_after(now_ns, NS_PER_S);
	}
	tell_remarks(lc, scan);
	lc->dirty |= models_take_changed(&lc->models) || before != lc->models.n;
	return next_ns;
}

void lifecycle_configure(struct lifecycle *lc, struct settings *conf, int64_t now_ns)
{
	struct settings *old = lc->models.conf;
	lc->models.conf = conf;
	lc->models.new_roots = true;
	for (int i = 0; i < lc->models.n; i++) {
		struct model *m = lc->models.model[i];
		if (m->file.taken)
			lifecycle_take_file(lc, m, now_ns);
		else
			model_use_conf(m);
		if (old->c.explicit_only && !conf->c.explicit_only)
			m->held = false;
	}
	lc->dirty = true;
	settings_release(old);
}

/* -- orders ---------------------------------------------------------------------------------- */

static enum err_code find(
	struct lifecycle *lc, struct slice model, struct model **ret, struct err *err)
{
	*ret = models_find(&lc->models, model);
	if (*ret)
		return ERR_OK;
	return err_set(err, ERR_NOT_FOUND, "model '%.*s' was not found", SLICE_ARG(model));
}

enum err_code lifecycle_want_model(
	struct lifecycle *lc, struct slice model, int64_t now_ns, struct err *err)
{
	struct model *m;
	enum err_code rc = find(lc, model, &m, err);
	if (rc != ERR_OK)
		return rc;
	m->held = false;
	if (!model_file_holds(&m->file))
		lifecycle_take_file(lc, m, now_ns);
	for (struct instance *x = m->first; x && rc == ERR_OK; x = x->next) {
		if (x->state == VERSION_FAILED)
			x->retry_ns = 0;
		if (instance_is_stale(x))
			rc = instance_supersede(x, err);
	}
	return rc;
}

enum err_code lifecycle_drop_model(struct lifecycle *lc, struct slice model, struct err *err)
{
	struct model *m;
	enum err_code rc = find(lc, model, &m, err);
	if (rc == ERR_OK)
		m->held = true;
	return rc;
}
