/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tfs_tensor.h -- TensorProto: a tensor of TensorFlow's, in both its forms
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * Elements are in tensor_content, or in the field of their type, packed or not; such a field
 * may be shorter than the shape says and is then filled up with its last value.
 *
 * Ownership: what is read lies in the arena, strings that came in one piece where they came.
 *            What is written borrows the tensor. Threads: one.
 */
#pragma once

#include "exec/tensor.h"
#include "server/grpc/wire.h"

/* Does the type have a form here? */
bool tfs_tensor_has(enum dtype dtype);

/* One copy, from the pieces of the message to where the model reads. fill_bytes_max: a tensor
   that is filled up may not be larger. Errors do not say which tensor it is. */
MUST_CHECK enum err_code tfs_tensor_read(struct wire w, struct arena *arena, size_t fill_bytes_max,
	struct tensor *ret, struct err *err);

/* A TensorShapeProto; negative dimensions are DIM_UNKNOWN. */
MUST_CHECK enum err_code tfs_tensor_read_shape(
	struct wire w, struct shape *ret, struct err *err);

/* A message in two parts, to be sent one after the other: raw is the elements, borrowed
   where they have the same form in memory. */
struct tfs_tensor {
	struct slice head, raw;
};

/* content: numbers in tensor_content, else in the field of their type, as the original does
   when nothing else is said, and as clients that read float_val by hand expect. */
MUST_CHECK enum err_code tfs_tensor_write(const struct tensor *t, bool content, struct arena *arena,
	struct tfs_tensor *ret, struct err *err);

/* A TensorShapeProto; names: NULL, or of each dimension (NULL: none). */
void tfs_tensor_put_shape(
	struct buf *b, uint32_t field, const struct shape *s, const char *const *names);
