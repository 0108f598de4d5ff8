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
#include "base/parse.h"
#include "loader/repo/layout.h"
#include "server/config.h"
#include "tools/ctl.h"
#include "tools/offline.h"

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
			printf("not batched: %s\n", s->why_not_batchable ? s->why_not_batchable : "");
	}
}

static void validate_version(struct validate *x, const char *path, int dirfd, const char *file, int64_t number)
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
		printf("%s: %s: %s\n", path, err_name(err.code), err.msg);
		x->n_bad++;
		return;
	}
	describe(path, v);
	version_free(v);
	x->n_ok++;
}

/* Every version directory below; 0: there is none, so it may be a version itself. */
static int validate_versions(struct validate *x, const char *path, struct arena *arena)
{
	struct dirent **entry;
	int n = scandir(path, &entry, NULL, versionsort), found = 0;
	for (int i = 0; i < n; i++) {
		int64_t number;
		const char *name = entry[i]->d_name;
		const char *child = arena_printf(arena, "%s/%s", path, name);
		int fd = child && parse_i64(slice_of(name), 1, INT64_MAX, &number)
			? open(child, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		if (fd >= 0) {
			validate_version(x, child, fd, NULL, number);
			close(fd);
			found++;
		}
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
	return found;
}

/* A model's directory may hold its own options. */
static enum err_code read_options(struct validate *x, const char *path, struct arena *arena, struct err *err)
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
	return rc == ERR_OK ? ERR_OK : err_prefix(err, "%s", path);
}

static enum err_code validate_path(struct validate *x, const char *path, struct arena *arena, struct err *err)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return file_err(err, errno, path);
	TRY(read_options(x, path, arena, err));
	bool is_dir = S_ISDIR(st.st_mode);
	if (is_dir && validate_versions(x, path, arena) > 0)
		return ERR_OK;
	int fd;
	const char *file = NULL;
	enum err_code rc = ERR_OK;
	if (is_dir) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			rc = file_err(err, errno, path);
	} else {
		rc = offline_open_dir(path, &fd, &file, err);
	}
	if (rc != ERR_OK)
		return rc;
	validate_version(x, path, fd, file, 1);
	close(fd);
	return ERR_OK;
}

enum err_code ctl_validate(struct ctl *c, struct err *err)
{
	/* Of no interest but that a configuration without it serves nothing. */
	static const char *const roots[] = { ".", NULL };
	const struct command_line line = { .roots = roots };
	struct validate x = { 0 };
	const struct args_option options[] = {
		{ "max-batch", ARGS_COUNT, &x.max_batch, "N", "as the daemon's option (default 32)" },
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
		rc = err_set(err, ERR_FAILED_PRECONDITION, "%d of %d versions would not load", x.n_bad,
			x.n_ok + x.n_bad);
	return rc;
}
