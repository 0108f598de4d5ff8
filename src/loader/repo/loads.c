/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/loads.h"

#include <pthread.h>
#include <stdlib.h>
#include "loader/repo/low_priority.h"

#define THREADS_MAX 64

struct loads {
	struct inbox *inbox;
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct load *first, **last;
	bool stop;
	int n_thread;
	pthread_t thread[THREADS_MAX];
};

/* NULL: the end. */
static struct load *next_load(struct loads *q)
{
	pthread_mutex_lock(&q->lock);
	while (!q->first && !q->stop)
		pthread_cond_wait(&q->some, &q->lock);
	struct load *l = q->first;
	if (l) {
		q->first = l->next;
		if (!q->first)
			q->last = &q->first;
	}
	pthread_mutex_unlock(&q->lock);
	return l;
}

static void *run(void *arg)
{
	struct loads *q = arg;
	low_priority_thread("load");
	for (struct load *l; (l = next_load(q));) {
		load_run(l);
		inbox_post(q->inbox, &l->done);
	}
	return NULL;
}

enum err_code loads_new(int threads, struct inbox *inbox, struct loads **ret, struct err *err)
{
	struct loads *q = calloc(1, sizeof(*q));
	if (!q)
		return err_oom(err);
	q->inbox = inbox;
	q->last = &q->first;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->some, NULL);
	threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
	while (q->n_thread < threads && pthread_create(&q->thread[q->n_thread], NULL, run, q) == 0)
		q->n_thread++;
	if (q->n_thread == 0) { /* fewer than asked for will do */
		loads_free(q);
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "no loading thread could be started");
	}
	*ret = q;
	return ERR_OK;
}

void loads_free(struct loads *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_broadcast(&q->some);
	pthread_mutex_unlock(&q->lock);
	for (int i = 0; i < q->n_thread; i++)
		pthread_join(q->thread[i], NULL);
	pthread_cond_destroy(&q->some);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

void loads_put(struct loads *q, struct load *l)
{
	pthread_mutex_lock(&q->lock);
	l->next = NULL;
	*q->last = l;
	q->last = &l->next;
	pthread_cond_signal(&q->some);
	pthread_mutex_unlock(&q->lock);
}
