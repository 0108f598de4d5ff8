/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. The JSON is indexed first: members of the top object, then of each input, are
 * found, and data arrays only skimmed over. When name, type and shape are known and
 * checked, the data is read once, into memory of just that size. Binary tensors are used
 * where they lie in the body, which conn.c placed so that the first one is aligned.
 */
#include "server/http/rest/v2.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "base/json.h"
#include "server/http/rest/dialect_json.h"
#include "server/http/http_state.h"
#include "server/dialect/oip.h"

/* Members that may stand once: a bit each. */
enum member { SEEN_ID = 1, SEEN_PARAMETERS = 2, SEEN_INPUTS = 4, SEEN_OUTPUTS = 8, SEEN_NAME = 16,
	SEEN_DATATYPE = 32, SEEN_SHAPE = 64, SEEN_DATA = 128 };

#define NAME(lit) { (lit), sizeof(lit) - 1 }
static const struct {
	struct slice name;
	enum member bit;
} members[] = { { NAME("id"), SEEN_ID }, { NAME("parameters"), SEEN_PARAMETERS },
	{ NAME("inputs"), SEEN_INPUTS }, { NAME("outputs"), SEEN_OUTPUTS },
	{ NAME("name"), SEEN_NAME }, { NAME("datatype"), SEEN_DATATYPE },
	{ NAME("shape"), SEEN_SHAPE }, { NAME("data"), SEEN_DATA } };

/* Which member a key names (0: none known); a second one of a kind is an error. */
static enum member see(struct json *j, struct slice key, unsigned allowed, unsigned *seen)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		if (!(members[i].bit & allowed) || !slice_eq(key, members[i].name))
			continue;
		if (*seen & members[i].bit)
			json_fail(j, "a key stands twice");
		*seen |= members[i].bit;
		return members[i].bit;
	}
	return 0;
}

struct parameters {
	bool binary_output; /* of all outputs that do not say otherwise */
	struct slice signature;
	int64_t binary_bytes; /* of an input; -1: none */
	int binary;           /* of an output: -1 not said, else a bool */
	int64_t top_k;
	uint64_t priority, timeout_us;
};
#define PARAMETERS_NONE ((struct parameters){ .binary_bytes = -1, .binary = -1 })

static void read_u64(struct json *j, uint64_t max, uint64_t *ret)
{
	struct number n;
	const char *at = j->at;
	if (json_number(j, &n) && !number_to_u64(&n, max, ret)) {
		j->at = at;
		json_fail(j, "a parameter is not a whole number in its range");
	}
}

static bool is_sequence_parameter(struct slice key)
{
	return slice_is(key, "sequence_id") || slice_is(key, "sequence_start") ||
	       slice_is(key, "sequence_end");
}

/* One parameter, of whichever object; those that we do not know are for others. */
static void read_parameter(struct json *j, struct slice key, struct parameters *p)
{
	uint64_t n = 0;
	bool flag = false;
	if (slice_is(key, "binary_data_size")) {
		read_u64(j, INT64_MAX, &n);
		p->binary_bytes = (int64_t)n;
	} else if (slice_is(key, "binary_data")) {
		p->binary = json_bool(j, &flag) && flag;
	} else if (slice_is(key, "binary_data_output")) {
		json_bool(j, &p->binary_output);
	} else if (slice_is(key, "classification")) {
		read_u64(j, INT32_MAX, &n);
		p->top_k = (int64_t)n;
	} else if (slice_is(key, "priority")) {
		read_u64(j, INT32_MAX, &p->priority);
	} else if (slice_is(key, "timeout")) {
		read_u64(j, INT64_MAX / 1000, &p->timeout_us);
	} else if (slice_is(key, "signature_name")) {
		json_string(j, &p->signature);
	} else if (key.len > 7 && memcmp(key.ptr, "triton_", 7) == 0) {
		json_refuse(j, "parameters that begin with 'triton_' are reserved");
	} else if (is_sequence_parameter(key)) {
		json_refuse(j, "sequences are not supported: no parameter sequence_id, _start, _end");
	} else if (slice_is(key, "shared_memory_region")) {
		json_refuse(j, "shared memory is not supported");
	} else {
		json_skip(j, NULL);
	}
}

static void read_parameters(struct json *j, struct parameters *p)
{
	struct slice key;
	json_enter_object(j);
	while (json_member(j, &key))
		read_parameter(j, key, p);
}

struct body {
	struct slice id, inputs, outputs;
	struct parameters parameters;
};

static void read_top(struct json *j, struct body *b)
{
	struct slice key;
	unsigned seen = 0;
	size_t commas;
	json_enter_object(j);
	while (json_member(j, &key)) {
		switch (see(
			j, key, SEEN_ID | SEEN_PARAMETERS | SEEN_INPUTS | SEEN_OUTPUTS, &seen)) {
		case SEEN_ID:
			if (json_string(j, &b->id) && !oip_id_is_clean(b->id))
				json_refuse(j, "the id is longer than 256 bytes or has control "
					     "characters");
			break;
		case SEEN_PARAMETERS: read_parameters(j, &b->parameters); break;
		case SEEN_INPUTS: json_skim(j, &b->inputs, &commas); break;
		case SEEN_OUTPUTS: json_skim(j, &b->outputs, &commas); break;
		default: json_skip(j, NULL); break;
		}
	}
	json_end(j);
	if (!(seen & SEEN_INPUTS))
		json_refuse(j, "the request has no inputs");
}

