/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/dnn_answers.h"

#include <stdlib.h>

struct answer {
	struct dnn_plan *plan; /* NULL: refused */
	struct err why;
};

struct asking {
	const struct dnn_question *q;
	struct gpu *gpu;
};

static enum err_code ask(void **ret, void *ctx, struct err *err)
{
	const struct asking *who = ctx;
	struct dnn_target target = { .handle = who->gpu->dnn };
	struct dnn_graph g;
	struct answer *a = calloc(1, sizeof(*a));
	if (!a)
		return err_oom(err);
	pthread_mutex_lock(&who->gpu->dnn_lock);
	dnn_init(&g, &target);
	who->q->describe(&g, who->q->key);
	enum err_code rc = dnn_plan(&g, &who->q->limits, &a->plan, &a->why);
	dnn_done(&g);
	pthread_mutex_unlock(&who->gpu->dnn_lock);
	if (rc != ERR_OK && rc != ERR_UNIMPLEMENTED) {
		err_copy(err, &a->why);
		free(a);
		return rc;
	}
	*ret = a;
	return ERR_OK;
}

static void drop(void *mem, void *owner)
{
	(void)owner;
	struct answer *a = mem;
	dnn_plan_free(a->plan);
	free(a);
}

enum err_code dnn_plan_for(struct prep *p, const struct dnn_question *q, struct dnn_plan **ret, struct err *err)
{
	struct asking who = { q, gpu_of(p->backend) };
	struct pack_elsewhere how = { ask, &who, drop, NULL };
	void *found;
	TRY(packs_get_elsewhere(p->packs, q->key, q->key_bytes, &how, &found, err));
	const struct answer *a = found;
	if (!a->plan)
		return err_copy(err, &a->why);
	*ret = a->plan;
	return ERR_OK;
}
