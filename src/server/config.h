/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h -- the daemon's configuration: command line, file, and what they amount to
 *
 * The rows of options.def become one struct per section. config_load() reads the file,
 * lays the command line over it, checks what rows alone cannot check, and makes the
 * structs that repository and batchers are configured with. A SIGHUP loads a second one
 * from the same command line; on any error the first stays.
 *
 * Ownership: a config is one arena; config_free() ends everything that came from it.
 * Threads:   immutable once loaded.
 */
#pragma once

#include "base/conf.h"
#include "base/log.h"
#include "loader/repo/repo.h"

#define OPTION_FIELD(key, type, ...) CONF_C_##type key;

struct options_server {
#define SERVER OPTION_FIELD
#include "server/options.def"
};

struct options_repository {
#define REPOSITORY OPTION_FIELD
#include "server/options.def"
};

struct options_http {
#define HTTP OPTION_FIELD
#include "server/options.def"
};

struct options_grpc {
#define GRPC OPTION_FIELD
#include "server/options.def"
};

struct options_model {
#define MODEL OPTION_FIELD
#include "server/options.def"
};

struct options_signature {
#define SIGNATURE OPTION_FIELD
#include "server/options.def"
};

/* The table of sections, for conf_parse(), conf_write() and whoever documents them. */
extern const struct conf_section config_sections[];
extern const struct conf_section config_model_sections[]; /* of a model's own file */

/* What the words on the command line are for; one per way to run. */
enum command { COMMAND_SERVE, COMMAND_CHECK, COMMAND_PRINT, COMMAND_OPS, COMMAND_VERSION,
	COMMAND_HELP };

/* One option given on the command line, in the order given. */
struct command_set {
	struct command_set *next;
	const char *section, *name, *key, *value; /* name: of a named section, else NULL */
};

struct command_line {
	enum command command;
	const char *config;             /* NULL: no file */
	const char *const *roots;       /* NULL terminated; empty: those of the file */
	const char *const *op_libraries; /* NULL terminated; before those of the file */
	const struct command_set *sets;
	/* (optional) hears of all that is wrong, not of the first thing alone. */
	struct err_all *all;
};

/* Borrows argv. INVALID_ARGUMENT: to be shown with a hint at --help. */
MUST_CHECK enum err_code command_line_parse(int argc, char **argv, struct arena *arena,
	struct command_line *ret, struct err *err);

/* What --print-config prints, and what conf/signetd.conf is. */
void config_print(struct buf *to);

/* What --help prints. */
void command_line_help(struct buf *to);

struct config {
	struct arena *arena;
	const struct conf *conf;
	const struct options_server *server;
	const struct options_repository *repository;
	const struct options_http *http;
	const struct options_grpc *grpc;
	const struct options_model *model_defaults;
	const char *const *op_libraries; /* of the command line; NULL terminated */
	struct repo_conf repo; /* but for backend, pool and threads */
};

MUST_CHECK enum err_code config_load(const struct command_line *line, struct config **ret,
	struct err *err);
/* The same of a file that was read already; file: for messages. */
MUST_CHECK enum err_code config_load_text(const struct command_line *line, struct slice text,
	const char *file, struct config **ret, struct err *err);
void config_free(struct config *c); /* NULL is fine */

/* The section of a model; NULL: it has none. */
const struct conf_block *config_model_block(const struct config *c, const char *model);

/* config_model.c: a model's own file, with what it leaves open as this configuration has it;
   [model NAME] here goes before it. Messages call it file. *ret lies in the arena. */
MUST_CHECK enum err_code config_model_file(const struct config *c, const char *model,
	struct slice text, const char *file, struct arena *arena, struct model_conf *ret,
	struct err *err);

enum log_level config_log_level(const struct config *c);

/* [server] inflight_memory, or what it is by itself. */
size_t config_inflight_bytes(const struct config *c);
