/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oip_call.h -- what the files of the Open Inference dialect over gRPC share
 *
 * oip_infer.c decodes a request, oip_contents.c the tensors that come as numbers, not raw;
 * oip_reply.c encodes its outcome. oip_control.c answers about the server and a model,
 * oip_stats.c about what it did, oip_repository.c about all of them; oip_extra.c has settings,
 * oip_region.c shared memory. What both wires have in common is in server/dialect/oip.h.
 *
 * Memory: the request's arena.
 */
#pragma once

#include "server/dialect/oip.h"
#include "server/grpc/rpc_state.h"
#include "server/grpc/wire.h"

#define OIP_NAME_MAX_BYTES 1024

struct oip_output {
	int index;     /* of the signature */
	int64_t top_k; /* classification extension; 0: the tensor itself */
	struct oip_target target;
};

struct oip_call {
	struct oip_output *out; /* in the order asked for */
	int n_out;
};

/* t, whose type and shape are known, gets its data from an InferTensorContents. */
MUST_CHECK enum err_code oip_take_contents(struct request *r, struct wire contents,
	const struct oip_input *in, struct tensor *t, struct err *err);

/* "" is the latest version, else a number. */
MUST_CHECK enum err_code oip_spec(struct slice version, struct version_spec *ret, struct err *err);

/* A request that names a model and, maybe, a version of it; "" where it does not. */
struct oip_question {
	struct slice name, version;
};

MUST_CHECK enum err_code oip_read_question(
	struct rpc_call *c, struct wire w, struct oip_question *q, struct err *err);

/* The version in question; the caller releases it. */
MUST_CHECK enum err_code oip_acquire(
	struct rpc_call *c, const struct oip_question *q, struct version **ret, struct err *err);

/* A number as the protocol has versions: as text. */
void oip_put_number(struct buf *b, uint32_t field, int64_t number);
