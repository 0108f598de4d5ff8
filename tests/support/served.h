/* SPDX-License-Identifier: Apache-2.0 */
/*
 * served.h -- models for tests of the dialects: signatures without anything behind them
 *
 * "one":  input x float32 [batch,2], output y float32 [batch,2]
 * "many": an input and an output [batch] of every type that JSON has, named by type, inputs
 *         optional; "wire" adds those that gRPC has besides
 * "judge": inputs f float32 [batch,2], n int64 [batch], s string [batch] (optional), h float16
 *         [batch,?] (optional). serving_default has outputs scores float32 [batch,3] and
 *         classes string [batch,3]; "value" has outputs float64 [batch,1]; "both" has label
 *         int64 [batch] and probabilities float32 [batch,3]; "none" has two outputs of floats
 * All are version 3 with the label "stable", batchable, and ready.
 *
 * Memory: static. Threads: one.
 */
#pragma once

#include "server/regions.h"
#include "server/request.h"

struct registry *served_registry(void);

/* Shared memory: region "r" has 64 bytes, of which the first 16 are 1, 2, 3, 4 as float32. */
struct regions *served_regions(void);

/* In place of the batcher: checks inputs, makes the outputs that are wanted of zeros ("" for
   strings) with r->rows in place of batch, and lets fill change them. */
enum err_code served_run(struct request *r, void (*fill)(struct request *r), struct err *err);
