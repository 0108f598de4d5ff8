/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"

#include <limits.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "loader/repo/layout.h"

#define ROW(options, key, type, init, min, max, choices, reload, help) \
	{ #key, CONF_##type, init, min, max, choices, offsetof(struct options, key), reload, help },

static const struct conf_option server_rows[] = {
#define SERVER(...) ROW(options_server, __VA_ARGS__)
#include "server/options.def"
};
static const struct conf_option repository_rows[] = {
#define REPOSITORY(...) ROW(options_repository, __VA_ARGS__)
#include "server/options.def"
};
static const struct conf_option http_rows[] = {
#define HTTP(...) ROW(options_http, __VA_ARGS__)
#include "server/options.def"
};
static const struct conf_option grpc_rows[] = {
#define GRPC(...) ROW(options_grpc, __VA_ARGS__)
#include "server/options.def"
};
static const struct conf_option model_rows[] = {
#define MODEL(...) ROW(options_model, __VA_ARGS__)
#include "server/options.def"
};
static const struct conf_option signature_rows[] = {
#define SIGNATURE(...) ROW(options_signature, __VA_ARGS__)
#include "server/options.def"
};

const struct conf_section config_sections[] = {
#define SECTION(id, named, help) \
	{ #id, named, sizeof(struct options_##id), id##_rows, sizeof(id##_rows) / sizeof(id##_rows[0]), help },
#include "server/options.def"
	{ 0 },
};

/* A file of CONF_BYTES_MAX full of short sections needs about this. */
#define CONFIG_BYTES_MAX (64u << 20)

/* A config in the making. */
struct making {
	struct config *c;
	struct arena *arena;
	struct err *err;
};

/* FILE:LINE of a section, before the message that is there. */
static enum err_code at_block(struct making *m, const struct conf_block *b)
{
	if (b->line == 0)
		return err_prefix(m->err, "%s '%s'", b->section->name, b->name);
	return err_prefix(m->err, "%s:%d: [%s %s]", m->c->conf->file, b->line, b->section->name, b->name);
}

/* "latest", "latest N", "all", or numbers. */
static enum err_code make_versions(struct making *m, const struct conf_list *list, struct model_conf *to)
{
	int64_t n = 1;
	struct slice first = list->n > 0 ? slice_of(list->item[0]) : SLICE_LIT("");
	if (list->n == 1 && slice_is(first, "all")) {
		to->policy = POLICY_ALL;
		return ERR_OK;
	}
	if (list->n == 1 && first.len >= 6 && memcmp(first.ptr, "latest", 6) == 0) {
		struct slice rest = { first.ptr + 6, first.len - 6 };
		bool good = rest.len == 0 ||
			(rest.ptr[0] == ' ' && parse_i64((struct slice){ rest.ptr + 1, rest.len - 1 }, 1, 1000, &n));
		if (!good)
			return err_set(m->err, ERR_INVALID_ARGUMENT,
				"versions is '%s', must be: latest N, with N from 1 to 1000", list->item[0]);
		to->policy = POLICY_LATEST;
		to->latest_n = (int)n;
		return ERR_OK;
	}
	int64_t *numbers = ARENA_ARRAY(m->arena, int64_t, (size_t)list->n + 1);
	if (!numbers)
		return err_oom(m->err);
	for (int i = 0; i < list->n; i++) {
		if (!parse_i64(slice_of(list->item[i]), 0, INT64_MAX, &numbers[i]))
			return err_set(m->err, ERR_INVALID_ARGUMENT,
				"versions has '%s', must be: latest, latest N, all, or numbers", list->item[i]);
	}
	if (list->n == 0)
		return err_set(m->err, ERR_INVALID_ARGUMENT, "versions is empty");
	to->policy = POLICY_SPECIFIC;
	to->versions = numbers;
	to->n_versions = list->n;
	return ERR_OK;
}

/* "NAME=REST"; NULL when there is no "=": *ret_rest is then all. */
static enum err_code split_pair(struct making *m, const char *item, const char **ret_name,
	const char **ret_rest)
{
	const char *eq = strchr(item, '=');
	*ret_name = NULL;
	*ret_rest = item;
	if (!eq)
		return ERR_OK;
	char *name = arena_strndup(m->arena, item, (size_t)(eq - item));
	if (!name)
		return err_oom(m->err);
	for (size_t len = strlen(name); len > 0 && name[len - 1] == ' '; len--)
		name[len - 1] = '\0';
	*ret_name = name;
	*ret_rest = eq + 1 + strspn(eq + 1, " ");
	return ERR_OK;
}

static enum err_code make_labels(struct making *m, const struct conf_list *list, struct model_conf *to)
{
	struct model_label *labels = ARENA_ARRAY(m->arena, struct model_label, (size_t)list->n + 1);
	if (!labels)
		return err_oom(m->err);
	for (int i = 0; i < list->n; i++) {
		const char *number;
		enum err_code rc = split_pair(m, list->item[i], &labels[i].name, &number);
		if (rc != ERR_OK)
			return rc;
		if (!labels[i].name || !layout_is_model_name(slice_of(labels[i].name)) ||
			!parse_i64(slice_of(number), 0, INT64_MAX, &labels[i].number))
			return err_set(m->err, ERR_INVALID_ARGUMENT,
				"labels has '%s', must be: NAME=VERSION", list->item[i]);
		for (int k = 0; k < i; k++) {
			if (strcmp(labels[k].name, labels[i].name) == 0)
				return err_set(m->err, ERR_INVALID_ARGUMENT, "label '%s' is given twice",
					labels[i].name);
		}
	}
	to->labels = labels;
	to->n_labels = list->n;
	return ERR_OK;
}

static enum err_code make_pairs(struct making *m, const char *key, const struct conf_list *list,
	const struct signature_name_pair **ret, int *ret_n)
{
	struct signature_name_pair *pairs = ARENA_ARRAY(m->arena, struct signature_name_pair, (size_t)list->n + 1);
	if (!pairs)
		return err_oom(m->err);
	for (int i = 0; i < list->n; i++) {
		enum err_code rc = split_pair(m, list->item[i], &pairs[i].name, &pairs[i].value);
		if (rc != ERR_OK)
			return rc;
		if (!pairs[i].name)
			pairs[i].name = pairs[i].value;
		if (!*pairs[i].name || !*pairs[i].value)
			return err_set(m->err, ERR_INVALID_ARGUMENT, "%s has '%s', must be: NAME=VALUE or VALUE",
				key, list->item[i]);
	}
	*ret = pairs;
	*ret_n = list->n;
	return ERR_OK;
}

/* The model's part of "MODEL/SIGNATURE"; model names have no "/". */
static bool belongs_to(const struct conf_block *signature, const char *model)
{
	size_t len = strcspn(signature->name, "/");
	return strncmp(signature->name, model, len) == 0 && model[len] == '\0';
}

static enum err_code make_signatures(struct making *m, const char *model, struct model_conf *to)
{
	const struct conf_block *b = NULL;
	int n = 0;
	while ((b = conf_next(m->c->conf, "signature", b)))
		n += belongs_to(b, model);
	struct signature_conf *sig = ARENA_ARRAY(m->arena, struct signature_conf, (size_t)n + 1);
	if (!sig)
		return err_oom(m->err);
	to->sig = sig;
	while ((b = conf_next(m->c->conf, "signature", b))) {
		const struct options_signature *o = b->values;
		if (!belongs_to(b, model))
			continue;
		struct signature_conf *s = &sig[to->n_sig++];
		s->name = strchr(b->name, '/') + 1;
		enum err_code rc = make_pairs(m, "inputs", &o->inputs, &s->in, &s->n_in);
		if (rc == ERR_OK)
			rc = make_pairs(m, "outputs", &o->outputs, &s->out, &s->n_out);
		if (rc == ERR_OK && s->n_out == 0)
			rc = err_set(m->err, ERR_INVALID_ARGUMENT, "outputs is empty");
		if (rc != ERR_OK)
			return at_block(m, b);
	}
	return ERR_OK;
}

/* What a model's options amount to; name NULL for the defaults. */
static enum err_code make_model(struct making *m, const struct options_model *o, const char *name,
	struct model_conf *to)
{
	static const char *const on_break[] = { "publish", "warn", "refuse" };
	*to = (struct model_conf){
		.name = name,
		.path = *o->path ? o->path : NULL,
		.on_break = on_break[o->on_break],
		.max_batch = (int)o->max_batch,
		.batch_dim = *o->batch_dim ? o->batch_dim : NULL,
		.precision = (enum precision)o->precision, /* in the order of the row's choices */
	};
	enum err_code rc = make_versions(m, &o->versions, to);
	if (rc == ERR_OK)
		rc = make_labels(m, &o->labels, to);
	return rc;
}

static enum err_code check_signature_names(struct making *m)
{
	for (const struct conf_block *b = NULL; (b = conf_next(m->c->conf, "signature", b));) {
		const char *slash = strchr(b->name, '/');
		const struct conf_block *model = NULL;
		while (slash && (model = conf_next(m->c->conf, "model", model)) && !belongs_to(b, model->name))
			;
		if (slash && slash[1] && model)
			continue;
		(void)err_set(m->err, ERR_INVALID_ARGUMENT,
			slash ? "there is no section for its model" : "its name must be: MODEL/SIGNATURE");
		return at_block(m, b);
	}
	return ERR_OK;
}

static enum err_code make_models(struct making *m)
{
	struct repo_conf *r = &m->c->repo;
	const struct conf_block *b = NULL;
	int n = 0;
	while ((b = conf_next(m->c->conf, "model", b)))
		n++;
	struct model_conf *models = ARENA_ARRAY(m->arena, struct model_conf, (size_t)n + 1);
	if (!models)
		return err_oom(m->err);
	r->models = models;
	while ((b = conf_next(m->c->conf, "model", b))) {
		struct model_conf *to = &models[r->n_models++];
		if (!layout_is_model_name(slice_of(b->name))) {
			(void)err_set(m->err, ERR_INVALID_ARGUMENT,
				"its name must be 1 to %d of A-Z a-z 0-9 . _ -", LAYOUT_NAME_MAX);
			return at_block(m, b);
		}
		if (make_model(m, b->values, b->name, to) != ERR_OK)
			return at_block(m, b);
		enum err_code rc = make_signatures(m, b->name, to);
		if (rc != ERR_OK)
			return rc;
	}
	const void *defaults;
	enum err_code rc = conf_defaults(m->c->conf, "model", &defaults, m->err);
	if (rc != ERR_OK)
		return rc;
	m->c->model_defaults = defaults;
	if (make_model(m, defaults, NULL, &r->defaults) != ERR_OK)
		return err_prefix(m->err, "%s: [model *]", m->c->conf->file);
	if (r->defaults.path)
		return err_set(m->err, ERR_INVALID_ARGUMENT, "%s: [model *]: path is for one model alone",
			m->c->conf->file);
	return check_signature_names(m);
}

static int as_ms(int64_t ns)
{
	int64_t ms = ns / NS_PER_MS;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void make_repository(struct making *m, const struct command_line *line)
{
	const struct options_repository *o = m->c->repository;
	struct repo_conf *r = &m->c->repo;
	m->c->op_libraries = line->op_libraries;
	r->roots = line->roots && line->roots[0] ? line->roots : o->roots.item;
	r->explicit_only = o->explicit;
	r->poll_ms = as_ms(o->poll);
	r->settle_ms = as_ms(o->settle);
	r->retry_ms = as_ms(o->retry);
	r->load_threads = (int)o->load_threads;
	r->memory_bytes_max = o->memory_max;
	r->strict_permissions = o->strict_permissions;
	r->allow_hardlinks = o->allow_hardlinks;
}

static enum err_code parse_options(struct making *m, const struct command_line *line, struct slice text,
	const char *file)
{
	struct conf *conf;
	enum err_code rc = conf_parse(config_sections, text, file, m->arena, &conf, m->err);
	if (rc != ERR_OK)
		return rc;
	for (const struct command_set *s = line->sets; s; s = s->next) {
		rc = conf_set(conf, s->section, s->name, s->key, s->value, m->err);
		if (rc != ERR_OK)
			return err_prefix(m->err, "command line: [%s%s%s]", s->section, s->name ? " " : "",
				s->name ? s->name : "");
	}
	m->c->conf = conf;
	m->c->server = conf_get(conf, "server");
	m->c->repository = conf_get(conf, "repository");
	m->c->http = conf_get(conf, "http");
	m->c->grpc = conf_get(conf, "grpc");
	return ERR_OK;
}

static enum err_code make_all(struct making *m, const struct command_line *line, struct slice text,
	const char *file)
{
	enum err_code rc = parse_options(m, line, text, file);
	if (rc != ERR_OK)
		return rc;
	make_repository(m, line);
	rc = make_models(m);
	if (rc != ERR_OK)
		return rc;
	bool path = false;
	for (int i = 0; i < m->c->repo.n_models; i++)
		path |= m->c->repo.models[i].path != NULL;
	if (!m->c->repo.roots[0] && !path)
		return err_set(m->err, ERR_INVALID_ARGUMENT,
			"nothing to serve: give --model-root DIR or --model NAME=PATH");
	return ERR_OK;
}

enum err_code config_load_text(const struct command_line *line, struct slice text, const char *file,
	struct config **ret, struct err *err)
{
	struct err own;
	struct arena *arena = arena_new(16384, CONFIG_BYTES_MAX);
	struct config *c = arena ? ARENA_NEW(arena, struct config) : NULL;
	if (!c) {
		arena_free(arena);
		return err_oom(err);
	}
	c->arena = arena;
	struct making m = { .c = c, .arena = arena, .err = err ? err : &own };
	enum err_code rc = make_all(&m, line, text, file);
	if (rc != ERR_OK) {
		config_free(c);
		return rc;
	}
	*ret = c;
	return ERR_OK;
}

enum err_code config_load(const struct command_line *line, struct config **ret, struct err *err)
{
	struct slice text = SLICE_LIT("");
	if (!line->config)
		return config_load_text(line, text, "command line", ret, err);
	struct arena *arena = arena_new(16384, 0);
	enum err_code rc = arena ? file_read_path(line->config, CONF_BYTES_MAX, arena, &text, err) : err_oom(err);
	if (rc == ERR_OK)
		rc = config_load_text(line, text, line->config, ret, err);
	arena_free(arena);
	return rc;
}

void config_free(struct config *c)
{
	if (c)
		arena_free(c->arena);
}

const struct options_model *config_model(const struct config *c, const char *model)
{
	for (const struct conf_block *b = NULL; (b = conf_next(c->conf, "model", b));) {
		if (strcmp(b->name, model) == 0)
			return b->values;
	}
	return c->model_defaults;
}

enum log_level config_log_level(const struct config *c)
{
	/* The choices of the row stand in the order of the levels. */
	return LOG_LEVEL_ERR + (enum log_level)c->server->log_level;
}

void config_print(struct buf *to)
{
	buf_str(to, "# SPDX-License-Identifier: Apache-2.0\n"
		    "# Configuration of signetd: every option, commented out, with its default.\n"
		    "# Made by: signetd --print-config\n");
	conf_write(config_sections, to);
}
