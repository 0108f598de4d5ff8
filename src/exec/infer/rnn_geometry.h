/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rnn_geometry.h -- what the attributes and shapes of RNN, GRU and LSTM say
 *
 * Life of a version: ... -> load [INFER] -> compile [PREPARE] -> ...
 *
 * infer takes the output shapes from it, kernels everything else, so that no kernel reads
 * one of those attributes again.
 *
 * Ownership, memory: none. Threads: any.
 */
#pragma once

#include "exec/infer/infer.h"

#define RNN_DIRECTIONS 2
#define RNN_FUNCTIONS 3

/* The inputs of all three; GRU and RNN end with initial_h. */
enum rnn_input {
	RNN_X,
	RNN_W,
	RNN_R,
	RNN_B,
	RNN_LENGTHS,
	RNN_INITIAL_H,
	RNN_INITIAL_C,
	RNN_PEEPHOLES,
	/* DynamicQuantizeLSTM */
	RNN_W_SCALE,
	RNN_W_ZERO,
	RNN_R_SCALE,
	RNN_R_ZERO,
	RNN_INPUTS_
};

enum rnn_function_id {
	RNN_AFFINE,
	RNN_ELU,
	RNN_HARD_SIGMOID,
	RNN_LEAKY_RELU,
	RNN_RELU,
	RNN_SCALED_TANH,
	RNN_SIGMOID,
	RNN_SOFTPLUS,
	RNN_SOFTSIGN,
	RNN_TANH,
	RNN_THRESHOLDED_RELU,
	RNN_FUNCTION_COUNT_
};

struct rnn_function {
	enum rnn_function_id id;
	float alpha, beta;
};

struct rnn_geometry {
	int gates, functions; /* 1, 3 or 4; per direction 1, 2 or 3 */
	int directions;
	bool reverse;     /* the first direction goes back in time */
	bool batch_first; /* layout 1 */
	bool coupled;     /* LSTM: the forget gate is one less the input gate */
	bool reset_after; /* GRU: linear_before_reset */
	bool transposed;  /* W and R are [directions, k, gates * hidden] */
	float clip;       /* 0: none */
	int64_t steps, batch, input, hidden; /* sizes, symbols or DIM_UNKNOWN */
	struct rnn_function function[RNN_DIRECTIONS][RNN_FUNCTIONS];
};

/* Shapes of RNN_INPUTS_ inputs; rank RANK_UNKNOWN: absent or not known. INVALID_ARGUMENT:
   an attribute or a dimension breaks a rule; the message names both. */
MUST_CHECK enum err_code rnn_geometry(const struct node *n, const struct shape *in,
	struct rnn_geometry *ret, struct err *err);
