/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. The first walk over the message finds who is asked and pins the version, the second
 * reads inputs against its signature, the third marks outputs. Tensor bytes are copied once,
 * and those of the reply are sent from where they lie.
 */
#include <stdio.h>
#include "server/grpc/methods.h"
#include "server/grpc/pieces.h"
#include "server/grpc/tfs/tfs_spec.h"
#include "server/grpc/tfs/tfs_tensor.h"

/* PredictRequest and PredictResponse; as in proto/tensorflow_serving.proto. */
enum { REQ_SPEC = 1, REQ_INPUTS, REQ_FILTER };
enum { RES_OUTPUTS = 1, RES_SPEC };

static enum err_code read_spec(
	struct wire w, struct arena *arena, struct tfs_spec *spec, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	*spec = (struct tfs_spec){ 0 };
	while (wire_next(&w, &field, &type)) {
		if (field == REQ_SPEC)
			tfs_spec_read(&w, type, arena, spec);
		else
			wire_skip(&w, type);
	}
	return wire_ok(&w) ? ERR_OK : tfs_malformed(err, "PredictRequest");
}

/* --- inputs --- */

static enum err_code take_entry(
	struct rpc_call *c, const struct wire_entry *e, int i, struct err *err)
{
	struct request *r = c->request;
	enum err_code rc = ERR_OK;
	if (r->in[i].data)
		rc = err_set(err, ERR_INVALID_ARGUMENT, "it is given twice");
	if (rc == ERR_OK)
		rc = tfs_tensor_read(e->value, r->arena, c->rpc->conf.message_bytes_max,
			&r->in[i], err);
	if (rc == ERR_OK)
		return rc;
	return err_prefix(err, "tensor parsing error: %.*s", SLICE_ARG(e->key));
}

/* Names, as far as a message has room for them. */
struct names {
	char text[160];
	int n;
	size_t len;
};

static void add_name(struct names *to, struct slice name)
{
	size_t room = sizeof(to->text) - to->len;
	int len = snprintf(to->text + to->len, room, "%s%.*s", to->n ? "," : "", SLICE_ARG(name));
	to->n++;
	to->len += (size_t)len < room ? (size_t)len : room - 1;
}

/* Inputs that the signature does not have, or that it has and the request does not. */
struct mismatch {
	struct names sent, known, extra, missing;
};

static enum err_code mismatched(const struct request *r, struct mismatch *m, struct err *err)
{
	for (int i = 0; i < r->sig->n_in; i++) {
		add_name(&m->known, slice_of(r->sig->in[i].name));
		if (!r->in[i].data && !r->sig->in[i].optional)
			add_name(&m->missing, slice_of(r->sig->in[i].name));
	}
	if (!m->extra.n && !m->missing.n)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"input size does not match signature: %d!=%d len({%.100s}) != len({%.100s}). Sent "
		"extra: {%.70s}. Missing but required: {%.70s}.",
		m->sent.n, m->known.n, m->sent.text, m->known.text, m->extra.text, m->missing.text);
}

static enum err_code take_inputs(struct rpc_call *c, struct wire w, struct err *err)
{
	struct request *r = c->request;
	struct mismatch m = { 0 };
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		if (field != REQ_INPUTS) {
			wire_skip(&w, type);
			continue;
		}
		struct wire_entry e = wire_map_entry(&w, type, TFS_NAME_MAX, r->arena);
		if (!wire_ok(&w))
			return tfs_malformed(err, "PredictRequest");
		int i = signature_find_in(r->sig, e.key);
		add_name(&m.sent, e.key);
		if (i < 0)
			add_name(&m.extra, e.key);
		else
			TRY(take_entry(c, &e, i, err));
	}
	return mismatched(r, &m, err);
}

/* --- outputs --- */

static enum err_code want(struct request *r, struct slice name, struct err *err)
{
	int i = signature_find_out(r->sig, name);
	if (i < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"output tensor alias not found in signature: %.*s", SLICE_ARG(name));
	if (r->wanted[i])
		return err_set(err, ERR_INVALID_ARGUMENT, "duplicate output tensor alias: %.*s",
			SLICE_ARG(name));
	r->wanted[i] = true;
	return ERR_OK;
}

/* Before it is computed for nothing. */
static enum err_code check_outputs(const struct request *r, bool all, struct err *err)
{
	for (int i = 0; i < r->sig->n_out; i++) {
		const struct signature_io *io = &r->sig->out[i];
		bool has = !io->type.is_sequence && io->type.map_key == DTYPE_UNDEFINED &&
			   tfs_tensor_has(io->type.dtype);
		if ((all || r->wanted[i]) && !has)
			return err_set(err, ERR_UNIMPLEMENTED,
				"output '%.100s' of type %s has no form as a TensorProto: leave "
				"it out by output_filter",
				io->name, dtype_name(io->type.dtype));
	}
	return ERR_OK;
}

static enum err_code take_filter(struct rpc_call *c, struct wire w, struct err *err)
{
	struct request *r = c->request;
	uint32_t field;
	enum wire_type type;
	bool any = false;
	while (wire_next(&w, &field, &type)) {
		if (field != REQ_FILTER) {
			wire_skip(&w, type);
			continue;
		}
		struct slice name = wire_string(&w, type, TFS_NAME_MAX, r->arena);
		if (!wire_ok(&w))
			return tfs_malformed(err, "PredictRequest");
		TRY(want(r, name, err));
		any = true;
	}
	return check_outputs(r, !any, err);
}

enum err_code tfs_predict(struct rpc_call *c, struct wire w, struct err *err)
{
	struct tfs_spec spec;
	TRY(read_spec(w, c->request->arena, &spec, err));
	TRY(tfs_spec_pin(c, &spec, err));
	TRY(take_inputs(c, w, err));
	return take_filter(c, w, err);
}

/* --- the reply --- */

static enum err_code put_output(struct pieces *p, const char *name, const struct tensor *t,
	bool content, struct err *err)
{
	struct tfs_tensor m;
	TRY(tfs_tensor_write(t, content, p->b.arena, &m, err));
	size_t len = m.head.len + m.raw.len;
	wire_put_head(&p->b, RES_OUTPUTS,
		wire_bytes_size(TFS_KEY, strlen(name)) + wire_head_size(TFS_VALUE, len) + len);
	wire_put_bytes(&p->b, TFS_KEY, slice_of(name));
	wire_put_head(&p->b, TFS_VALUE, len);
	pieces_put(p, m.head);
	pieces_put(p, m.raw);
	return ERR_OK;
}

enum err_code tfs_predict_reply(struct rpc_call *c, struct err *err)
{
	const struct request *r = c->request;
	struct pieces p = pieces_of(c);
	for (int i = 0; i < r->sig->n_out; i++)
		if (r->wanted[i])
			TRY(put_output(&p, r->sig->out[i].name, &r->out[i],
				c->rpc->conf.tensor_content, err));
	tfs_spec_put(&p.b, RES_SPEC, r->version, r->sig);
	return pieces_end(&p, err);
}
