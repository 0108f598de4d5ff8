/* SPDX-License-Identifier: Apache-2.0 */
/*
 * v2.h -- what the files of the Open Inference dialect share
 *
 * v2_infer.c decodes an inference into the call's request and a struct v2_call;
 * v2_reply.c encodes its outcome; v2_model.c answers about models.
 *
 * Memory: the request's arena.
 */
#pragma once

#include "server/dialect/oip.h"
#include "server/http/call.h"

/* What one output was asked for as. */
struct v2_output {
	int index;     /* of the signature */
	bool binary;
	int64_t top_k; /* classification extension; 0: the tensor itself */
	struct oip_target target;
};

struct v2_call {
	struct v2_output *out; /* in the order asked for */
	int n_out;
};
