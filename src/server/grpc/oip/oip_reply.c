/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of an inference as a ModelInferResponse, alone or in a stream. */
#include <stdio.h>
#include <string.h>
#include "server/grpc/methods.h"
#include "server/grpc/oip/oip_call.h"
#include "server/grpc/pieces.h"

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
	wire_put_bytes(
		&one, RES_OUT_DATATYPE, slice_of(datatype ? datatype : dtype_name(t->dtype)));
	for (int i = 0; i < t->shape.rank; i++)
		wire_put_varint(&dims, (uint64_t)t->shape.dim[i]);
	if (dims.len)
		wire_put_message(&one, RES_OUT_SHAPE, &dims);
	wire_put_message(b, RES_OUTPUTS, &one);
}

/* What one output says of itself; *ret_raw: its bytes in the reply. */
static enum err_code put_output(struct buf *b, struct request *r, const struct oip_output *o,
	struct slice *ret_raw, struct err *err)
{
	struct tensor t = r->out[o->index];
	if (o->top_k)
		TRY(oip_classify(r, o->index, &t, o->top_k, err));
	TRY(oip_raw(r, &t, ret_raw, err));
	if (o->target.region) {
		TRY(oip_store(r, o->index, *ret_raw, &o->target, err));
		*ret_raw = SLICE_LIT("");
	}
	put_output_head(b, r->sig->out[o->index].name, &t);
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

enum err_code oip_infer_reply(struct rpc_call *c, struct err *err)
{
	struct request *r = c->request;
	const struct oip_call *o = c->dialect;
	struct pieces p = pieces_of(c);
	struct slice *raw = ARENA_ARRAY(r->arena, struct slice, (size_t)o->n_out + 1);
	if (!raw)
		return err_oom(err);
	put_head(&p.b, r);
	for (int i = 0; i < o->n_out; i++)
		TRY(put_output(&p.b, r, &o->out[i], &raw[i], err));
	/* An empty one for those in shared memory: clients count them. */
	for (int i = 0; i < o->n_out; i++) {
		wire_put_head(&p.b, RES_RAW, raw[i].len);
		pieces_put(&p, raw[i]);
	}
	return pieces_end(&p, err);
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
	/* pieces_end() has left room for it. */
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
