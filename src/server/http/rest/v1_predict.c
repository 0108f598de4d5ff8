/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorFlow Serving's predict. JSON carries no types: the signature says what each value
 * becomes, and shapes are found in the brackets. "instances" is a list of rows, "inputs"
 * whole tensors; the answer has the same form.
 *
 * The top object is indexed first, as "signature_name" may follow the tensors.
 *
 * Not as TensorFlow Serving does it: a body with a second document or a key twice is
 * refused, not read in part; narrow integers are checked for their range.
 */
#include "server/http/rest/v1.h"

#include "base/json.h"
#include "server/http/rest/dialect_json.h"
#include "server/http/http_state.h"
#include "server/dialect/tfs.h"

struct body {
	struct slice signature, instances, inputs;
	size_t commas; /* in instances or inputs, whichever is given */
};

void v1_once(struct json *j, const struct slice *seen)
{
	if (seen->ptr)
		json_fail(j, "a key stands twice");
}

static void read_top(struct json *j, struct body *b)
{
	struct slice key;
	json_enter_object(j);
	while (json_member(j, &key)) {
		if (slice_is(key, "signature_name")) {
			v1_once(j, &b->signature);
			json_string(j, &b->signature);
		} else if (slice_is(key, "instances")) {
			v1_once(j, &b->instances);
			json_skim(j, &b->instances, &b->commas);
		} else if (slice_is(key, "inputs")) {
			v1_once(j, &b->inputs);
			json_skim(j, &b->inputs, &b->commas);
		} else {
			json_skip(j, NULL);
		}
	}
	json_end(j);
}

struct decode {
	struct request *r;
	struct json j;       /* reads the value of "instances" or "inputs" */
	struct literal *lit; /* one per input */
	int64_t *rows;       /* one per input: how many rows have given it */
	size_t bound;        /* no input has more elements */
	struct err *err;
};

/* Values of input i go to its literal, which is made when the first comes. */
static enum err_code read_value(struct decode *d, int i, int level)
{
	struct literal *l = &d->lit[i];
	if (!l->data) {
		size_t room = d->r->sig->n_in == 1 || level == 0 ? d->bound : 16;
		enum err_code rc =
			literal_init(l, d->r->sig->in[i].type.dtype, d->r->arena, room, d->err);
		if (rc != ERR_OK)
			return rc;
		l->b64 = true;
	}
	if (literal_read(l, &d->j, level))
		return ERR_OK;
	enum err_code rc = json_error(&d->j, d->err);
	return rc == ERR_OK ? rc : err_prefix(d->err, "input '%s'", d->r->sig->in[i].name);
}

static enum err_code missing(struct decode *d, const char *what, int i)
{
	return err_set(d->err, ERR_INVALID_ARGUMENT, "%s: %s", what, d->r->sig->in[i].name);
}

/* One object of a row-form list. */
static enum err_code read_row(struct decode *d, int64_t row)
{
	const struct signature *sig = d->r->sig;
	struct slice key;
	if (!json_enter_object(&d->j))
		return json_error(&d->j, d->err);
	while (json_member(&d->j, &key)) {
		int i = signature_find_in(sig, key);
		if (i < 0 || d->rows[i] != row)
			return err_set(d->err, ERR_INVALID_ARGUMENT, "JSON object: %s: %.*s",
				i < 0 ? "does not have named input" :
					"an input is given twice, or not in every row",
				SLICE_ARG(key));
		enum err_code rc = read_value(d, i, 1);
		if (rc != ERR_OK)
			return rc;
		d->rows[i]++;
	}
	for (int i = 0; i < sig->n_in; i++)
		if (d->rows[i] != row + 1 && (d->rows[i] > 0 || !sig->in[i].optional))
			return missing(d, "JSON object: does not have named input", i);
	return json_error(&d->j, d->err);
}

/* Is the value next {"b64": ...}, which stands for bytes? */
static bool is_b64(const struct decode *d)
{
	struct json look = d->j;
	struct slice key;
	return d->r->sig->n_in == 1 && d->r->sig->in[0].type.dtype == DTYPE_STRING &&
	       json_peek(&look) == JSON_OBJECT && json_enter_object(&look) &&
	       json_member(&look, &key) && slice_is(key, "b64");
}

static enum err_code read_rows_of_objects(struct decode *d)
{
	int64_t row = 0;
	json_enter_array(&d->j);
	while (json_next(&d->j)) {
		enum err_code rc = read_row(d, row);
		if (rc != ERR_OK)
			return err_prefix(d->err,
				"Failed to process element: %lld of 'instances' list",
				(long long)row);
		row++;
	}
	for (int i = 0; i < d->r->sig->n_in; i++) {
		d->lit[i].dim[0] = row;
		if (d->lit[i].rank < 1)
			d->lit[i].rank = 1;
	}
	return json_error(&d->j, d->err);
}

