/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/tfs/tfs_spec.h"

#include "server/dialect/tfs.h"

/* Names and numbers as in proto/tensorflow_serving.proto. */
enum { SPEC_NAME = 1, SPEC_VERSION, SPEC_SIGNATURE, SPEC_LABEL };
enum { INT64_VALUE = 1 };

enum err_code tfs_malformed(struct err *err, const char *message)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "the message is not a well-formed %s", message);
}

/* google.protobuf.Int64Value */
static int64_t read_int64_value(struct wire *w, enum wire_type outer)
{
	struct wire inner = wire_message(w, outer);
	uint32_t field;
	enum wire_type type;
	uint64_t v = 0;
	while (wire_next(&inner, &field, &type)) {
		if (field == INT64_VALUE)
			v = wire_varint(&inner, type);
		else
			wire_skip(&inner, type);
	}
	w->bad |= inner.bad;
	return (int64_t)v;
}

void tfs_spec_read(struct wire *w, enum wire_type outer, struct arena *arena, struct tfs_spec *ret)
{
	struct wire inner = wire_message(w, outer);
	uint32_t field;
	enum wire_type type;
	*ret = (struct tfs_spec){ .given = true, .model = SLICE_LIT(""),
		.signature = SLICE_LIT("") };
	while (wire_next(&inner, &field, &type)) {
		struct version_spec *v = &ret->version;
		switch (field) {
		case SPEC_NAME:
			ret->model = wire_string(&inner, type, TFS_NAME_MAX, arena);
			break;
		case SPEC_SIGNATURE:
			ret->signature = wire_string(&inner, type, TFS_NAME_MAX, arena);
			break;
		case SPEC_VERSION: /* of a oneof the last counts */
			v->pick = VERSION_PICK_NUMBER;
			v->number = read_int64_value(&inner, type);
			break;
		case SPEC_LABEL:
			v->pick = VERSION_PICK_LABEL;
			v->label = wire_string(&inner, type, TFS_NAME_MAX, arena);
			break;
		default: wire_skip(&inner, type); break;
		}
	}
	w->bad |= inner.bad;
}

enum err_code tfs_spec_check(const struct tfs_spec *s, struct err *err)
{
	if (!s->given)
		return err_set(err, ERR_INVALID_ARGUMENT, "Missing ModelSpec");
	if (s->model.len == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "ModelSpec has no name specified.");
	return ERR_OK;
}

static enum err_code no_signature(struct slice signature, struct err *err)
{
	return err_set(err, ERR_FAILED_PRECONDITION, "Serving signature key \"%.*s\" not found.",
		SLICE_ARG(signature));
}

enum err_code tfs_spec_pin(struct rpc_call *c, const struct tfs_spec *s, struct err *err)
{
	struct request *r = c->request;
	TRY(tfs_spec_check(s, err));
	enum err_code rc =
		request_pin(r, c->rpc->registry, s->model, &s->version, s->signature, err);
	if (rc == ERR_INVALID_ARGUMENT && r->version && !r->sig)
		return no_signature(s->signature, err);
	return tfs_not_found(rc, s->model, &s->version, err);
}

enum err_code tfs_spec_pick(struct rpc_call *c, struct slice signature, struct err *err)
{
	enum err_code rc = request_pick_signature(c->request, signature, err);
	return rc == ERR_OK || c->request->sig ? rc : no_signature(signature, err);
}

void tfs_spec_put(
	struct buf *b, uint32_t field, const struct version *v, const struct signature *sig)
{
	struct buf spec = buf_of(b->arena, 0), version = buf_of(b->arena, 0);
	wire_put_uint(&version, INT64_VALUE, (uint64_t)v->number);
	wire_put_bytes(&spec, SPEC_NAME, slice_of(v->model));
	wire_put_message(&spec, SPEC_VERSION, &version);
	wire_put_bytes(&spec, SPEC_SIGNATURE, slice_of(sig ? sig->name : ""));
	wire_put_message(b, field, &spec);
}
