/* SPDX-License-Identifier: Apache-2.0 */
/*
 * case_data.h -- the values of an ONNX test case: input_0.pb, output_0.pb, ...
 *
 * A file holds a TensorProto, a SequenceProto or an OptionalProto; which one only the
 * model's type of that value says. In memory as tensor.h has it: a sequence is a tensor of
 * tensors, an absent optional has no data and no rank.
 *
 * Ownership: what is read lives in the arena.
 * Threads:   any; nothing is shared.
 */
#pragma once

#include "base/arena.h"
#include "exec/tensor.h"

/* "DIR/input_0.pb". */
MUST_CHECK enum err_code case_data_read(const char *dir, const char *what, int i,
	const struct type *type, struct arena *arena, struct tensor *ret, struct err *err);

/* values_compare(), element by element where it is a sequence. */
MUST_CHECK enum err_code case_data_compare(const struct tensor *got, const struct tensor *want,
	double rtol, double atol, struct err *err);
