/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.h -- a REST dialect without sockets, threads or a model
 *
 * Two models are published: "one" (input x float32 [batch,2], output y float32 [batch,2])
 * and "many" (an input and an output [batch] of every type that JSON has, named by type;
XX rest_run() gives a handler a body and, when it decodes
 * well, lets it encode outputs that the given function fills in.
 */
#pragma once

#include "server/http/call.h"
#include "server/http/route.h"

struct rest_opts {
	enum route_id route;
	const char *model;
	int64_t json_len; /* 0 as in a call: use -1 for none */
	bool allow_nan;
	/* NULL: zeros. Outputs are dense, dimensions as the signature says with rows in place of
	 * batch. */
	void (*fill)(struct request *r);
};

struct rest_result {
	enum err_code code;
	struct err err;
	struct call *call; /* request and reply, until rest_done() */
	struct slice reply; /* the parts joined */
};

void rest_run(const struct rest_opts *o, struct slice body, struct rest_result *ret);
void rest_done(struct rest_result *r);
