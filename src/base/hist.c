/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hist.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define SUB_COUNT (1 << HIST_LOG_SUB_BITS)

void hist_init(struct hist *h, const int64_t *bounds, int n_bounds)
{
	assert(n_bounds >= 0 && n_bounds <= HIST_BOUNDS_MAX);
	h->bounds = bounds;
	h->n_bounds = n_bounds;
	atomic_init(&h->sum, 0);
	for (int i = 0; i <= HIST_BOUNDS_MAX; i++)
		atomic_init(&h->count[i], 0);
}

void hist_add(struct hist *h, int64_t value)
{
	int i = 0;
	while (i < h->n_bounds && value > h->bounds[i])
		i++;
	atomic_fetch_add_explicit(&h->count[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
}

void hist_read(const struct hist *h, struct hist_reading *sum)
{
	struct hist *counted = (struct hist *)(uintptr_t)h; /* C17 loads from no const atomic */
	uint64_t all = 0;
	sum->bounds = h->bounds;
	sum->n_bounds = h->n_bounds;
	for (int i = 0; i <= h->n_bounds; i++) {
		all += atomic_load_explicit(&counted->count[i], memory_order_relaxed);
		sum->cumulative[i] += all;
	}
	sum->sum += atomic_load_explicit(&counted->sum, memory_order_relaxed);
}

void hist_log_init(struct hist_log *h)
{
	memset(h, 0, sizeof(*h));
	h->min = INT64_MAX;
}

/* Values below 2 * SUB_COUNT have a bucket each; above, each octave has SUB_COUNT. */
static int bucket_of(uint64_t value)
{
	if (value < SUB_COUNT)
		return (int)value;
	int octave = 63 - __builtin_clzll(value) - HIST_LOG_SUB_BITS;
	return (octave << HIST_LOG_SUB_BITS) + (int)(value >> octave);
}

/* The largest value of a bucket. */
static int64_t bucket_top(int bucket)
{
	if (bucket < 2 * SUB_COUNT)
		return bucket;
	int octave = (bucket >> HIST_LOG_SUB_BITS) - 1;
	uint64_t from = (uint64_t)(bucket - (octave << HIST_LOG_SUB_BITS)) << octave;
	return (int64_t)(from + ((UINT64_C(1) << octave) - 1));
}

void hist_log_add(struct hist_log *h, int64_t value)
{
	if (value < 0)
		value = 0;
	h->count[bucket_of((uint64_t)value)]++;
	h->n++;
	h->sum += (double)value;
	h->min = value < h->min ? value : h->min;
	h->max = value > h->max ? value : h->max;
}

int64_t hist_log_percentile(const struct hist_log *h, double percent)
{
	if (h->n == 0)
		return 0;
	double exact = ceil(percent / 100.0 * (double)h->n);
	uint64_t rank = exact < 1 ? 1 : exact > (double)h->n ? h->n : (uint64_t)exact;
	uint64_t seen = 0;
	int bucket = 0;
	for (; bucket < HIST_LOG_BUCKETS; bucket++) {
		seen += h->count[bucket];
		if (seen >= rank)
			break;
	}
	int64_t top = bucket_top(bucket);
	top = top < h->min ? h->min : top;
	return top > h->max ? h->max : top;
}

double hist_log_mean(const struct hist_log *h)
{
	return h->n ? h->sum / (double)h->n : 0;
}
