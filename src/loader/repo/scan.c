/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "loader/repo/layout.h"
#include "loader/repo/scanner.h"

bool scan_id_equal(const struct scan_id *a, const struct scan_id *b)
{
	return memcmp(a, b, sizeof(*a)) == 0; /* six numbers, no padding */
}

/* -- one model ------------------------------------------------------------------------------- */

static int by_number_down(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x < y) - (x > y);
}

/* What its author may have meant by an entry that is no version; NULL: nothing comes to mind. */
static const char *meaning_of_stray(const char *name)
{
	if (layout_is_file(name))
		return "a version is a directory: move it to 1/ in here";
	if (strcmp(name, "config.pbtxt") == 0)
		return "options of a model stand in " LAYOUT_CONF
		       "; signetctl import reads this file";
	size_t digits = strspn(name, "0123456789");
	return digits && !name[digits] ? "a version's number has no leading zeros and is below 2^63"
				       : NULL;
}

static void remark_stray(struct scanner *s, const char *path, const char *name)
{
	const char *meaning = meaning_of_stray(name);
	scanner_remark(s, "%s/%s: ignored, %s", path, name, 
		meaning ? meaning : "not a version directory: versions are numbers");
}

/* Version numbers of a directory; of more than SCAN_VERSIONS_MAX the highest. */
struct numbers {
	int64_t *at;
	int n, cap;
	bool cut;
};

static void keep_highest(struct numbers *l)
{
	if (l->n)
		qsort(l->at, (size_t)l->n, sizeof(*l->at), by_number_down);
	l->cut |= l->n > SCAN_VERSIONS_MAX;
	l->n = l->n > SCAN_VERSIONS_MAX ? SCAN_VERSIONS_MAX : l->n;
}

static bool add_number(struct numbers *l, int64_t v)
{
	if (l->n == 2 * SCAN_VERSIONS_MAX)
		keep_highest(l);
	if (l->n == l->cap) {
		int cap = l->cap ? l->cap * 2 : 16;
		int64_t *grown = realloc(l->at, (size_t)cap * sizeof(*grown));
		if (!grown)
			return false;
		l->at = grown;
		l->cap = cap;
	}
	l->at[l->n++] = v;
	return true;
}

/* Those among the entries, highest first. false: there is no memory, or the directory could not be
   read to its end; that is told. Free ret->at either way. */
static bool list_numbers(struct scanner *s, struct scanner_list *l, struct numbers *ret)
{
	const struct dirent *e;
	while ((e = scanner_next(s, l))) {
		int64_t v;
		if (strcmp(e->d_name, LAYOUT_CONF) == 0)
			continue;
		if (!layout_parse_version(slice_of(e->d_name), &v) || !scanner_is_dir(l, e)) {
			remark_stray(s, l->path, e->d_name);
			continue;
		}
		if (!add_number(ret, v)) {
			s->oom = true;
			return false;
		}
	}
	if (scanner_complain_of_end(s, l))
		return false;
	keep_highest(ret);
	if (ret->cut)
		scanner_remark(s, "%s: more than %d versions, the lowest are not looked at",
			l->path, SCAN_VERSIONS_MAX);
	return true;
}

static enum err_code add_version(
	struct scanner *s, struct scan_model *m, const struct scan_version *v, int *cap)
{
	if (m->n_version == *cap) {
		int grown = *cap ? *cap * 2 : 4;
		struct scan_version *p = ARENA_ARRAY(s->arena, struct scan_version, (size_t)grown);
		if (!p) {
			s->oom = true;
			return ERR_RESOURCE_EXHAUSTED;
		}
		if (m->n_version)
			memcpy(p, m->version, (size_t)m->n_version * sizeof(*p));
		m->version = p;
		*cap = grown;
	}
	m->version[m->n_version++] = *v;
	return ERR_OK;
}

/* DIR/VERSION/... */
static void scan_versions(struct scanner *s, struct scan_model *m, DIR *dir)
{
	struct scanner_list l = { .dir = dir, .path = m->dir };
	struct numbers numbers = { 0 };
	int cap = 0;
	m->unreadable = !list_numbers(s, &l, &numbers);
	m->lowest = numbers.cut ? numbers.at[numbers.n - 1] : 0;
	for (int i = 0; i < numbers.n && !m->unreadable && !s->oom; i++) {
		struct scan_version v = { .number = numbers.at[i] };
		if (!s->conf->wants(s->conf->ctx, m->name, v.number, i))
			continue;
		v.dir = arena_printf(s->arena, "%s/%lld", m->dir, (long long)v.number);
		if (!v.dir)
			s->oom = true;
		else if (scanner_look(s, &v) && add_version(s, m, &v, &cap) != ERR_OK)
			break;
	}
	free(numbers.at);
}

