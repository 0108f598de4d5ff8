/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/models.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

/* DESIGN: the disk is believed slowly. A version counts as complete when it was renamed in,
   when the last change of any of its files lies further back than the settle time, or
   when we have seen it unchanged for that long; it counts as removed when it has been
   missing for that long. What could not be read changes nothing, and a root that has
   lost all its models at once is taken for an unmounted disk. */

struct observer {
	struct models *ms;
	int64_t now_ns, now_wall_ms, settle_ns;
	int64_t next_ns; /* when to look again */
	struct err *err;
};

static void look_again(struct observer *o, int64_t at_ns)
{
	if (at_ns < o->next_ns)
		o->next_ns = at_ns;
}

/* ctime cannot be set, so copies that keep mtimes do not deceive; a clock that was set
   back makes it lie in the future, and then only our own watching counts. */
static bool is_quiet(const struct observer *o, int64_t changed_ms)
{
	int64_t age_ms = o->now_wall_ms - changed_ms;
	return age_ms >= 0 && age_ms >= o->settle_ns / NS_PER_MS;
}

static void settle(struct observer *o, struct instance *x, const struct scan_version *v)
{
	if (!x->settled)
		x->settled = v->moved_in || is_quiet(o, v->changed_ms) ||
			     o->now_ns - x->stamp_since_ns >= o->settle_ns;
	if (!x->settled)
		look_again(o, clock_after(x->stamp_since_ns, o->settle_ns));
}

/* Others stand where their files were. Until the new ones are complete the old ones count
   as being there, so that no third version is called in for the moment between. */
static void retire_others(struct model *m, const struct instance *x)
{
	for (struct instance *old = m->first; old; old = old->next)
		if (old != x && old->number == x->number)
			old->present = false;
}

static void see_again(struct observer *o, struct instance *x, const struct scan_version *v)
{
	x->gone_since_ns = 0;
	x->blocked = (struct err){ .code = ERR_OK };
	if (x->stamp != v->stamp) {
		x->stamp = v->stamp;
		x->bytes = v->bytes;
		x->stamp_since_ns = o->now_ns;
		x->settled = false;
	}
	settle(o, x, v);
}

static struct instance *find_present(const struct model *m, int64_t number)
{
	for (struct instance *x = m->first; x && x->number >= number; x = x->next)
		if (x->number == number && x->present)
			return x;
	return NULL;
}

/* There, but not to be read: whatever we have of it stays as it is. */
static enum err_code see_blocked(struct observer *o, struct model *m, const struct scan_version *v)
{
	struct instance *x = find_present(m, v->number);
	if (!x) {
		enum err_code rc = model_add_instance(m, v, o->now_ns, &x, o->err);
		if (rc != ERR_OK)
			return rc;
	}
	x->gone_since_ns = 0;
	err_set(&x->blocked, v->code, "%s", v->reason);
	return ERR_OK;
}

static enum err_code see_version(struct observer *o, struct model *m, const struct scan_version *v)
{
	if (v->code != ERR_OK)
		return see_blocked(o, m, v);
	struct instance *x = find_present(m, v->number);
	if (!x || !scan_id_equal(&x->id, &v->id)) {
		enum err_code rc = model_add_instance(m, v, o->now_ns, &x, o->err);
		if (rc != ERR_OK)
			return rc;
	}
	see_again(o, x, v);
	if (x->settled)
		retire_others(m, x);
	return ERR_OK;
}

/* A version that this scan has not seen. */
static void miss(struct observer *o, struct instance *x)
{
	if (!x->gone_since_ns)
		x->gone_since_ns = o->now_ns;
	if (o->now_ns - x->gone_since_ns >= o->settle_ns)
		x->present = false;
	else
		look_again(o, clock_after(x->gone_since_ns, o->settle_ns));
}

/* Or may be there: the scan cannot tell. */
static bool was_seen(const struct scan_model *s, int64_t number)
{
	if (s && number < s->lowest)
		return true;
	for (int i = 0; s && i < s->n_version; i++)
		if (s->version[i].number == number)
			return true;
	return false;
}

