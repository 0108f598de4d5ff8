/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/epoch.h"

/* DESIGN: a snapshot is one arena with everything in it, and a reference on each version
   that requests may have. Requests read it inside an epoch, which costs them no write
   but the version's own count; registry_list(), which allocates, takes a reference on
   the snapshot instead.

   INVARIANTS: (1) models are sorted by name, versions by number, highest first;
   (2) the registry's pointer is never NULL; (3) a version in a snapshot has a reference
   from it, so inside an epoch its count is above zero. */

struct snapshot {
	struct arena *arena;
	atomic_long refs;
	struct registry_model *model;
	int n_model;
};

struct registry {
	void *_Atomic snapshot;
};

static void release_versions(const struct snapshot *s)
{
	for (int i = 0; i < s->n_model; i++)
		for (int k = 0; k < s->model[i].n_version; k++)
			if (s->model[i].version[k].version)
				version_release(s->model[i].version[k].version);
}

static void snapshot_release(struct snapshot *s)
{
	if (s && atomic_fetch_sub(&s->refs, 1) == 1) {
		release_versions(s);
		arena_free(s->arena);
	}
}

/* -- building -------------------------------------------------------------------------------- */

/* "stable,canary": the labels that stand for this number. NULL: no memory. */
static const char *join_labels(struct arena *arena, const struct registry_model *m, int64_t number)
{
	struct buf b = buf_of(arena, 0);
	struct slice text;
	buf_str(&b, "");
	for (int i = 0; i < m->n_label; i++) {
		if (m->label[i].number != number)
			continue;
		if (b.len)
			buf_char(&b, ',');
		buf_str(&b, m->label[i].name);
	}
	return buf_finish(&b, &text, NULL) == ERR_OK ? text.ptr : NULL;
}

static bool copy_labels(
	struct arena *arena, const struct registry_model *from, struct registry_model *to)
{
	struct registry_label *label =
		ARENA_ARRAY(arena, struct registry_label, (size_t)from->n_label + 1);
	for (int i = 0; label && i < from->n_label; i++) {
		label[i] = (struct registry_label){ arena_strdup(arena, from->label[i].name),
			from->label[i].number };
		if (!label[i].name)
			return false;
	}
	to->label = label;
	to->n_label = from->n_label;
	return label != NULL;
}

static bool copy_versions(struct arena *arena, const struct registry_model *from,
	struct registry_model *to)
{
	struct registry_version *v =
		ARENA_ARRAY(arena, struct registry_version, (size_t)from->n_version + 1);
	for (int i = 0; v && i < from->n_version; i++) {
		v[i] = from->version[i];
		v[i].status.model = to->name;
		v[i].status.reason =
			arena_strdup(arena, v[i].status.reason ? v[i].status.reason : "");
		v[i].status.labels = join_labels(arena, from, v[i].status.number);
		if (!v[i].status.reason || !v[i].status.labels)
			return false;
	}
	to->version = v;
	to->n_version = from->n_version;
	return v != NULL;
}

/* The references are taken last, when nothing can fail any more. */
static struct snapshot *snapshot_new(const struct registry_model *model, int n)
{
	struct arena *arena = arena_new(0, 0);
	struct snapshot *s = arena ? ARENA_NEW(arena, struct snapshot) : NULL;
	if (!s || !(s->model = ARENA_ARRAY(arena, struct registry_model, (size_t)n + 1)))
		goto fail;
	s->arena = arena;
	atomic_init(&s->refs, 1);
	for (int i = 0; i < n; i++) {
		assert(i == 0 || strcmp(model[i - 1].name, model[i].name) < 0); /* (1) */
		s->model[i].name = arena_strdup(arena, model[i].name);
		if (!s->model[i].name || !copy_labels(arena, &model[i], &s->model[i]) ||
			!copy_versions(arena, &model[i], &s->model[i]))
			goto fail;
	}
	s->n_model = n;
	for (int i = 0; i < n; i++)
		for (int k = 0; k < model[i].n_version; k++)
			if (model[i].version[k].version)
				version_ref(model[i].version[k].version);
	return s;
fail:
	arena_free(arena);
	return NULL;
}

enum err_code registry_new(struct registry **ret, struct err *err)
{
	struct registry *r = calloc(1, sizeof(*r));
	struct snapshot *empty = snapshot_new(NULL, 0);
	if (!r || !empty) {
		free(r);
		snapshot_release(empty);
		return err_oom(err);
	}
	atomic_init(&r->snapshot, empty);
	*ret = r;
	return ERR_OK;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	snapshot_release(atomic_load(&r->snapshot));
	free(r);
}

enum err_code registry_set(
	struct registry *r, const struct registry_model *model, int n, struct err *err)
{
	struct snapshot *next = snapshot_new(model, n);
	if (!next)
		return err_oom(err);
	struct snapshot *old = epoch_publish(&r->snapshot, next);
	epoch_wait();
	snapshot_release(old);
	return ERR_OK;
}

/* -- reading --------------------------------------------------------------------------------- */

