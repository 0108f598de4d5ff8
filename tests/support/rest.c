/* SPDX-License-Identifier: Apache-2.0 */
#include "support/rest.h"

#include <stdlib.h>
#include "base/clock.h"
#include "server/http/http_state.h"
#include "support/served.h"

static struct http http;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void join_reply(struct rest_result *ret)
{
	struct buf b = buf_of(ret->call->arena, 0);
	for (int i = 0; i < ret->call->reply.n_part; i++)
		buf_slice(&b, ret->call->reply.part[i]);
	require(buf_finish(&b, &ret->reply, NULL) == ERR_OK);
}

void rest_run(const struct rest_opts *o, struct slice body, struct rest_result *ret)
{
	*ret = (struct rest_result){ 0 };
	struct call *c = ret->call = calloc(1, sizeof(*c));
	require(c && (c->arena = arena_new(4096, 64 << 20)));
	http.conf.allow_nan = o->allow_nan;
	http.conf.body_bytes_max = 1 << 20;
	http.conf.regions = served_regions();
	http.registry = served_registry();
	c->http = &http;
	c->route = route_at(o->route);
	c->model = slice_of(o->model);
	c->spec.pick = VERSION_PICK_LATEST;
	c->head.json_len = o->json_len;
	c->began_ns = clock_now_ns();
	c->body = (struct slice){ arena_strndup(c->arena, body.ptr, body.len), body.len };
	require(c->body.ptr != NULL);
	ret->code = c->route->handle(c, &ret->err);
	if (ret->code == ERR_OK && c->route->encode) {
		ret->code = served_run(c->request, o->fill, &ret->err);
		if (ret->code != ERR_OK)
			return;
		ret->code = c->route->encode(c, &ret->err);
	}
	if (ret->code == ERR_OK)
		join_reply(ret);
}

void rest_done(struct rest_result *r)
{
	request_free(r->call->request);
	arena_free(r->call->arena);
	free(r->call);
}