static void miss_others(struct observer *o, struct model *m, const struct scan_model *s)
{
	for (struct instance *x = m->first; x; x = x->next)
		if (x->present && !was_seen(s, x->number))
			miss(o, x);
}

/* Its own options. One that is being written is not looked at yet; one that is gone may be
   about to be replaced. */
static enum err_code see_file(struct observer *o, struct model *m, const struct scan_model *s)
{
	struct model_file *f = &m->file;
	if (!f->dir || strcmp(f->dir, s->dir) != 0) {
		char *dir = strdup(s->dir);
		if (!dir)
			return err_oom(o->err);
		free(f->dir);
		f->dir = dir;
	}
	f->blocked = (struct err){ .code = ERR_OK };
	if (s->conf.code != ERR_OK)
		err_set(&f->blocked, s->conf.code, "%s", s->conf.reason);
	if (f->stamp != s->conf.stamp) {
		f->stamp = s->conf.stamp;
		f->since_ns = o->now_ns;
	}
	f->settled = (f->stamp && is_quiet(o, s->conf.changed_ms)) ||
		     o->now_ns - f->since_ns >= o->settle_ns;
	if (!f->settled && f->stamp != f->taken)
		look_again(o, clock_after(f->since_ns, o->settle_ns));
	return ERR_OK;
}

static enum err_code see_model(struct observer *o, const struct scan_model *s)
{
	struct model *m = models_find(o->ms, slice_of(s->name));
	enum err_code rc = m ? ERR_OK : models_add(o->ms, s->name, &m, o->err);
	if (rc != ERR_OK)
		return rc;
	m->dropped = false;
	m->unreadable = s->unreadable;
	if (!s->unreadable)
		TRY(see_file(o, m, s));
	for (int i = 0; i < s->n_version && rc == ERR_OK; i++)
		rc = see_version(o, m, &s->version[i]);
	if (rc == ERR_OK && !s->unreadable)
		miss_others(o, m, s);
	return rc;
}

static const struct scan_model *find_seen(const struct scan *scan, const char *name)
{
	int low = 0, high = scan->n_model;
	while (low < high) {
		int mid = low + (high - low) / 2;
		int diff = strcmp(name, scan->model[mid].name);
		if (diff == 0)
			return &scan->model[mid];
		if (diff < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Models of the roots: those named by a path are in every scan, or not configured. */
static bool has_rooted(const struct models *ms)
{
	for (int i = 0; i < ms->n; i++)
		if (!ms->model[i]->conf->path && ms->model[i]->first)
			return true;
	return false;
}

static void miss_models(struct observer *o, const struct scan *scan)
{
	struct models *ms = o->ms;
	const char *const *roots = ms->conf->c.roots;
	bool suspicious = scan->incomplete || (scan->n_root_models == 0 && !ms->new_roots);
	ms->keeping = roots && roots[0] && suspicious && has_rooted(ms);
	ms->new_roots &= scan->incomplete;
	for (int i = 0; i < ms->n; i++) {
		struct model *m = ms->model[i];
		if (find_seen(scan, m->name) || (ms->keeping && !m->conf->path))
			continue;
		miss_others(o, m, NULL);
		m->dropped = true;
	}
}

enum err_code models_observe(struct models *ms, const struct scan *scan, int64_t now_ns,
	int64_t now_wall_ms, int64_t *ret_next_ns, struct err *err)
{
	struct observer o = { .ms = ms,
		.now_ns = now_ns,
		.now_wall_ms = now_wall_ms,
		.settle_ns = ms->conf->c.settle_ms * NS_PER_MS,
		.next_ns = *ret_next_ns,
		.err = err };
	for (int i = 0; i < scan->n_model; i++) {
		enum err_code rc = see_model(&o, &scan->model[i]);
		if (rc != ERR_OK)
			return rc;
	}
	miss_models(&o, scan);
	ms->observed = true;
	*ret_next_ns = o.next_ns;
	return ERR_OK;
}
