/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of an inference as a ModelInferResponse, alone or in a stream. */
#include <stdio.h>
#include <string.h>
#include "server/grpc/methods.h"
#include "server/grpc/oip_call.h"

/* ModelInferResponse, its InferOutputTensor, ModelStreamInferResponse. */
enum { RES_MODEL_NAME = 1, RES_MODEL_VERSION, RES_ID, RES_PARAMETERS, RES_OUTPUTS, RES_RAW };
enum { RES_OUT_NAME = 1, RES_OUT_DATATYPE, RES_OUT_SHAPE };
enum { STREAM_ERROR = 1, STREAM_RESPONSE };

/* --- the reply --- */

static void put_output_head(struct buf *b, const char *name, const struct tensor *t)
{
	struct buf one = buf_of(b->arena, 0), dims = buf_of(b->arena, 0);
	const char *datatype = dtype_info(t->dtype)->oip_name;
	wire_put_bytes(&one, RES_OUT_NAME, slice_of(name));
	wire_put_bytes(&one, RES_OUT_DATATYPE, slice_of(datatype ? datatype : dtype_name(t->dtype)));
	for (int i = 0; i < t->shape.rank; i++)
		wire_put_varint(&dims, (uint64_t)t->shape.dim[i]);
	if (dims.len)
		wire_put_message(&one, RES_OUT_SHAPE, &dims);
	wire_put_message(b, RES_OUTPUTS, &one);
}

static enum err_code raw_of(struct request *r, const struct tensor *t, struct slice *ret, struct err *err)
{
	if (t->dtype == DTYPE_STRING)
		return oip_join_strings(r->arena, t, ret, err);
	*ret = (struct slice){ t->data, tensor_bytes(t) };
	return ERR_OK;
}

static void put_head(struct buf *b, const struct request *r)
{
	char number[24];
	int len = snprintf(number, sizeof(number), "%lld", (long long)r->version->number);
	wire_put_bytes(b, RES_MODEL_NAME, slice_of(r->version->model));
	wire_put_bytes(b, RES_MODEL_VERSION, (struct slice){ number, (size_t)len });
	wire_put_bytes(b, RES_ID, r->id);
}

/* Tags and small tensors in one buffer; a big tensor is a piece of its own, where it lies. */
#define BIG_BYTES 4096

struct pieces {
	struct rpc_call *c;
	struct buf b;
};

static enum err_code close_piece(struct pieces *p, struct err *err)
{
	TRY(buf_finish(&p->b, &p->c->part[p->c->n_part], err));
	p->c->n_part++;
	p->b = buf_of(p->c->request->arena, 0);
	return ERR_OK;
}

static enum err_code put_raw(struct pieces *p, struct slice raw, struct err *err)
{
	wire_put_head(&p->b, RES_RAW, raw.len);
	if (raw.len < BIG_BYTES || p->c->n_part + 4 > RPC_PARTS_MAX) {
		buf_slice(&p->b, raw);
		return ERR_OK;
	}
	TRY(close_piece(p, err));
	p->c->part[p->c->n_part++] = raw;
	return ERR_OK;
}

enum err_code oip_infer_reply(struct rpc_call *c, struct err *err)
{
	struct request *r = c->request;
	const struct oip_call *o = c->dialect;
	struct pieces p = { .c = c, .b = buf_of(r->arena, 0) };
	struct tensor *t = ARENA_ARRAY(r->arena, struct tensor, (size_t)o->n_out + 1);
	if (!t)
		return err_oom(err);
	c->n_part = 0;
	put_head(&p.b, r);
	for (int i = 0; i < o->n_out; i++) {
		t[i] = r->out[o->out[i].index];
		if (o->out[i].top_k)
			TRY(oip_classify(r, &t[i], o->out[i].top_k, err));
		put_output_head(&p.b, r->sig->out[o->out[i].index].name, &t[i]);
	}
	for (int i = 0; i < o->n_out; i++) {
		struct slice raw;
		TRY(raw_of(r, &t[i], &raw, err));
		TRY(put_raw(&p, raw, err));
	}
	return p.b.len || !c->n_part ? close_piece(&p, err) : ERR_OK;
}

/* --- streams --- */

enum err_code oip_stream_reply(struct rpc_call *c, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0);
	size_t total = 0;
	TRY(oip_infer_reply(c, err));
	for (int i = 0; i < c->n_part; i++)
		total += c->part[i].len;
	wire_put_head(&b, STREAM_RESPONSE, total);
	/* put_raw() has left room for it. */
	memmove(&c->part[1], &c->part[0], (size_t)c->n_part * sizeof(c->part[0]));
	c->n_part++;
	return buf_finish(&b, &c->part[0], err);
}

/* The stream goes on; who asked is told by the id. */
enum err_code oip_stream_error(struct rpc_call *c, const struct err *why, struct err *err)
{
	struct buf b = buf_of(c->request->arena, 0), response = buf_of(c->request->arena, 0);
	wire_put_bytes(&b, STREAM_ERROR, slice_of(why->msg));
	wire_put_bytes(&response, RES_ID, c->request->id);
	wire_put_message(&b, STREAM_RESPONSE, &response);
	return rpc_reply(c, &b, err);
}
