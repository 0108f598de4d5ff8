/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/model_info.h"

#define CALL_TIMEOUT_MS 60000

/* The server's message: {"error": "..."} in every dialect that it speaks. */
static enum err_code status_error(
	int status, struct slice body, struct arena *arena, struct err *err)
{
	enum err_code code = status == 404   ? ERR_NOT_FOUND
			     : status == 503 ? ERR_UNAVAILABLE
					     : ERR_UNKNOWN;
	struct slice text = { "", 0 }, key;
	struct json j;
	json_init(&j, body, arena, false);
	json_enter_object(&j);
	while (json_member(&j, &key)) {
		if (!slice_is(key, "error") || !json_string(&j, &text))
			json_skip(&j, NULL);
	}
	return err_set(err, code, "the server answered %d%s%.*s", status, text.len ? ": " : "",
		SLICE_ARG(text));
}

enum err_code model_info_exchange(const struct http_url *url, const struct http_request *q,
	struct arena *arena, struct http_reply *ret, struct slice *ret_body, struct err *err)
{
	enum err_code rc = http_call(url, q, CALL_TIMEOUT_MS, arena, ret, ret_body, err);
	if (rc == ERR_OK && ret->status / 100 != 2)
		rc = status_error(ret->status, *ret_body, arena, err);
	return rc;
}

enum err_code model_info_call(const struct http_url *url, const struct http_request *q,
	struct arena *arena, struct slice *ret_body, struct err *err)
{
	struct http_reply reply;
	return model_info_exchange(url, q, arena, &reply, ret_body, err);
}

static const char *path_of(struct arena *arena, const char *model, const char *version)
{
	return arena_printf(arena, "/v2/models/%s%s%s", model, version ? "/versions/" : "",
		version ? version : "");
}

int model_info_find(const struct model_io *io, int n, struct slice name)
{
	for (int i = 0; i < n; i++) {
		if (slice_is(name, io[i].name))
			return i;
	}
	return -1;
}

void model_info_shape(struct json *j, struct shape *ret)
{
	json_enter_array(j);
	while (json_next(j)) {
		int64_t dim = 0;
		if (ret->rank == RANK_MAX)
			json_fail(j, "more dimensions than a tensor has");
		else if (json_i64(j, &dim))
			ret->dim[ret->rank++] = dim < 0 ? DIM_UNKNOWN : dim;
	}
}

static void read_io(struct json *j, struct arena *arena, struct model_io *io)
{
	struct slice key, text;
	io->name = "";
	json_enter_object(j);
	while (json_member(j, &key)) {
		if (slice_is(key, "name") && json_string(j, &text)) {
			const char *name = arena_strndup(arena, text.ptr, text.len);
			io->name = name ? name : "";
		} else if (slice_is(key, "datatype") && json_string(j, &text)) {
			io->dtype = dtype_find_oip(text);
		} else if (slice_is(key, "shape")) {
			model_info_shape(j, &io->shape);
		} else {
			json_skip(j, NULL);
		}
	}
}

static void read_ios(struct json *j, struct arena *arena, struct model_io **ret, int *ret_n)
{
	struct slice raw;
	size_t commas;
	if (!json_skim(j, &raw, &commas))
		return;
	/* Each input brings at least one comma, so this is room enough. */
	struct model_io *io = ARENA_ARRAY(arena, struct model_io, commas + 1);
	struct json list;
	json_init_value(&list, raw, j);
	int n = 0;
	json_enter_array(&list);
	while (io && json_next(&list))
		read_io(&list, arena, &io[n++]);
	if (!io || list.error)
		json_fail(j, list.error ? list.error : "out of memory");
	*ret = io;
	*ret_n = n;
}

static const char *read_versions(struct json *j, struct arena *arena)
{
	struct buf b = buf_of(arena, 0);
	struct slice one, all;
	json_enter_array(j);
	while (json_next(j) && json_string(j, &one)) {
		buf_str(&b, b.len ? ", " : "");
		buf_slice(&b, one);
	}
	return buf_finish(&b, &all, NULL) == ERR_OK ? all.ptr : "";
}

enum err_code model_info_fetch(const struct http_url *url, const char *model, const char *version,
	struct arena *arena, struct model_info *ret, struct err *err)
{
	*ret = (struct model_info){ .name = model, .version = version, .platform = "",
		.versions = "" };
	struct slice body, key, text;
	struct http_request q = { .method = "GET", .path = path_of(arena, model, version) };
	if (!q.path)
		return err_oom(err);
	enum err_code rc = model_info_call(url, &q, arena, &body, err);
	if (rc != ERR_OK)
		return rc;
	struct json j;
	json_init(&j, body, arena, false);
	json_enter_object(&j);
	while (json_member(&j, &key)) {
		if (slice_is(key, "platform") && json_string(&j, &text))
			ret->platform = arena_strndup(arena, text.ptr, text.len);
		else if (slice_is(key, "versions"))
			ret->versions = read_versions(&j, arena);
		else if (slice_is(key, "inputs"))
			read_ios(&j, arena, &ret->in, &ret->n_in);
		else if (slice_is(key, "outputs"))
			read_ios(&j, arena, &ret->out, &ret->n_out);
		else
			json_skip(&j, NULL);
	}
	json_end(&j);
	rc = json_error(&j, err);
	return rc == ERR_OK ? rc : err_prefix(err, "metadata of model '%s'", model);
}
