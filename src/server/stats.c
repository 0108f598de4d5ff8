/* SPDX-License-Identifier: Apache-2.0 */
#include "server/stats.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/stripe.h"

#define KEPT_MAX 1024

const char *const stats_api_names[STATS_API_COUNT_] = { "rest", "grpc" };

static const int64_t time_bounds_ns[] = { 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
	10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000,
	5000000000, 10000000000 };
static const int64_t batch_bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };
#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

/* Of requests: added to by every thread that answers some, for each of them. */
struct part {
	alignas(STRIPE_BYTES) atomic_uint_fast64_t code[STATS_API_COUNT_][STATS_CODES];
	atomic_uint_fast64_t success_ns, fail_ns, rows;
	atomic_int_fast64_t last_ms;
	struct hist latency, queue, compute;
};

/* Of batches. */
struct batch_counter {
	atomic_uint_fast64_t count, gather_ns, compute_ns, scatter_ns;
};

struct stats_counters {
	struct part part[STRIPES];
	struct stats_counters *next;
	char *model;
	int64_t number;
	int loaded;
	atomic_uint_fast64_t loads, failed_loads;
	int64_t load_ns;
	struct hist batch;
	struct batch_counter by_rows[STATS_BATCH_MAX + 1];
	struct batcher_observer observer;
};

