/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/load.h"

#include <stdlib.h>
#include <string.h>

/* On the loading thread, which only says how far it is: the state itself is moved, and the move
   logged, by the repository's thread (lifecycle.c:follow). */
static void on_progress(void *ctx, enum version_state s)
{
	struct load *l = ctx;
	atomic_store(&l->progress, (int)s);
	inbox_wake(l->inbox);
}

struct load *load_new(
	struct instance *x, struct settings *conf, size_t budget_bytes, struct inbox *inbox)
{
	struct load *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	settings_ref(conf);
	own_conf_ref(x->model->file.conf);
	l->conf = conf;
	l->own = x->model->file.conf;
	l->options = x->model->conf;
	l->inbox = inbox;
	l->instance = x;
	l->model = strdup(x->model->name);
	l->dir = strdup(x->dir);
	l->file = strdup(x->file);
	l->from = (struct scan_version){ .number = x->number, .dir = l->dir, .file = l->file,
		.file_only = x->file_only, .id = x->id, .stamp = x->stamp, .bytes = x->bytes };
	atomic_init(&l->progress, VERSION_LOADING);
	const struct model_conf *m = x->model->conf;
	l->vc = (struct version_conf){ .model = l->model,
		.number = x->number,
		.backend = conf->c.backend,
		.device = m->device,
		.device_fallback = conf->c.device_fallback,
		.pool = conf->c.pool,
		.max_batch = m->max_batch,
		.threads = conf->c.threads,
		.memory_bytes_max = budget_bytes,
		.precision = m->precision,
		.choices = conf->c.choices,
		.allow_hardlinks = conf->c.allow_hardlinks,
		.sig = m->sig,
		.n_sig = m->n_sig,
		.batch_dim = m->batch_dim,
		.cancel = &l->cancel,
		.on_state = on_progress,
		.ctx = l };
	if (!l->model || !l->dir || !l->file) {
		load_free(l);
		return NULL;
	}
	return l;
}

void load_free(struct load *l)
{
	if (!l)
		return;
	own_conf_release(l->own);
	settings_release(l->conf);
	free(l->model);
	free(l->dir);
	free(l->file);
	free(l);
}
