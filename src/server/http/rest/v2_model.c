/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference routes that ask about server and models, and Triton's repository. */
#include "base/json.h"
#include "server/http/http_state.h"
#include "server/dialect/oip.h"

#include <config.h>

enum err_code v2_live(struct call *c, struct err *err)
{
	(void)err;
	call_reply(c, 200, "application/json", SLICE_LIT("{\"live\":true}"));
	return ERR_OK;
}

enum err_code v2_server(struct call *c, struct err *err)
{
	static const char text[] =
		"{\"name\":\"signet\",\"version\":\"" PACKAGE_VERSION "\",\"extensions\":["
		"\"classification\",\"model_repository\",\"model_configuration\",\"schedule_"
		"policy\","
		"\"binary_tensor_data\",\"parameters\",\"statistics\",\"logging\"";
	struct buf b = buf_of(c->arena, 0);
	buf_str(&b, text);
	buf_str(&b, c->http->conf.regions ? ",\"system_shared_memory\"]}" : "]}");
	return call_reply_json(c, &b, err);
}

/* Rows of the path's model, or of all; NOT_FOUND when the path names one that is none. */
static enum err_code list_versions(
	struct call *c, struct version_status **ret, int *ret_n, struct err *err)
{
	const struct slice *model = c->model.len ? &c->model : NULL;
	enum err_code rc = registry_list(c->http->registry, model, c->arena, ret, ret_n, err);
	if (rc == ERR_OK && model && *ret_n == 0)
		return err_set(err, ERR_NOT_FOUND, "Request for unknown model: '%.*s' is not found",
			SLICE_ARG(c->model));
	return rc;
}

/* The first model that ought to serve and has no ready version: its newest version tells. */
static const struct version_status *find_unready(const struct version_status *v, int n)
{
	for (int i = 0, next; i < n; i = next) {
		bool ready = false;
		for (next = i; next < n && strcmp(v[next].model, v[i].model) == 0; next++)
			ready |= v[next].state == VERSION_READY;
		if (!ready && !v[i].aside && v[i].number >= 0)
			return &v[i];
	}
	return NULL;
}

static void put_why_unready(struct call *c, struct buf *b)
{
	struct version_status *list;
	int n;
	struct err err = { .code = ERR_OK };
	if (atomic_load(&c->http->draining) || list_versions(c, &list, &n, &err) != ERR_OK)
		return json_put_cstr(b, err.code == ERR_OK ? "it is draining" : err.msg);
	const struct version_status *v = find_unready(list, n);
	if (!v)
		return json_put_cstr(b, "the models are not all known yet");
	struct buf text = buf_of(c->arena, 0);
	buf_printf(&text, "model '%s' version %lld: %s%s%s", v->model, (long long)v->number,
		version_state_info(v->state)->text, *v->reason ? ": " : "", v->reason);
	json_put_string(b, (struct slice){ text.ptr, text.len });
}

enum err_code v2_ready(struct call *c, struct err *err)
{
	struct buf b = buf_of(c->arena, 0);
	if (!atomic_load(&c->http->draining) && repo_is_ready(c->http->repo)) {
		call_reply(c, 200, "application/json", SLICE_LIT("{\"ready\":true}"));
		return ERR_OK;
	}
	buf_str(&b, "{\"ready\":false,\"error\":");
	put_why_unready(c, &b);
	buf_char(&b, '}');
	struct slice body;
	TRY(buf_finish(&b, &body, err));
	call_reply(c, 503, "application/json", body);
	return ERR_OK;
}

enum err_code v2_models(struct call *c, struct err *err)
{
	struct version_status *list;
	int n;
	struct buf b = buf_of(c->arena, 0);
	enum err_code rc = list_versions(c, &list, &n, err);
	if (rc != ERR_OK)
		return rc;
	const char *last = NULL;
	buf_str(&b, "{\"models\":[");
	for (int i = 0; i < n; i++) {
		if (last && strcmp(last, list[i].model) == 0)
			continue;
		if (last)
			buf_char(&b, ',');
		last = list[i].model;
		json_put_cstr(&b, last);
	}
	buf_str(&b, "]}");
	return call_reply_json(c, &b, err);
}

/* --- one model --- */

