/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_run.h -- a gRPC method without sockets, threads or a model
 *
 * rpc_run() gives a method's handler a message, in pieces of the size given, and, when it
 * decodes well, lets it encode outputs of the models of served.h; once more where the method
 * runs several inferences.
 */
#pragma once

#include "server/grpc/rpc_state.h"

struct rpc_opts {
	const char *method;   /* "/service/name" */
	size_t piece_bytes;   /* 0: one piece */
	bool tensor_content;
	size_t message_bytes_max; /* 0: 1 MiB */
	enum err_code (*set_models)(void *ctx, struct model_conf *model, int n,
		struct arena *arena, struct err *err);
	void (*fill)(struct request *r); /* NULL: zeros */
};

struct rpc_result {
	enum err_code code;
	struct err err;
	struct rpc_call *call; /* with its request, until rpc_done() */
	struct slice reply;    /* the parts joined */
};

void rpc_run(const struct rpc_opts *o, struct slice message, struct rpc_result *ret);
void rpc_done(struct rpc_result *r);
