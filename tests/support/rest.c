/* SPDX-License-Identifier: Apache-2.0 */
#include "support/rest.h"

#include <stdlib.h>
#include "base/clock.h"
#include "server/http/http_state.h"

static struct signature_io one_in[] = { { .name = "x", .value = "x", .type.dtype = DTYPE_F32,
	.shape = { 2, { DIM_SYMBOL(0), 2 } }, .dim_name = { "batch" } } };
static struct signature_io one_out[] = { { .name = "y", .value = "y", .type.dtype = DTYPE_F32,
	.shape = { 2, { DIM_SYMBOL(0), 2 } }, .dim_name = { "batch" } } };

static const enum dtype many_types[] = { DTYPE_F32, DTYPE_F64, DTYPE_I8, DTYPE_I16, DTYPE_I32,
	DTYPE_I64, DTYPE_U8, DTYPE_U16, DTYPE_U32, DTYPE_U64, DTYPE_BOOL, DTYPE_STRING };
#define MANY (int)(sizeof(many_types) / sizeof(many_types[0]))
static struct signature_io many_in[MANY], many_out[MANY];

static struct signature sigs[2];
static struct version versions[2];
static struct http http;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void set_version(
	int i, const char *model, struct signature_io *in, struct signature_io *out, int n)
{
	sigs[i] = (struct signature){ .name = SIGNATURE_DEFAULT,
		.in = in,
		.out = out,
		.n_in = n,
		.n_out = n,
		.batchable = true,
		.max_batch = 8 };
	versions[i] = (struct version){ .model = model, .number = 3, .sig = &sigs[i], .n_sig = 1,
		.platform = "onnx_onnxv1", .refs = 1, .state = VERSION_READY };
}

/* Once: models are as static as the daemon's. */
static void publish(void)
{
	struct registry_version rows[2];
	struct err err;
	if (http.registry)
		return;
	for (int i = 0; i < MANY; i++)
		many_in[i] = many_out[i] = (struct signature_io){ .name = dtype_name(many_types[i]),
			.value = "v",
			.type.dtype = many_types[i],
			.shape = { 1, { DIM_SYMBOL(0) } },
			.optional = true };
	set_version(0, "many", many_in, many_out, MANY);
	set_version(1, "one", one_in, one_out, 1);
	for (int i = 0; i < 2; i++)
		rows[i] = (struct registry_version){ .version = &versions[i],
			.status = { .model = versions[i].model,
				.number = 3,
				.state = VERSION_READY,
				.reason = "" } };
	struct registry_model models[2] = { { .name = "many", .version = &rows[0], .n_version = 1 },
		{ .name = "one", .version = &rows[1], .n_version = 1 } };
	http.conf.body_bytes_max = 1 << 20;
	require(registry_new(&http.registry, &err) == ERR_OK);
	require(registry_set(http.registry, models, 2, &err) == ERR_OK);
}

static void make_outputs(struct request *r)
{
	for (int i = 0; i < r->sig->n_out; i++) {
		struct tensor *t = &r->out[i];
		t->dtype = r->sig->out[i].type.dtype;
		t->shape = r->sig->out[i].shape;
		t->shape.dim[0] = r->rows;
		t->data = arena_calloc(r->arena, tensor_bytes(t) + 1, 1);
		require(t->data != NULL);
	}
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
	publish();
	*ret = (struct rest_result){ 0 };
	struct call *c = ret->call = calloc(1, sizeof(*c));
	require(c && (c->arena = arena_new(4096, 64 << 20)));
	http.conf.allow_nan = o->allow_nan;
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
		struct request *r = c->request;
		ret->code = signature_check(r->sig, r->in, &r->rows, &ret->err);
		if (ret->code != ERR_OK)
			return;
		make_outputs(r);
		if (o->fill)
			o->fill(r);
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
