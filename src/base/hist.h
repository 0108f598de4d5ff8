/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hist.h -- counting how large values were
 *
 * struct hist has the few fixed buckets of a metric and is added to by many threads at
 * once. struct hist_log has buckets whose width grows with the value, so that each
 * percentile is right within 1/64 of itself from nanoseconds to hours; one thread adds,
 * and histograms of several threads are merged afterwards.
 *
 * Threads: hist_add() and hist_read() from any. hist_log: one at a time.
 * Memory:  none but the struct.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define HIST_BOUNDS_MAX 24

struct hist {
	const int64_t *bounds; /* ascending, inclusive */
	int n_bounds;
	atomic_int_fast64_t sum;
	atomic_uint_fast64_t count[HIST_BOUNDS_MAX + 1]; /* the last: above all bounds */
};

struct hist_reading {
	const int64_t *bounds; /* the histogram's, as is their number */
	int n_bounds;
	uint64_t cumulative[HIST_BOUNDS_MAX + 1]; /* values <= bounds[i]; the last: all */
	int64_t sum;
};

/* Borrows bounds for its life. */
void hist_init(struct hist *h, const int64_t *bounds, int n_bounds);
void hist_add(struct hist *h, int64_t value);

/* Adds what h has counted to *sum, which begins as { 0 } and is of histograms with the same bounds.
   Not one instant when others add meanwhile, but cumulative never falls from one bound to the
   next. */
void hist_read(const struct hist *h, struct hist_reading *sum);

#define HIST_LOG_SUB_BITS 6
#define HIST_LOG_BUCKETS ((64 - HIST_LOG_SUB_BITS) << HIST_LOG_SUB_BITS)

struct hist_log {
	uint64_t count[HIST_LOG_BUCKETS];
	uint64_t n;
	int64_t min, max;
	double sum;
};

void hist_log_init(struct hist_log *h);
void hist_log_add(struct hist_log *h, int64_t value); /* negative counts as 0 */

/* The least value that percent of the values do not exceed, within 1/64; never outside of
   min and max. 0 when empty. */
int64_t hist_log_percentile(const struct hist_log *h, double percent);
double hist_log_mean(const struct hist_log *h);
