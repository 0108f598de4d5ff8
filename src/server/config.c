/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"

#include <limits.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/room.h"
#include "loader/repo/layout.h"
#include "server/config_model.h"
#include "server/notify.h"

#define ROW(options, key, type, init, min, max, choices, reload, help) \
	{ #key, CONF_##type, init, min, max, choices, offsetof(struct options, key), reload, help },

#define N(rows) (sizeof(rows) / sizeof((rows)[0]))

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
	{ #id, named, sizeof(struct options_##id), id##_rows, N(id##_rows), help },
#include "server/options.def"
	{ 0 },
};

const struct conf_section config_model_sections[] = {
	/* Without the first row, path: the file is where the model is. */
	{ "model", false, sizeof(struct options_model), model_rows + 1, N(model_rows) - 1,
		"The model beside which the file lies." },
	{ "signature", true, sizeof(struct options_signature), signature_rows, N(signature_rows),
		"One more signature of the model." },
	{ 0 },
};

/* A file of CONF_BYTES_MAX full of short sections needs about this. */
#define CONFIG_BYTES_MAX (64u << 20)

static enum err_code check_signature_names(struct making *m)
{
	for (const struct conf_block *b = NULL; (b = conf_next(m->conf, "signature", b));) {
		const char *slash = strchr(b->name, '/');
		const struct conf_block *model = NULL;
		while (slash && (model = conf_next(m->conf, "model", model)) &&
			!config_belongs_to(b, model->name))
			;
		if (slash && slash[1] && model)
			continue;
		(void)err_set(m->err, ERR_INVALID_ARGUMENT,
			slash ? "there is no section for its model"
			      : "its name must be: MODEL/SIGNATURE");
		TRY_ALL(m->all, m->err, config_at_block(m, b));
	}
	return ERR_OK;
}

static enum err_code make_model(struct making *m, const struct conf_block *b, struct model_conf *to)
{
	if (!layout_is_model_name(slice_of(b->name))) {
		(void)err_set(m->err, ERR_INVALID_ARGUMENT,
			"its name must be 1 to %d of A-Z a-z 0-9 . _ -", LAYOUT_NAME_MAX);
		return config_at_block(m, b);
	}
	TRY(config_make_model(m, b->values, b, b->name, to));
	return config_make_signatures(m, b->name, to);
}

static enum err_code make_defaults(struct making *m, struct config *c)
{
	const void *defaults;
	TRY(conf_defaults(m->conf, "model", &defaults, m->err));
	c->model_defaults = defaults;
	if (config_make_model(m, defaults, NULL, NULL, &c->repo.defaults) != ERR_OK)
		return err_prefix(m->err, "%s: [model *]", m->conf->file);
	if (c->repo.defaults.path)
		return err_set(m->err, ERR_INVALID_ARGUMENT,
			"%s: [model *]: path is for one model alone", m->conf->file);
	return ERR_OK;
}

static enum err_code make_models(struct making *m, struct config *c)
{
	struct repo_conf *r = &c->repo;
	const struct conf_block *b = NULL;
	int n = 0;
	while ((b = conf_next(m->conf, "model", b)))
		n++;
	struct model_conf *models = ARENA_ARRAY(m->arena, struct model_conf, (size_t)n + 1);
	if (!models)
		return err_oom(m->err);
	r->models = models;
	while ((b = conf_next(m->conf, "model", b)))
		TRY_ALL(m->all, m->err, make_model(m, b, &models[r->n_models++]));
	TRY_ALL(m->all, m->err, make_defaults(m, c));
	return check_signature_names(m);
}

static int as_ms(int64_t ns)
{
	int64_t ms = ns / NS_PER_MS;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* The command line's, the file's, or the one beside what systemd keeps for us. */
static enum err_code make_roots(struct config *c, const struct command_line *line, struct err *err)
{
	char state[PATH_MAX];
	c->repo.roots = line->roots && line->roots[0] ? line->roots : c->repository->roots.item;
	if (c->repo.roots[0] || !notify_state_dir(state, sizeof(state)))
		return ERR_OK;
	const char **only = ARENA_ARRAY(c->arena, const char *, 2);
	char *path = arena_printf(c->arena, "%s/models", state);
	if (!only || !path)
		return err_oom(err);
	only[0] = path;
	only[1] = NULL;
	c->repo.roots = only;
	return ERR_OK;
}

static void make_repository(struct config *c, const struct command_line *line)
{
	const struct options_repository *o = c->repository;
	struct repo_conf *r = &c->repo;
	c->op_libraries = line->op_libraries;
	r->explicit_only = o->explicit;
	r->readiness = (enum readiness)o->readiness; /* the row's choices stand in its order */
	r->poll_ms = as_ms(o->poll);
	r->settle_ms = as_ms(o->settle);
	r->retry_ms = as_ms(o->retry);
	r->load_threads = (int)o->load_threads;
	r->memory_bytes_max = o->memory_max;
	r->entries_max = o->entries_max;
	r->strict_permissions = o->strict_permissions;
	r->allow_hardlinks = o->allow_hardlinks;
}

static enum err_code set(struct conf *conf, const struct command_set *s, struct err *err)
{
	if (conf_set(conf, s->section, s->name, s->key, s->value, err) == ERR_OK)
		return ERR_OK;
	return err_prefix(err, "command line: [%s%s%s]", s->section, s->name ? " " : "",
		s->name ? s->name : "");
}

static enum err_code parse_options(struct config *c, const struct command_line *line,
	struct slice text, const char *file, struct err *err)
{
	const struct conf_source from = { .text = text, .file = file, .all = line->all };
	struct conf *conf;
	TRY(conf_parse(config_sections, &from, c->arena, &conf, err));
	for (const struct command_set *s = line->sets; s; s = s->next)
		TRY_ALL(line->all, err, set(conf, s, err));
	TRY(err_all_end(line->all, err));
	c->conf = conf;
	c->server = conf_get(conf, "server");
	c->repository = conf_get(conf, "repository");
	c->http = conf_get(conf, "http");
	c->grpc = conf_get(conf, "grpc");
	return ERR_OK;
}

static enum err_code make_all(struct config *c, const struct command_line *line, struct slice text,
	const char *file, struct err *err)
{
	TRY(parse_options(c, line, text, file, err));
	struct making m = { .conf = c->conf, .arena = c->arena, .err = err, .all = line->all };
	TRY_ALL(m.all, err,
		config_check_device(&m, c->server->device, conf_block_of(c->conf, "server")));
	TRY(make_roots(c, line, err));
	make_repository(c, line);
	TRY(make_models(&m, c));
	TRY(err_all_end(m.all, err));
	bool path = false;
	for (int i = 0; i < c->repo.n_models; i++)
		path |= c->repo.models[i].path != NULL;
	if (!c->repo.roots[0] && !path)
		return err_set(err, ERR_INVALID_ARGUMENT,
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
	enum err_code rc = make_all(c, line, text, file, err ? err : &own);
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
	enum err_code rc = arena ? file_read_path(line->config, CONF_BYTES_MAX, arena, &text, err)
				 : err_oom(err);
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

const struct conf_block *config_model_block(const struct config *c, const char *model)
{
	const struct conf_block *b = NULL;
	while ((b = conf_next(c->conf, "model", b)) && strcmp(b->name, model) != 0)
		;
	return b;
}

size_t config_inflight_bytes(const struct config *c)
{
	return c->server->inflight_memory ? c->server->inflight_memory : room_default_bytes();
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
