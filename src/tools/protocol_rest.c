/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/protocol_rest.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "tools/values.h"

/* -- tensors as JSON ---------------------------------------------------------------------- */

static void read_value(struct json *j, struct tensor *t, int64_t i)
{
	struct number n;
	int64_t whole;
	double real;
	bool flag, ok = true;
	struct slice text;
	switch (json_peek(j)) {
	case JSON_BOOL:
		ok = json_bool(j, &flag) && values_set_int(t, i, flag);
		break;
	case JSON_STRING:
		ok = json_string(j, &text) && t->dtype == DTYPE_STRING;
		if (ok)
			((struct slice *)t->data)[i] = text;
		break;
	default:
		if (json_special(j, &real))
			ok = values_set(t, i, real);
		else if (!json_number(j, &n))
			return;
		else if (number_to_i64(&n, INT64_MIN, INT64_MAX, &whole))
			ok = values_set_int(t, i, whole);
		else
			ok = number_to_f64(&n, &real) && values_set(t, i, real);
	}
	if (!ok)
		json_fail(j, "not a value of the output's type");
}

/* Fills t from a value or from lists, nested in any way. */
static void read_values(struct json *j, struct tensor *t)
{
	int64_t n = 0, count = tensor_count(t);
	int depth = 0;
	do {
		if (depth > 0 && !json_next(j)) {
			depth--;
		} else if (json_peek(j) == JSON_ARRAY) {
			json_enter_array(j);
			depth++;
		} else if (n < count) {
			read_value(j, t, n++);
		} else {
			json_fail(j, "more values than the shape has room for");
		}
	} while (depth > 0 && !j->error);
	if (n < count)
		json_fail(j, "fewer values than the shape has room for");
}

/* Goes to the value of the next member "outputs". */
static bool next_outputs(struct json *j)
{
	struct slice key;
	while (json_member(j, &key)) {
		if (slice_is(key, "outputs"))
			return true;
		json_skip(j, NULL);
	}
	return false;
}

/* -- v2: Open Inference Protocol, JSON and with the binary tensor extension --------------- */

static void put_v2_input(struct buf *to, const char *name, const struct tensor *t, bool binary)
{
	buf_str(to, "{\"name\":");
	json_put_cstr(to, name);
	buf_printf(to, ",\"datatype\":\"%s\",\"shape\":[", dtype_info(t->dtype)->oip_name);
	for (int d = 0; d < t->shape.rank; d++)
		buf_printf(to, "%s%" PRId64, d ? "," : "", t->shape.dim[d]);
	if (binary) {
		buf_printf(
			to, "],\"parameters\":{\"binary_data_size\":%zu}}", protocol_raw_bytes(t));
		return;
	}
	buf_str(to, "],\"data\":[");
	for (int64_t k = 0; k < tensor_count(t); k++) {
		buf_str(to, k ? "," : "");
		values_print(to, t, k);
	}
	buf_str(to, "]}");
}

static enum err_code encode_v2_head(const struct model_info *m, const struct tensor *in,
	bool binary, struct buf *to, struct err *err)
{
	buf_str(to,
		binary ? "{\"parameters\":{\"binary_data_output\":true},\"inputs\":["
		       : "{\"inputs\":[");
	const char *sep = "";
	for (int i = 0; i < m->n_in; i++) {
		const struct tensor *t = &in[i];
		if (!t->data)
			continue;
		if (!dtype_info(t->dtype)->oip_name)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"input '%s': %s has no name in this protocol", m->in[i].name,
				dtype_name(t->dtype));
		buf_str(to, sep);
		put_v2_input(to, m->in[i].name, t, binary);
		sep = ",";
	}
	buf_str(to, "]}");
	return ERR_OK;
}

enum err_code protocol_rest_v2_encode(const struct model_info *m, const struct tensor *in,
	struct buf *to, size_t *ret_json_bytes, struct err *err)
{
	*ret_json_bytes = SIZE_MAX;
	return encode_v2_head(m, in, false, to, err);
}

enum err_code protocol_rest_v2_encode_binary(const struct model_info *m, const struct tensor *in,
	struct buf *to, size_t *ret_json_bytes, struct err *err)
{
	TRY(encode_v2_head(m, in, true, to, err));
	*ret_json_bytes = to->len;
	for (int i = 0; i < m->n_in; i++) {
		if (in[i].data)
			protocol_raw_write(to, &in[i]);
	}
	return ERR_OK;
}

/* One element of "outputs" as it stands in the reply; the values come last, because the
   keys come in any order. */
struct v2_output {
	struct slice name, datatype, data;
	struct shape shape;
	int64_t binary_bytes; /* -1: the values are in data */
};

static void read_v2_parameters(struct json *j, struct v2_output *o)
{
	struct slice key;
	json_enter_object(j);
	while (json_member(j, &key)) {
		if (!slice_is(key, "binary_data_size") || !json_i64(j, &o->binary_bytes))
			json_skip(j, NULL);
	}
}

static void read_v2_output(struct json *j, struct v2_output *o)
{
	struct slice key;
	*o = (struct v2_output){ .binary_bytes = -1 };
	json_enter_object(j);
	while (json_member(j, &key)) {
		if (slice_is(key, "name"))
			json_string(j, &o->name);
		else if (slice_is(key, "datatype"))
			json_string(j, &o->datatype);
		else if (slice_is(key, "parameters"))
			read_v2_parameters(j, o);
		else if (slice_is(key, "shape"))
			model_info_shape(j, &o->shape);
		else if (slice_is(key, "data"))
			json_skip(j, &o->data);
		else
			json_skip(j, NULL);
	}
}

