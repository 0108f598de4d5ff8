/* SPDX-License-Identifier: Apache-2.0 */
/* What clients of the Open Inference Protocol and of Triton ask of the server and of a model. */
#include <config.h>
#include <stdio.h>
#include "server/grpc/methods.h"
#include "server/grpc/oip/oip_call.h"
#include "server/dialect/oip.h"

/* Names and numbers as in proto/inference.proto. */
enum { ASK_NAME = 1, ASK_VERSION };
enum { YES = 1 };
enum { SERVER_NAME = 1, SERVER_VERSION, SERVER_EXTENSIONS };
enum { META_NAME = 1, META_VERSIONS, META_PLATFORM, META_INPUTS, META_OUTPUTS };
enum { TENSOR_NAME = 1, TENSOR_DATATYPE, TENSOR_SHAPE };
enum { CONFIG = 1 };
enum { CONFIG_NAME = 1, CONFIG_PLATFORM = 2, CONFIG_MAX_BATCH = 4, CONFIG_INPUT = 5,
	CONFIG_OUTPUT = 6, CONFIG_BATCHING = 11, CONFIG_BACKEND = 17 };
enum { PORT_NAME = 1, PORT_TYPE = 2, INPUT_DIMS = 4, INPUT_OPTIONAL = 8, OUTPUT_DIMS = 3 };

static enum err_code reply_flag(struct rpc_call *c, bool yes, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0);
	wire_put_uint(&b, YES, yes);
	return rpc_reply(c, &b, err);
}

void oip_put_number(struct buf *b, uint32_t field, int64_t number)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%lld", (long long)number);
	wire_put_bytes(b, field, (struct slice){ text, (size_t)len });
}

/* --- the server --- */

enum err_code oip_server_live(struct rpc_call *c, struct wire w, struct err *err)
{
	(void)w;
	return reply_flag(c, true, err);
}

enum err_code oip_server_ready(struct rpc_call *c, struct wire w, struct err *err)
{
	(void)w;
	return reply_flag(c, rpc_is_ready(c->rpc), err);
}

enum err_code oip_server_metadata(struct rpc_call *c, struct wire w, struct err *err)
{
	static const char *const extensions[] = { "classification", "model_repository",
		"model_configuration", "schedule_policy", "binary_tensor_data", "parameters",
		"statistics", "logging" };
	struct buf b = buf_of(c->request->arena, 0);
	(void)w;
	wire_put_bytes(&b, SERVER_NAME, SLICE_LIT("signet"));
	wire_put_bytes(&b, SERVER_VERSION, SLICE_LIT(PACKAGE_VERSION));
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++)
		wire_put_bytes(&b, SERVER_EXTENSIONS, slice_of(extensions[i]));
	if (c->rpc->conf.regions)
		wire_put_bytes(&b, SERVER_EXTENSIONS, SLICE_LIT("system_shared_memory"));
	return rpc_reply(c, &b, err);
}

/* --- one model --- */

enum err_code oip_read_question(
	struct rpc_call *c, struct wire w, struct oip_question *q, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*q = (struct oip_question){ SLICE_LIT(""), SLICE_LIT("") };
	while (wire_next(&w, &field, &type)) {
		if (field == ASK_NAME)
			q->name = wire_string(&w, type, OIP_NAME_MAX_BYTES, c->request->arena);
		else if (field == ASK_VERSION)
			q->version = wire_string(&w, type, OIP_NAME_MAX_BYTES, c->request->arena);
		else
			wire_skip(&w, type);
	}
	if (wire_ok(&w))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "the message is not well-formed");
}

enum err_code oip_acquire(
	struct rpc_call *c, const struct oip_question *q, struct version **ret, struct err *err)
{
	struct version_spec spec;
	TRY(oip_spec(q->version, &spec, err));
	return registry_acquire(c->rpc->registry, q->name, &spec, ret, err);
}

enum err_code oip_model_ready(struct rpc_call *c, struct wire w, struct err *err)
{
	struct oip_question q;
	struct version *v;
	TRY(oip_read_question(c, w, &q, err));
	enum err_code rc = oip_acquire(c, &q, &v, err);
	/* Clients poll with this until a model has come: also one that is not there is "no". */
	if (rc == ERR_UNAVAILABLE || rc == ERR_NOT_FOUND)
		return reply_flag(c, false, err);
	if (rc != ERR_OK)
		return rc;
	version_release(v);
	return reply_flag(c, true, err);
}

static const char *oip_type(const struct type *t)
{
	bool has =
		!t->is_sequence && t->map_key == DTYPE_UNDEFINED && dtype_info(t->dtype)->oip_name;
	return has ? dtype_info(t->dtype)->oip_name : "INVALID";
}

