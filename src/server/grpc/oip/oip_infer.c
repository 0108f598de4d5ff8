/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. Fields of a message come in any order, and a request names its tensors before it
 * brings their bytes: the first walk over the top level notes who asks what and counts, the
 * version is pinned, and the second walk reads inputs against its signature. Only then
 * are raw bytes copied, once, from the slices they came in to where the model reads them.
 */
#include <string.h>
#include "base/clock.h"
#include "base/parse.h"
#include "server/grpc/methods.h"
#include "server/grpc/oip/oip_call.h"
#include "server/dialect/oip.h"

#define PARAMETERS_MAX 64

/* ModelInferRequest and what is in it; names and numbers as in proto/inference.proto. */
enum { REQ_MODEL_NAME = 1, REQ_MODEL_VERSION, REQ_ID, REQ_PARAMETERS, REQ_INPUTS, REQ_OUTPUTS,
	REQ_RAW };
enum { IN_NAME = 1, IN_DATATYPE, IN_SHAPE, IN_PARAMETERS, IN_CONTENTS };
enum { OUT_NAME = 1, OUT_PARAMETERS };
enum { PARAM_BOOL = 1, PARAM_INT64, PARAM_STRING, PARAM_DOUBLE, PARAM_UINT64 };

struct top {
	struct slice model, version, id, signature;
	uint64_t priority, timeout_us;
	int n_in, n_out, n_raw, n_param;
};

static enum err_code malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "the message is not a well-formed %s", what);
}

/* --- parameters --- */

struct parameter {
	struct slice key, text;
	uint64_t number;
};

static void read_value(struct wire *w, struct parameter *p, struct arena *arena)
{
	uint32_t field;
	enum wire_type type;
	while (wire_next(w, &field, &type)) {
		if (field == PARAM_INT64 || field == PARAM_UINT64 || field == PARAM_BOOL)
			p->number = wire_varint(w, type);
		else if (field == PARAM_STRING)
			p->text = wire_string(w, type, OIP_NAME_MAX_BYTES, arena);
		else
			wire_skip(w, type);
	}
}

static struct parameter read_parameter(struct wire *w, enum wire_type outer, struct arena *arena)
{
	struct wire_entry e = wire_map_entry(w, outer, OIP_NAME_MAX_BYTES, arena);
	struct parameter p = { .key = e.key };
	read_value(&e.value, &p, arena);
	w->bad |= e.value.bad;
	return p;
}

static enum err_code check_parameter(struct slice key, struct err *err)
{
	if (slice_is(key, "sequence_id") || slice_is(key, "sequence_start") ||
		slice_is(key, "sequence_end"))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"sequences are not supported: no parameter sequence_id, _start, _end");
	if (key.len > 7 && memcmp(key.ptr, "triton_", 7) == 0 &&
		!slice_is(key, "triton_enable_empty_final_response"))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"parameters that begin with 'triton_' are reserved");
	return ERR_OK;
}

/* A negative number is more than any region has, and refused as that. */
static void take_window(struct region_window *w, const struct parameter *p)
{
	if (slice_is(p->key, "shared_memory_region"))
		w->region = p->text;
	else if (slice_is(p->key, "shared_memory_byte_size"))
		w->bytes = p->number;
	else if (slice_is(p->key, "shared_memory_offset"))
		w->offset = p->number;
}

static enum err_code take_parameter(struct top *t, const struct parameter *p, struct err *err)
{
	if (++t->n_param > PARAMETERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "a request has at most %d parameters",
			PARAMETERS_MAX);
	if (slice_is(p->key, "priority"))
		t->priority = p->number;
	else if (slice_is(p->key, "timeout"))
		t->timeout_us = p->number;
	else if (slice_is(p->key, "signature_name"))
		t->signature = p->text;
	return check_parameter(p->key, err);
}

/* --- the first walk --- */

static enum err_code read_top(struct wire w, struct arena *arena, struct top *t, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type)) {
		struct parameter p;
		switch (field) {
		case REQ_MODEL_NAME:
			t->model = wire_string(&w, type, OIP_NAME_MAX_BYTES, arena);
			break;
		case REQ_MODEL_VERSION:
			t->version = wire_string(&w, type, OIP_NAME_MAX_BYTES, arena);
			break;
		case REQ_ID: t->id = wire_string(&w, type, OIP_NAME_MAX_BYTES, arena); break;
		case REQ_PARAMETERS:
			p = read_parameter(&w, type, arena);
			TRY(take_parameter(t, &p, err));
			break;
		case REQ_INPUTS:
		case REQ_OUTPUTS:
		case REQ_RAW:
			t->n_in += field == REQ_INPUTS;
			t->n_out += field == REQ_OUTPUTS;
			t->n_raw += field == REQ_RAW;
			wire_message(&w, type);
			break;
		default: wire_skip(&w, type); break;
		}
	}
	if (!wire_ok(&w))
		return malformed(err, "ModelInferRequest");
	if (!oip_id_is_clean(t->id))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"the id is longer than 256 bytes or has control characters");
	if (t->priority > INT32_MAX || t->timeout_us > INT64_MAX / 1000)
		return err_set(err, ERR_INVALID_ARGUMENT, "a parameter is not in its range");
	return ERR_OK;
}

