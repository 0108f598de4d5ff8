/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npy.h -- NumPy's array files, versions 1 to 3
 *
 * Little-endian numbers of every type that both sides have, and byte strings ("|S5").
 * Arrays in Fortran order are turned around when read.
 *
 * Ownership: what is read lives in the arena; strings point into bytes.
 * Threads:   any; nothing is shared.
 */
#pragma once

#include <stdio.h>
#include "base/arena.h"
#include "exec/tensor.h"

MUST_CHECK enum err_code npy_parse(struct slice bytes, struct arena *arena, struct tensor *ret,
	struct err *err);

MUST_CHECK enum err_code npy_read(
	const char *path, struct arena *arena, struct tensor *ret, struct err *err);

/* INVALID_ARGUMENT: NumPy has no such type. */
MUST_CHECK enum err_code npy_write(FILE *to, const struct tensor *t, struct err *err);
