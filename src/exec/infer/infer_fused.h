/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_fused.h -- the types and shapes of all values in the body of a FusedElementwise
 *
 * Threads: as infer.h says. Memory: none.
 */
#pragma once

#include "exec/fused.h"
#include "exec/infer/infer.h"

/* ret: by the body's numbers. */
MUST_CHECK enum err_code infer_fused_body(
	const struct infer *x, struct ivalue ret[FUSED_VALUES_MAX], struct err *err);
