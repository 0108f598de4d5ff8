/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jobs.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define THREADS_MAX 64

struct jobs {
	struct jobs_conf conf;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct job *first, **last;
	bool stop;
	int n_thread;
	pthread_t thread[THREADS_MAX];
};

/* NULL: the end. */
static struct job *take(struct jobs *q)
{
	pthread_mutex_lock(&q->lock);
	while (!q->first && !q->stop)
		pthread_cond_wait(&q->change, &q->lock);
	struct job *job = q->first;
	if (job) {
		q->first = job->next;
		if (!q->first)
			q->last = &q->first;
	}
	pthread_mutex_unlock(&q->lock);
	return job;
}

static void *run(void *ctx)
{
	struct jobs *q = ctx;
	struct job *job;
	pthread_setname_np(pthread_self(), q->conf.name);
	if (q->conf.on_start)
		q->conf.on_start();
	while ((job = take(q)))
		job->run(job->ctx);
	return NULL;
}

enum err_code jobs_new(const struct jobs_conf *conf, struct jobs **ret, struct err *err)
{
	struct jobs *q = calloc(1, sizeof(*q));
	if (!q)
		return err_oom(err);
	q->conf = *conf;
	q->last = &q->first;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->change, NULL);
	int threads = conf->threads < 1	      ? 1
		: conf->threads > THREADS_MAX ? THREADS_MAX
					      : conf->threads;
	while (q->n_thread < threads && pthread_create(&q->thread[q->n_thread], NULL, run, q) == 0)
		q->n_thread++;
	if (q->n_thread == 0) {
		jobs_free(q);
		return err_set(
			err, ERR_RESOURCE_EXHAUSTED, "no thread %s could be started", conf->name);
	}
	*ret = q;
	return ERR_OK;
}

void jobs_submit(struct jobs *q, struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&q->lock);
	*q->last = job;
	q->last = &job->next;
	pthread_cond_signal(&q->change);
	pthread_mutex_unlock(&q->lock);
}

void jobs_free(struct jobs *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_broadcast(&q->change);
	pthread_mutex_unlock(&q->lock);
	for (int i = 0; i < q->n_thread; i++)
		pthread_join(q->thread[i], NULL);
	pthread_cond_destroy(&q->change);
	pthread_mutex_destroy(&q->lock);
	free(q);
}
