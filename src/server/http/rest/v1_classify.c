/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorFlow Serving's classify and regress: a list of examples, each an object of features,
 * and a context of features that all of them have. What they become is in server/dialect/example.h,
 * which outputs answer in server/dialect/scores.h.
 *
 * Not as TensorFlow Serving does it: what JSON's numbers become is said by the input that
 * they feed, so 1 will do where a float is wanted.
 */
#include "base/json.h"
#include "server/dialect/example.h"
#include "server/http/rest/dialect_json.h"
#include "server/http/http_state.h"
#include "server/http/rest/v1.h"
#include "server/dialect/scores.h"
#include "server/dialect/tfs.h"

struct body {
	struct slice signature, context, examples;
};

struct v1_examples {
	struct scores scores;
	int64_t n;
	bool regress;
};

static void read_top(struct json *j, struct body *b)
{
	struct slice key;
	size_t commas;
	json_enter_object(j);
	while (json_member(j, &key)) {
		if (slice_is(key, "signature_name")) {
			v1_once(j, &b->signature);
			json_string(j, &b->signature);
		} else if (slice_is(key, "context")) {
			v1_once(j, &b->context);
			json_skim(j, &b->context, &commas);
		} else if (slice_is(key, "examples")) {
			v1_once(j, &b->examples);
			json_skim(j, &b->examples, &commas);
		} else {
			json_skip(j, NULL);
		}
	}
	json_end(j);
}

/* --- features --- */

/* How many values stand next: those of a list, or one. */
static int64_t count_values(struct json j)
{
	int64_t n = 0;
	if (json_peek(&j) != JSON_ARRAY)
		return 1;
	for (json_enter_array(&j); json_next(&j); n++)
		json_skip(&j, NULL);
	return n;
}

/* Into their place, which has room for as many as were counted. */
static enum err_code read_values(
	struct json *j, const struct tensor *to, struct arena *arena, struct err *err)
{
	struct literal l;
	TRY(literal_init_over(&l, to, arena, err));
	if (literal_read(&l, j, 0) && l.rank > 1)
		json_fail(j, "a feature is a value or a list of values");
	return json_error(j, err);
}

static enum err_code read_feature(
	struct examples *e, struct json *j, struct slice name, int64_t row, struct err *err)
{
	struct tensor to;
	int64_t n = count_values(*j);
	TRY(examples_place(e, row, name, n, &to, err));
	if (!to.data) {
		json_skip(j, NULL);
		return json_error(j, err);
	}
	enum err_code rc = read_values(j, &to, e->r->arena, err);
	return rc == ERR_OK ? rc : err_prefix(err, "feature '%.*s'", SLICE_ARG(name));
}

static enum err_code read_example(
	struct examples *e, struct json *j, int64_t row, struct err *err)
{
	struct slice name;
	json_enter_object(j);
	while (json_member(j, &name))
		TRY(read_feature(e, j, name, row, err));
	return json_error(j, err);
}

static enum err_code decode(struct call *c, const struct json *outer, const struct body *b,
	int64_t *ret_n, struct err *err)
{
	struct examples e;
	struct json j;
	int64_t row = 0;
	json_init_value(&j, b->examples, outer);
	if (json_peek(&j) != JSON_ARRAY)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"Request data format: 'examples' is not a list");
	*ret_n = count_values(j);
	TRY(examples_init(&e, c->request, *ret_n,
		examples_bytes_max(c->body.len, c->http->conf.body_bytes_max), err));
	if (b->context.ptr) {
		struct json context;
		json_init_value(&context, b->context, outer);
		TRY(read_example(&e, &context, EXAMPLE_CONTEXT, err));
	}
	for (json_enter_array(&j); json_next(&j); row++)
		TRY(read_example(&e, &j, row, err));
	TRY(json_error(&j, err));
	return examples_end(&e, err);
}

static enum err_code take(struct call *c, bool regress, struct err *err)
{
	struct body b = { 0 };
	struct json j;
	json_init(&j, c->body, c->arena, c->http->conf.allow_nan);
	read_top(&j, &b);
	TRY(json_error(&j, err));
	if (!b.examples.ptr)
		return err_set(err, ERR_INVALID_ARGUMENT, "Missing 'examples' key");
	TRY(tfs_not_found(call_pin(c, b.signature, err), c->model, &c->spec, err));
	struct v1_examples *v = ARENA_NEW(c->request->arena, struct v1_examples);
	if (!v)
		return err_oom(err);
	c->dialect = v;
	v->regress = regress;
	TRY(regress ? scores_want_value(c->request, &v->scores, err) :
		      scores_want_classes(c->request, &v->scores, err));
	return decode(c, &j, &b, &v->n, err);
}

enum err_code v1_classify(struct call *c, struct err *err)
{
	return take(c, false, err);
}

enum err_code v1_regress(struct call *c, struct err *err)
{
	return take(c, true, err);
}

/* --- the reply --- */

static void put_classes(struct buf *b, const struct request *r, const struct v1_examples *v,
	int64_t row, bool allow_nan)
{
	char text[SCORES_LABEL_MAX];
	buf_char(b, '[');
	for (int64_t k = 0; k < v->scores.k; k++) {
		int64_t i = row * v->scores.k + k;
		buf_str(b, k ? ",[" : "[");
		json_put_string(b, scores_label(r, &v->scores, i, text));
		buf_char(b, ',');
		json_put_f32(b, scores_score(r, &v->scores, i), allow_nan);
		buf_char(b, ']');
	}
	buf_char(b, ']');
}

enum err_code v1_classify_reply(struct call *c, struct err *err)
{
	struct v1_examples *v = c->dialect;
	const struct request *r = c->request;
	struct buf b = buf_of(c->arena, 0);
	bool allow_nan = c->http->conf.allow_nan;
	TRY(v->regress ? scores_check_value(r, &v->scores, v->n, err) :
			 scores_check_classes(r, &v->scores, v->n, err));
	buf_str(&b, "{\"results\":[");
	for (int64_t row = 0; row < v->n; row++) {
		if (row)
			buf_char(&b, ',');
		if (v->regress)
			json_put_f32(&b, scores_score(r, &v->scores, row), allow_nan);
		else
			put_classes(&b, r, v, row, allow_nan);
	}
	buf_str(&b, "]}");
	return call_reply_json(c, &b, err);
}