enum err_code oip_spec(struct slice version, struct version_spec *ret, struct err *err)
{
	*ret = (struct version_spec){ .pick = VERSION_PICK_LATEST };
	if (version.len == 0)
		return ERR_OK;
	ret->pick = VERSION_PICK_NUMBER;
	if (parse_i64(version, 0, INT64_MAX, &ret->number))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "model version '%.*s' is not a number",
		SLICE_ARG(version));
}

static enum err_code pin(struct rpc_call *c, const struct top *t, struct err *err)
{
	struct request *r = c->request;
	struct version_spec spec;
	r->id = t->id;
	TRY(oip_spec(t->version, &spec, err));
	TRY(request_pin(r, c->rpc->registry, t->model, &spec, t->signature, err));
	r->priority = (int)t->priority;
	if (t->timeout_us) {
		int64_t at = clock_after(r->arrived_ns, (int64_t)t->timeout_us * NS_PER_US);
		r->deadline_ns = at < r->deadline_ns ? at : r->deadline_ns;
	}
	return ERR_OK;
}

/* --- inputs --- */

struct input {
	struct oip_input head;
	struct wire contents;
	bool has_contents;
	struct region_window window;
};

static void add_dim(struct wire *w, struct shape *s, uint64_t dim)
{
	if (s->rank == RANK_MAX || dim > INT64_MAX)
		w->bad = true;
	else
		s->dim[s->rank++] = (int64_t)dim;
}

static void read_shape(struct wire *w, enum wire_type type, struct shape *s)
{
	if (type == WIRE_VARINT) {
		add_dim(w, s, wire_varint(w, type));
		return;
	}
	struct wire packed = wire_message(w, type);
	while (packed.left && wire_ok(w)) {
		uint64_t dim = wire_raw_varint(&packed);
		add_dim(w, s, dim);
		w->bad |= packed.bad;
	}
}

static enum err_code read_input(
	struct wire w, struct arena *arena, struct input *in, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	int n_param = 0;
	*in = (struct input){ .head = { .name = SLICE_LIT(""), .datatype = SLICE_LIT("") } };
	while (wire_next(&w, &field, &type)) {
		struct parameter p;
		switch (field) {
		case IN_NAME:
			in->head.name = wire_string(&w, type, OIP_NAME_MAX_BYTES, arena);
			break;
		case IN_DATATYPE: in->head.datatype = wire_string(&w, type, 16, arena); break;
		case IN_SHAPE:
			read_shape(&w, type, &in->head.shape);
			if (!wire_ok(&w))
				return err_set(err, ERR_INVALID_ARGUMENT,
					"input '%.*s': a shape has at most %d dimensions, none "
					"negative",
					SLICE_ARG(in->head.name), RANK_MAX);
			break;
		case IN_PARAMETERS:
			p = read_parameter(&w, type, arena);
			if (++n_param > PARAMETERS_MAX)
				w.bad = true;
			TRY(check_parameter(p.key, err));
			take_window(&in->window, &p);
			break;
		case IN_CONTENTS:
			in->contents = wire_message(&w, type);
			in->has_contents = true;
			break;
		default: wire_skip(&w, type); break;
		}
	}
	return wire_ok(&w) ? ERR_OK : malformed(err, "InferInputTensor");
}

/* Bytes of one tensor, to where kernels like them; strings stay in their slice if they can. */
static enum err_code take_raw(struct request *r, struct wire raw, struct tensor *t,
	const struct input *in, struct err *err)
{
	size_t n = raw.left;
	struct slice bytes = { NULL, n };
	if (t->dtype == DTYPE_STRING) {
		bytes = wire_bytes(&raw, r->arena);
		if (!bytes.ptr)
			return err_oom(err);
	} else if (n == tensor_bytes(t)) {
		char *to = arena_alloc_aligned(r->arena, n ? n : 1, ARENA_ALIGN_TENSOR);
		if (!to)
			return err_oom(err);
		wire_copy(&raw, to, n);
		bytes.ptr = to;
	}
	return oip_take_raw(r->arena, bytes, t, in->head.name, err);
}

