/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/conf.h"
#include "base/file.h"
#include "loader/repo/layout.h"

#define OWN_BYTES_MAX (64u << 20) /* a file of CONF_BYTES_MAX full of short sections */

void own_conf_ref(struct own_conf *o)
{
	if (o)
		atomic_fetch_add(&o->refs, 1);
}

void own_conf_release(struct own_conf *o)
{
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	settings_release(o->base);
	arena_free(o->arena);
}

void model_file_done(struct model_file *f)
{
	own_conf_release(f->conf);
	free(f->dir);
	*f = (struct model_file){ 0 };
}

bool model_file_is_due(const struct model_file *f, int64_t now_ns)
{
	return (f->settled && f->stamp != f->taken) ||
	       (f->err.code != ERR_OK && now_ns >= f->retry_ns);
}

bool model_file_holds(const struct model_file *f)
{
	return f->stamp == f->taken && f->err.code == ERR_OK;
}

static enum err_code read_text(
	const struct model_file *f, struct arena *arena, struct slice *ret, struct err *err)
{
	const char *dir, *file;
	if (f->blocked.code != ERR_OK)
		return err_copy(err, &f->blocked);
	TRY(file_follow_beneath(f->dir, LAYOUT_CONF, arena, &dir, &file, err));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return file_err(err, errno, LAYOUT_CONF);
	enum err_code rc = file_read(fd, file, CONF_BYTES_MAX, arena, ret, err);
	close(fd);
	return rc;
}

/* A model's own file does not say where the model lies, and does not overrule the versions and
   labels that a client has asked for. */
static void keep_base(const struct model_conf *base, struct model_conf *to)
{
	to->path = base->path;
	if (!base->asked)
		return;
	to->asked = true;
	to->policy = base->policy;
	to->latest_n = base->latest_n;
	to->versions = base->versions;
	to->n_versions = base->n_versions;
	to->labels = base->labels;
	to->n_labels = base->n_labels;
}

static enum err_code make(const struct model_file *f, const char *model, struct settings *base,
	const struct repo_hooks *hooks, struct own_conf **ret, struct err *err)
{
	struct arena *arena = arena_new(4096, OWN_BYTES_MAX);
	struct own_conf *o = arena ? ARENA_NEW(arena, struct own_conf) : NULL;
	struct slice text;
	enum err_code rc = o ? read_text(f, arena, &text, err) : err_oom(err);
	if (rc == ERR_OK)
		rc = hooks->on_configure(hooks->ctx, model, text, arena, &o->c, err);
	if (rc != ERR_OK) {
		arena_free(arena);
		return rc;
	}
	atomic_init(&o->refs, 1);
	o->arena = arena;
	o->base = base;
	settings_ref(base);
	keep_base(settings_model(base, model), &o->c);
	*ret = o;
	return ERR_OK;
}

void model_file_take(struct model_file *f, const char *model, struct settings *base,
	const struct repo_hooks *hooks)
{
	struct own_conf *next = NULL;
	f->taken = f->stamp;
	f->err = (struct err){ .code = ERR_OK };
	f->retry_ns = INT64_MAX;
	if (f->stamp && hooks->on_configure)
		f->err.code = make(f, model, base, hooks, &next, &f->err);
	if (f->err.code != ERR_OK)
		return;
	own_conf_release(f->conf);
	f->conf = next;
}
