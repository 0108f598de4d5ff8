/* SPDX-License-Identifier: Apache-2.0 */
/* Status and metadata as TensorFlow Serving tells them, with the keys that KServe reads. */
#include "base/json.h"
#include "server/http/http_state.h"
#include "server/dialect/tfs.h"

static void put_status(struct buf *b, const struct version_status *v, bool first)
{
	buf_printf(b,
		"%s{\"version\":\"%lld\",\"state\":\"%s\",\"status\":{\"error_code\":\"%s\","
		"\"error_message\":",
		first ? "" : ",", (long long)v->number, version_state_info(v->state)->tfs,
		err_name(v->code));
	json_put_cstr(b, v->reason ? v->reason : "");
	buf_str(b, "}}");
}

enum err_code v1_status(struct call *c, struct err *err)
{
	struct version_status *list;
	int n;
	struct buf b = buf_of(c->arena, 0);
	bool ready = false;
	TRY(tfs_versions(c->http->registry, c->model, &c->spec, c->arena, &list, &n, err));
	buf_str(&b, "{\"model_version_status\":[");
	for (int i = 0; i < n; i++) {
		put_status(&b, &list[i], i == 0);
		ready |= list[i].state == VERSION_READY;
	}
	buf_str(&b, "],\"name\":");
	json_put_string(&b, c->model);
	buf_printf(&b, ",\"ready\":%s}", ready ? "true" : "false");
	return call_reply_json(c, &b, err);
}

static void put_tensor_info(struct buf *b, const struct signature_io *io)
{
	json_put_cstr(b, io->name);
	buf_printf(b, ":{\"dtype\":\"%s\",\"tensor_shape\":{\"dim\":[",
		dtype_info(io->type.dtype)->tf_name);
	for (int i = 0; i < io->shape.rank; i++) {
		buf_printf(b, "%s{\"size\":\"%lld\",\"name\":", i ? "," : "",
			(long long)(io->shape.dim[i] < 0 ? -1 : io->shape.dim[i]));
		json_put_cstr(b, io->dim_name[i] ? io->dim_name[i] : "");
		buf_char(b, '}');
	}
	buf_printf(b, "],\"unknown_rank\":%s},\"name\":", io->shape.rank < 0 ? "true" : "false");
	json_put_cstr(b, io->value);
	buf_char(b, '}');
}

static void put_tensor_infos(struct buf *b, const char *key, const struct signature_io *io, int n)
{
	buf_printf(b, "\"%s\":{", key);
	for (int i = 0; i < n; i++) {
		if (i)
			buf_char(b, ',');
		put_tensor_info(b, &io[i]);
	}
	buf_str(b, "},");
}

enum err_code v1_metadata(struct call *c, struct err *err)
{
	struct version *v;
	struct buf b = buf_of(c->arena, 0);
	enum err_code rc = call_acquire(c, &v, err);
	if (rc != ERR_OK)
		return tfs_not_found(rc, c->model, &c->spec, err);
	buf_str(&b, "{\"model_spec\":{\"name\":");
	json_put_cstr(&b, v->model);
	buf_printf(&b,
		",\"signature_name\":\"\",\"version\":\"%lld\"},\"metadata\":{\"signature_def\":"
		"{\"signature_def\":{",
		(long long)v->number);
	for (int i = 0; i < v->n_sig; i++) {
		if (i)
			buf_char(&b, ',');
		json_put_cstr(&b, v->sig[i].name);
		buf_str(&b, ":{");
		put_tensor_infos(&b, "inputs", v->sig[i].in, v->sig[i].n_in);
		put_tensor_infos(&b, "outputs", v->sig[i].out, v->sig[i].n_out);
		buf_str(&b, "\"method_name\":\"" TFS_METHOD_PREDICT "\"}");
	}
	buf_str(&b, "}}}}");
	version_release(v);
	return call_reply_json(c, &b, err);
}
