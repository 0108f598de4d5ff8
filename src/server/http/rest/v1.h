/* SPDX-License-Identifier: Apache-2.0 */
/*
 * v1.h -- what the files of the TensorFlow Serving dialect share
 *
 * Threads: the IO thread. Memory: the request's arena.
 */
#pragma once

#include "base/json.h"
#include "server/http/call.h"

struct v1_call {
	bool rows; /* asked by "instances": answered by "predictions" */
};

/* A member's value that was seen already makes the body an error. */
void v1_once(struct json *j, const struct slice *seen);
