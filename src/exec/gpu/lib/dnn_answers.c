/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnn_answers.c -- which of cuDNN's engines does a graph, asked and timed once
 *
 * Where timing is allowed the first of the library's proposals run on the device, and the
 * fastest is remembered, as its engine and knobs, under all that it depends on: the device, the
 * library's version, the graph. A restart makes the plan of that engine, and neither asks nor
 * times. What is remembered and does not work any more is asked anew.
 */
#include "exec/gpu/lib/dnn_answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/hash.h"
#include "exec/gpu/timing.h"

#define PLANS_MAX 10 /* that are timed */
#define ALIGN 256
/* Of the graphs that are described: another one where the same question gives another graph. */
#define GRAPHS 1
#define NO_ENGINE "none"

struct answer {
	struct dnn_plan *plan; /* NULL: refused */
	struct err why;
};

struct asking {
	const struct dnn_question *q;
	struct prep *p;
	struct gpu *gpu;
	struct dnn_graph g;
};

/* -- remembering ------------------------------------------------------------------------------- */

/* All of the question but the backend, whose address it begins with. */
static void describe(const struct asking *who, char ret[CHOICE_KEY_MAX])
{
	const char *key = (const char *)who->q->key + sizeof(who->p->backend);
	size_t bytes = who->q->key_bytes - sizeof(who->p->backend);
	snprintf(ret, CHOICE_KEY_MAX, "graph %d %s cuDNN %zu %016" PRIx64 "%016" PRIx64, GRAPHS,
		who->gpu->name, dnn.cudnnGetVersion(), hash_bytes(key, bytes, 1),
		hash_bytes(key, bytes, 2));
}

/* true: the answer was remembered. */
static bool recall(struct asking *who, const char *key, struct answer *a)
{
	char name[CHOICE_NAME_MAX];
	struct dnn_config config;
	if (!choices_find(who->p->choices, key, name))
		return false;
	if (strcmp(name, NO_ENGINE) == 0) {
		(void)err_set(&a->why, ERR_UNIMPLEMENTED, "cuDNN had no engine for it");
		return true;
	}
	if (dnn_config_read(name, &config) &&
		dnn_plan_as(&who->g, &who->q->limits, &config, &a->plan, &a->why) == ERR_OK)
		return true;
	who->g.status = CUDNN_STATUS_SUCCESS; /* the operations are well */
	return false;
}

static void remember(const struct asking *who, const char *key, const struct answer *a)
{
	char name[CHOICE_NAME_MAX] = NO_ENGINE;
	if (a->plan)
		dnn_config_write(dnn_plan_config(a->plan), name, sizeof(name));
	if (*name)
		choices_put(who->p->choices, key, name);
}

/* -- timing ------------------------------------------------------------------------------------ */

struct contest {
	cudnnHandle_t handle;
	struct dnn_plan *const *plan;
	struct dnn_binding at;
};

static bool enqueue(const struct timing *t, void *ctx, int i, int run)
{
	const struct contest *c = ctx;
	(void)t, (void)run;
	return dnn_execute(c->plan[i], c->handle, &c->at) == CUDNN_STATUS_SUCCESS;
}

/* The workspace first, then what a run brings. true: no memory is so large. */
static bool lay_out(
	const struct dnn_graph *g, struct dnn_plan *const *plan, int n, size_t *ret_at, size_t *ret)
{
	size_t bytes = 0;
	for (int i = 0; i < n; i++)
		bytes = dnn_workspace_bytes(plan[i]) > bytes ? dnn_workspace_bytes(plan[i]) : bytes;
	for (int i = 0; i < g->n_bound; i++) {
		bytes = ret_at[i] = round_up(bytes, ALIGN);
		if (g->bound[i].bytes > (size_t)1 << 40)
			return true;
		bytes += g->bound[i].bytes;
	}
	*ret = bytes;
	return false;
}

/* The place of the fastest; -1: nothing could be timed. */
static int fastest(const struct asking *who, struct dnn_plan *const *plan, int n)
{
	static float one = 1;
	const struct dnn_graph *g = &who->g;
	struct contest c = { .handle = who->gpu->dnn, .plan = plan };
	struct timing t;
	size_t at[DNN_BOUND_MAX], bytes;
	if (lay_out(g, plan, n, at, &bytes))
		return -1;
	int best = -1;
	bool room = timing_init(&t, who->gpu, bytes);
	c.at.workspace = (void *)t.mem;
	for (; room && c.at.n < g->n_bound; c.at.n++) {
		c.at.id[c.at.n] = g->bound[c.at.n].id;
		c.at.at[c.at.n] =
			g->bound[c.at.n].bytes ? (char *)t.mem + at[c.at.n] : (void *)&one;
	}
	if (room && dnn.cudnnSetStream(c.handle, t.stream) == CUDNN_STATUS_SUCCESS)
		best = timing_fastest(&t, n, enqueue, &c);
	(void)dnn.cudnnSetStream(c.handle, NULL);
	timing_done(&t);
	return best;
}

/* -- asking ------------------------------------------------------------------------------------ */

static enum err_code choose(struct asking *who, struct answer *a, bool *ret_timed)
{
	struct dnn_plan *plan[PLANS_MAX];
	bool may = who->p->choices && !who->p->settled;
	int n, best = 0, most = !may ? 1 : who->q->most ? who->q->most : PLANS_MAX;
	enum err_code rc = dnn_plans(&who->g, &who->q->limits, most, plan, &n, &a->why);
	if (rc == ERR_OK && n > 1)
		best = fastest(who, plan, n);
	*ret_timed = may && best >= 0;
	for (int i = 0; i < n && rc == ERR_OK; i++)
		if (i == (best < 0 ? 0 : best))
			a->plan = plan[i];
		else
			dnn_plan_free(plan[i]);
	return rc;
}

/* With the device's cuDNN locked. */
static enum err_code answer(struct asking *who, struct answer *a)
{
	char key[CHOICE_KEY_MAX];
	bool timed;
	if (who->p->choices) {
		describe(who, key);
		if (recall(who, key, a))
			return a->plan ? ERR_OK : ERR_UNIMPLEMENTED;
	}
	enum err_code rc = choose(who, a, &timed);
	if (timed && (rc == ERR_OK || rc == ERR_UNIMPLEMENTED))
		remember(who, key, a);
	return rc;
}

static enum err_code ask(void **ret, void *ctx, struct err *err)
{
	struct asking *who = ctx;
	struct dnn_target target = { .handle = who->gpu->dnn };
	struct answer *a = calloc(1, sizeof(*a));
	if (!a)
		return err_oom(err);
	pthread_mutex_lock(&who->gpu->dnn_lock);
	dnn_init(&who->g, &target);
	who->q->describe(&who->g, who->q->key);
	enum err_code rc = answer(who, a);
	dnn_done(&who->g);
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

enum err_code dnn_plan_for(
	struct prep *p, const struct dnn_question *q, struct dnn_plan **ret, struct err *err)
{
	struct asking who = { .q = q, .p = p, .gpu = gpu_of(p->backend) };
	struct pack_elsewhere how = { ask, &who, drop, NULL };
	void *found;
	TRY(packs_get_elsewhere(p->packs, q->key, q->key_bytes, &how, &found, err));
	const struct answer *a = found;
	if (!a->plan)
		return err_copy(err, &a->why);
	*ret = a->plan;
	return ERR_OK;
}
