/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networks.h -- the networks that a device is measured with, their weights from a fixed seed
 *
 * Those of tests/bench/ort_compare.py, and workbenches: `matmul` is products of 4096 x 4096
 * matrices, one per row of the batch up to 8; `conv3x3` convolutions of 256 channels at 28 x 28.
 * `stream` moves rows, and so do the single operators `norm`, `gelu`, `softmax`, `reduce`,
 * `global_pool`, `max_pool` and `layout`: what they read and write is counted, so that TFLOP/s are
 * GB/s.
 *
 * Threads: one.
 */
#pragma once

#include "exec/graph.h"

struct network {
	const char *name;
	/* Builds it for n rows; DIM_UNKNOWN: for any, with what enters as its input. Returns the
	   output. */
	int32_t (*build)(struct graph *g, int64_t n);
};
extern const struct network networks[];
extern const int networks_count;

/* What enters is an input; else it is made on the device of a number that is. */
extern bool network_copies;
/* Of a run of what was built since it was set to 0. */
extern double network_flops;
/* Of what the operators read and write. */
extern double network_element_bytes;