static void put_dims(struct buf *b, const struct shape *s, int from)
{
	buf_char(b, '[');
	for (int i = from; i < s->rank; i++) {
		if (i > from)
			buf_char(b, ',');
		json_put_i64(b, s->dim[i] < 0 ? -1 : s->dim[i]);
	}
	buf_char(b, ']');
}

static void put_oip_type(struct buf *b, const char *prefix, const struct type *t)
{
	const char *name = t->is_sequence || t->map_key != DTYPE_UNDEFINED ?
				   NULL :
				   dtype_info(t->dtype)->oip_name;
	buf_char(b, '"');
	buf_str(b, prefix);
	/* ModelConfig alone says STRING for BYTES. */
	buf_str(b, !name ? "INVALID" : *prefix && t->dtype == DTYPE_STRING ? "STRING" : name);
	buf_char(b, '"');
}

/* What the last dimension's indices stand for. */
static void put_labels(struct buf *b, const struct ml_labels *l)
{
	buf_str(b, ",\"labels\":[");
	for (int32_t i = 0; i < l->n; i++) {
		if (i)
			buf_char(b, ',');
		if (l->strings)
			json_put_string(b, l->strings[i]);
		else
			json_put_i64(b, l->ints[i]);
	}
	buf_char(b, ']');
}

