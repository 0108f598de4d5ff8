/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_info.h -- what a server says of a model: its versions, inputs and outputs
 *
 * From the Open Inference Protocol's metadata, GET /v2/models/NAME[/versions/V].
 *
 * Ownership: everything is in the arena.
 * Threads:   any; nothing is shared.
 */
#pragma once

#include "base/json.h"
#include "exec/tensor.h"
#include "tools/http_client.h"

struct model_io {
	const char *name;
	enum dtype dtype;
	struct shape shape; /* DIM_UNKNOWN for those that vary */
	struct type type;   /* of a model at hand; a server says tensors only */
};

struct model_info {
	const char *name, *version; /* version as asked for, or NULL */
	const char *platform, *versions; /* "1, 2": ready ones */
	struct model_io *in, *out;
	int n_in, n_out;
};

MUST_CHECK enum err_code model_info_fetch(const struct http_url *url, const char *model,
	const char *version, struct arena *arena, struct model_info *ret, struct err *err);

/* -1: none. */
int model_info_find(const struct model_io *io, int n, struct slice name);

/* Reads a list of dimensions; negative ones are DIM_UNKNOWN. *ret is zeroed by the caller. */
void model_info_shape(struct json *j, struct shape *ret);

/* One call. A status that is not 2xx becomes an error with the server's own words. */
MUST_CHECK enum err_code model_info_call(const struct http_url *url, const struct http_request *q,
	struct arena *arena, struct slice *ret_body, struct err *err);

/* The same with the reply's head, which says where the JSON of a binary answer ends. */
MUST_CHECK enum err_code model_info_exchange(const struct http_url *url,
	const struct http_request *q, struct arena *arena, struct http_reply *ret,
	struct slice *ret_body, struct err *err);