/* --- inputs --- */

struct input {
	struct oip_input head;
	struct slice data;
	size_t commas;
	unsigned seen;
	struct parameters parameters;
};

static void read_shape(struct json *j, struct shape *ret)
{
	int64_t dim;
	ret->rank = 0;
	json_enter_array(j);
	while (json_next(j)) {
		if (!json_i64(j, &dim))
			return;
		if (dim < 0)
			json_fail(j, "a dimension is negative");
		else if (ret->rank == RANK_MAX)
			json_fail(j, "a shape has more than 12 dimensions");
		else
			ret->dim[ret->rank++] = dim;
	}
}

static void read_input(struct json *j, struct input *in)
{
	struct slice key;
	*in = (struct input){ .parameters = PARAMETERS_NONE };
	json_enter_object(j);
	while (json_member(j, &key)) {
		switch (see(j, key,
			SEEN_NAME | SEEN_DATATYPE | SEEN_SHAPE | SEEN_DATA | SEEN_PARAMETERS,
			&in->seen)) {
		case SEEN_NAME: json_string(j, &in->head.name); break;
		case SEEN_DATATYPE: json_string(j, &in->head.datatype); break;
		case SEEN_SHAPE: read_shape(j, &in->head.shape); break;
		case SEEN_DATA: json_skim(j, &in->data, &in->commas); break;
		case SEEN_PARAMETERS: read_parameters(j, &in->parameters); break;
		default: json_skip(j, NULL); break;
		}
	}
}

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

static enum err_code take_json(struct call *c, const struct json *outer, const struct input *in,
	struct tensor *t, struct err *err)
{
	struct literal l;
	struct json j;
	int64_t n = tensor_count(t);
	if (!dialect_has_json(t->dtype))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': %.*s has no JSON form: send it as binary data",
			SLICE_ARG(in->head.name), SLICE_ARG(in->head.datatype));
	/* Before anything of that size is asked for. */
	if ((uint64_t)n > (uint64_t)in->commas + 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s': data has at most %zu elements, its shape %s has %lld",
			SLICE_ARG(in->head.name), in->commas + 1, SHAPE_TEXT(&t->shape), (long long)n);
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

static enum err_code take_input(struct call *c, const struct json *outer, const struct input *in,
	struct cursor *tail, struct err *err)
{
	struct tensor *t = NULL;
	unsigned need = SEEN_NAME | SEEN_DATATYPE | SEEN_SHAPE;
	if ((in->seen & need) != need)
		return err_set(err, ERR_INVALID_ARGUMENT, "input '%.*s' has no %s",
			SLICE_ARG(in->head.name),
			!(in->seen & SEEN_NAME)	 ? "name" :
			!(in->seen & SEEN_SHAPE) ? "shape" :
						   "datatype");
	bool binary = in->parameters.binary_bytes >= 0;
	if (binary == !!(in->seen & SEEN_DATA))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s' must have either data or binary_data_size",
			SLICE_ARG(in->head.name));
	enum err_code rc = oip_place_input(c->request, &in->head, &t, err);
	if (rc != ERR_OK)
		return rc;
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
	struct input in;
	json_init_value(&j, raw, outer);
	json_enter_array(&j);
	while (json_next(&j)) {
		read_input(&j, &in);
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
	const struct parameters *p, bool binary_output, struct err *err)
{
	struct request *r = c->request;
	int i = -1;
	enum err_code rc = oip_want_output(r, name, &i, err);
	if (rc != ERR_OK)
		return rc;
	bool binary = p->binary < 0 ? binary_output : p->binary;
	enum dtype dtype = r->sig->out[i].type.dtype;
	if (!binary && !p->top_k && !dialect_has_json(dtype))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"output '%.*s': %s has no JSON form: ask for it with binary_data",
			SLICE_ARG(name),
			dtype_info(dtype)->oip_name ? dtype_info(dtype)->oip_name :
						      dtype_name(dtype));
	v->out[v->n_out++] = (struct v2_output){ i, binary, p->top_k };
	return ERR_OK;
}

static void read_output(struct json *j, struct slice *name, struct parameters *p)
{
	struct slice key;
	unsigned seen = 0;
	*p = PARAMETERS_NONE;
	json_enter_object(j);
	while (json_member(j, &key)) {
		switch (see(j, key, SEEN_NAME | SEEN_PARAMETERS, &seen)) {
		case SEEN_NAME: json_string(j, name); break;
		case SEEN_PARAMETERS: read_parameters(j, p); break;
		default: json_skip(j, NULL); break;
		}
	}
	if (!(seen & SEEN_NAME))
		json_refuse(j, "an output has no name");
}

static enum err_code take_outputs(struct call *c, struct v2_call *v, const struct json *outer,
	struct slice raw, bool binary_output, struct err *err)
{
	struct request *r = c->request;
	struct parameters p = PARAMETERS_NONE;
	struct slice name = { 0 };
	struct json j;
	enum err_code rc = ERR_OK;
	if (raw.ptr) {
		json_init_value(&j, raw, outer);
		json_enter_array(&j);
		while (rc == ERR_OK && json_next(&j)) {
			read_output(&j, &name, &p);
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

static void set_terms(struct request *r, const struct body *b)
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
	struct body b = { .parameters = PARAMETERS_NONE };
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
	read_top(&j, &b);
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
	return rc == ERR_OK ? take_outputs(c, v, &j, b.outputs, b.parameters.binary_output, err) :
			      rc;
}
