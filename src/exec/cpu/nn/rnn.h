/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rnn.h -- what the kernels of RNN, GRU and LSTM share
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * A unit of work is one direction of a block of the batch, from the first step to the
 * last. How a matrix product is made is the kernel's; all else is rnn.c's.
 *
 * Threads: any; all a unit writes is its own. Memory: scratch only.
 */
#pragma once

#include "exec/cpu/matmul/gemm.h"
#include "exec/infer/rnn_geometry.h"

/* GRU's hidden gate is a matrix of its own: it may have to wait for the reset gate. */
enum rnn_matrix_id { RNN_MATRIX_W, RNN_MATRIX_R, RNN_MATRIX_R_LAST, RNN_MATRIX_COUNT_ };

struct rnn_unit;

/* c[i] = a[i] times the matrix + add[i], for m rows; rows of a lie close together. add NULL:
   none; add_row 0: the same for all. */
typedef void (*rnn_multiply_fn)(const struct rnn_unit *u, enum rnn_matrix_id matrix, void *c,
	int64_t c_row, const void *a, int64_t m, const void *add, int64_t add_row);

struct rnn_activation {
	unary_fn fn;
	double param[2];
};

/* How many elements of scratch each thing takes; in this order. */
enum rnn_part {
	RNN_PART_X,     /* inputs of a chunk of steps */
	RNN_PART_GATES, /* their products with W, and the bias */
	RNN_PART_SUM,   /* of one step: those and the products with R */
	RNN_PART_RESET, /* GRU: what the reset gate lets through of h */
	RNN_PART_H,
	RNN_PART_C,
	RNN_PART_BIAS,      /* gates * hidden */
	RNN_PART_BIAS_LAST, /* GRU with linear_before_reset: the hidden gate's of R */
	RNN_PART_COUNT_
};

struct rnn_state {
	struct rnn_geometry g;
	struct rnn_activation act[RNN_DIRECTIONS][RNN_FUNCTIONS];
	int64_t rows, blocks; /* of the batch in a unit; such blocks */
	int64_t chunk;        /* steps whose inputs are multiplied at once */
	rnn_multiply_fn multiply;
	run_fn run;
	const struct gemm *gemm;
	const float *packed[RNN_DIRECTIONS][RNN_MATRIX_COUNT_]; /* NULL: by the unit */
	int64_t part[RNN_PART_COUNT_];
	size_t element, at_multiply; /* bytes of an element; where multiply's scratch begins */
};

struct rnn_unit {
	const struct rnn_state *s;
	const struct kernel_args *a;
	int direction;
	int64_t first, rows; /* of the batch */
	void *part[RNN_PART_COUNT_];
	void *scratch; /* multiply's */
	const float *packed[RNN_MATRIX_COUNT_];
};

/* Rows and columns of a matrix, and its elements (of `bytes` each) in the input. */
struct rnn_view {
	const void *data;
	int64_t k, n;
};
struct rnn_view rnn_view(const struct rnn_geometry *g, const struct tensor *in, int direction,
	enum rnn_matrix_id id);

/* Everything but how products are made: rows in a unit (0: choose) and scratch are set. */
MUST_CHECK enum err_code rnn_prepare(struct prep *p, struct kernel *ret, bool whole_batch,
	struct rnn_state **ret_state, struct err *err);