static void put_dims(struct buf *b, uint32_t field, const struct shape *s, int from)
{
	struct buf dims = buf_of(b->arena, 0);
	for (int i = from; i < s->rank; i++)
		wire_put_varint(&dims, (uint64_t)(s->dim[i] < 0 ? -1 : s->dim[i]));
	if (dims.len)
		wire_put_message(b, field, &dims);
}

static void put_tensors(struct buf *b, uint32_t field, const struct signature_io *io, int n)
{
	for (int i = 0; i < n; i++) {
		struct buf one = buf_of(b->arena, 0);
		wire_put_bytes(&one, TENSOR_NAME, slice_of(io[i].name));
		wire_put_bytes(&one, TENSOR_DATATYPE, slice_of(oip_type(&io[i].type)));
		put_dims(&one, TENSOR_SHAPE, &io[i].shape, 0);
		wire_put_message(b, field, &one);
	}
}

/* The version asked for, or all that are ready, lowest first. */
static enum err_code put_versions(struct rpc_call *c, const struct oip_question *q, struct buf *b,
	struct err *err)
{
	struct version_status *list;
	int n;
	if (q->version.len) {
		wire_put_bytes(b, META_VERSIONS, q->version);
		return ERR_OK;
	}
	TRY(registry_list(c->rpc->registry, &q->name, c->request->arena, &list, &n, err));
	for (int i = n - 1; i >= 0; i--)
		if (list[i].state == VERSION_READY)
			oip_put_number(b, META_VERSIONS, list[i].number);
	return ERR_OK;
}

static const char *platform(const struct version *v)
{
	return v->platform ? v->platform : "onnx_onnxv1";
}

enum err_code oip_model_metadata(struct rpc_call *c, struct wire w, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0);
	struct oip_question q;
	struct version *v;
	TRY(oip_read_question(c, w, &q, err));
	TRY(oip_acquire(c, &q, &v, err));
	wire_put_bytes(&b, META_NAME, slice_of(v->model));
	enum err_code rc = put_versions(c, &q, &b, err);
	wire_put_bytes(&b, META_PLATFORM, slice_of(platform(v)));
	put_tensors(&b, META_INPUTS, v->sig[0].in, v->sig[0].n_in);
	put_tensors(&b, META_OUTPUTS, v->sig[0].out, v->sig[0].n_out);
	version_release(v);
	return rc == ERR_OK ? rpc_reply(c, &b, err) : rc;
}

/* The configuration's DataType. */
static int config_type(const struct type *t)
{
	static const char *const names[] = { "INVALID", "BOOL", "UINT8", "UINT16", "UINT32",
		"UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES",
		"BF16" };
	for (int i = 0; i < (int)(sizeof(names) / sizeof(*names)); i++)
		if (strcmp(names[i], oip_type(t)) == 0)
			return i;
	return 0;
}

static void put_ports(struct buf *b, bool in, const struct signature *s)
{
	const struct signature_io *io = in ? s->in : s->out;
	for (int i = 0; i < (in ? s->n_in : s->n_out); i++) {
		struct buf one = buf_of(b->arena, 0);
		wire_put_bytes(&one, PORT_NAME, slice_of(io[i].name));
		wire_put_uint(&one, PORT_TYPE, (uint64_t)config_type(&io[i].type));
		put_dims(&one, in ? INPUT_DIMS : OUTPUT_DIMS, &io[i].shape, s->batchable);
		if (in && io[i].optional)
			wire_put_uint(&one, INPUT_OPTIONAL, true);
		wire_put_message(b, in ? CONFIG_INPUT : CONFIG_OUTPUT, &one);
	}
}

enum err_code oip_model_config(struct rpc_call *c, struct wire w, struct err *err)
{
	struct arena *arena = c->request->arena;
	struct buf b = buf_of(arena, 0), config = buf_of(arena, 0), none = buf_of(arena, 0);
	struct oip_question q;
	struct version *v;
	TRY(oip_read_question(c, w, &q, err));
	TRY(oip_acquire(c, &q, &v, err));
	const struct signature *s = &v->sig[0];
	wire_put_bytes(&config, CONFIG_NAME, slice_of(v->model));
	wire_put_bytes(&config, CONFIG_PLATFORM, slice_of(platform(v)));
	wire_put_uint(&config, CONFIG_MAX_BATCH, s->batchable ? (uint64_t)s->max_batch : 0);
	put_ports(&config, true, s);
	put_ports(&config, false, s);
	if (s->batchable)
		wire_put_message(&config, CONFIG_BATCHING, &none);
	wire_put_bytes(&config, CONFIG_BACKEND, SLICE_LIT("signet"));
	wire_put_message(&b, CONFIG, &config);
	version_release(v);
	return rpc_reply(c, &b, err);
}