static enum err_code read_instances(struct decode *d)
{
	struct json look = d->j;
	if (json_peek(&look) != JSON_ARRAY)
		return err_set(d->err, ERR_INVALID_ARGUMENT,
			"Request data format: 'instances' is not a list");
	struct decode first = *d;
	if (!json_enter_array(&first.j) || !json_next(&first.j))
		return first.j.error ? json_error(&first.j, d->err)
				     : err_set(d->err, ERR_INVALID_ARGUMENT,
					       "'instances' is an empty list");
	if (json_peek(&first.j) == JSON_OBJECT && !is_b64(&first))
		return read_rows_of_objects(d);
	if (d->r->sig->n_in != 1)
		return err_set(d->err, ERR_INVALID_ARGUMENT,
			"instances is a plain list, but expecting list of objects as multiple "
			"input tensors required as per signature");
	return read_value(d, 0, 0);
}

static enum err_code read_columns(struct decode *d)
{
	const struct signature *sig = d->r->sig;
	struct slice key;
	if (json_peek(&d->j) != JSON_OBJECT || is_b64(d)) {
		if (sig->n_in == 1)
			return read_value(d, 0, 0);
		return err_set(d->err, ERR_INVALID_ARGUMENT,
			"inputs is a plain value/list, but expecting an object as multiple input "
			"tensors required as per signature");
	}
	json_enter_object(&d->j);
	while (json_member(&d->j, &key)) {
		int i = signature_find_in(sig, key);
		if (i < 0) {
			json_skip(&d->j, NULL);
			continue;
		}
		if (d->rows[i]++)
			return err_set(d->err, ERR_INVALID_ARGUMENT, "input '%.*s' is given twice",
				SLICE_ARG(key));
		enum err_code rc = read_value(d, i, 0);
		if (rc != ERR_OK)
			return rc;
	}
	for (int i = 0; !d->j.error && i < sig->n_in; i++)
		if (!d->rows[i] && !sig->in[i].optional)
			return missing(d, "Missing named input", i);
	return json_error(&d->j, d->err);
}

static enum err_code decode_tensors(struct call *c, const struct json *outer, const struct body *b,
	struct err *err)
{
	struct request *r = c->request;
	struct decode d = { .r = r, .bound = b->commas + 1, .err = err };
	d.lit = ARENA_ARRAY(r->arena, struct literal, (size_t)r->sig->n_in + 1);
	d.rows = ARENA_ARRAY(r->arena, int64_t, (size_t)r->sig->n_in + 1);
	if (!d.lit || !d.rows)
		return err_oom(err);
	json_init_value(&d.j, b->instances.ptr ? b->instances : b->inputs, outer);
	enum err_code rc = b->instances.ptr ? read_instances(&d) : read_columns(&d);
	if (rc == ERR_OK && !json_end(&d.j))
		rc = json_error(&d.j, err);
	for (int i = 0; rc == ERR_OK && i < r->sig->n_in; i++)
		if (d.lit[i].data)
			r->in[i] = literal_tensor(&d.lit[i]);
	return rc;
}

/* Asked before the request is run: it would be run for nothing. */
static enum err_code check_outputs(const struct signature *sig, struct err *err)
{
	for (int i = 0; i < sig->n_out; i++)
		if (!dialect_has_json(sig->out[i].type.dtype))
			return err_set(err, ERR_UNIMPLEMENTED,
				"Conversion of output '%s' of type %s to JSON is not supported",
				sig->out[i].name, dtype_name(sig->out[i].type.dtype));
	return ERR_OK;
}

enum err_code v1_predict(struct call *c, struct err *err)
{
	struct body b = { 0 };
	struct json j;
	json_init(&j, c->body, c->arena, c->http->conf.allow_nan);
	read_top(&j, &b);
	enum err_code rc = json_error(&j, err);
	if (rc == ERR_OK && !b.instances.ptr == !b.inputs.ptr)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			b.inputs.ptr ?
				"Not formatted correctly: both 'inputs' and 'instances' are given" :
				"Missing 'inputs' or 'instances' key");
	if (rc == ERR_OK)
		rc = tfs_not_found(call_pin(c, b.signature, err), c->model, &c->spec, err);
	if (rc == ERR_OK)
		rc = check_outputs(c->request->sig, err);
	if (rc != ERR_OK)
		return rc;
	struct v1_call *v = ARENA_NEW(c->request->arena, struct v1_call);
	if (!v)
		return err_oom(err);
	v->rows = b.instances.ptr != NULL;
	c->dialect = v;
	return decode_tensors(c, &j, &b, err);
}
