/* SPDX-License-Identifier: Apache-2.0 */
#include "server/model_set.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "loader/repo/layout.h"

static const struct model_conf *configured(const struct repo_conf *base, const char *name)
{
	for (int i = 0; i < base->n_models; i++)
		if (strcmp(base->models[i].name, name) == 0)
			return &base->models[i];
	return &base->defaults;
}

/* --- where a model is --- */

static bool is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The model beneath a root; *ret NULL: there is none. */
static enum err_code find_beneath(const struct repo_conf *base, const char *name,
	struct arena *arena, const char **ret, struct err *err)
{
	*ret = NULL;
	for (int i = 0; base->roots && base->roots[i] && !*ret; i++) {
		const char *path = arena_printf(arena, "%s/%s", base->roots[i], name);
		if (!path)
			return err_oom(err);
		if (is_directory(path))
			*ret = path;
	}
	return ERR_OK;
}

static bool same_place(const char *a, const char *b)
{
	char real_a[PATH_MAX], real_b[PATH_MAX];
	return realpath(a, real_a) && realpath(b, real_b) && strcmp(real_a, real_b) == 0;
}

/* ROOT/NAME, where NAME may be another than the model's. */
static bool is_beneath_root(
	const struct repo_conf *base, const char *path, struct arena *arena, struct err *err)
{
	const char *slash = strrchr(path, '/');
	if (!slash || !layout_is_model_name(slice_of(slash + 1)))
		return false;
	const char *parent = arena_strndup(arena, path, slash == path ? 1 : (size_t)(slash - path));
	if (!parent) {
		(void)err_oom(err);
		return false;
	}
	for (int i = 0; base->roots && base->roots[i]; i++)
		if (same_place(parent, base->roots[i]))
			return true;
	return false;
}

static bool is_configured_path(const struct repo_conf *base, const char *path)
{
	for (int i = 0; i < base->n_models; i++)
		if (base->models[i].path && same_place(path, base->models[i].path))
			return true;
	return false;
}

static enum err_code check_path(const struct repo_conf *base, const struct model_conf *m,
	struct arena *arena, struct err *err)
{
	char *path = arena_strdup(arena, m->path);
	if (!path)
		return err_oom(err);
	for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
		path[len - 1] = '\0';
	if (is_configured_path(base, path) || is_beneath_root(base, path, arena, err))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"model '%s': base_path must be a directory right beneath one of the server's model "
		"roots, or the path of a model that is configured",
		m->name);
}

static enum err_code find_place(const struct repo_conf *base, const struct model_conf *own,
	struct model_conf *m, struct arena *arena, struct err *err)
{
	if (m->path)
		TRY(check_path(base, m, arena, err));
	else if (own->path)
		m->path = own->path;
	else
		TRY(find_beneath(base, m->name, arena, &m->path, err));
	if (m->path && (m->path == own->path || is_directory(m->path)))
		return ERR_OK;
	return err_set(err, ERR_NOT_FOUND, "model '%s': there is no such directory", m->name);
}

/* --- the set --- */

enum err_code model_set_conf(const struct repo_conf *base, struct model_conf *model, int n,
	struct arena *arena, struct repo_conf *ret, struct err *err)
{
	static const char *const no_roots[] = { NULL };
	for (int i = 0; i < n; i++) {
		struct model_conf *m = &model[i], given = *m;
		const struct model_conf *own = configured(base, m->name);
		if (!layout_is_model_name(slice_of(m->name)))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"model name '%s' is not 1 to %d of A-Z a-z 0-9 . _ -", m->name,
				LAYOUT_NAME_MAX);
		*m = *own;
		m->name = given.name;
		m->path = given.path;
		m->policy = given.policy;
		m->latest_n = given.latest_n;
		m->versions = given.versions;
		m->n_versions = given.n_versions;
		m->labels = given.labels;
		m->n_labels = given.n_labels;
		m->asked = true;
		TRY(find_place(base, own, m, arena, err));
	}
	*ret = *base;
	ret->roots = no_roots;
	ret->models = model;
	ret->n_models = n;
	return ERR_OK;
}

/* --- waiting for it --- */

static bool is_ready(const struct version_status *list, int n, int64_t number)
{
	for (int i = 0; i < n; i++)
		if (list[i].number == number)
			return list[i].state == VERSION_READY;
	return false;
}

static enum err_code check_labels(
	struct repo *repo, const struct model_conf *m, struct arena *arena, struct err *err)
{
	struct slice name = slice_of(m->name);
	struct version_status *list;
	int n;
	if (!m->n_labels)
		return ERR_OK;
	TRY(registry_list(repo_registry(repo), &name, arena, &list, &n, err));
	for (int i = 0; i < m->n_labels; i++)
		if (!is_ready(list, n, m->labels[i].number))
			return err_set(err, ERR_FAILED_PRECONDITION,
				"Request to assign label to version %lld of model %s, which is not "
				"currently available for inference",
				(long long)m->labels[i].number, m->name);
	return ERR_OK;
}

enum err_code model_set_await(struct repo *repo, const struct model_conf *model, int n,
	struct arena *arena, struct err *err)
{
	enum err_code first = ERR_OK;
	for (int i = 0; i < n; i++) {
		struct err why;
		enum err_code rc = repo_load(repo, slice_of(model[i].name), &why);
		if (rc == ERR_OK)
			rc = check_labels(repo, &model[i], arena, &why);
		if (rc != ERR_OK && first == ERR_OK)
			first = err_copy(err, &why);
	}
	return first;
}
