/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cast.h -- what casts of numbers and of text share
 *
 * Threads: any; no state.
 */
#pragma once

#include "exec/cpu/cpu.h"

/* Element i of out, of any integer type or bool; wraps to the bits that the type has. */
void cast_write_int(enum dtype to, void *out, int64_t i, int64_t v);