static enum err_code raws_do_not_fit(const struct top *t, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		"the request has %d inputs and %d raw_input_contents: one for each that is not in "
		"shared memory, or none",
		t->n_in, t->n_raw);
}

static enum err_code take_input(struct rpc_call *c, const struct input *in, const struct wire *raw,
	struct err *err)
{
	struct request *r = c->request;
	struct tensor *tensor;
	bool shared = in->window.region.len > 0;
	TRY(oip_place_input(r, &in->head, &tensor, err));
	if (in->has_contents && (raw || shared))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.*s' has contents, but %s", SLICE_ARG(in->head.name),
			shared ? "lies in shared memory" : "the request has raw_input_contents");
	if (shared)
		return oip_take_region(
			r, c->rpc->conf.regions, &in->window, tensor, in->head.name, err);
	if (raw)
		return take_raw(r, *raw, tensor, in, err);
	return oip_take_contents(r, in->contents, &in->head, tensor, err);
}

/* Inputs in shared memory have no raw contents; the others have all of them, or none. */
static enum err_code take_inputs(
	struct rpc_call *c, struct wire top, const struct top *t, struct err *err)
{
	struct wire inputs = top, raws = top, one, raw = { 0 };
	int n_own = 0, n_raw = 0;
	if (t->n_raw > t->n_in)
		return raws_do_not_fit(t, err);
	while (wire_find(&inputs, REQ_INPUTS, &one)) {
		struct input in;
		TRY(read_input(one, c->request->arena, &in, err));
		bool own = in.window.region.len == 0;
		bool is_raw = own && t->n_raw && wire_find(&raws, REQ_RAW, &raw);
		n_own += own;
		n_raw += is_raw;
		if (t->n_raw && n_raw != n_own)
			return raws_do_not_fit(t, err);
		TRY(take_input(c, &in, is_raw ? &raw : NULL, err));
	}
	return n_raw == t->n_raw ? ERR_OK : raws_do_not_fit(t, err);
}

/* --- outputs --- */

struct output {
	struct slice name;
	int64_t top_k;
	struct region_window window;
};

static enum err_code read_output(
	struct wire w, struct arena *arena, struct output *out, struct err *err)
{
	uint32_t field;
	enum wire_type type;
	int n_param = 0;
	*out = (struct output){ .name = SLICE_LIT("") };
	while (wire_next(&w, &field, &type)) {
		if (field == OUT_NAME) {
			out->name = wire_string(&w, type, OIP_NAME_MAX_BYTES, arena);
		} else if (field == OUT_PARAMETERS) {
			struct parameter p = read_parameter(&w, type, arena);
			w.bad |= ++n_param > PARAMETERS_MAX;
			TRY(check_parameter(p.key, err));
			if (slice_is(p.key, "classification"))
				out->top_k =
					p.number > INT32_MAX ? INT32_MAX : (int64_t)p.number;
			take_window(&out->window, &p);
		} else {
			wire_skip(&w, type);
		}
	}
	return wire_ok(&w) ? ERR_OK : malformed(err, "InferRequestedOutputTensor");
}

static enum err_code take_outputs(struct rpc_call *c, struct wire top, struct err *err)
{
	struct request *r = c->request;
	struct oip_call *o = ARENA_NEW(r->arena, struct oip_call);
	struct wire one;
	if (!o)
		return err_oom(err);
	o->out = ARENA_ARRAY(r->arena, struct oip_output, (size_t)r->sig->n_out + 1);
	if (!o->out)
		return err_oom(err);
	while (wire_find(&top, REQ_OUTPUTS, &one)) {
		struct output out;
		struct oip_output *to = &o->out[o->n_out];
		TRY(read_output(one, r->arena, &out, err));
		TRY(oip_want_output(r, out.name, &to->index, err));
		TRY(oip_aim(r, c->rpc->conf.regions, &out.window, &to->target, err));
		to->top_k = out.top_k;
		o->n_out++;
	}
	bool any = o->n_out > 0;
	for (int i = 0; !any && i < r->sig->n_out; i++)
		o->out[o->n_out++] = (struct oip_output){ .index = i };
	c->dialect = o;
	return ERR_OK;
}

enum err_code oip_infer(struct rpc_call *c, struct wire w, struct err *err)
{
	struct top t = { .model = SLICE_LIT(""), .version = SLICE_LIT(""), .id = SLICE_LIT(""),
		.signature = SLICE_LIT("") };
	TRY(read_top(w, c->request->arena, &t, err));
	TRY(pin(c, &t, err));
	TRY(take_inputs(c, w, &t, err));
	return take_outputs(c, w, err);
}
