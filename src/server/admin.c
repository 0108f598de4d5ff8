/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct admin {
	const char *name;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct admin_job *first, **last;
	bool stop;
};

static struct admin_job *take(struct admin *a)
{
	pthread_mutex_lock(&a->lock);
	while (!a->first && !a->stop)
		pthread_cond_wait(&a->change, &a->lock);
	struct admin_job *job = a->first;
	if (job) {
		a->first = job->next;
		if (!a->first)
			a->last = &a->first;
	}
	pthread_mutex_unlock(&a->lock);
	return job;
}

static void *run(void *ctx)
{
	struct admin *a = ctx;
	struct admin_job *job;
	pthread_setname_np(pthread_self(), a->name);
	while ((job = take(a)))
		job->run(job->ctx);
	return NULL;
}

enum err_code admin_new(const char *name, struct admin **ret, struct err *err)
{
	struct admin *a = calloc(1, sizeof(*a));
	if (!a)
		return err_oom(err);
	a->name = name;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->change, NULL);
	a->last = &a->first;
	if (pthread_create(&a->thread, NULL, run, a) != 0) {
		free(a);
		return err_set(err, ERR_INTERNAL, "cannot start the thread %s", name);
	}
	*ret = a;
	return ERR_OK;
}

void admin_submit(struct admin *a, struct admin_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&a->lock);
	*a->last = job;
	a->last = &job->next;
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
