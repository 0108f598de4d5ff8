/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.h -- a REST dialect without sockets, threads or a model
 *
 * rest_run() gives a handler a body and, when it decodes well, lets it encode outputs of the
 * models of served.h, which the given function fills in.
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
