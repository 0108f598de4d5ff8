/* SPDX-License-Identifier: Apache-2.0 */
/* What clients of the Open Inference Protocol and of Triton ask besides inference. */
#include <config.h>
#include <stdio.h>
#include "server/grpc/methods.h"
#include "server/grpc/oip/oip_call.h"
#include "server/dialect/oip.h"
#include "server/stats.h"

#define NAME_MAX_BYTES 1024

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
enum { STATS_MODEL = 1 };
enum { STATS_NAME = 1, STATS_VERSION, STATS_LAST, STATS_ROWS, STATS_BATCHES, STATS_INFER,
	STATS_BATCH };
enum { INFER_SUCCESS = 1, INFER_FAIL, INFER_QUEUE, INFER_INPUT, INFER_COMPUTE, INFER_OUTPUT };
enum { BATCH_SIZE = 1, BATCH_INPUT, BATCH_COMPUTE, BATCH_OUTPUT };
enum { DURATION_COUNT = 1, DURATION_NS };
enum { INDEX_READY = 2 };
enum { INDEX_MODEL = 1 };
enum { MODEL_NAME = 1, MODEL_VERSION, MODEL_STATE, MODEL_REASON };
enum { LOAD_NAME_KSERVE = 1, LOAD_NAME_TRITON, LOAD_PARAMETERS };
enum { LOADED_NAME = 1, LOADED = 2 };

static struct buf reply_buf(const struct rpc_call *c)
{
	return buf_of(c->request->arena, 0);
}

static enum err_code reply_flag(struct rpc_call *c, bool yes, struct err *err)
{
	struct buf b = reply_buf(c);
	wire_put_uint(&b, YES, yes);
	return rpc_reply(c, &b, err);
}

static void put_number(struct buf *b, uint32_t field, int64_t number)
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
	struct buf b = reply_buf(c);
	(void)w;
	wire_put_bytes(&b, SERVER_NAME, SLICE_LIT("signet"));
	wire_put_bytes(&b, SERVER_VERSION, SLICE_LIT(PACKAGE_VERSION));
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++)
		wire_put_bytes(&b, SERVER_EXTENSIONS, slice_of(extensions[i]));
	return rpc_reply(c, &b, err);
}

/* --- one model --- */

struct question {
	struct slice name, version;
};

static enum err_code read_question(
	struct rpc_call *c, struct wire w, struct question *q, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*q = (struct question){ SLICE_LIT(""), SLICE_LIT("") };
	while (wire_next(&w, &field, &type)) {
		if (field == ASK_NAME)
			q->name = wire_string(&w, type, NAME_MAX_BYTES, c->request->arena);
		else if (field == ASK_VERSION)
			q->version = wire_string(&w, type, NAME_MAX_BYTES, c->request->arena);
		else
			wire_skip(&w, type);
	}
	if (wire_ok(&w))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "the message is not well-formed");
}

static enum err_code acquire(
	struct rpc_call *c, const struct question *q, struct version **ret, struct err *err)
{
	struct version_spec spec;
	TRY(oip_spec(q->version, &spec, err));
	return registry_acquire(c->rpc->registry, q->name, &spec, ret, err);
}