static void put_tensors(struct buf *b, const struct signature_io *io, int n)
{
	buf_char(b, '[');
	for (int i = 0; i < n; i++) {
		buf_str(b, i ? ",{\"name\":" : "{\"name\":");
		json_put_cstr(b, io[i].name);
		buf_str(b, ",\"datatype\":");
		put_oip_type(b, "", &io[i].type);
		buf_str(b, ",\"shape\":");
		put_dims(b, &io[i].shape, 0);
		if (io[i].labels.n)
			put_labels(b, &io[i].labels);
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

/* The version asked for, or all that are ready. */
static enum err_code put_versions(
	struct call *c, struct buf *b, const struct version *v, struct err *err)
{
	struct version_status *list;
	int n;
	if (c->has_spec) {
		buf_printf(b, "[\"%lld\"]", (long long)v->number);
		return ERR_OK;
	}
	enum err_code rc = list_versions(c, &list, &n, err);
	if (rc != ERR_OK)
		return rc;
	bool any = false;
	buf_char(b, '[');
	for (int i = n - 1; i >= 0; i--)
		if (list[i].state == VERSION_READY) {
			buf_printf(b, "%s\"%lld\"", any ? "," : "", (long long)list[i].number);
			any = true;
		}
	buf_char(b, ']');
	return ERR_OK;
}

enum err_code v2_model(struct call *c, struct err *err)
{
	struct version *v;
	struct buf b = buf_of(c->arena, 0);
	enum err_code rc = call_acquire(c, &v, err);
	if (rc != ERR_OK)
		return rc;
	buf_str(&b, "{\"name\":");
	json_put_cstr(&b, v->model);
	buf_str(&b, ",\"versions\":");
	rc = put_versions(c, &b, v, err);
	buf_str(&b, ",\"platform\":");
	json_put_cstr(&b, v->platform ? v->platform : "onnx_onnxv1");
	buf_str(&b, ",\"inputs\":");
	put_tensors(&b, v->sig[0].in, v->sig[0].n_in);
	buf_str(&b, ",\"outputs\":");
	put_tensors(&b, v->sig[0].out, v->sig[0].n_out);
	buf_char(&b, '}');
	version_release(v);
	return rc == ERR_OK ? call_reply_json(c, &b, err) : rc;
}

enum err_code v2_model_ready(struct call *c, struct err *err)
{
	struct version *v;
	struct buf b = buf_of(c->arena, 0);
	enum err_code rc = call_acquire(c, &v, err);
	if (rc != ERR_OK)
		return rc;
	version_release(v);
	buf_str(&b, "{\"name\":");
	json_put_string(&b, c->model);
	buf_str(&b, ",\"ready\":true}");
	return call_reply_json(c, &b, err);
}

static void put_config_tensors(struct buf *b, const struct signature_io *io, int n, int from)
{
	buf_char(b, '[');
	for (int i = 0; i < n; i++) {
		buf_str(b, i ? ",{\"name\":" : "{\"name\":");
		json_put_cstr(b, io[i].name);
		buf_str(b, ",\"data_type\":");
		put_oip_type(b, "TYPE_", &io[i].type);
		buf_str(b, ",\"dims\":");
		put_dims(b, &io[i].shape, from);
		if (io[i].optional)
			buf_str(b, ",\"optional\":true");
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

/* What a client of Triton looks at: the batch limit, and dims without the batch. */
enum err_code v2_config(struct call *c, struct err *err)
{
	struct version *v;
	struct buf b = buf_of(c->arena, 0);
	enum err_code rc = call_acquire(c, &v, err);
	if (rc != ERR_OK)
		return rc;
	const struct signature *s = &v->sig[0];
	buf_str(&b, "{\"name\":");
	json_put_cstr(&b, v->model);
	buf_str(&b, ",\"platform\":");
	json_put_cstr(&b, v->platform ? v->platform : "onnx_onnxv1");
	buf_printf(&b, ",\"backend\":\"signet\",\"max_batch_size\":%d,\"input\":",
		s->batchable ? s->max_batch : 0);
	put_config_tensors(&b, s->in, s->n_in, s->batchable);
	buf_str(&b, ",\"output\":");
	put_config_tensors(&b, s->out, s->n_out, s->batchable);
	if (s->batchable)
		buf_str(&b, ",\"dynamic_batching\":{}");
	buf_char(&b, '}');
	version_release(v);
	return call_reply_json(c, &b, err);
}

/* --- repository --- */

/* {"ready": bool}, or no body. */
static enum err_code wants_ready_only(struct call *c, bool *ret, struct err *err)
{
	struct json j;
	struct slice key;
	*ret = false;
	if (!call_enter_json(c, &j))
		return ERR_OK;
	while (json_member(&j, &key)) {
		if (slice_is(key, "ready"))
			json_bool(&j, ret);
		else
			json_skip(&j, NULL);
	}
	json_end(&j);
	return json_error(&j, err);
}

enum err_code v2_index(struct call *c, struct err *err)
{
	struct version_status *list;
	int n;
	bool ready_only, any = false;
	struct buf b = buf_of(c->arena, 0);
	enum err_code rc = wants_ready_only(c, &ready_only, err);
	if (rc == ERR_OK)
		rc = list_versions(c, &list, &n, err);
	if (rc != ERR_OK)
		return rc;
	buf_char(&b, '[');
	for (int i = 0; i < n; i++) {
		if (ready_only && list[i].state != VERSION_READY)
			continue;
		buf_str(&b, any ? ",{\"name\":" : "{\"name\":");
		any = true;
		json_put_cstr(&b, list[i].model);
		if (list[i].number >= 0)
			buf_printf(&b, ",\"version\":\"%lld\"", (long long)list[i].number);
		buf_printf(&b,
			",\"state\":\"%s\",\"reason\":", version_state_info(list[i].state)->oip);
		json_put_cstr(&b, list[i].reason ? list[i].reason : "");
		/* Triton has no word for it: to its clients it is one more that is unavailable. */
		buf_str(&b, list[i].aside ? ",\"aside\":true}" : "}");
	}
	buf_char(&b, ']');
	return call_reply_json(c, &b, err);
}

static enum err_code reply_loaded(struct call *c, const char *what, struct err *err)
{
	struct buf b = buf_of(c->arena, 0);
	buf_str(&b, "{\"name\":");
	json_put_string(&b, c->model);
	buf_printf(&b, ",\"%s\":true}", what);
	return call_reply_json(c, &b, err);
}

/* {"parameters": {...}}, or no body. */
static enum err_code check_load(struct call *c, struct err *err)
{
	struct json j;
	struct slice key;
	if (!call_enter_json(c, &j))
		return ERR_OK;
	while (json_member(&j, &key)) {
		if (!slice_is(key, "parameters")) {
			json_skip(&j, NULL);
			continue;
		}
		json_enter_object(&j);
		while (json_member(&j, &key)) {
			TRY(oip_check_load(key, err));
			json_skip(&j, NULL);
		}
	}
	json_end(&j);
	return json_error(&j, err);
}

enum err_code v2_load(struct call *c, struct err *err)
{
	TRY(check_load(c, err));
	TRY(repo_load(c->http->repo, c->model, err));
	return reply_loaded(c, "load", err);
}

enum err_code v2_unload(struct call *c, struct err *err)
{
	enum err_code rc = repo_unload(c->http->repo, c->model, err);
	return rc == ERR_OK ? reply_loaded(c, "unload", err) : rc;
}
