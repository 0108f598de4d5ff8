/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oip_call.h -- what the files of the Open Inference dialect over gRPC share
 *
 * oip_infer.c decodes a request, oip_contents.c the tensors that come as numbers, not raw;
 * oip_reply.c encodes its outcome. What both wires have in common is in server/dialect/oip.h.
 *
 * Memory: the request's arena.
 */
#pragma once

#include "server/grpc/wire.h"
#include "server/dialect/oip.h"

struct oip_output {
	int index;     /* of the signature */
	int64_t top_k; /* classification extension; 0: the tensor itself */
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