static struct scan_model *add_model(struct scanner *s, struct slice name, const char *dir)
{
	if (s->out->n_model == SCAN_MODELS_MAX) {
		scanner_remark(s, "%s: ignored, more than %d models", dir, SCAN_MODELS_MAX);
		s->out->incomplete = true;
		return NULL;
	}
	const char *copy = arena_strndup(s->arena, name.ptr, name.len),
		   *path = arena_strdup(s->arena, dir);
	if (!copy || !path) {
		s->oom = true;
		return NULL;
	}
	struct scan_model *m = &s->out->model[s->out->n_model];
	*m = (struct scan_model){ .name = copy, .dir = path, .order = s->out->n_model++ };
	return m;
}

/* -- roots ----------------------------------------------------------------------------------- */

static void scan_root_entry(struct scanner *s, const struct scanner_list *l, const struct dirent *e)
{
	char path[PATH_MAX];
	const char *root = l->path;
	struct slice name = slice_of(e->d_name);
	if (!scanner_is_dir(l, e)) {
		for (const char *const *f = layout_files; *f; f++)
			if (slice_is(name, *f)) {
				scanner_remark(s,
					"%s/%s: ignored, a root holds NAME/VERSION/%s; serve this "
					"one with --model NAME=%s",
					root, *f, *f, root);
				return;
			}
		scanner_remark(s, "%s/%s: ignored, not a directory; a root holds NAME/VERSION/%s",
			root, e->d_name, layout_files[1]);
		return;
	}
	if (!layout_is_model_name(name)) {
		scanner_remark(s, "%s/%s: ignored, a model name is 1 to %d of A-Z a-z 0-9 . _ -",
			root, e->d_name, LAYOUT_NAME_MAX);
		return;
	}
	if (snprintf(path, sizeof(path), "%s/%s", root, e->d_name) >= (int)sizeof(path)) {
		scanner_remark(s, "%s/%s: ignored, the path is too long", root, e->d_name);
		return;
	}
	struct scan_model *m = add_model(s, name, path);
	if (!m)
		return;
	s->out->n_root_models++;
	DIR *below = file_open_dir(AT_FDCWD, path, 0);
	if (!below) {
		m->unreadable = true;
		scanner_complain(s, "%s: %s", path, strerror(errno));
		return;
	}
	scanner_look_conf(s, m, dirfd(below));
	scan_versions(s, m, below);
	closedir(below);
}

static void scan_root(struct scanner *s, const char *root)
{
	const struct dirent *e;
	struct scanner_list l = { .dir = file_open_dir(AT_FDCWD, root, 0), .path = root };
	if (!l.dir) {
		s->out->incomplete = true;
		scanner_complain(s, "model root %s: %s", root, strerror(errno));
		return;
	}
	struct err err;
	if (scanner_check_writers(s, dirfd(l.dir), "", root, &err) != ERR_OK) {
		s->out->incomplete = true;
		scanner_complain(s, "model root %s: not looked at, %s", root, err.msg);
		closedir(l.dir);
		return;
	}
	while (!s->oom && (e = scanner_next(s, &l)))
		scan_root_entry(s, &l, e);
	if (!s->oom && scanner_complain_of_end(s, &l))
		s->out->incomplete = true;
	closedir(l.dir);
}

/* -- --model NAME=PATH ----------------------------------------------------------------------- */

static void scan_flat(struct scanner *s, struct scan_model *m, const char *dir, const char *file,
	bool file_only)
{
	int cap = 0;
	struct scan_version v = {
		.number = LAYOUT_FLAT_VERSION, .file = file, .file_only = file_only
	};
	v.dir = arena_strdup(s->arena, dir);
	if (!v.dir)
		s->oom = true;
	else if (scanner_look(s, &v))
		(void)add_version(s, m, &v, &cap); /* sets oom */
}

