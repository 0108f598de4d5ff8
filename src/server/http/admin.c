/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/admin.h"

#include <pthread.h>
#include <stdlib.h>
#include "server/http/conn.h"

struct admin {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct call *first, **last;
	bool stop;
};

static struct call *take(struct admin *a)
{
	pthread_mutex_lock(&a->lock);
	while (!a->first && !a->stop)
		pthread_cond_wait(&a->change, &a->lock);
	struct call *c = a->first;
	if (c) {
		a->first = c->queued;
		if (!a->first)
			a->last = &a->first;
	}
	pthread_mutex_unlock(&a->lock);
	return c;
}

static void *run(void *ctx)
{
	struct admin *a = ctx;
	struct call *c;
	pthread_setname_np(pthread_self(), "http-admin");
	while ((c = take(a))) {
		struct err err;
		enum err_code rc = c->route->handle(c, &err);
		conn_resume(c, rc, &err);
	}
	return NULL;
}

enum err_code admin_new(struct admin **ret, struct err *err)
{
	struct admin *a = calloc(1, sizeof(*a));
	if (!a)
		return err_oom(err);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->change, NULL);
	a->last = &a->first;
	if (pthread_create(&a->thread, NULL, run, a) != 0) {
		free(a);
		return err_set(err, ERR_INTERNAL, "http: cannot start the admin thread");
	}
	*ret = a;
	return ERR_OK;
}

void admin_submit(struct admin *a, struct call *c)
{
	c->queued = NULL;
	pthread_mutex_lock(&a->lock);
	*a->last = c;
	a->last = &c->queued;
	pthread_cond_signal(&a->change);
	pthread_mutex_unlock(&a->lock);
}

void admin_free(struct admin *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->change);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->change);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