static struct {
	pthread_mutex_t lock;
	struct stats_counters *first; /* by model, then number */
	int n;
} list = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline void add(atomic_uint_fast64_t *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static inline uint64_t load(atomic_uint_fast64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void on_batch(void *ctx, const struct signature *sig, const struct batch_record *rec)
{
	struct stats_counters *s = ctx;
	(void)sig;
	if (rec->code != ERR_OK)
		return;
	hist_add(&s->batch, rec->rows);
	struct batch_counter *b =
		&s->by_rows[rec->rows < STATS_BATCH_MAX ? rec->rows : STATS_BATCH_MAX];
	add(&b->count, 1);
	add(&b->gather_ns, (uint64_t)rec->gather_ns);
	add(&b->compute_ns, (uint64_t)rec->compute_ns);
	add(&b->scatter_ns, (uint64_t)rec->scatter_ns);
}

static int order(const struct stats_counters *s, const char *model, int64_t number)
{
	int by_name = strcmp(s->model, model);
	return by_name ? by_name : (s->number > number) - (s->number < number);
}

/* Makes room by forgetting one that is not loaded. */
static void evict_one(void)
{
	for (struct stats_counters **at = &list.first; *at; at = &(*at)->next) {
		struct stats_counters *s = *at;
		if (s->loaded)
			continue;
		*at = s->next;
		list.n--;
		free(s->model);
		free(s);
		return;
	}
}

static struct stats_counters *counters_new(const char *model, int64_t number)
{
	struct stats_counters *s = aligned_alloc(STRIPE_BYTES, sizeof(*s));
	char *name = s ? strdup(model) : NULL;
	if (!name) {
		free(s);
		return NULL;
	}
	memset(s, 0, sizeof(*s));
	s->model = name;
	s->number = number;
	s->observer = (struct batcher_observer){ .on_batch = on_batch, .ctx = s };
	hist_init(&s->batch, batch_bounds, COUNT(batch_bounds));
	for (struct part *p = s->part; p < s->part + STRIPES; p++) {
		hist_init(&p->latency, time_bounds_ns, COUNT(time_bounds_ns));
		hist_init(&p->queue, time_bounds_ns, COUNT(time_bounds_ns));
		hist_init(&p->compute, time_bounds_ns, COUNT(time_bounds_ns));
	}
	return s;
}

/* With the lock held; NULL: no memory. */
static struct stats_counters *find_or_make(const char *model, int64_t number)
{
	if (list.n >= KEPT_MAX)
		evict_one();
	struct stats_counters **at = &list.first;
	while (*at && order(*at, model, number) < 0)
		at = &(*at)->next;
	if (*at && order(*at, model, number) == 0)
		return *at;
	struct stats_counters *s = counters_new(model, number);
	if (!s)
		return NULL;
	s->next = *at;
	*at = s;
	list.n++;
	return s;
}

enum err_code stats_attach(struct version *v, struct err *err)
{
	pthread_mutex_lock(&list.lock);
	struct stats_counters *s = find_or_make(v->model, v->number);
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
	struct stats_counters *s = v->stats;
	if (!s)
		return;
	pthread_mutex_lock(&list.lock);
	s->loaded--;
	pthread_mutex_unlock(&list.lock);
	v->stats = NULL;
}

const struct batcher_observer *stats_observer(const struct version *v)
{
	const struct stats_counters *s = v->stats;
	return s ? &s->observer : NULL;
}

void stats_on_state(const char *model, int64_t number, enum version_state state)
{
	if (state != VERSION_READY && state != VERSION_FAILED)
		return;
	pthread_mutex_lock(&list.lock);
	struct stats_counters *s = find_or_make(model, number);
	if (s)
		add(state == VERSION_READY ? &s->loads : &s->failed_loads, 1);
	pthread_mutex_unlock(&list.lock);
}

void stats_record(void *stats, enum stats_api api, const struct request *r, enum err_code code)
{
	struct stats_counters *s = stats;
	if (!s)
		return;
	struct part *p = &s->part[stripe_mine()];
	int64_t took_ns = clock_now_ns() - r->arrived_ns;
	add(&p->code[api][code], 1);
	atomic_store_explicit(&p->last_ms, clock_wall_coarse_ms(), memory_order_relaxed);
	if (code != ERR_OK) {
		add(&p->fail_ns, (uint64_t)took_ns);
		return;
	}
	add(&p->success_ns, (uint64_t)took_ns);
	add(&p->rows, (uint64_t)r->rows);
	hist_add(&p->latency, took_ns);
	hist_add(&p->queue, r->began_ns - r->queued_ns);
	hist_add(&p->compute, r->computed_ns - r->began_ns);
}

static void read_part(struct part *p, struct stats *sum)
{
	int64_t last_ms = atomic_load_explicit(&p->last_ms, memory_order_relaxed);
	if (last_ms == 0)
		return; /* no thread of this stripe has answered any */
	sum->last_ms = last_ms > sum->last_ms ? last_ms : sum->last_ms;
	for (int api = 0; api < STATS_API_COUNT_; api++)
		for (int code = 0; code < STATS_CODES; code++)
			sum->code[api][code] += load(&p->code[api][code]);
	sum->success_ns += load(&p->success_ns);
	sum->fail_ns += load(&p->fail_ns);
	sum->rows += load(&p->rows);
	hist_read(&p->latency, &sum->latency);
	hist_read(&p->queue, &sum->queue);
	hist_read(&p->compute, &sum->compute);
}

static void read_all(struct stats_counters *s, struct stats *ret)
{
	*ret = (struct stats){ .counters = s,
		.model = s->model,
		.number = s->number,
		.loaded = s->loaded,
		.loads = load(&s->loads),
		.failed_loads = load(&s->failed_loads),
		.load_ns = s->load_ns };
	for (int i = 0; i < STRIPES; i++)
		read_part(&s->part[i], ret);
	hist_read(&s->batch, &ret->batch);
}

struct stats_batch stats_batch(const struct stats *s, int rows)
{
	struct batch_counter *b = &s->counters->by_rows[rows];
	return (struct stats_batch){ load(&b->count), load(&b->gather_ns), load(&b->compute_ns),
		load(&b->scatter_ns) };
}

uint64_t stats_requests(const struct stats *s, int from, int to)
{
	uint64_t n = 0;
	for (int api = 0; api < STATS_API_COUNT_; api++)
		for (int code = from; code < to; code++)
			n += s->code[api][code];
	return n;
}

void stats_walk(void (*fn)(void *ctx, const struct stats *s), void *ctx)
{
	struct stats read;
	pthread_mutex_lock(&list.lock);
	for (struct stats_counters *s = list.first; s; s = s->next) {
		read_all(s, &read);
		fn(ctx, &read);
	}
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
