/* SPDX-License-Identifier: Apache-2.0 */
#include "support/rpc_run.h"

#include <stdlib.h>
#include "support/served.h"

static void require(bool holds)
{
	if (!holds)
		abort();
}

static const struct rpc_method *find_method(const char *path)
{
	for (int i = 0; i < rpc_method_count; i++)
		if (strcmp(rpc_methods[i].path, path) == 0)
			return &rpc_methods[i];
	abort();
}

/* With an empty piece before each, as gRPC may have them. */
static struct wire cut(struct slice all, size_t n, struct arena *arena)
{
	if (n == 0)
		n = all.len ? all.len : 1;
	struct slice *piece = ARENA_ARRAY(arena, struct slice, 2 * (all.len / n) + 3);
	int count = 0;
	require(piece != NULL);
	for (size_t at = 0; at < all.len; at += n) {
		piece[count++] = SLICE_LIT("");
		piece[count++] =
			(struct slice){ all.ptr + at, all.len - at < n ? all.len - at : n };
	}
	return wire_over(piece, count);
}

static void join_reply(struct rpc_result *ret)
{
	struct buf b = buf_of(ret->call->request->arena, 0);
	for (int i = 0; i < ret->call->n_part; i++)
		buf_slice(&b, ret->call->part[i]);
	require(buf_finish(&b, &ret->reply, NULL) == ERR_OK);
}

void rpc_run(const struct rpc_opts *o, struct slice message, struct rpc_result *ret)
{
	*ret = (struct rpc_result){ 0 };
	struct rpc_call *c = ret->call = calloc(1, sizeof(*c));
	struct rpc *rpc = calloc(1, sizeof(*rpc));
	require(c && rpc);
	rpc->conf.tensor_content = o->tensor_content;
	rpc->conf.message_bytes_max = o->message_bytes_max ? o->message_bytes_max : 1 << 20;
	rpc->conf.set_models = o->set_models;
	rpc->conf.regions = served_regions();
	rpc->registry = served_registry();
	c->rpc = rpc;
	c->method = find_method(o->method);
	c->request = request_new();
	require(c->request != NULL);
	ret->code =
		c->method->handle(c, cut(message, o->piece_bytes, c->request->arena), &ret->err);
	while (ret->code == ERR_OK && c->method->encode) {
		c->again = false;
		ret->code = served_run(c->request, o->fill, &ret->err);
		if (ret->code == ERR_OK)
			ret->code = c->method->encode(c, &ret->err);
		if (!c->again)
			break;
	}
	if (ret->code == ERR_OK)
		join_reply(ret);
}

void rpc_done(struct rpc_result *r)
{
	request_free(r->call->request);
	free(r->call->rpc);
	free(r->call);
}