static enum err_code take_v2_output(struct json *j, const struct v2_output *o, struct slice *binary,
	struct tensor *t, struct err *err)
{
	enum err_code rc = values_new(dtype_find_oip(o->datatype), &o->shape, j->arena, t, err);
	if (rc != ERR_OK)
		return err_prefix(err, "output '%.*s'", SLICE_ARG(o->name));
	if (o->binary_bytes < 0) {
		struct json values;
		json_init_value(&values, o->data, j);
		read_values(&values, t);
		rc = json_error(&values, err);
		return rc == ERR_OK ? rc : err_prefix(err, "output '%.*s'", SLICE_ARG(o->name));
	}
	size_t bytes = (size_t)o->binary_bytes;
	if (bytes > binary->len || !protocol_raw_read((struct slice){ binary->ptr, bytes }, t))
		return err_set(err, ERR_UNKNOWN, "output '%.*s': %zu bytes are not %s%s",
			SLICE_ARG(o->name), bytes, dtype_name(t->dtype), SHAPE_TEXT(&t->shape));
	*binary = (struct slice){ binary->ptr + bytes, binary->len - bytes };
	return ERR_OK;
}

static enum err_code decode_v2_outputs(struct json *j, const struct model_info *m,
	struct slice *binary, struct tensor *out, struct err *err)
{
	json_enter_array(j);
	while (json_next(j)) {
		struct v2_output o;
		read_v2_output(j, &o);
		if (j->error)
			break;
		int k = model_info_find(m->out, m->n_out, o.name);
		if (k < 0)
			return err_set(err, ERR_UNKNOWN, "output '%.*s' is none of the model's",
				SLICE_ARG(o.name));
		TRY(take_v2_output(j, &o, binary, &out[k], err));
	}
	return ERR_OK;
}

enum err_code protocol_rest_v2_decode(const struct model_info *m, struct slice body,
	size_t json_bytes, struct arena *arena, struct tensor *out, struct err *err)
{
	struct slice binary = { body.ptr + json_bytes, body.len - json_bytes };
	struct json j;
	json_init(&j, (struct slice){ body.ptr, json_bytes }, arena, true);
	json_enter_object(&j);
	while (next_outputs(&j))
		TRY(decode_v2_outputs(&j, m, &binary, out, err));
	json_end(&j);
	return json_error(&j, err);
}

/* -- v1: TensorFlow Serving, columns ------------------------------------------------------ */

enum err_code protocol_rest_v1_encode(const struct model_info *m, const struct tensor *in,
	struct buf *to, size_t *ret_json_bytes, struct err *err)
{
	(void)err;
	*ret_json_bytes = SIZE_MAX;
	buf_str(to, "{\"inputs\":{");
	const char *sep = "";
	for (int i = 0; i < m->n_in; i++) {
		if (!in[i].data)
			continue;
		buf_str(to, sep);
		json_put_cstr(to, m->in[i].name);
		buf_char(to, ':');
		values_print_nested(to, &in[i], INT64_MAX);
		sep = ",";
	}
	buf_str(to, "}}");
	return ERR_OK;
}

/* How lists nest, along the first element of each: raw is one value. */
static void nesting_shape(struct slice raw, const struct json *outer, struct shape *ret)
{
	struct json j;
	json_init_value(&j, raw, outer);
	while (json_peek(&j) == JSON_ARRAY && ret->rank < RANK_MAX) {
		struct slice first = { NULL, 0 };
		int64_t n = 0;
		json_enter_array(&j);
		while (json_next(&j))
			json_skip(&j, n++ == 0 ? &first : NULL);
		ret->dim[ret->rank++] = n;
		if (n == 0)
			return;
		json_init_value(&j, first, outer);
	}
}

enum err_code protocol_read_json(const struct model_io *io, struct slice text, struct arena *arena,
	struct tensor *ret, struct err *err)
{
	struct json j;
	struct shape shape = SHAPE_SCALAR;
	json_init(&j, text, arena, true);
	nesting_shape(text, &j, &shape);
	enum err_code rc = values_new(io->dtype, &shape, arena, ret, err);
	if (rc == ERR_OK) {
		read_values(&j, ret);
		json_end(&j);
		rc = json_error(&j, err);
	}
	return rc == ERR_OK ? rc : err_prefix(err, "'%s'", io->name);
}

static enum err_code take_v1_output(struct json *j, const struct model_io *io, struct tensor *t,
	struct err *err)
{
	struct slice raw;
	if (!json_skip(j, &raw))
		return json_error(j, err);
	return protocol_read_json(io, raw, j->arena, t, err);
}

static enum err_code decode_v1_outputs(
	struct json *j, const struct model_info *m, struct tensor *out, struct err *err)
{
	if (m->n_out == 1)
		return take_v1_output(j, &m->out[0], &out[0], err);
	struct slice name;
	json_enter_object(j);
	while (json_member(j, &name)) {
		int k = model_info_find(m->out, m->n_out, name);
		if (k < 0)
			return err_set(err, ERR_UNKNOWN, "output '%.*s' is none of the model's",
				SLICE_ARG(name));
		TRY(take_v1_output(j, &m->out[k], &out[k], err));
	}
	return ERR_OK;
}

enum err_code protocol_rest_v1_decode(const struct model_info *m, struct slice body,
	size_t json_bytes, struct arena *arena, struct tensor *out, struct err *err)
{
	(void)json_bytes;
	struct json j;
	json_init(&j, body, arena, true);
	json_enter_object(&j);
	while (next_outputs(&j))
		TRY(decode_v1_outputs(&j, m, out, err));
	json_end(&j);
	return json_error(&j, err);
}