static const struct registry_model *find_model(const struct snapshot *s, struct slice name)
{
	int low = 0, high = s->n_model;
	while (low < high) {
		int mid = low + (high - low) / 2;
		const char *other = s->model[mid].name;
		size_t n = strlen(other), least = n < name.len ? n : name.len;
		int diff = least ? memcmp(name.ptr, other, least) : 0;
		if (diff == 0 && n == name.len)
			return &s->model[mid];
		if (diff < 0 || (diff == 0 && name.len < n))
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static const struct registry_label *find_label(const struct registry_model *m, struct slice name)
{
	for (int i = 0; i < m->n_label; i++)
		if (slice_is(name, m->label[i].name))
			return &m->label[i];
	return NULL;
}

/* A version that is on disk but that nothing is being done with, or has gone. */
static bool is_aside(enum version_state s)
{
	return s == VERSION_FOUND || s == VERSION_UNLOADED;
}

static enum err_code unavailable(const struct registry_model *m, const struct registry_version *v,
	struct err *err)
{
	const struct version_status *s = &v->status;
	return err_set(err, ERR_UNAVAILABLE, "model '%s' version %lld is not ready: %s%s%s",
		m->name, (long long)s->number, version_state_info(s->state)->text,
		s->state == VERSION_FAILED ? ": " : "",
		s->state == VERSION_FAILED ? s->reason : "");
}

static enum err_code pick_latest(
	const struct registry_model *m, struct version **ret, struct err *err)
{
	const struct registry_version *pending = NULL;
	for (int i = 0; i < m->n_version; i++) {
		if (m->version[i].version) {
			*ret = m->version[i].version;
			return ERR_OK;
		}
		if (!pending && m->version[i].status.state != VERSION_UNLOADED)
			pending = &m->version[i];
	}
	if (pending)
		return unavailable(m, pending, err);
	if (m->n_version)
		return err_set(err, ERR_NOT_FOUND, "model '%s' is unloaded", m->name);
	return err_set(
		err, ERR_UNAVAILABLE, "model '%s' has no version that can be loaded", m->name);
}

/* why: "", or why one that is on disk does not count. */
static enum err_code no_version(
	const struct registry_model *m, int64_t number, const char *why, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "model '%s' has no version %lld%s%s", m->name,
		(long long)number, *why ? ": " : "", why);
}

static enum err_code pick_number(
	const struct registry_model *m, int64_t number, struct version **ret, struct err *err)
{
	for (int i = 0; i < m->n_version; i++) {
		const struct registry_version *v = &m->version[i];
		if (v->status.number != number)
			continue;
		if (!v->version && is_aside(v->status.state))
			return no_version(m, number, v->status.aside ? v->status.reason : "", err);
		if (!v->version)
			return unavailable(m, v, err);
		*ret = v->version;
		return ERR_OK;
	}
	return number == 0 ? pick_latest(m, ret, err) : no_version(m, number, "", err);
}

static enum err_code pick(const struct snapshot *s, struct slice model,
	const struct version_spec *spec, struct version **ret, struct err *err)
{
	const struct registry_model *m = find_model(s, model);
	if (!m)
		return err_set(err, ERR_NOT_FOUND, "model '%.*s' was not found", SLICE_ARG(model));
	if (spec->pick == VERSION_PICK_LATEST)
		return pick_latest(m, ret, err);
	if (spec->pick == VERSION_PICK_NUMBER)
		return pick_number(m, spec->number, ret, err);
	const struct registry_label *label = find_label(m, spec->label);
	if (!label)
		return err_set(err, ERR_NOT_FOUND, "model '%s' has no version with label '%.*s'",
			m->name, SLICE_ARG(spec->label));
	return pick_number(m, label->number, ret, err);
}

enum err_code registry_acquire(struct registry *r, struct slice model,
	const struct version_spec *spec, struct version **ret, struct err *err)
{
	struct version *v = NULL;
	epoch_enter();
	enum err_code rc = pick(epoch_read(&r->snapshot), model, spec, &v, err);
	if (rc == ERR_OK) {
		version_ref(v);
		*ret = v;
	}
	epoch_leave();
	return rc;
}

/* One row per version, or one for a model that has none. */
static enum err_code copy_rows(const struct registry_model *m, struct arena *arena,
	struct version_status *row, int *n, struct err *err)
{
	const char *name = arena_strdup(arena, m->name);
	if (!name)
		return err_oom(err);
	if (m->n_version == 0)
		row[(*n)++] = (struct version_status){ .model = name, .number = -1,
			.state = VERSION_FOUND, .labels = "",
			.reason = "it has no version: no NUMBER/model.onnx or model.signet" };
	for (int i = 0; i < m->n_version; i++) {
		struct version_status *to = &row[*n];
		*to = m->version[i].status;
		to->model = name;
		to->reason = arena_strdup(arena, to->reason);
		to->labels = arena_strdup(arena, to->labels);
		if (!to->reason || !to->labels)
			return err_oom(err);
		(*n)++;
	}
	return ERR_OK;
}

static enum err_code copy_models(const struct registry_model *first, int n_model,
	struct arena *arena, struct version_status **ret, int *ret_n, struct err *err)
{
	size_t rows = 1;
	int n = 0;
	for (int i = 0; i < n_model; i++)
		rows += first[i].n_version ? (size_t)first[i].n_version : 1;
	struct version_status *row = ARENA_ARRAY(arena, struct version_status, rows);
	if (!row)
		return err_oom(err);
	for (int i = 0; i < n_model; i++) {
		enum err_code rc = copy_rows(&first[i], arena, row, &n, err);
		if (rc != ERR_OK)
			return rc;
	}
	*ret = row;
	*ret_n = n;
	return ERR_OK;
}

enum err_code registry_list(struct registry *r, const struct slice *model, struct arena *arena,
	struct version_status **ret, int *ret_n, struct err *err)
{
	epoch_enter();
	struct snapshot *s = epoch_read(&r->snapshot);
	atomic_fetch_add(&s->refs, 1);
	epoch_leave();

	const struct registry_model *first = s->model;
	int n = s->n_model;
	enum err_code rc = ERR_OK;
	if (model) {
		first = find_model(s, *model);
		n = 1;
	}
	if (!first)
		rc = err_set(err, ERR_NOT_FOUND, "model '%.*s' was not found", SLICE_ARG(*model));
	else
		rc = copy_models(first, n, arena, ret, ret_n, err);
	snapshot_release(s);
	return rc;
}
