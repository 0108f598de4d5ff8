/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor_file.h -- values in files of their own: .npy (NumPy) and .pb (ONNX TensorProto,
 * SequenceProto or OptionalProto, as their type says)
 *
 * The name's ending says which. npy.c knows .npy; a .pb is read by the loader's reader,
 * which is why this stands apart from it: the load generator links npy.c alone.
 *
 * Ownership: what is read lives in the arena.
 * Threads:   any; nothing is shared.
 */
#pragma once

#include "base/arena.h"
#include "exec/tensor.h"

MUST_CHECK enum err_code tensor_file_read(const char *path, const struct type *type,
	struct arena *arena, struct tensor *ret, struct err *err);

MUST_CHECK enum err_code tensor_file_write(const char *path, const char *name,
	const struct type *type, const struct tensor *t, struct err *err);
