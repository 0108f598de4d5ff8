/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol. Names and numbers as in proto/inference.proto. */
#include "tools/protocol_rpc.h"


#include "base/buf.h"
#include "server/grpc/wire.h"
#include "tools/values.h"

#define NAME_MAX_BYTES 4096

enum { REQ_MODEL_NAME = 1, REQ_MODEL_VERSION = 2, REQ_INPUTS = 5, REQ_RAW = 7 };
enum { RES_OUTPUTS = 5, RES_RAW = 6 };
enum { TENSOR_NAME = 1, TENSOR_DATATYPE, TENSOR_SHAPE };
enum { ASK_NAME = 1, ASK_VERSION };
enum { META_INPUTS = 4, META_OUTPUTS };

static enum err_code malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_UNKNOWN, "the answer is no %s", what);
}

/* -- requests ------------------------------------------------------------------------------ */

static enum err_code put_input(
	struct buf *to, const char *name, const struct tensor *t, struct err *err)
{
	struct buf one = buf_of(to->arena, 0), dims = buf_of(to->arena, 0);
	const char *datatype = dtype_info(t->dtype)->oip_name;
	if (!datatype)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%s': %s has no name in this protocol", name, dtype_name(t->dtype));
	wire_put_bytes(&one, TENSOR_NAME, slice_of(name));
	wire_put_bytes(&one, TENSOR_DATATYPE, slice_of(datatype));
	for (int i = 0; i < t->shape.rank; i++)
		wire_put_varint(&dims, (uint64_t)t->shape.dim[i]);
	if (dims.len)
		wire_put_message(&one, TENSOR_SHAPE, &dims);
	wire_put_message(to, REQ_INPUTS, &one);
	return ERR_OK;
}

enum err_code protocol_rpc_v2_encode(const struct model_info *m, const struct tensor *in,
	struct buf *to, size_t *ret_json_bytes, struct err *err)
{
	*ret_json_bytes = SIZE_MAX;
	wire_put_bytes(to, REQ_MODEL_NAME, slice_of(m->name));
	wire_put_bytes(to, REQ_MODEL_VERSION, slice_of(m->version ? m->version : ""));
	for (int i = 0; i < m->n_in; i++)
		if (in[i].data)
			TRY(put_input(to, m->in[i].name, &in[i], err));
	for (int i = 0; i < m->n_in; i++)
		if (in[i].data) {
			wire_put_head(to, REQ_RAW, protocol_raw_bytes(&in[i]));
			protocol_raw_write(to, &in[i]);
		}
	return ERR_OK;
}

/* -- tensors as an answer describes them ---------------------------------------------------- */

struct described {
	struct slice name, datatype;
	struct shape shape;
};

static void add_dim(struct wire *w, struct shape *s, uint64_t dim)
{
	if (s->rank == RANK_MAX)
		w->bad = true;
	else
		s->dim[s->rank++] = (int64_t)dim < 0 ? DIM_UNKNOWN : (int64_t)dim;
}

static void read_dims(struct wire *w, enum wire_type type, struct shape *s)
{
	if (type == WIRE_VARINT) {
		add_dim(w, s, wire_varint(w, type));
		return;
	}
	struct wire packed = wire_message(w, type);
	while (packed.left && wire_ok(w))
		add_dim(w, s, wire_raw_varint(&packed));
	w->bad |= packed.bad;
}

static bool read_described(struct wire w, struct arena *arena, struct described *ret)
{
	uint32_t field;
	enum wire_type type;
	*ret = (struct described){ .name = SLICE_LIT(""), .datatype = SLICE_LIT("") };
	while (wire_next(&w, &field, &type)) {
		if (field == TENSOR_NAME)
			ret->name = wire_string(&w, type, NAME_MAX_BYTES, arena);
		else if (field == TENSOR_DATATYPE)
			ret->datatype = wire_string(&w, type, NAME_MAX_BYTES, arena);
		else if (field == TENSOR_SHAPE)
			read_dims(&w, type, &ret->shape);
		else
			wire_skip(&w, type);
	}
	return wire_ok(&w);
}

