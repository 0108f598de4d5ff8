/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/settings.h"

#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "loader/repo/layout.h"

/* -- what cannot be served as it is written -------------------------------------------------- */

static enum err_code check_break(const struct model_conf *m, struct err *err)
{
	static const char *const known[] = { "publish", "warn", "refuse" };
	if (!m->on_break)
		return ERR_OK;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(m->on_break, known[i]) == 0)
			return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"model '%s': on_break is '%s', not publish, warn or refuse", m->name ? m->name : "",
		m->on_break);
}

static enum err_code check_model(const struct model_conf *m, struct err *err)
{
	const char *name = m->name ? m->name : "";
	if (m->policy == POLICY_LATEST && m->latest_n < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"model '%s': the latest %d versions are wanted, at least 1 must be", name,
			m->latest_n);
	if (m->policy == POLICY_SPECIFIC && m->n_versions < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"model '%s': given versions are wanted, but none is given", name);
	if (m->n_labels > MODEL_LABELS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"model '%s': has %d labels, at most %d are allowed", name, m->n_labels,
			MODEL_LABELS_MAX);
	for (int i = 0; i < m->n_labels; i++) {
		if (!layout_is_model_name(slice_of(m->labels[i].name)))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"model '%s': label '%s' is not 1 to %d of A-Z a-z 0-9 . _ -", name,
				m->labels[i].name, LAYOUT_NAME_MAX);
		for (int k = 0; k < i; k++)
			if (strcmp(m->labels[k].name, m->labels[i].name) == 0)
				return err_set(err, ERR_INVALID_ARGUMENT,
					"model '%s': label '%s' stands there twice", name,
					m->labels[i].name);
	}
	return check_break(m, err);
}

static enum err_code check_conf(const struct repo_conf *c, struct err *err)
{
	enum err_code rc = check_model(&c->defaults, err);
	for (int i = 0; i < c->n_models && rc == ERR_OK; i++) {
		const char *name = c->models[i].name;
		if (!name || !layout_is_model_name(slice_of(name)))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"model name '%s' is not 1 to %d of A-Z a-z 0-9 . _ -",
				name ? name : "", LAYOUT_NAME_MAX);
		for (int k = 0; k < i; k++)
			if (strcmp(c->models[k].name, name) == 0)
				return err_set(err, ERR_ALREADY_EXISTS,
					"model '%s' is configured twice", name);
		rc = check_model(&c->models[i], err);
	}
	return rc;
}

/* -- copying: every function gives NULL, or false, when the arena has no memory -------------- */

static const char *copy_text(struct arena *a, const char *text, bool *ok)
{
	const char *copy = text ? arena_strdup(a, text) : NULL;
	*ok &= !text || copy;
	return copy;
}

static void *copy_array(struct arena *a, const void *from, int n, size_t size, bool *ok)
{
	void *to = arena_calloc(a, (size_t)n + 1, size);
	*ok &= to != NULL;
	if (to && n)
		memcpy(to, from, (size_t)n * size);
	return to;
}

static const struct signature_name_pair *copy_pairs(
	struct arena *a, const struct signature_name_pair *from, int n, bool *ok)
{
	struct signature_name_pair *to = copy_array(a, from, n, sizeof(*to), ok);
	for (int i = 0; to && i < n; i++) {
		to[i].name = copy_text(a, to[i].name, ok);
		to[i].value = copy_text(a, to[i].value, ok);
	}
	return to;
}

static const struct signature_conf *copy_signatures(
	struct arena *a, const struct model_conf *m, bool *ok)
{
	struct signature_conf *to = copy_array(a, m->sig, m->n_sig, sizeof(*to), ok);
	for (int i = 0; to && i < m->n_sig; i++) {
		to[i].name = copy_text(a, to[i].name, ok);
		to[i].in = copy_pairs(a, to[i].in, to[i].n_in, ok);
		to[i].out = copy_pairs(a, to[i].out, to[i].n_out, ok);
	}
	return to;
}

