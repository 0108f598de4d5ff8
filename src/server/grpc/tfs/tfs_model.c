/* SPDX-License-Identifier: Apache-2.0 */
/* What clients of TensorFlow Serving ask of models: metadata and status. */
#include "server/grpc/methods.h"
#include "server/grpc/tfs/tfs_spec.h"
#include "server/grpc/tfs/tfs_tensor.h"
#include "server/dialect/tfs.h"

/* Names and numbers as in proto/tensorflow_serving.proto and tensorflow.proto. */
enum { REQ_SPEC = 1, REQ_FIELD };
enum { RES_SPEC = 1, RES_METADATA };
enum { ANY_TYPE = 1, ANY_VALUE };
enum { MAP_SIGNATURES = 1 };
enum { SIGNATURE_INPUTS = 1, SIGNATURE_OUTPUTS, SIGNATURE_METHOD };
enum { INFO_NAME = 1, INFO_DTYPE, INFO_SHAPE };
enum { STATUS_VERSION = 1 };
enum { VERSION_NUMBER = 1, VERSION_STATE, VERSION_STATUS };
enum { CODE = 1, MESSAGE };

#define SIGNATURE_DEF "signature_def"

/* --- metadata --- */

/* A map's entry; value was written by itself. */
static void put_entry(struct buf *b, uint32_t field, const char *key, const struct buf *value)
{
	struct buf entry = buf_of(b->arena, 0);
	wire_put_bytes(&entry, TFS_KEY, slice_of(key));
	wire_put_message(&entry, TFS_VALUE, value);
	wire_put_message(b, field, &entry);
}

static void put_infos(struct buf *b, uint32_t field, const struct signature_io *io, int n)
{
	for (int i = 0; i < n; i++) {
		struct buf info = buf_of(b->arena, 0);
		wire_put_bytes(&info, INFO_NAME, slice_of(io[i].value));
		wire_put_uint(&info, INFO_DTYPE,
			(uint64_t)dtype_info(io[i].type.dtype)->tf_number);
		tfs_tensor_put_shape(&info, INFO_SHAPE, &io[i].shape, io[i].dim_name);
		put_entry(b, field, io[i].name, &info);
	}
}

/* SignatureDefMap */
static void put_signatures(struct buf *b, const struct version *v)
{
	for (int i = 0; i < v->n_sig; i++) {
		const struct signature *s = &v->sig[i];
		struct buf def = buf_of(b->arena, 0);
		put_infos(&def, SIGNATURE_INPUTS, s->in, s->n_in);
		put_infos(&def, SIGNATURE_OUTPUTS, s->out, s->n_out);
		wire_put_bytes(&def, SIGNATURE_METHOD, SLICE_LIT(TFS_METHOD_PREDICT));
		put_entry(b, MAP_SIGNATURES, s->name, &def);
	}
}

struct question {
	struct tfs_spec spec;
	int n_field;
	struct slice other; /* a field of metadata that there is none of */
};

static enum err_code read_question(
	struct rpc_call *c, struct wire w, struct question *q, const char *what, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*q = (struct question){ .n_field = 0 };
	while (wire_next(&w, &field, &type)) {
		if (field == REQ_SPEC) {
			tfs_spec_read(&w, type, c->request->arena, &q->spec);
		} else if (field == REQ_FIELD) {
			struct slice name = wire_string(&w, type, TFS_NAME_MAX, c->request->arena);
			q->n_field++;
			if (!slice_is(name, SIGNATURE_DEF))
				q->other = name;
		} else {
			wire_skip(&w, type);
		}
	}
	return wire_ok(&w) ? tfs_spec_check(&q->spec, err) : tfs_malformed(err, what);
}

enum err_code tfs_metadata(struct rpc_call *c, struct wire w, struct err *err)
{
	struct arena *a = c->request->arena;
	struct buf b = buf_of(a, 0), any = buf_of(a, 0), map = buf_of(a, 0);
	struct question q;
	struct version *v;
	TRY(read_question(c, w, &q, "GetModelMetadataRequest", err));
	if (q.n_field == 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"GetModelMetadataRequest must specify at least one metadata_field");
	if (q.other.ptr)
		return err_set(err, ERR_INVALID_ARGUMENT, "Metadata field %.*s is not supported",
			SLICE_ARG(q.other));
	enum err_code rc =
		registry_acquire(c->rpc->registry, q.spec.model, &q.spec.version, &v, err);
	if (rc != ERR_OK)
		return tfs_not_found(rc, q.spec.model, &q.spec.version, err);
	put_signatures(&map, v);
	wire_put_bytes(&any, ANY_TYPE,
		SLICE_LIT("type.googleapis.com/tensorflow.serving.SignatureDefMap"));
	wire_put_message(&any, ANY_VALUE, &map);
	tfs_spec_put(&b, RES_SPEC, v, NULL);
	put_entry(&b, RES_METADATA, SIGNATURE_DEF, &any);
	version_release(v);
	return rpc_reply(c, &b, err);
}

/* --- status --- */

static void put_version(struct buf *b, const struct version_status *v)
{
	struct buf one = buf_of(b->arena, 0), status = buf_of(b->arena, 0);
	wire_put_uint(&status, CODE, v->code);
	wire_put_bytes(&status, MESSAGE, slice_of(v->reason));
	wire_put_uint(&one, VERSION_NUMBER, (uint64_t)v->number);
	wire_put_uint(&one, VERSION_STATE, (uint64_t)version_state_info(v->state)->tfs_number);
	wire_put_message(&one, VERSION_STATUS, &status);
	wire_put_message(b, STATUS_VERSION, &one);
}

enum err_code tfs_status(struct rpc_call *c, struct wire w, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0);
	struct question q;
	struct version_status *list;
	int n;
	TRY(read_question(c, w, &q, "GetModelStatusRequest", err));
	TRY(tfs_versions(c->rpc->registry, q.spec.model, &q.spec.version, c->request->arena, &list,
		&n, err));
	for (int i = 0; i < n; i++)
		put_version(&b, &list[i]);
	return rpc_reply(c, &b, err);
}
