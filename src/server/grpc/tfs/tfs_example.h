/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tfs_example.h -- tf.Examples of a message to the inputs of a request
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> encode
 *
 * What they become is in server/dialect/example.h. Memory: the request's arena. Threads: one.
 */
#pragma once

#include "server/grpc/rpc_state.h"

/* An Input, for the signature that the call's request is pinned to. ret_n: its examples. */
MUST_CHECK enum err_code tfs_example_take(
	struct rpc_call *c, struct wire input, int64_t *ret_n, struct err *err);
