/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/models.h"

#define VERSIONS_LOOKED_AT 64 /* how far down the policy may go past those that fail */

struct instance *model_best_ready(const struct model *m)
{
	for (struct instance *x = m->first; x; x = x->next)
		if (x->version)
			return x;
	return NULL;
}

static bool is_pending(const struct model *m)
{
	if (m->file.stamp != m->file.taken)
		return true;
	for (const struct instance *x = m->first; x; x = x->next)
		if (x->load || x->waiting ||
			(x->present && x->state == VERSION_FOUND && !x->settled))
			return true;
	return false;
}

bool models_is_settled(const struct models *ms, struct slice model, struct err *ret)
{
	const struct model *m = models_find(ms, model);
	*ret = (struct err){ .code = ERR_OK };
	if (m && is_pending(m))
		return false;
	if (!m || !m->first)
		err_set(ret, ERR_NOT_FOUND, "model '%.*s' has no version that can be loaded",
			SLICE_ARG(model));
	else if (m->file.err.code != ERR_OK)
		err_copy(ret, &m->file.err);
	else if (m->first->state == VERSION_FAILED)
		err_copy(ret, &m->first->why);
	return true;
}

bool models_is_held(const struct models *ms, struct slice model)
{
	const struct model *m = models_find(ms, model);
	return m && m->held;
}

static bool is_gone(const struct model *m)
{
	for (const struct instance *x = m->first; x; x = x->next)
		if (x->load || x->version || x->dying)
			return false;
	return true;
}

bool models_is_gone(const struct models *ms, struct slice model)
{
	const struct model *m = models_find(ms, model);
	return !m || is_gone(m);
}

bool models_all_settled(const struct models *ms)
{
	for (int i = 0; i < ms->n; i++)
		if (!ms->model[i]->held && is_pending(ms->model[i]))
			return false;
	return ms->observed;
}

bool models_all_gone(const struct models *ms)
{
	for (int i = 0; i < ms->n; i++)
		if (!is_gone(ms->model[i]))
			return false;
	return true;
}

static bool is_wanted(const struct model *m)
{
	return !m->held && m->first;
}

static bool all_ready(const struct models *ms, bool strict)
{
	for (int i = 0; i < ms->n; i++) {
		const struct model *m = ms->model[i];
		if (is_wanted(m) && (strict || m->served) && !model_best_ready(m))
			return false;
	}
	return true;
}

static bool any_ready(const struct models *ms)
{
	bool none_wanted = true;
	for (int i = 0; i < ms->n; i++) {
		const struct model *m = ms->model[i];
		if (is_wanted(m) && model_best_ready(m))
			return true;
		none_wanted &= !is_wanted(m);
	}
	return none_wanted;
}

bool models_are_ready(const struct models *ms, bool were)
{
	switch (ms->conf->c.readiness) {
	case READINESS_NONE:
		return true;
	case READINESS_ANY:
		return (were || models_all_settled(ms)) && any_ready(ms);
	case READINESS_ALL:
		break;
	}
	return ms->observed && all_ready(ms, !were);
}

size_t models_memory_left(const struct models *ms)
{
	size_t most = ms->conf->c.memory_bytes_max, used = 0;
	for (int i = 0; i < ms->n; i++)
		for (const struct instance *x = ms->model[i]->first; x; x = x->next)
			used += x->memory_bytes;
	if (!most)
		return 0;
	return used < most ? most - used : 1;
}

/* What a load takes is known at its end, so under a limit they take turns: each gets all
   that the ones before it have left. */
bool models_has_to_wait(const struct models *ms)
{
	for (int i = 0; i < ms->n && ms->conf->c.memory_bytes_max; i++)
		for (const struct instance *x = ms->model[i]->first; x; x = x->next)
			if (x->load)
				return true;
	return false;
}

int64_t models_next_retry(const struct models *ms, int64_t now_ns)
{
	int64_t at = INT64_MAX;
	for (int i = 0; i < ms->n; i++) {
		const struct model *m = ms->model[i];
		if (m->file.err.code != ERR_OK && m->file.retry_ns < at)
			at = m->file.retry_ns;
		for (const struct instance *x = m->first; x; x = x->next)
			if (x->state == VERSION_FAILED && x->present && x->retry_ns < at &&
				x->retry_ns > now_ns)
				at = x->retry_ns;
	}
	return at;
}

bool models_want_version(const struct models *ms, const char *model, int64_t number, int rank)
{
	const struct model *m = models_find(ms, slice_of(model));
	const struct model_conf *c = m ? m->conf : settings_model(ms->conf, model);
	if (c->policy == POLICY_ALL || rank < VERSIONS_LOOKED_AT || rank < 2 * (int64_t)c->latest_n)
		return true;
	for (int i = 0; i < c->n_versions; i++)
		if (c->versions[i] == number)
			return true;
	for (int i = 0; i < c->n_labels; i++)
		if (c->labels[i].number == number)
			return true;
	for (const struct instance *x = m ? m->first : NULL; x; x = x->next)
		if (x->number == number)
			return true;
	return false;
}
