/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_validate.c -- signetctl validate: would the daemon load this?
 *
 * By the daemon's own loader, warm-up and proof of the batch dimension included, so the
 * answer is the daemon's. A model's own options, model.conf, are read as the daemon does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "loader/repo/layout.h"
#include "server/config.h"
#include "tools/ctl/ctl.h"
#include "tools/ctl/offline.h"

struct validate {
	struct pool *pool;
	struct config *config;   /* what the daemon takes when nothing is configured */
	const char *device;      /* NULL: as configured */
	int64_t max_batch;       /* 0: as configured */
	struct model_conf model; /* of the path being looked at */
	int n_ok, n_bad;
};

static void describe(const char *path, const struct version *v)
{
	printf("%s: ok, loaded in %.0f ms, %zu bytes\n", path,
		(double)(v->load_ns + v->compile_ns + v->warm_ns) / 1e6, v->memory_bytes);
	for (int i = 0; i < v->n_sig; i++) {
		const struct signature *s = &v->sig[i];
		printf("  signature '%s': %d inputs, %d outputs, ", s->name, s->n_in, s->n_out);
		int part = signature_part_rows(s, s->max_batch);
		if (s->batchable && part < s->max_batch)
			printf("batches up to %d rows, run %d at a time\n", s->max_batch, part);
		else if (s->batchable)
			printf("batches up to %d rows\n", s->max_batch);
		else
			printf("not batched: %s\n",
				s->why_not_batchable ? s->why_not_batchable : "");
	}
}

static void report_bad(struct validate *x, const char *path, const struct err *why)
{
	printf("%s: %s: %s\n", path, err_name(why->code), why->msg);
	x->n_bad++;
}

static void validate_version(
	struct validate *x, const char *path, int dirfd, const char *file, int64_t number)
{
	struct err err = { 0 };
	struct version *v = NULL;
	struct version_conf conf = {
		.model = path,
		.number = number,
		.backend = &cpu_backend,
		.pool = x->pool,
		.max_batch = x->max_batch ? (int)x->max_batch : x->model.max_batch,
		.threads = pool_threads(x->pool),
		.device = x->device ? x->device : x->model.device,
		.precision = x->model.precision,
		.sig = x->model.sig,
		.n_sig = x->model.n_sig,
		.batch_dim = x->model.batch_dim,
	};
	if (version_load(dirfd, file, &conf, &v, &err) != ERR_OK) {
		report_bad(x, path, &err);
		return;
	}
	describe(path, v);
	version_free(v);
	x->n_ok++;
}

/* What is done with a directory beneath another; how many versions it was, or held. */
typedef int (*visit_fn)(
	struct validate *x, const char *path, const char *name, struct arena *arena);

/* Every directory beneath path, but hidden ones. */
static int visit_below(struct validate *x, const char *path, visit_fn visit, struct arena *arena)
{
	struct dirent **entry;
	struct stat st;
	int n = scandir(path, &entry, NULL, versionsort), found = 0;
	for (int i = 0; i < n; i++) {
		const char *name = entry[i]->d_name;
		const char *child = *name == '.' ? NULL : arena_printf(arena, "%s/%s", path, name);
		if (child && stat(child, &st) == 0 && S_ISDIR(st.st_mode))
			found += visit(x, child, name, arena);
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
	return found;
}

static int visit_version(
	struct validate *x, const char *path, const char *name, struct arena *arena)
{
	int64_t number;
	(void)arena;
	int fd = layout_parse_version(slice_of(name), &number)
		? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		return 0;
	validate_version(x, path, fd, NULL, number);
	close(fd);
	return 1;
}

/* A model's directory may hold its own options. */
static enum err_code read_options(
	struct validate *x, const char *path, struct arena *arena, struct err *err)
{
	struct slice text;
	const char *dir, *file;
	x->model = x->config->repo.defaults;
	enum err_code rc = file_follow_beneath(path, LAYOUT_CONF, arena, &dir, &file, err);
	if (rc == ERR_NOT_FOUND)
		return ERR_OK;
	const char *at = rc == ERR_OK ? arena_printf(arena, "%s/%s", dir, file) : NULL;
	if (rc == ERR_OK)
		rc = at ? file_read_path(at, CONF_BYTES_MAX, arena, &text, err) : err_oom(err);
	if (rc == ERR_OK)
		rc = config_model_file(x->config, "", text, LAYOUT_CONF, arena, &x->model, err);
	return rc;
}

/* A model with its versions; 0: it has none. */
static int visit_model(struct validate *x, const char *path, const char *name, struct arena *arena)
{
	struct err err;
	(void)name;
	if (read_options(x, path, arena, &err) == ERR_OK)
		return visit_below(x, path, visit_version, arena);
	report_bad(x, path, &err);
	return 1;
}

/* The same of a directory of models, where one without versions is worth a word. */
static int visit_model_of_root(
	struct validate *x, const char *path, const char *name, struct arena *arena)
{
	struct err none;
	if (visit_model(x, path, name, arena) > 0)
		return 1;
	err_set(&none, ERR_NOT_FOUND, "it has no version: no NUMBER/model.onnx or model.signet");
	report_bad(x, path, &none);
	return 1;
}

/* A file, or a directory that is a version itself. */
static enum err_code validate_alone(
	struct validate *x, const char *path, bool is_dir, struct err *err)
{
	int fd;
	const char *file = NULL;
	if (!is_dir)
		TRY(offline_open_dir(path, &fd, &file, err));
	else if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return file_err(err, errno, path);
	validate_version(x, path, fd, file, 1);
	close(fd);
	return ERR_OK;
}

static bool holds_model(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool found = fd >= 0 && layout_find_file(fd);
	if (fd >= 0)
		close(fd);
	return found;
}

static enum err_code validate_path(
	struct validate *x, const char *path, struct arena *arena, struct err *err)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return file_err(err, errno, path);
	bool is_dir = S_ISDIR(st.st_mode);
	if (is_dir && visit_model(x, path, NULL, arena) > 0)
		return ERR_OK;
	if (is_dir && !holds_model(path) && visit_below(x, path, visit_model_of_root, arena) > 0)
		return ERR_OK;
	if (!is_dir)
		x->model = x->config->repo.defaults;
	return validate_alone(x, path, is_dir, err);
}

enum err_code ctl_validate(struct ctl *c, struct err *err)
{
	/* Of no interest but that a configuration without it serves nothing. */
	static const char *const roots[] = { ".", NULL };
	const struct command_line line = { .roots = roots };
	struct validate x = { 0 };
	const struct args_option options[] = {
		{ "max-batch", ARGS_COUNT, &x.max_batch, "N",
			"as the daemon's option (default 32)" },
		{ "device", ARGS_TEXT, &x.device, "D", "cpu (default), gpu or gpu:N" },
		CTL_LIBRARIES(c),
		{ 0 },
	};
	enum err_code rc = ctl_options(c, options, 1, INT32_MAX, err);
	if (rc == ERR_OK)
		rc = config_load(&line, &x.config, err);
	if (rc == ERR_OK)
		rc = pool_new(0, cpu_backend.thread_init, &x.pool, err);
	for (int i = 1; rc == ERR_OK && i < c->argc; i++)
		rc = validate_path(&x, c->argv[i], c->arena, err);
	pool_free(x.pool);
	config_free(x.config);
	if (rc == ERR_OK && x.n_bad)
		rc = err_set(err, ERR_FAILED_PRECONDITION, "%d of %d versions would not load",
			x.n_bad, x.n_ok + x.n_bad);
	return rc;
}
