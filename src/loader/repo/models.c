/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/models.h"

#include <stdlib.h>
#include <string.h>

/* Where name is, or where it would be put. */
static int place_of(const struct models *ms, struct slice name, bool *ret_found)
{
	int low = 0, high = ms->n;
	while (low < high) {
		int mid = low + (high - low) / 2;
		struct slice other = slice_of(ms->model[mid]->name);
		int diff = memcmp(name.ptr, other.ptr, name.len < other.len ? name.len : other.len);
		if (diff == 0 && name.len == other.len) {
			*ret_found = true;
			return mid;
		}
		if (diff < 0 || (diff == 0 && name.len < other.len))
			high = mid;
		else
			low = mid + 1;
	}
	*ret_found = false;
	return low;
}

struct model *models_find(const struct models *ms, struct slice name)
{
	bool found = false;
	int i = name.len ? place_of(ms, name, &found) : 0;
	return found ? ms->model[i] : NULL;
}

enum err_code models_add(struct models *ms, const char *name, struct model **ret, struct err *err)
{
	bool found;
	int at = place_of(ms, slice_of(name), &found);
	if (ms->n == ms->cap) {
		int cap = ms->cap ? ms->cap * 2 : 16;
		struct model **grown = realloc(ms->model, (size_t)cap * sizeof(*grown));
		if (!grown)
			return err_oom(err);
		ms->model = grown;
		ms->cap = cap;
	}
	struct model *m = calloc(1, sizeof(*m));
	if (!m || !(m->name = strdup(name))) {
		free(m);
		return err_oom(err);
	}
	m->models = ms;
	model_use_conf(m);
	m->held = ms->conf->c.explicit_only;
	memmove(&ms->model[at + 1], &ms->model[at], (size_t)(ms->n - at) * sizeof(*ms->model));
	ms->model[at] = m;
	ms->n++;
	*ret = m;
	return ERR_OK;
}

void models_remove(struct models *ms, struct model *m)
{
	bool found;
	int at = place_of(ms, slice_of(m->name), &found);
	memmove(&ms->model[at], &ms->model[at + 1], (size_t)(ms->n - at - 1) * sizeof(*ms->model));
	ms->n--;
	while (m->first)
		model_remove_instance(m, m->first);
	for (int i = 0; i < m->n_label; i++)
		free((char *)m->label[i].name);
	free(m->label);
	model_file_done(&m->file);
	free(m->name);
	free(m);
}

void model_use_conf(struct model *m)
{
	m->conf = m->file.conf ? &m->file.conf->c : settings_model(m->models->conf, m->name);
	m->print = settings_print(m->conf);
}

void models_free(struct models *ms)
{
	while (ms->n)
		models_remove(ms, ms->model[ms->n - 1]);
	free(ms->model);
	settings_release(ms->conf);
	*ms = (struct models){ 0 };
}

enum err_code model_add_instance(struct model *m, const struct scan_version *v, int64_t now_ns,
	struct instance **ret, struct err *err)
{
	struct instance **at = &m->first;
	struct instance *x = calloc(1, sizeof(*x));
	char *dir = strdup(v->dir), *file = strdup(v->file ? v->file : "");
	if (!x || !dir || !file) {
		free(x);
		free(dir);
		free(file);
		return err_oom(err);
	}
	*x = (struct instance){ .model = m, .number = v->number, .dir = dir, .file = file,
		.file_only = v->file_only, .id = v->id, .stamp = v->stamp, .bytes = v->bytes,
		.stamp_since_ns = now_ns, .present = true, .state = VERSION_FOUND,
		.retry_ns = INT64_MAX };
	while (*at && (*at)->number > v->number)
		at = &(*at)->next;
	x->next = *at;
	*at = x;
	m->models->changed = true;
	*ret = x;
	return ERR_OK;
}

enum err_code instance_supersede(struct instance *x, struct err *err)
{
	struct scan_version v = { .number = x->number, .dir = x->dir, .file = x->file,
		.file_only = x->file_only, .id = x->id, .stamp = x->stamp, .bytes = x->bytes };
	struct instance *next;
	enum err_code rc = model_add_instance(x->model, &v, x->stamp_since_ns, &next, err);
	if (rc != ERR_OK)
		return rc;
	next->settled = true; /* the order says that the files are complete */
	x->present = false;
	return ERR_OK;
}

bool models_take_changed(struct models *ms)
{
	bool changed = ms->changed;
	ms->changed = false;
	return changed;
}

void model_remove_instance(struct model *m, struct instance *x)
{
	struct instance **at = &m->first;
	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	free(x->dir);
	free(x->file);
	free(x);
}

bool instance_is_loadable(const struct instance *x, int64_t now_ns)
{
	if (!x->present || !x->settled || x->dying || x->gone_since_ns ||
		x->blocked.code != ERR_OK || !model_file_holds(&x->model->file))
		return false;
	if (x->state == VERSION_FOUND || x->state == VERSION_UNLOADED)
		return true;
	return x->state == VERSION_FAILED &&
	       (x->stamp != x->tried_stamp || x->print != x->model->print || now_ns >= x->retry_ns);
}

bool instance_is_stale(const struct instance *x)
{
	return x->version && x->present && x->stamp != x->tried_stamp;
}

bool instance_is_outdated(const struct instance *x)
{
	return (x->load || x->version) && x->present && x->settled && x->print != x->model->print &&
	       model_file_holds(&x->model->file);
}

const struct instance *instance_failed_heir(const struct instance *x)
{
	for (const struct instance *y = x->model->first; y && x->version && !x->present;
		y = y->next)
		if (y->number == x->number && y->present && y->state == VERSION_FAILED &&
			scan_id_equal(&y->id, &x->id))
			return y;
	return NULL;
}
