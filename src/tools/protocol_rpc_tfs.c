/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving. Names and numbers as in proto/tensorflow_serving.proto and
   tensorflow.proto. */
#include <limits.h>

#include "base/parse.h"
#include "server/grpc/tfs/tfs_tensor.h"
#include "tools/protocol_rpc.h"

#define NAME_MAX_BYTES 4096

enum { REQ_SPEC = 1, REQ_INPUTS };
enum { RES_OUTPUTS = 1 };
enum { SPEC_NAME = 1, SPEC_VERSION };
enum { INT64_VALUE = 1 };
enum { MAP_KEY = 1, MAP_VALUE };
enum { ASK_SPEC = 1, ASK_FIELD };
enum { META_METADATA = 2 };
enum { ANY_VALUE = 2 };
enum { MAP_SIGNATURES = 1 };
enum { SIGNATURE_INPUTS = 1, SIGNATURE_OUTPUTS };
enum { INFO_DTYPE = 2, INFO_SHAPE };

/* -- requests ------------------------------------------------------------------------------ */

static enum err_code put_spec(
	struct buf *to, uint32_t field, const struct model_info *m, struct err *err)
{
	struct buf spec = buf_of(to->arena, 0), version = buf_of(to->arena, 0);
	int64_t number;
	wire_put_bytes(&spec, SPEC_NAME, slice_of(m->name));
	if (m->version) {
		if (!parse_i64(slice_of(m->version), 0, INT64_MAX, &number))
			return err_set(err, ERR_INVALID_ARGUMENT, "version '%s' is not a number",
				m->version);
		wire_put_uint(&version, INT64_VALUE, (uint64_t)number);
		wire_put_message(&spec, SPEC_VERSION, &version);
	}
	wire_put_message(to, field, &spec);
	return ERR_OK;
}

static enum err_code put_input(
	struct buf *to, const char *name, const struct tensor *t, struct err *err)
{
	struct tfs_tensor parts;
	struct buf entry = buf_of(to->arena, 0);
	if (!tfs_tensor_has(t->dtype))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%s': %s has no form in this protocol", name, dtype_name(t->dtype));
	TRY(tfs_tensor_write(t, true, to->arena, &parts, err));
	wire_put_bytes(&entry, MAP_KEY, slice_of(name));
	wire_put_head(&entry, MAP_VALUE, parts.head.len + parts.raw.len);
	buf_slice(&entry, parts.head);
	buf_slice(&entry, parts.raw);
	wire_put_message(to, REQ_INPUTS, &entry);
	return ERR_OK;
}

enum err_code protocol_rpc_tfs_encode(const struct model_info *m, const struct tensor *in,
	struct buf *to, size_t *ret_json_bytes, struct err *err)
{
	*ret_json_bytes = SIZE_MAX;
	TRY(put_spec(to, REQ_SPEC, m, err));
	for (int i = 0; i < m->n_in; i++)
		if (in[i].data)
			TRY(put_input(to, m->in[i].name, &in[i], err));
	return ERR_OK;
}

/* -- answers ------------------------------------------------------------------------------- */

static enum err_code malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_UNKNOWN, "the answer is no %s", what);
}

/* The next entry of the map in this field. */
static bool next_entry(
	struct wire *w, uint32_t field, struct arena *arena, struct wire_entry *ret)
{
	enum wire_type type;
	if (!wire_seek(w, field, &type))
		return false;
	*ret = wire_map_entry(w, type, NAME_MAX_BYTES, arena);
	return wire_ok(w);
}

enum err_code protocol_rpc_tfs_decode(const struct model_info *m, struct slice body,
	size_t json_bytes, struct arena *arena, struct tensor *out, struct err *err)
{
	struct wire w = wire_over(&body, 1);
	struct wire_entry e;
	(void)json_bytes;
	while (next_entry(&w, RES_OUTPUTS, arena, &e)) {
		int k = model_info_find(m->out, m->n_out, e.key);
		if (k < 0)
			return err_set(err, ERR_UNKNOWN, "output '%.*s' is none of the model's",
				SLICE_ARG(e.key));
		if (tfs_tensor_read(e.value, arena, HTTP_BODY_MAX, &out[k], err) != ERR_OK)
			return err_prefix(err, "output '%.*s'", SLICE_ARG(e.key));
	}
	return wire_ok(&w) ? ERR_OK : malformed(err, "PredictResponse");
}

/* -- metadata ------------------------------------------------------------------------------ */

static enum err_code tfs_ask(const struct model_info *m, struct buf *to, struct err *err)
{
	TRY(put_spec(to, ASK_SPEC, m, err));
	wire_put_bytes(to, ASK_FIELD, SLICE_LIT("signature_def"));
	return ERR_OK;
}

/* A TensorInfo. */
static enum err_code read_info(struct wire w, struct model_io *io, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		if (field == INFO_DTYPE) {
			uint64_t number = wire_varint(&w, type);
			io->dtype = number > INT_MAX ? DTYPE_UNDEFINED : dtype_find_tf((int)number);
		} else if (field == INFO_SHAPE) {
			TRY(tfs_tensor_read_shape(wire_message(&w, type), &io->shape, err));
		} else {
			wire_skip(&w, type);
		}
	}
	return wire_ok(&w) ? ERR_OK : malformed(err, "TensorInfo");
}

static enum err_code read_ios(struct wire signature, uint32_t field, struct arena *arena,
	struct model_io **ret, int *ret_n, struct err *err)
{
	struct wire count = signature, one;
	struct wire_entry e;
	int n = 0;
	while (wire_find(&count, field, &one))
		n++;
	*ret = ARENA_ARRAY(arena, struct model_io, (size_t)n + 1);
	if (!*ret)
		return err_oom(err);
	for (*ret_n = 0; next_entry(&signature, field, arena, &e); ++*ret_n) {
		struct model_io *io = &(*ret)[*ret_n];
		io->name = arena_strndup(arena, e.key.ptr, e.key.len);
		if (!io->name)
			return err_oom(err);
		TRY(read_info(e.value, io, err));
	}
	return *ret_n == n ? ERR_OK : malformed(err, "SignatureDef");
}

/* metadata["signature_def"].value, a SignatureDefMap, and in it the signature of everybody. */
static enum err_code find_signature(
	struct wire w, struct arena *arena, struct wire *ret, struct err *err)
{
	struct wire_entry e;
	struct wire map;
	while (next_entry(&w, META_METADATA, arena, &e)) {
		if (!slice_is(e.key, "signature_def") || !wire_find(&e.value, ANY_VALUE, &map))
			continue;
		while (next_entry(&map, MAP_SIGNATURES, arena, &e))
			if (slice_is(e.key, "serving_default")) {
				*ret = e.value;
				return ERR_OK;
			}
	}
	return err_set(err, ERR_NOT_FOUND, "the model has no signature 'serving_default'");
}

static enum err_code tfs_told(struct slice message, struct arena *arena, struct model_info *m,
	struct err *err)
{
	struct wire signature;
	TRY(find_signature(wire_over(&message, 1), arena, &signature, err));
	TRY(read_ios(signature, SIGNATURE_INPUTS, arena, &m->in, &m->n_in, err));
	return read_ios(signature, SIGNATURE_OUTPUTS, arena, &m->out, &m->n_out, err);
}

const struct protocol_rpc protocol_rpc_tfs = {
	.infer = "/tensorflow.serving.PredictionService/Predict",
	.metadata = "/tensorflow.serving.PredictionService/GetModelMetadata",
	.ask = tfs_ask,
	.told = tfs_told,
};
