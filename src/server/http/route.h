/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h -- from method and path to a handler: routes.def as a table
 *
 * Works on the path as it came, never decoded: what is not made of [A-Za-z0-9._~:/-] is
 * refused, so there is nothing that two readers could decode in two ways. The name of a region
 * of shared memory alone may be escaped, which nothing here looks into (v2_region.c does).
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "server/http/call.h"

#define ROUTE_ADMIN 1u
#define ROUTE_BINARY 2u

enum method {
	METHOD_GET = 1,
	METHOD_POST = 2,
	METHOD_HEAD = 4,
	METHOD_OPTIONS = 8,
	METHOD_OTHER = 16
};

enum route_id {
#define ROUTE(id, method, pattern, flags, handle, encode) ROUTE_##id,
#include "server/http/routes.def"
#undef ROUTE
	ROUTE_COUNT_
};

typedef enum err_code (*route_fn)(struct call *c, struct err *err);

struct route {
	enum route_id id;
	enum method method;
	const char *pattern;
	unsigned flags;
	route_fn handle, encode;
};

#define ROUTE(id, method, pattern, flags, handle, encode) \
	enum err_code handle(struct call *c, struct err *err);
#include "server/http/routes.def"
#undef ROUTE
enum err_code v1_predict_reply(struct call *c, struct err *err);
enum err_code v1_classify_reply(struct call *c, struct err *err);
enum err_code v2_infer_reply(struct call *c, struct err *err);

const struct route *route_at(enum route_id id);

/* METHOD_OTHER: one that HTTP knows and we do not serve. 0: not a method of HTTP. */
unsigned route_method(const char *name);

/* Sets c->route, model, spec from c->target; a query in it is ignored. Returns 0, or the HTTP
   status with *ret_msg; 405 and OPTIONS set c->reply.allow. */
int route_find(struct call *c, unsigned method, const char **ret_msg);

/* "[A-Za-z0-9._-]{1,128}", and neither "." nor "..": what can be a model's name. */
bool route_name_is_valid(struct slice name);
