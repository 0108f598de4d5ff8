/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of a predict: rows as "predictions", whole tensors as "outputs". */
#include "server/http/rest/v1.h"

#include "base/json.h"
#include "server/http/rest/dialect_json.h"
#include "server/http/http_state.h"

/* Strings of an output whose name says so are bytes. */
static struct put_opts opts_of(const struct call *c, const char *name)
{
	size_t len = strlen(name);
	return (struct put_opts){ .allow_nan = c->http->conf.allow_nan,
		.b64 = len >= 6 && strcmp(name + len - 6, "_bytes") == 0 };
}

static void put_named(struct call *c, struct buf *b, int i, const struct tensor *t, bool first)
{
	const char *name = c->request->sig->out[i].name;
	struct put_opts o = opts_of(c, name);
	if (!first)
		buf_char(b, ',');
	json_put_cstr(b, name);
	buf_char(b, ':');
	dialect_put_nested(b, t, &o);
}

/* All outputs must have the same rows. */
static enum err_code count_rows(const struct request *r, int64_t *ret, struct err *err)
{
	*ret = -1;
	for (int i = 0; i < r->sig->n_out; i++) {
		const struct tensor *t = &r->out[i];
		int64_t rows = t->shape.rank > 0 ? t->shape.dim[0] : -1;
		if (rows < 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"Tensor name: %s has no batch dimension: ask with \"inputs\"",
				r->sig->out[i].name);
		if (*ret >= 0 && rows != *ret)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"Tensor name: %s has inconsistent batch size: %lld expecting: %lld",
				r->sig->out[i].name, (long long)rows, (long long)*ret);
		*ret = rows;
	}
	return ERR_OK;
}

static enum err_code put_predictions(struct call *c, struct buf *b, struct err *err)
{
	const struct request *r = c->request;
	int64_t rows;
	enum err_code rc = count_rows(r, &rows, err);
	if (rc != ERR_OK)
		return rc;
	buf_str(b, "{\"predictions\":");
	if (r->sig->n_out == 1) {
		struct put_opts o = opts_of(c, r->sig->out[0].name);
		dialect_put_nested(b, &r->out[0], &o);
		buf_char(b, '}');
		return ERR_OK;
	}
	buf_char(b, '[');
	for (int64_t row = 0; row < rows; row++) {
		buf_str(b, row ? ",{" : "{");
		for (int i = 0; i < r->sig->n_out; i++) {
			struct tensor t = dialect_row(&r->out[i], row);
			put_named(c, b, i, &t, i == 0);
		}
		buf_char(b, '}');
	}
	buf_str(b, "]}");
	return ERR_OK;
}

static void put_columns(struct call *c, struct buf *b)
{
	const struct request *r = c->request;
	buf_str(b, "{\"outputs\":");
	if (r->sig->n_out == 1) {
		struct put_opts o = opts_of(c, r->sig->out[0].name);
		dialect_put_nested(b, &r->out[0], &o);
	} else {
		buf_char(b, '{');
		for (int i = 0; i < r->sig->n_out; i++)
			put_named(c, b, i, &r->out[i], i == 0);
		buf_char(b, '}');
	}
	buf_char(b, '}');
}

enum err_code v1_predict_reply(struct call *c, struct err *err)
{
	const struct v1_call *v = c->dialect;
	struct buf b = buf_of(c->arena, 0);
	if (v->rows) {
		enum err_code rc = put_predictions(c, &b, err);
		if (rc != ERR_OK)
			return rc;
	} else {
		put_columns(c, &b);
	}
	return call_reply_json(c, &b, err);
}
