/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of an Open Inference request as JSON, or as JSON and binary tensors. */
#include "server/http/rest/v2.h"

#include "base/json.h"
#include "server/http/rest/dialect_json.h"
#include "server/http/http_state.h"
#include "server/dialect/oip.h"

/* Up to this size tensors are copied behind the JSON, so that one write sends it all. */
#define JOIN_BYTES 65536

static void put_shape(struct buf *b, const struct shape *s)
{
	buf_char(b, '[');
	for (int i = 0; i < s->rank; i++) {
		if (i)
			buf_char(b, ',');
		json_put_i64(b, s->dim[i]);
	}
	buf_char(b, ']');
}

/* What it says of its data; a binary one leaves its bytes in ret_raw. One in shared memory says
   nothing: clients in C++ take parameters for those of binary data. */
static enum err_code put_data(struct call *c, struct buf *b, const struct v2_output *o,
	const struct tensor *t, struct slice *ret_raw, struct err *err)
{
	struct slice raw;
	if (!o->binary && !o->target.region) {
		struct put_opts opts = { .allow_nan = c->http->conf.allow_nan };
		buf_str(b, ",\"data\":");
		dialect_put_flat(b, t, &opts);
		return ERR_OK;
	}
	TRY(oip_raw(c->request, t, &raw, err));
	if (o->target.region)
		return oip_store(c->request, o->index, raw, &o->target, err);
	buf_str(b, ",\"parameters\":{\"binary_data_size\":");
	json_put_u64(b, raw.len);
	buf_char(b, '}');
	*ret_raw = raw;
	return ERR_OK;
}

/* One output in the JSON; a binary one leaves its bytes in ret_raw. */
static enum err_code put_output(struct call *c, struct buf *b, const struct v2_output *o,
	struct slice *ret_raw, struct err *err)
{
	struct request *r = c->request;
	struct tensor t = r->out[o->index];
	enum err_code rc = ERR_OK;
	*ret_raw = (struct slice){ 0 };
	if (o->top_k)
		rc = oip_classify(r, o->index, &t, o->top_k, err);
	if (rc != ERR_OK)
		return rc;
	buf_str(b, "{\"name\":");
	json_put_cstr(b, r->sig->out[o->index].name);
	buf_str(b, ",\"datatype\":\"");
	const char *datatype = dtype_info(t.dtype)->oip_name;
	buf_str(b, datatype ? datatype : dtype_name(t.dtype));
	buf_str(b, "\",\"shape\":");
	put_shape(b, &t.shape);
	rc = put_data(c, b, o, &t, ret_raw, err);
	buf_char(b, '}');
	return rc;
}

static void put_head(struct buf *b, const struct request *r)
{
	buf_char(b, '{');
	if (r->id.len) {
		buf_str(b, "\"id\":");
		json_put_string(b, r->id);
		buf_char(b, ',');
	}
	buf_str(b, "\"model_name\":");
	json_put_cstr(b, r->version->model);
	buf_str(b, ",\"model_version\":\"");
	json_put_i64(b, r->version->number);
	buf_str(b, "\",\"outputs\":[");
}

/* JSON and tensors: as one piece when that is cheap, else each where it lies. */
static enum err_code reply_binary(
	struct call *c, struct buf *b, struct slice *raw, int n, struct err *err)
{
	size_t total = 0;
	int64_t json_len = (int64_t)b->len;
	struct slice body;
	for (int i = 0; i < n; i++)
		total += raw[i].len;
	bool join = total <= JOIN_BYTES;
	for (int i = 0; join && i < n; i++)
		buf_slice(b, raw[i]);
	enum err_code rc = buf_finish(b, &body, err);
	if (rc != ERR_OK)
		return rc;
	call_reply(c, 200, "application/octet-stream", body);
	c->reply.json_len = json_len;
	if (join)
		return ERR_OK;
	struct slice *part = ARENA_ARRAY(c->arena, struct slice, (size_t)n + 1);
	if (!part)
		return err_oom(err);
	part[0] = body;
	int n_part = 1;
	for (int i = 0; i < n; i++)
		if (raw[i].len)
			part[n_part++] = raw[i];
	c->reply.part = part;
	c->reply.n_part = n_part;
	return ERR_OK;
}

enum err_code v2_infer_reply(struct call *c, struct err *err)
{
	const struct v2_call *v = c->dialect;
	struct buf b = buf_of(c->arena, 0);
	struct slice *raw = ARENA_ARRAY(c->arena, struct slice, (size_t)v->n_out + 1);
	bool any_binary = false;
	if (!raw)
		return err_oom(err);
	put_head(&b, c->request);
	for (int i = 0; i < v->n_out; i++) {
		if (i)
			buf_char(&b, ',');
		enum err_code rc = put_output(c, &b, &v->out[i], &raw[i], err);
		if (rc != ERR_OK)
			return rc;
		any_binary |= v->out[i].binary;
	}
	buf_str(&b, "]}");
	return any_binary ? reply_binary(c, &b, raw, v->n_out, err) : call_reply_json(c, &b, err);
}