static void copy_model(struct arena *a, struct model_conf *m, bool *ok)
{
	struct model_label *label = copy_array(a, m->labels, m->n_labels, sizeof(*label), ok);
	for (int i = 0; label && i < m->n_labels; i++)
		label[i].name = copy_text(a, label[i].name, ok);
	m->labels = label;
	m->name = copy_text(a, m->name, ok);
	m->path = copy_text(a, m->path, ok);
	m->on_break = copy_text(a, m->on_break, ok);
	m->batch_dim = copy_text(a, m->batch_dim, ok);
	m->device = copy_text(a, m->device, ok);
	m->versions = copy_array(a, m->versions, m->n_versions, sizeof(*m->versions), ok);
	m->sig = copy_signatures(a, m, ok);
}

enum err_code settings_copy_model(const struct model_conf *from, struct arena *arena,
	struct model_conf *ret, struct err *err)
{
	TRY(check_model(from, err));
	bool ok = true;
	struct model_conf copy = *from;
	copy_model(arena, &copy, &ok);
	if (!ok)
		return err_oom(err);
	*ret = copy;
	return ERR_OK;
}

static const char *const *copy_roots(struct arena *a, const char *const *from, bool *ok)
{
	int n = 0;
	while (from && from[n])
		n++;
	const char **to = copy_array(a, from, n, sizeof(*to), ok); /* its last entry is NULL */
	for (int i = 0; to && i < n; i++)
		to[i] = copy_text(a, to[i], ok);
	return to;
}

enum err_code settings_new(const struct repo_conf *from, struct settings **ret, struct err *err)
{
	enum err_code rc = check_conf(from, err);
	if (rc != ERR_OK)
		return rc;
	struct arena *arena = arena_new(4096, 0);
	struct settings *c = arena ? ARENA_NEW(arena, struct settings) : NULL;
	bool ok = c != NULL;
	if (ok) {
		atomic_init(&c->refs, 1);
		c->arena = arena;
		c->c = *from;
		c->c.roots = copy_roots(arena, from->roots, &ok);
		struct model_conf *m =
			copy_array(arena, from->models, from->n_models, sizeof(*m), &ok);
		for (int i = 0; m && i < from->n_models; i++)
			copy_model(arena, &m[i], &ok);
		c->c.models = m;
		copy_model(arena, &c->c.defaults, &ok);
	}
	if (!ok) {
		arena_free(arena);
		return err_oom(err);
	}
	*ret = c;
	return ERR_OK;
}

void settings_ref(struct settings *c)
{
	atomic_fetch_add(&c->refs, 1);
}

void settings_release(struct settings *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		arena_free(c->arena);
}

/* -- comparing ------------------------------------------------------------------------------- */

static uint64_t print_text(const char *text, uint64_t seed)
{
	return hash_slice(slice_of(text ? text : ""), seed + (text != NULL));
}

static uint64_t print_pairs(const struct signature_name_pair *pair, int n, uint64_t seed)
{
	for (int i = 0; i < n; i++)
		seed = print_text(pair[i].value, print_text(pair[i].name, seed));
	return seed + (uint64_t)n;
}

uint64_t settings_print(const struct model_conf *c)
{
	const int64_t number[] = { c->max_batch, c->precision, c->batch_delay_ns, c->queue_rows,
		(int64_t)c->queue_bytes, c->batches_max, c->n_sig };
	uint64_t print = hash_bytes(
		number, sizeof(number), print_text(c->device, print_text(c->batch_dim, 0)));
	for (int i = 0; i < c->n_sig; i++) {
		const struct signature_conf *s = &c->sig[i];
		print = print_pairs(s->in, s->n_in, print_text(s->name, print));
		print = print_pairs(s->out, s->n_out, print);
	}
	return print;
}

const struct model_conf *settings_model(const struct settings *c, const char *name)
{
	for (int i = 0; i < c->c.n_models; i++)
		if (strcmp(c->c.models[i].name, name) == 0)
			return &c->c.models[i];
	return &c->c.defaults;
}
