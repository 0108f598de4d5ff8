/* SPDX-License-Identifier: Apache-2.0 */
/*
 * v2_body.h -- what the JSON of an inference says, before anybody asks what it means
 *
 * Life of a request: ... -> [DECODE] -> signature check -> ...
 *
 * Members of the top object, then of each input and output, are found; data arrays are only
 * skimmed over. Errors are the reader's: json_error().
 *
 * Memory: slices of the body, or in the reader's arena. Threads: one.
 */
#pragma once

#include "base/json.h"
#include "server/dialect/oip.h"

struct v2_parameters {
	bool binary_output; /* of all outputs that do not say otherwise */
	struct slice signature;
	int64_t binary_bytes; /* of an input; -1: none */
	int binary;           /* of an output: -1 not said, else a bool */
	int64_t top_k;
	uint64_t priority, timeout_us;
	struct region_window window; /* of shared memory; no region: none */
};
#define V2_PARAMETERS_NONE ((struct v2_parameters){ .binary_bytes = -1, .binary = -1 })

struct v2_body {
	struct slice id, inputs, outputs;
	struct v2_parameters parameters;
};

/* b's parameters are preset to none. */
void v2_read_body(struct json *j, struct v2_body *b);

struct v2_input {
	struct oip_input head;
	struct slice data;
	size_t commas;
	bool has_data;
	const char *missing; /* a member that it must have; NULL: it has them */
	struct v2_parameters parameters;
};

void v2_read_input(struct json *j, struct v2_input *in);
void v2_read_output(struct json *j, struct slice *name, struct v2_parameters *p);