/* -- answers ------------------------------------------------------------------------------- */

static enum err_code take_output(const struct model_info *m, const struct described *d,
	struct slice raw, struct arena *arena, struct tensor *out, struct err *err)
{
	int k = model_info_find(m->out, m->n_out, d->name);
	if (k < 0)
		return err_set(err, ERR_UNKNOWN, "output '%.*s' is none of the model's",
			SLICE_ARG(d->name));
	if (values_new(dtype_find_oip(d->datatype), &d->shape, arena, &out[k], err) != ERR_OK)
		return err_prefix(err, "output '%.*s'", SLICE_ARG(d->name));
	if (!protocol_raw_read(raw, &out[k]))
		return err_set(err, ERR_UNKNOWN, "output '%.*s': %zu bytes are not %s%s",
			SLICE_ARG(d->name), raw.len, dtype_name(out[k].dtype),
			SHAPE_TEXT(&d->shape));
	return ERR_OK;
}

enum err_code protocol_rpc_v2_decode(const struct model_info *m, struct slice body,
	size_t json_bytes, struct arena *arena, struct tensor *out, struct err *err)
{
	struct wire outputs = wire_over(&body, 1), raws = outputs, one, raw;
	(void)json_bytes;
	while (wire_find(&outputs, RES_OUTPUTS, &one)) {
		struct described d;
		if (!read_described(one, arena, &d))
			break;
		if (!wire_find(&raws, RES_RAW, &raw))
			return err_set(err, ERR_UNKNOWN, "output '%.*s' has no raw_output_contents",
				SLICE_ARG(d.name));
		TRY(take_output(m, &d, wire_bytes(&raw, arena), arena, out, err));
	}
	return wire_ok(&outputs) && !outputs.left ? ERR_OK : malformed(err, "ModelInferResponse");
}

/* -- metadata ------------------------------------------------------------------------------ */

static enum err_code v2_ask(const struct model_info *m, struct buf *to, struct err *err)
{
	(void)err;
	wire_put_bytes(to, ASK_NAME, slice_of(m->name));
	wire_put_bytes(to, ASK_VERSION, slice_of(m->version ? m->version : ""));
	return ERR_OK;
}

static enum err_code read_ios(struct wire w, uint32_t field, struct arena *arena,
	struct model_io **ret, int *ret_n, struct err *err)
{
	struct wire count = w, one;
	int n = 0;
	while (wire_find(&count, field, &one))
		n++;
	*ret = ARENA_ARRAY(arena, struct model_io, (size_t)n + 1);
	if (!*ret)
		return err_oom(err);
	for (*ret_n = 0; wire_find(&w, field, &one); ++*ret_n) {
		struct described d;
		if (!read_described(one, arena, &d))
			return malformed(err, "ModelMetadataResponse");
		(*ret)[*ret_n] = (struct model_io){
			.name = arena_strndup(arena, d.name.ptr, d.name.len),
			.dtype = dtype_find_oip(d.datatype), .shape = d.shape };
		if (!(*ret)[*ret_n].name)
			return err_oom(err);
	}
	return wire_ok(&w) ? ERR_OK : malformed(err, "ModelMetadataResponse");
}

static enum err_code v2_told(struct slice message, struct arena *arena, struct model_info *m,
	struct err *err)
{
	struct wire w = wire_over(&message, 1);
	TRY(read_ios(w, META_INPUTS, arena, &m->in, &m->n_in, err));
	return read_ios(w, META_OUTPUTS, arena, &m->out, &m->n_out, err);
}

const struct protocol_rpc protocol_rpc_v2 = {
	.infer = "/inference.GRPCInferenceService/ModelInfer",
	.metadata = "/inference.GRPCInferenceService/ModelMetadata",
	.ask = v2_ask,
	.told = v2_told,
};
