/* SPDX-License-Identifier: Apache-2.0 */
/*
 * present.h -- Attention's keys and values of the past and of now, as its further outputs
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * Threads: as in gpu.h. Memory: none.
 */
#pragma once

#include "exec/gpu/move/copy.h"
#include "exec/infer/attention_geometry.h"

enum present_part { PRESENT_PAST, PRESENT_NEW, PRESENT_PARTS };

struct present {
	struct gpu_copy copy[2][PRESENT_PARTS]; /* of keys, of values */
	int asked; /* bit 0: for keys, bit 1: for values */
};

MUST_CHECK enum err_code present_prepare(struct present *s, const struct prep *p,
	const struct attention_geometry *g, struct err *err);
/* Enqueues what is asked for. */
void present_run(const struct present *s, const struct kernel_args *a);