/* PATH is a file: its directory holds other people's files too. */
static void scan_place_file(struct scanner *s, struct scan_model *m, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *file = arena_strdup(s->arena, slash ? slash + 1 : path);
	const char *dir = slash == path ? "/"
			  : slash ? arena_strndup(s->arena, path, (size_t)(slash - path)) : ".";
	if (!file || !dir) {
		s->oom = true;
		return;
	}
	m->dir = dir;
	scan_flat(s, m, dir, file, true);
}

/* Has it a directory with a version's name? */
static bool has_version(struct scanner *s, struct scan_model *m, DIR *dir)
{
	struct scanner_list l = { .dir = dir, .path = m->dir };
	const struct dirent *e;
	int64_t number;
	bool found = false;
	while (!found && (e = scanner_next(s, &l)))
		found = layout_parse_version(slice_of(e->d_name), &number) && scanner_is_dir(&l, e);
	m->unreadable = !found && scanner_complain_of_end(s, &l);
	rewinddir(dir);
	return found;
}

/* PATH is a directory: PATH/VERSION/..., else PATH/model.onnx, else PATH/NAME/VERSION/... */
static void scan_place_dir(struct scanner *s, struct scan_model *m, DIR *dir)
{
	const char *file, *nested;
	if (has_version(s, m, dir)) {
		scanner_look_conf(s, m, dirfd(dir));
		scan_versions(s, m, dir);
	} else if (m->unreadable) {
		return;
	} else if ((file = layout_find_file(dirfd(dir)))) {
		scanner_look_conf(s, m, dirfd(dir));
		scan_flat(s, m, m->dir, file, false);
	} else if (!(nested = arena_printf(s->arena, "%s/%s", m->dir, m->name))) {
		s->oom = true;
	} else {
		DIR *below = file_open_dir(AT_FDCWD, nested, 0);
		m->dir = below ? nested : m->dir;
		scanner_look_conf(s, m, dirfd(below ? below : dir));
		scan_versions(s, m, below ? below : dir);
		if (below)
			closedir(below);
	}
}

static void scan_place(struct scanner *s, const struct scan_place *p)
{
	struct stat st;
	struct scan_model *m = add_model(s, slice_of(p->name), p->path);
	if (!m)
		return;
	if (stat(p->path, &st) == 0 && S_ISREG(st.st_mode)) {
		scan_place_file(s, m, p->path);
		return;
	}
	DIR *dir = file_open_dir(AT_FDCWD, p->path, 0);
	if (!dir) {
		m->unreadable = true;
		scanner_complain(s, "model '%s': %s: %s", p->name, p->path, strerror(errno));
		return;
	}
	scan_place_dir(s, m, dir);
	closedir(dir);
}

/* -- the whole ------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct scan_model *x = a, *y = b;
	int diff = strcmp(x->name, y->name);
	return diff ? diff : x->order - y->order;
}

/* Sorts; of two models with one name the first seen stays. */
static void sort_models(struct scanner *s)
{
	struct scan *out = s->out;
	int n = 0;
	qsort(out->model, (size_t)out->n_model, sizeof(*out->model), by_name);
	for (int i = 0; i < out->n_model; i++) {
		const struct scan_model *m = &out->model[i];
		if (n && strcmp(out->model[n - 1].name, m->name) == 0)
			scanner_remark(s, "%s: ignored, model '%s' is already served from %s",
				m->dir, m->name, out->model[n - 1].dir);
		else
			out->model[n++] = *m;
	}
	out->n_model = n;
}

enum err_code scan_run(
	const struct scan_conf *conf, struct arena *arena, struct scan *ret, struct err *err)
{
	struct scan out = { 0 };
	struct scanner s = { .conf = conf, .arena = arena, .out = &out,
		.budget = conf->entries_max ? conf->entries_max : INT64_MAX };
	out.model = ARENA_ARRAY(arena, struct scan_model, SCAN_MODELS_MAX);
	out.remark = ARENA_ARRAY(arena, struct scan_remark, SCAN_REMARKS_MAX);
	if (!out.model || !out.remark)
		return err_oom(err);
	/* Models named on the command line go first: a name is theirs before a root's. */
	for (int i = 0; i < conf->n_places && !s.oom; i++)
		scan_place(&s, &conf->places[i]);
	for (const char *const *root = conf->roots; root && *root && !s.oom; root++)
		scan_root(&s, *root);
	sort_models(&s);
	scanner_complain_of_cut(&s);
	if (s.oom)
		return err_oom(err);
	*ret = out;
	return ERR_OK;
}
