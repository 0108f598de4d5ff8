/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warmup.h -- what a version has to show before it is published
 *
 * Life of a version: ... -> compile -> [WARM] -> publish -> ...
 *
 * It answers its golden examples right; for made-up inputs it gives finite numbers;
 * signatures whose batch dimension can be found are proved to give a batch row for row
 * what they give single requests; the batch sizes are planned and their latencies learnt.
 * What cannot be made up is left to the first request, and v->warning says so.
 *
 * Threads: the loading thread. Memory: what is learnt in the version's arena.
 */
#pragma once

#include "loader/version.h"

/* Sets batchable, max_batch, latency_ns and why_not_batchable of each signature. A
   failure is the load's failure. dirfd -1: there are no examples. */
MUST_CHECK enum err_code
warmup_run(int dirfd, struct version *v, const struct version_conf *conf, struct err *err);
