/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods.h -- the handlers and encoders that methods.def names
 *
 * Life of a request: listen -> [DECODE] -> signature check -> batch -> ... -> [ENCODE]
 *
 * Threads: the call's, see rpc_state.h. Memory: the request's arena.
 */
#pragma once

#include "server/grpc/rpc_state.h"

#define METHOD(path, kind, handle, encode, encode_error) \
	enum err_code handle(struct rpc_call *c, struct wire message, struct err *err);
#include "server/grpc/methods.def"
#undef METHOD

enum err_code oip_infer_reply(struct rpc_call *c, struct err *err);
enum err_code oip_stream_reply(struct rpc_call *c, struct err *err);
enum err_code oip_stream_error(struct rpc_call *c, const struct err *why, struct err *err);
enum err_code tfs_predict_reply(struct rpc_call *c, struct err *err);
enum err_code tfs_classify_reply(struct rpc_call *c, struct err *err);
enum err_code tfs_multi_inference_reply(struct rpc_call *c, struct err *err);
