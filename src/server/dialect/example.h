/* SPDX-License-Identifier: Apache-2.0 */
/*
 * example.h -- tf.Examples to the inputs of a signature
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> encode
 *
 * Classify and Regress bring examples instead of tensors: each is a set of features, lists
 * of values with a name. Every input of the signature is fed by the feature of its name;
 * example i makes row i of it. What an example lacks, the context has, if there is one.
 * Features that no input is named after are nobody's. Both wires decode values into the
 * place that examples_place() says; only what is read here is theirs in common.
 *
 *	examples_init(&e, r, n, bytes_max, err);
 *	examples_place(&e, EXAMPLE_CONTEXT, name, count, &to, err);    the context goes first
 *	examples_place(&e, i, name, count, &to, err);                  then 0 .. n-1 in turn
 *	examples_end(&e, err);
 *
 * Memory: the request's arena. Threads: one.
 */
#pragma once

#include "server/request.h"

#define EXAMPLE_CONTEXT (-1)

struct example_column;

struct examples {
	struct request *r; /* pinned */
	struct example_column *column; /* one per input */
	int64_t n;
	size_t bytes_left; /* what inputs may still take */
};

/* Bounds all inputs of a message together: elements take up to 8 times what they took there,
   but a short message must not become many bytes, though a context stands for every example. */
static inline size_t examples_bytes_max(size_t message_bytes, size_t message_bytes_max)
{
	return message_bytes > message_bytes_max / 8 ? 8 * message_bytes : message_bytes_max;
}

/* n examples. INVALID_ARGUMENT: there is none, or the signature has an input that examples
   cannot feed. */
MUST_CHECK enum err_code examples_init(
	struct examples *e, struct request *r, int64_t n, size_t bytes_max, struct err *err);

/* Where the n values of a feature of this row go: a tensor of one dimension and the input's
   type, to be filled at once. Without data: no input has this name. A feature given twice
   counts as it is given last. */
MUST_CHECK enum err_code examples_place(struct examples *e, int64_t row, struct slice name,
	int64_t n, struct tensor *ret, struct err *err);

/* Fills up from the context and hands the inputs to the request. */
MUST_CHECK enum err_code examples_end(struct examples *e, struct err *err);
