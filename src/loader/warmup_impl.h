/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warmup_impl.h -- a signature while it is warmed up: for warmup*.c only
 *
 * Threads: the loading thread. Memory: w->arena, reset by each step; texts in the version's.
 */
#pragma once

#include "loader/sample.h"
#include "loader/warmup.h"

struct warmer {
	struct version *v;
	struct signature *s;
	const struct version_conf *conf;
	struct arena *arena; /* of one step */
	struct sample_spec spec; /* that gave good outputs */
	bool guessed;        /* its sizes are guesses */
	bool answered;       /* golden examples have run */
	struct err *err;
};

/* CANCELLED: the load is not wanted any more. */
MUST_CHECK enum err_code warmup_check_cancel(const struct warmer *w);

/* May other made-up inputs do better? A missing kernel or memory stays missing. */
bool warmup_is_about_inputs(enum err_code rc);

/* *ret_why NULL: batches give each row what it gets alone; else why not, in words (static, or
   in the version's arena). */
MUST_CHECK enum err_code warmup_find_batch(struct warmer *w, const char **ret_why);

/* Runs batches up to max_batch and sets what is learnt by that: latency_ns of each size, part_rows,
   rows_as; max_batch becomes smaller where memory, or on a device time, says so. */
MUST_CHECK enum err_code warmup_learn_sizes(struct warmer *w);

/* Of the sizes run (1, 2, 4, ... last): the largest that takes hardly longer for a row than the
   best. latency_ns[n]: the time of n rows. */
int warmup_best_part(const int64_t *latency_ns, int64_t last);
