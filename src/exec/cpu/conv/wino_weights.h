/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wino_weights.h -- weights of 3x3 windows as Winograd's filtering has them
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Ownership: packed weights are the version's. Threads: that of prepare.
 */
#pragma once

#include "exec/cpu/conv/conv_job.h"

/* Those of each pair of kinds, by rows of kinds, in panels of `depth` slots. */
MUST_CHECK enum err_code wino_pack(struct prep *p, const struct conv_job *j, struct wino_form form,
	int64_t depth, const float **ret, struct err *err);
