/* SPDX-License-Identifier: Apache-2.0 */
#include "server/stats.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

#define KEPT_MAX 1024

const char *const stats_api_names[STATS_API_COUNT_] = { "rest", "grpc" };

static const int64_t time_bounds_ns[] = { 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
	10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000,
	5000000000, 10000000000 };
static const int64_t batch_bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };
#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

static struct {
	pthread_mutex_t lock;
	struct stats *first; /* by model, then number */
	int n;
} list = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline void add(atomic_uint_fast64_t *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static void on_batch(void *ctx, const struct signature *sig, const struct batch_record *rec)
{
	struct stats *s = ctx;
	(void)sig;
	if (rec->code != ERR_OK)
		return;
	hist_add(&s->batch, rec->rows);
	struct stats_batch *b =
		&s->by_rows[rec->rows < STATS_BATCH_MAX ? rec->rows : STATS_BATCH_MAX];
	add(&b->count, 1);
	add(&b->gather_ns, (uint64_t)rec->gather_ns);
	add(&b->compute_ns, (uint64_t)rec->compute_ns);
	add(&b->scatter_ns, (uint64_t)rec->scatter_ns);
}

static int order(const struct stats *s, const char *model, int64_t number)
{
	int by_name = strcmp(s->model, model);
	return by_name ? by_name : (s->number > number) - (s->number < number);
}

/* Makes room by forgetting one that is not loaded. */
static void evict_one(void)
{
	for (struct stats **at = &list.first; *at; at = &(*at)->next) {
		struct stats *s = *at;
		if (s->loaded)
			continue;
		*at = s->next;
		list.n--;
		free(s->model);
		free(s);
		return;
	}
}

/* With the lock held; NULL: no memory. */
static struct stats *find_or_make(const char *model, int64_t number)
{
	if (list.n >= KEPT_MAX)
		evict_one();
	struct stats **at = &list.first;
	while (*at && order(*at, model, number) < 0)
		at = &(*at)->next;
	if (*at && order(*at, model, number) == 0)
		return *at;
	struct stats *s = calloc(1, sizeof(*s));
	char *name = s ? strdup(model) : NULL;
	if (!name) {
		free(s);
		return NULL;
	}
	s->model = name;
	s->number = number;
	s->observer = (struct batcher_observer){ .on_batch = on_batch, .ctx = s };
	hist_init(&s->latency, time_bounds_ns, COUNT(time_bounds_ns));
	hist_init(&s->queue, time_bounds_ns, COUNT(time_bounds_ns));
	hist_init(&s->compute, time_bounds_ns, COUNT(time_bounds_ns));
	hist_init(&s->batch, batch_bounds, COUNT(batch_bounds));
	s->next = *at;
	*at = s;
	list.n++;
	return s;
}

enum err_code stats_attach(struct version *v, struct err *err)
{
	pthread_mutex_lock(&list.lock);
	struct stats *s = find_or_make(v->model, v->number);
	if (s) {
		s->loaded++;
		s->load_ns = v->load_ns + v->compile_ns + v->warm_ns;
	}
	v->stats = s;
	pthread_mutex_unlock(&list.lock);
	return s ? ERR_OK : err_oom(err);
}

void stats_detach(struct version *v)
{
	struct stats *s = v->stats;
	if (!s)
		return;
	pthread_mutex_lock(&list.lock);
	s->loaded--;
	pthread_mutex_unlock(&list.lock);
	v->stats = NULL;
}

const struct batcher_observer *stats_observer(const struct version *v)
{
	const struct stats *s = v->stats;
	return s ? &s->observer : NULL;
}

void stats_on_state(const char *model, int64_t number, enum version_state state)
{
	if (state != VERSION_READY && state != VERSION_FAILED)
		return;
	pthread_mutex_lock(&list.lock);
	struct stats *s = find_or_make(model, number);
	if (s)
		add(state == VERSION_READY ? &s->loads : &s->failed_loads, 1);
	pthread_mutex_unlock(&list.lock);
}

void stats_record(void *stats, enum stats_api api, const struct request *r, enum err_code code)
{
	struct stats *s = stats;
	if (!s)
		return;
	int64_t took_ns = clock_now_ns() - r->arrived_ns;
	add(&s->code[api][code], 1);
	atomic_store_explicit(&s->last_ms, clock_wall_coarse_ms(), memory_order_relaxed);
	if (code != ERR_OK) {
		add(&s->fail_ns, (uint64_t)took_ns);
		return;
	}
	add(&s->success_ns, (uint64_t)took_ns);
	add(&s->rows, (uint64_t)r->rows);
	hist_add(&s->latency, took_ns);
	hist_add(&s->queue, r->began_ns - r->queued_ns);
	hist_add(&s->compute, r->computed_ns - r->began_ns);
}

uint64_t stats_requests(const struct stats *s, int from, int to)
{
	uint64_t n = 0;
	for (int api = 0; api < STATS_API_COUNT_; api++)
		for (int code = from; code < to; code++)
			n += stats_load(&s->code[api][code]);
	return n;
}

void stats_walk(void (*fn)(void *ctx, const struct stats *s), void *ctx)
{
	pthread_mutex_lock(&list.lock);
	for (const struct stats *s = list.first; s; s = s->next)
		fn(ctx, s);
	pthread_mutex_unlock(&list.lock);
}

static struct {
	atomic_bool good;
	atomic_int_fast64_t loaded_ms;
} config;

void stats_on_config(bool good)
{
	if (good)
		atomic_store(&config.loaded_ms, clock_wall_ms());
	atomic_store(&config.good, good);
}

struct stats_config stats_config(void)
{
	return (struct stats_config){ atomic_load(&config.good), atomic_load(&config.loaded_ms) };
}