enum err_code oip_model_ready(struct rpc_call *c, struct wire w, struct err *err)
{
	struct question q;
	struct version *v;
	TRY(read_question(c, w, &q, err));
	enum err_code rc = acquire(c, &q, &v, err);
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
	bool has = !t->is_sequence && t->map_key == DTYPE_UNDEFINED && dtype_info(t->dtype)->oip_name;
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
static enum err_code put_versions(struct rpc_call *c, const struct question *q, struct buf *b,
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
			put_number(b, META_VERSIONS, list[i].number);
	return ERR_OK;
}

static const char *platform(const struct version *v)
{
	return v->platform ? v->platform : "onnx_onnxv1";
}

enum err_code oip_model_metadata(struct rpc_call *c, struct wire w, struct err *err)
{
	struct buf b = reply_buf(c);
	struct question q;
	struct version *v;
	TRY(read_question(c, w, &q, err));
	TRY(acquire(c, &q, &v, err));
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
	struct buf b = reply_buf(c), config = reply_buf(c), none = reply_buf(c);
	struct question q;
	struct version *v;
	TRY(read_question(c, w, &q, err));
	TRY(acquire(c, &q, &v, err));
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

/* --- statistics --- */

struct walk {
	struct question q;
	struct version_spec spec;
	struct buf b;
};

static uint64_t load_signed(const atomic_int_fast64_t *v)
{
	return (uint64_t)atomic_load((atomic_int_fast64_t *)(uintptr_t)v);
}

static void put_duration(struct buf *b, uint32_t field, uint64_t count, uint64_t ns)
{
	struct buf one = buf_of(b->arena, 0);
	wire_put_uint(&one, DURATION_COUNT, count);
	wire_put_uint(&one, DURATION_NS, ns);
	wire_put_message(b, field, &one);
}

/* One message per batch size that was run; returns how many batches there were. */
static uint64_t put_batches(struct buf *b, const struct stats *s, uint64_t *gather_ns,
	uint64_t *scatter_ns)
{
	uint64_t batches = 0;
	for (int rows = 0; rows <= STATS_BATCH_MAX; rows++) {
		const struct stats_batch *at = &s->by_rows[rows];
		struct buf one = buf_of(b->arena, 0);
		uint64_t n = stats_load(&at->count);
		if (n == 0)
			continue;
		batches += n;
		*gather_ns += stats_load(&at->gather_ns);
		*scatter_ns += stats_load(&at->scatter_ns);
		wire_put_uint(&one, BATCH_SIZE, (uint64_t)rows);
		put_duration(&one, BATCH_INPUT, n, stats_load(&at->gather_ns));
		put_duration(&one, BATCH_COMPUTE, n, stats_load(&at->compute_ns));
		put_duration(&one, BATCH_OUTPUT, n, stats_load(&at->scatter_ns));
		wire_put_message(b, STATS_BATCH, &one);
	}
	return batches;
}

static void put_stats(void *ctx, const struct stats *s)
{
	struct walk *k = ctx;
	struct buf one = buf_of(k->b.arena, 0), infer = buf_of(k->b.arena, 0);
	uint64_t gather_ns = 0, scatter_ns = 0, ok = stats_requests(s, 0, 1);
	if (!s->loaded || (k->q.name.len && !slice_is(k->q.name, s->model)) ||
		(k->spec.pick == VERSION_PICK_NUMBER && k->spec.number != s->number))
		return;
	wire_put_bytes(&one, STATS_NAME, slice_of(s->model));
	put_number(&one, STATS_VERSION, s->number);
	wire_put_uint(&one, STATS_LAST, load_signed(&s->last_ms));
	wire_put_uint(&one, STATS_ROWS, stats_load(&s->rows));
	wire_put_uint(&one, STATS_BATCHES, put_batches(&one, s, &gather_ns, &scatter_ns));
	put_duration(&infer, INFER_SUCCESS, ok, stats_load(&s->success_ns));
	put_duration(&infer, INFER_FAIL, stats_requests(s, 1, STATS_CODES), stats_load(&s->fail_ns));
	put_duration(&infer, INFER_QUEUE, ok, load_signed(&s->queue.sum));
	put_duration(&infer, INFER_INPUT, ok, gather_ns);
	put_duration(&infer, INFER_COMPUTE, ok, load_signed(&s->compute.sum));
	put_duration(&infer, INFER_OUTPUT, ok, scatter_ns);
	wire_put_message(&one, STATS_INFER, &infer);
	wire_put_message(&k->b, STATS_MODEL, &one);
}

enum err_code oip_statistics(struct rpc_call *c, struct wire w, struct err *err)
{
	struct walk k = { .b = reply_buf(c) };
	struct version *v;
	TRY(read_question(c, w, &k.q, err));
	TRY(oip_spec(k.q.version, &k.spec, err));
	/* A model that is not there, or not ready, is an error as everywhere else. */
	if (k.q.name.len) {
		TRY(acquire(c, &k.q, &v, err));
		version_release(v);
	}
	stats_walk(put_stats, &k);
	return rpc_reply(c, &k.b, err);
}

/* --- repository --- */

static enum err_code read_ready_only(struct wire w, bool *ret, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*ret = false;
	while (wire_next(&w, &field, &type)) {
		if (field == INDEX_READY)
			*ret = wire_varint(&w, type) != 0;
		else
			wire_skip(&w, type);
	}
	if (wire_ok(&w))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "the message is not a well-formed RepositoryIndexRequest");
}

enum err_code oip_index(struct rpc_call *c, struct wire w, struct err *err)
{
	struct buf b = reply_buf(c);
	struct version_status *list;
	bool ready_only;
	int n;
	TRY(read_ready_only(w, &ready_only, err));
	TRY(registry_list(c->rpc->registry, NULL, c->request->arena, &list, &n, err));
	for (int i = 0; i < n; i++) {
		struct buf one = reply_buf(c);
		if (ready_only && list[i].state != VERSION_READY)
			continue;
		wire_put_bytes(&one, MODEL_NAME, slice_of(list[i].model));
		if (list[i].number >= 0)
			put_number(&one, MODEL_VERSION, list[i].number);
		wire_put_bytes(&one, MODEL_STATE, slice_of(version_state_info(list[i].state)->oip));
		wire_put_bytes(&one, MODEL_REASON, slice_of(list[i].reason ? list[i].reason : ""));
		wire_put_message(&b, INDEX_MODEL, &one);
	}
	return rpc_reply(c, &b, err);
}

/* Triton has the model's name in field 2, KServe in field 1. */
static enum err_code read_load(struct rpc_call *c, struct wire w, struct slice *ret, struct err *err)
{
	struct slice name[LOAD_NAME_TRITON + 1] = { SLICE_LIT(""), SLICE_LIT(""), SLICE_LIT("") };
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		struct arena *arena = c->request->arena;
		if (field == LOAD_NAME_KSERVE || field == LOAD_NAME_TRITON)
			name[field] = wire_string(&w, type, NAME_MAX_BYTES, arena);
		else if (field == LOAD_PARAMETERS)
			TRY(oip_check_load(wire_map_entry(&w, type, NAME_MAX_BYTES, arena).key, err));
		else
			wire_skip(&w, type);
	}
	if (!wire_ok(&w))
		return err_set(err, ERR_INVALID_ARGUMENT, "the message is not well-formed");
	*ret = name[LOAD_NAME_TRITON].len ? name[LOAD_NAME_TRITON] : name[LOAD_NAME_KSERVE];
	return ERR_OK;
}

/* KServe's answer; Triton's clients skip what they do not know. */
static enum err_code reply_done(struct rpc_call *c, struct slice model, struct err *err)
{
	struct buf b = reply_buf(c);
	wire_put_bytes(&b, LOADED_NAME, model);
	wire_put_uint(&b, LOADED, true);
	return rpc_reply(c, &b, err);
}

enum err_code oip_load(struct rpc_call *c, struct wire w, struct err *err)
{
	struct slice model;
	TRY(read_load(c, w, &model, err));
	TRY(repo_load(c->rpc->repo, model, err));
	return reply_done(c, model, err);
}

enum err_code oip_unload(struct rpc_call *c, struct wire w, struct err *err)
{
	struct slice model;
	TRY(read_load(c, w, &model, err));
	TRY(repo_unload(c->rpc->repo, model, err));
	return reply_done(c, model, err);
}
