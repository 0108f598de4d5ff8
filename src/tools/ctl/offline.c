/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "exec/module.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/pages.h"
#include "exec/infer/infer.h"
#include "exec/packs.h"

enum err_code offline_open_dir(
	const char *path, int *ret_dirfd, const char **ret_file, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	if (slash && (size_t)(slash - path) + 1 < sizeof(dir)) {
		memcpy(dir, path, (size_t)(slash - path) + 1);
		dir[slash - path + 1] = '\0';
	}
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return file_err(err, errno, dir);
	*ret_dirfd = fd;
	*ret_file = slash ? slash + 1 : path;
	return ERR_OK;
}

static struct model_io *describe_values(const struct offline *o, const int32_t *value, int n)
{
	const struct graph *g = o->model.graph;
	struct model_io *io = ARENA_ARRAY(o->arena, struct model_io, (size_t)n + 1);
	for (int i = 0; io && i < n; i++) {
		const struct gvalue *v = &g->value[value[i]];
		io[i] = (struct model_io){ v->name, v->type.dtype, v->shape, v->type };
		for (int d = 0; d < v->shape.rank; d++) {
			if (io[i].shape.dim[d] < 0)
				io[i].shape.dim[d] = DIM_UNKNOWN;
		}
	}
	return io;
}

static enum err_code describe(struct offline *o, struct err *err)
{
	const struct graph *g = o->model.graph;
	o->info = (struct model_info){ .name = g->name, .n_in = g->n_input, .n_out = g->n_output };
	o->info.in = describe_values(o, g->input, g->n_input);
	o->info.out = describe_values(o, g->output, g->n_output);
	return o->info.in && o->info.out ? ERR_OK : err_oom(err);
}

/* Threads, and what a version has of its own. */
static enum err_code prepare(struct offline *o, const struct offline_conf *conf, struct err *err)
{
	enum err_code rc = backend_open(conf->device ? conf->device : "cpu", &o->backend, err);
	o->threads = conf->threads ? conf->threads : pool_default_threads();
	/* This thread works too, so it is one of them. */
	if (rc == ERR_OK && o->threads > 1)
		rc = pool_new(o->threads - 1, cpu_backend.thread_init, &o->pool, err);
	if (cpu_backend.thread_init)
		cpu_backend.thread_init();
	o->packs = packs_new();
	o->choices = choices_new();
	return rc == ERR_OK && (!o->packs || !o->choices) ? err_oom(err) : rc;
}

static enum err_code read_model(
	struct offline *o, const char *path, const struct offline_conf *conf, struct err *err)
{
	int dirfd = -1;
	const char *file = NULL;
	struct version_conf vc = { .backend = o->backend, .pool = o->pool, .choices = o->choices,
		.precision = conf->precision };
	enum err_code rc = offline_open_dir(path, &dirfd, &file, err);
	if (rc == ERR_OK)
		rc = model_read(dirfd, file, &vc, o->packs, o->arena, &o->model, err);
	if (dirfd >= 0)
		close(dirfd);
	return rc;
}

static enum err_code compile(struct offline *o, const struct offline_conf *conf, struct err *err)
{
	struct passes_opts opts = passes_opts_for(o->backend, conf->precision);
	opts.on_pass = conf->on_pass;
	opts.ctx = conf->ctx;
	opts.compiled = o->model.compiled;
	struct graph *g = o->model.graph;
	const char *doubt;
	enum err_code rc = graph_check(g, err);
	if (rc == ERR_OK)
		rc = infer_model(g, &doubt, err);
	if (rc == ERR_OK)
		rc = describe(o, err);
	if (rc == ERR_OK && conf->on_pass)
		conf->on_pass(conf->ctx, "", g);
	if (rc == ERR_OK)
		rc = passes_run(g, &opts, err);
	struct program_conf pc = { .backend = o->backend, .packs = o->packs, .threads = o->threads,
		.precision = conf->precision, .choices = o->choices, .forget = conf->forget };
	return rc == ERR_OK ? program_new(g, &pc, &o->program, err) : rc;
}

enum err_code offline_open(const char *path, const struct offline_conf *conf, struct offline *ret,
	struct err *err)
{
	struct offline o = { .arena = arena_new(1 << 20, 0), .keeps_pages = true };
	int64_t begin = clock_now_ns();
	pages_keep();
	enum err_code rc = o.arena ? prepare(&o, conf, err) : err_oom(err);
	if (rc == ERR_OK)
		rc = read_model(&o, path, conf, err);
	if (rc == ERR_OK)
		rc = compile(&o, conf, err);
	if (rc != ERR_OK) {
		offline_close(&o);
		return rc;
	}
	o.load_ns = clock_now_ns() - begin;
	*ret = o;
	return ERR_OK;
}

void offline_close(struct offline *o)
{
	program_free(o->program);
	packs_free(o->packs);
	choices_free(o->choices);
	pool_free(o->pool);
	arena_free(o->arena);
	if (o->keeps_pages)
		pages_keep_end();
	*o = (struct offline){ 0 };
}

struct sink {
	struct arena *arena;
	struct tensor *out;
};

static void *on_output(void *ctx, int i, const struct tensor *t)
{
	struct sink *s = ctx;
	struct tensor *out = &s->out[i];
	/* A sequence lies in the run's arena already. */
	if (t->dtype == DTYPE_TENSOR || tensor_is_absent(t)) {
		*out = *t;
		return t->data;
	}
	bool fits = out->data && out->dtype == t->dtype && shape_equal(&out->shape, &t->shape);
	void *data = fits ? out->data
			  : arena_alloc_aligned(s->arena, tensor_bytes(t), ARENA_ALIGN_TENSOR);
	*out = *t;
	out->data = data;
	return data;
}

enum err_code offline_run(struct offline *o, const struct tensor *in, struct arena *arena,
	struct tensor *out, struct err *err)
{
	struct sink sink = { arena, out };
	struct run_opts opts = { .pool = o->pool, .arena = arena, .output = on_output,
		.output_ctx = &sink,
		.profile = o->profile };
	return program_run(o->program, in, &opts, err);
}
