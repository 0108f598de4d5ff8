/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. The JSON is indexed first (v2_body.h). When name, type and shape of an input are
 * known and checked, its data is read once, into memory of just that size. Binary tensors are
 * used where they lie in the body, which conn.c placed so that the first one is aligned.
 */
#include "server/http/rest/v2.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "server/http/rest/dialect_json.h"
#include "server/http/rest/v2_body.h"
#include "server/http/http_state.h"

/* --- inputs --- */

static bool shapes_agree(const struct literal *l, const struct shape *s)
{
	if (l->rank <= 1)
		return true; /* flat: the count is compared */
	if (l->rank != s->rank)
		return false;
	for (int i = 0; i < l->rank; i++)
		if (l->dim[i] != s->dim[i])
			return false;
	return true;
}

static enum err_code take_json(struct call *c, const struct json *outer, const struct v2_input *in,
	struct tensor *t, struct err *err)
{
	struct literal l;
	struct json j;
	int64_t n = tensor_count(t);
	if (!dialect_has_json(t->dtype))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': %.*s has no JSON form: send it as binary data",
			SLICE_ARG(in->head.name), SLICE_ARG(in->head.datatype));
	/* Checked before memory of that size is asked for. */
	if ((uint64_t)n > (uint64_t)in->commas + 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': data has at most %zu elements, its shape %s has %lld",
			SLICE_ARG(in->head.name), in->commas + 1, SHAPE_TEXT(&t->shape),
			(long long)n);
	enum err_code rc = literal_init(&l, t->dtype, c->request->arena, (size_t)n, err);
	if (rc != ERR_OK)
		return rc;
	l.fixed = true;
	json_init_value(&j, in->data, outer);
	if (literal_read(&l, &j, 0))
		json_end(&j);
	rc = json_error(&j, err);
	if (rc != ERR_OK)
		return err_prefix(err, "input '%.*s'", SLICE_ARG(in->head.name));
	if ((int64_t)l.n != n || !shapes_agree(&l, &t->shape))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': data has %zu elements in %d levels of arrays, its shape is "
			"%s",
			SLICE_ARG(in->head.name), l.n, l.rank, SHAPE_TEXT(&t->shape));
	t->data = l.data;
	return ERR_OK;
}

static enum err_code take_input(struct call *c, const struct json *outer, const struct v2_input *in,
	struct cursor *tail, struct err *err)
{
	struct tensor *t = NULL;
	if (in->missing)
		return err_set(err, ERR_INVALID_ARGUMENT, "input '%.*s' has no %s",
			SLICE_ARG(in->head.name), in->missing);
	bool binary = in->parameters.binary_bytes >= 0;
	bool shared = in->parameters.window.region.len > 0;
	if (binary + shared + in->has_data != 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s' must have either data, binary_data_size or "
			"shared_memory_region",
			SLICE_ARG(in->head.name));
	enum err_code rc = oip_place_input(c->request, &in->head, &t, err);
	if (rc != ERR_OK)
		return rc;
	if (shared)
		return oip_take_region(c->request, c->http->conf.regions, &in->parameters.window, t,
			in->head.name, err);
	if (!binary)
		return take_json(c, outer, in, t, err);
	if ((uint64_t)in->parameters.binary_bytes > cursor_left(tail))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': binary_data_size is %lld, but %zu bytes are left of the "
			"body",
			SLICE_ARG(in->head.name), (long long)in->parameters.binary_bytes,
			cursor_left(tail));
	struct slice bytes = cursor_slice(tail, (size_t)in->parameters.binary_bytes);
	return oip_take_raw(c->request->arena, bytes, t, in->head.name, err);
}

static enum err_code take_inputs(struct call *c, const struct json *outer, struct slice raw,
	struct cursor *tail, struct err *err)
{
	struct json j;
	struct v2_input in;
	json_init_value(&j, raw, outer);
	json_enter_array(&j);
	while (json_next(&j)) {
		v2_read_input(&j, &in);
		enum err_code rc = json_error(&j, err);
		if (rc == ERR_OK)
			rc = take_input(c, outer, &in, tail, err);
		if (rc != ERR_OK)
			return rc;
	}
	json_end(&j);
	enum err_code rc = json_error(&j, err);
	if (rc == ERR_OK && cursor_left(tail))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%zu bytes follow the binary data of the inputs", cursor_left(tail));
	return rc;
}

/* --- outputs --- */

static enum err_code want_output(struct call *c, struct v2_call *v, struct slice name,
	const struct v2_parameters *p, bool binary_output, struct err *err)
{
	struct request *r = c->request;
	int i = -1;
	enum err_code rc = oip_want_output(r, name, &i, err);
	if (rc != ERR_OK)
		return rc;
	struct oip_target target;
	TRY(oip_aim(r, c->http->conf.regions, &p->window, &target, err));
	bool binary = !target.region && (p->binary < 0 ? binary_output : p->binary);
	enum dtype dtype = r->sig->out[i].type.dtype;
	if (!binary && !target.region && !p->top_k && !dialect_has_json(dtype))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"output '%.*s': %s has no JSON form: ask for it with binary_data",
			SLICE_ARG(name),
			dtype_info(dtype)->oip_name ? dtype_info(dtype)->oip_name :
						      dtype_name(dtype));
	v->out[v->n_out++] = (struct v2_output){ i, binary, p->top_k, target };
	return ERR_OK;
}

