/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_compile.c -- signetctl compile: a model as one file that loads at the speed of reading
 *
 * The daemon's own loader reads, compiles and warms it; what that leaves (the graph after
 * its passes, packed weights, which kernels won) is written down.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/packs.h"
#include "loader/native/native.h"
#include "tools/ctl/ctl.h"
#include "tools/ctl/offline.h"

/* What the daemon takes when nothing is configured. */
#define MAX_BATCH_DEFAULT 32

struct compile {
	const char *output;
	int64_t max_batch;
	const char *precision_text;
	enum precision precision;
	struct pool *pool;
	struct choices *choices;
};

static enum err_code load(
	const struct compile *x, const char *path, struct version **ret, struct err *err)
{
	int dirfd = -1;
	const char *file = NULL;
	struct version_conf conf = {
		.model = path,
		.number = 1,
		.backend = &cpu_backend,
		.pool = x->pool,
		.max_batch = (int)x->max_batch,
		.threads = pool_threads(x->pool),
		.precision = x->precision,
		.choices = x->choices,
		.keep_weights = true,
	};
	enum err_code rc = offline_open_dir(path, &dirfd, &file, err);
	if (rc == ERR_OK)
		rc = version_load(dirfd, file, &conf, ret, err);
	if (dirfd >= 0)
		close(dirfd);
	return rc;
}

static enum err_code write_file(const char *path, const struct file_mem *data, struct err *err)
{
	int dirfd = -1;
	const char *file;
	enum err_code rc = offline_open_dir(path, &dirfd, &file, err);
	if (rc == ERR_OK)
		rc = file_write_atomic(dirfd, file, data->ptr, data->bytes, 0644, err);
	if (dirfd >= 0)
		close(dirfd);
	return rc;
}

static enum err_code compile(const struct compile *x, const char *path, struct err *err)
{
	struct version *v = NULL;
	struct file_mem data = {0};
	int64_t began_ns = clock_now_ns();
	enum err_code rc = load(x, path, &v, err);
	if (rc != ERR_OK)
		return rc;
	struct native_model m = {.graph = v->graph,
		.prop = v->prop,
		.n_prop = v->n_prop,
		.precision = x->precision};
	struct native_conf conf = {
		.backend = &cpu_backend, .packs = v->packs, .choices = x->choices};
	/* Signatures add outputs at every load. */
	v->graph->n_output = v->n_own_output;
	rc = native_format(&m, &conf, &data, err);
	if (rc == ERR_OK)
		rc = write_file(x->output, &data, err);
	if (rc == ERR_OK)
		printf("%s: %zu bytes, %zu of them packed weights; compiled in %.0f ms\n",
			x->output, data.bytes, packs_bytes(v->packs),
			(double)(clock_now_ns() - began_ns) / 1e6);
	file_mem_free(&data);
	version_free(v);
	return rc;
}

enum err_code ctl_compile(struct ctl *c, struct err *err)
{
	struct compile x = {.max_batch = MAX_BATCH_DEFAULT};
	const struct args_option options[] = {
		{ "output", ARGS_TEXT, &x.output, "FILE",
			"where the compiled model goes; -o for short" },
		{ "max-batch", ARGS_COUNT, &x.max_batch, "N",
			"as the daemon's option (default 32)" },
		{ "precision", ARGS_TEXT, &x.precision_text, "P",
			"fast, exact or bf16: how results may be rounded" },
		CTL_LIBRARIES(c),
		{ 0 },
	};
	enum err_code rc = ctl_options(c, options, 1, 1, err);
	if (rc == ERR_OK && !x.output)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			"where to? signetctl compile MODEL.onnx -o model.signet");
	if (rc == ERR_OK)
		rc = args_precision(x.precision_text, &x.precision, err);
	if (rc == ERR_OK)
		rc = pool_new(0, cpu_backend.thread_init, &x.pool, err);
	if (rc != ERR_OK)
		return rc;
	x.choices = choices_new();
	rc = x.choices ? compile(&x, c->argv[1], err) : err_oom(err);
	choices_free(x.choices);
	pool_free(x.pool);
	return rc;
}