static enum err_code take_outputs(struct call *c, struct v2_call *v, const struct json *outer,
	struct slice raw, bool binary_output, struct err *err)
{
	struct request *r = c->request;
	struct v2_parameters p = V2_PARAMETERS_NONE;
	struct slice name = { 0 };
	struct json j;
	enum err_code rc = ERR_OK;
	if (raw.ptr) {
		json_init_value(&j, raw, outer);
		json_enter_array(&j);
		while (rc == ERR_OK && json_next(&j)) {
			v2_read_output(&j, &name, &p);
			rc = json_error(&j, err);
			if (rc == ERR_OK)
				rc = want_output(c, v, name, &p, binary_output, err);
		}
		if (rc == ERR_OK)
			rc = json_end(&j) ? ERR_OK : json_error(&j, err);
	}
	if (rc != ERR_OK || v->n_out)
		return rc;
	for (int i = 0; rc == ERR_OK && i < r->sig->n_out; i++)
		rc = want_output(c, v, slice_of(r->sig->out[i].name), &p, binary_output, err);
	return rc;
}

/* --- the request --- */

static enum err_code new_v2_call(struct call *c, struct v2_call **ret, struct err *err)
{
	struct request *r = c->request;
	struct v2_call *v = ARENA_NEW(r->arena, struct v2_call);
	if (!v)
		return err_oom(err);
	v->out = ARENA_ARRAY(r->arena, struct v2_output, (size_t)r->sig->n_out + 1);
	if (!v->out)
		return err_oom(err);
	c->dialect = *ret = v;
	return ERR_OK;
}

/* Inference-Header-Content-Length: 0. The body is the one input; its one unknown dimension
   follows from the size. */
static enum err_code take_raw_body(struct call *c, struct err *err)
{
	struct request *r = c->request;
	struct v2_call *v;
	if (r->sig->n_in != 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"a raw body needs a model of one input, this has %d", r->sig->n_in);
	const struct signature_io *io = &r->sig->in[0];
	struct tensor *t = &r->in[0];
	int unknown = -1, n_unknown = 0;
	t->dtype = io->type.dtype;
	t->shape = io->shape;
	for (int i = 0; i < t->shape.rank; i++)
		if (t->shape.dim[i] < 0) {
			unknown = i;
			n_unknown++;
			t->shape.dim[i] = 1;
		}
	size_t bytes;
	if (t->shape.rank < 0 || n_unknown > 1 || t->dtype == DTYPE_STRING ||
		tensor_bytes_overflow(t->dtype, &t->shape, &bytes) || bytes == 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"a raw body needs an input of fixed size elements with at most one unknown "
			"dimension");
	if (unknown >= 0)
		t->shape.dim[unknown] = (int64_t)(c->body.len / bytes);
	enum err_code rc = oip_take_raw(r->arena, c->body, t, slice_of(io->name), err);
	if (rc == ERR_OK)
		rc = new_v2_call(c, &v, err);
	return rc == ERR_OK ? take_outputs(c, v, NULL, (struct slice){ 0 }, true, err) : rc;
}

static void set_terms(struct request *r, const struct v2_body *b)
{
	r->id = b->id;
	r->priority = (int)b->parameters.priority;
	if (b->parameters.timeout_us) {
		int64_t at =
			clock_after(r->arrived_ns, (int64_t)b->parameters.timeout_us * NS_PER_US);
		if (at < r->deadline_ns)
			r->deadline_ns = at;
	}
}

enum err_code v2_infer(struct call *c, struct err *err)
{
	struct v2_body b = { .parameters = V2_PARAMETERS_NONE };
	struct v2_call *v;
	struct json j;
	enum err_code rc;
	if (c->head.json_len == 0) {
		rc = call_pin(c, b.parameters.signature, err);
		return rc == ERR_OK ? take_raw_body(c, err) : rc;
	}
	if (head_type(&c->head) == HEAD_TYPE_BINARY && c->head.json_len < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"application/octet-stream needs the header "
			"Inference-Header-Content-Length");
	size_t json_len = c->head.json_len < 0 ? c->body.len : (size_t)c->head.json_len;
	if (json_len > c->body.len)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"Inference-Header-Content-Length is %zu, but the body has %zu bytes",
			json_len, c->body.len);
	json_init(&j, (struct slice){ c->body.ptr, json_len }, c->arena, c->http->conf.allow_nan);
	v2_read_body(&j, &b);
	rc = json_error(&j, err);
	if (rc == ERR_OK)
		rc = call_pin(c, b.parameters.signature, err);
	if (rc != ERR_OK)
		return rc;
	set_terms(c->request, &b);
	struct cursor tail = cursor_of(c->body.ptr + json_len, c->body.len - json_len);
	rc = take_inputs(c, &j, b.inputs, &tail, err);
	if (rc == ERR_OK)
		rc = new_v2_call(c, &v, err);
	if (rc != ERR_OK)
		return rc;
	return take_outputs(c, v, &j, b.outputs, b.parameters.binary_output, err);
}
