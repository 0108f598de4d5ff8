/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_server.c -- the subcommands that look at a server or tell it what to load
 */
#include <stdio.h>

#include "base/json.h"
#include "tools/ctl/ctl.h"
#include "tools/ctl/table.h"

static const struct args_option no_options[] = { { 0 } };

enum err_code ctl_call(struct ctl *c, const char *method, const char *path, struct slice body,
	struct slice *ret_body, struct err *err)
{
	if (!path)
		return err_oom(err);
	struct http_request q = { .method = method, .path = path, .body = body,
		.json_bytes = body.len };
	return model_info_call(&c->url, &q, c->arena, ret_body, err);
}

static void read_version(struct json *j, struct ctl_version *v)
{
	struct slice key;
	json_enter_object(j);
	while (json_member(j, &key)) {
		struct slice *to = slice_is(key, "name")      ? &v->model
				   : slice_is(key, "version") ? &v->version
				   : slice_is(key, "state")   ? &v->state
				   : slice_is(key, "reason")  ? &v->reason
							      : NULL;
		if (to && json_peek(j) == JSON_STRING)
			json_string(j, to);
		else if (slice_is(key, "aside"))
			json_bool(j, &v->aside);
		else
			json_skip(j, NULL);
	}
}

enum err_code ctl_index(
	struct ctl *c, const char *model, struct ctl_version **ret, int *ret_n, struct err *err)
{
	struct slice body, raw;
	enum err_code rc = ctl_call(c, "POST", "/v2/repository/index", SLICE_LIT("{}"), &body, err);
	if (rc != ERR_OK)
		return rc;
	struct json j, list;
	size_t commas = 0;
	json_init(&j, body, c->arena, false);
	json_skim(&j, &raw, &commas);
	struct ctl_version *v = ARENA_ARRAY(c->arena, struct ctl_version, commas + 1);
	if (!v)
		return err_oom(err);
	int n = 0;
	json_init(&list, body, c->arena, false);
	json_enter_array(&list);
	while (json_next(&list)) {
		v[n] = (struct ctl_version){ 0 };
		read_version(&list, &v[n]);
		n += !model || slice_is(v[n].model, model);
	}
	json_end(&list);
	rc = json_error(&list, err);
	if (rc != ERR_OK)
		return err_prefix(err, "repository index");
	if (model && n == 0)
		return err_set(err, ERR_NOT_FOUND, "the server has no model '%s'", model);
	*ret = v;
	*ret_n = n;
	return ERR_OK;
}

static const char *text(struct ctl *c, struct slice s)
{
	return s.ptr ? arena_strndup(c->arena, s.ptr, s.len) : "";
}

static void print_versions(struct ctl *c, const struct ctl_version *v, int n)
{
	struct table t;
	table_init(
		&t, c->arena, (const char *const[]){ "MODEL", "VERSION", "STATE", "REASON", NULL });
	for (int i = 0; i < n; i++)
		TABLE_ROW(&t, text(c, v[i].model), text(c, v[i].version), text(c, v[i].state),
			text(c, v[i].reason));
	table_print(&t, stdout);
}

/* Moves those that should be ready and are not to the front. */
static void count_versions(
	struct ctl_version *v, int n, int *ret_ready, int *ret_aside, int *ret_missing)
{
	int missing = 0;
	*ret_ready = *ret_aside = 0;
	for (int i = 0; i < n; i++) {
		if (slice_is(v[i].state, "READY"))
			++*ret_ready;
		else if (v[i].aside)
			++*ret_aside;
		else
			v[missing++] = v[i];
	}
	*ret_missing = missing;
}

static void print_summary(struct ctl *c, bool is_ready, struct ctl_version *v, int n)
{
	int ready, aside, missing;
	count_versions(v, n, &ready, &aside, &missing);
	printf("%s, %d of %d versions ready", is_ready ? "ready" : "not ready", ready,
		ready + missing);
	printf(aside ? ", %d left aside\n" : "\n", aside);
	if (missing)
		print_versions(c, v, missing);
}

enum err_code ctl_models(struct ctl *c, struct err *err)
{
	struct ctl_version *v;
	int n;
	enum err_code rc = ctl_options(c, no_options, 0, 0, err);
	if (rc == ERR_OK)
		rc = ctl_index(c, NULL, &v, &n, err);
	if (rc == ERR_OK)
		print_versions(c, v, n);
	return rc;
}

enum err_code ctl_status(struct ctl *c, struct err *err)
{
	struct slice body, key, name = { 0 }, version = { 0 };
	struct ctl_version *v;
	int n;
	enum err_code rc = ctl_options(c, no_options, 0, 0, err);
	if (rc == ERR_OK)
		rc = ctl_call(c, "GET", "/v2", (struct slice){ 0 }, &body, err);
	if (rc != ERR_OK)
		return rc;
	struct json j;
	json_init(&j, body, c->arena, false);
	json_enter_object(&j);
	while (json_member(&j, &key)) {
		struct slice *to = slice_is(key, "name")      ? &name
				   : slice_is(key, "version") ? &version
							      : NULL;
		if (!to || !json_string(&j, to))
			json_skip(&j, NULL);
	}
	rc = json_error(&j, err);
	if (rc == ERR_OK)
		rc = ctl_index(c, NULL, &v, &n, err);
	if (rc != ERR_OK)
		return rc;
	struct err why = { 0 };
	rc = ctl_call(c, "GET", "/v2/health/ready", (struct slice){ 0 }, &body, &why);
	printf("%.*s %.*s at %s: ", SLICE_ARG(name), SLICE_ARG(version), c->url.authority);
	print_summary(c, rc == ERR_OK, v, n);
	return rc == ERR_OK ? ERR_OK : err_set(err, rc, "not ready: %s", why.msg);
}

/* -- show --------------------------------------------------------------------------------- */

/* "tensor_shape": {"dim": [{"size": "-1", "name": "batch"}, ...]} as "[batch,64]". */
static const char *read_tensor_shape(struct ctl *c, struct json *j)
{
	struct buf b = buf_of(c->arena, 0);
	struct slice key, out;
	buf_char(&b, '[');
	json_enter_object(j);
	while (json_member(j, &key)) {
		if (!slice_is(key, "dim")) {
			json_skip(j, NULL);
			continue;
		}
		json_enter_array(j);
		while (json_next(j)) {
			struct slice size = SLICE_LIT("?"), name = { 0 };
			json_enter_object(j);
			while (json_member(j, &key)) {
				struct slice *to = slice_is(key, "size")   ? &size
						   : slice_is(key, "name") ? &name
									   : NULL;
				if (!to || !json_string(j, to))
					json_skip(j, NULL);
			}
			buf_str(&b, b.len > 1 ? "," : "");
			if (slice_is(size, "-1")) /* not fixed: by name, if it has one */
				size = name.len ? name : SLICE_LIT("?");
			buf_slice(&b, size);
		}
	}
	buf_char(&b, ']');
	return buf_finish(&b, &out, NULL) == ERR_OK ? out.ptr : "";
}

/* TensorFlow's name of a type as ours. */
static const char *type_name(struct ctl *c, struct slice tf_name)
{
	for (int i = 0; i < DTYPE_COUNT_; i++) {
		if (i != DTYPE_UNDEFINED && slice_is(tf_name, dtype_info((enum dtype)i)->tf_name))
			return dtype_name((enum dtype)i);
	}
	return text(c, tf_name);
}

static void show_tensors(
	struct ctl *c, struct json *j, struct slice signature, const char *way, struct table *t)
{
	struct slice name, key, dtype;
	json_enter_object(j);
	while (json_member(j, &name)) {
		const char *type = "", *shape = "";
		json_enter_object(j);
		while (json_member(j, &key)) {
			if (slice_is(key, "dtype") && json_string(j, &dtype))
				type = type_name(c, dtype);
			else if (slice_is(key, "tensor_shape"))
				shape = read_tensor_shape(c, j);
			else
				json_skip(j, NULL);
		}
		TABLE_ROW(t, text(c, signature), way, text(c, name), type, shape);
	}
}

/* Goes down into the one key of interest; false: it is not there. */
static bool enter_member(struct json *j, const char *want)
{
	struct slice key;
	json_enter_object(j);
	while (json_member(j, &key)) {
		if (slice_is(key, want))
			return true;
		json_skip(j, NULL);
	}
	return false;
}

static void show_signatures(struct ctl *c, struct json *j, struct table *t)
{
	struct slice signature, key;
	json_enter_object(j);
	while (json_member(j, &signature)) {
		json_enter_object(j);
		while (json_member(j, &key)) {
			if (slice_is(key, "inputs"))
				show_tensors(c, j, signature, "in", t);
			else if (slice_is(key, "outputs"))
				show_tensors(c, j, signature, "out", t);
			else
				json_skip(j, NULL);
		}
	}
}

enum err_code ctl_show(struct ctl *c, struct err *err)
{
	struct ctl_version *v;
	struct slice body;
	int n;
	const char *version = NULL;
	const struct args_option options[] = {
		{ "version", ARGS_TEXT, &version, "N",
			"signatures of this version; default: the latest" },
		{ 0 },
	};
	enum err_code rc = ctl_options(c, options, 1, 1, err);
	if (rc == ERR_OK)
		rc = ctl_index(c, c->argv[1], &v, &n, err);
	if (rc != ERR_OK)
		return rc;
	print_versions(c, v, n);
	rc = ctl_call(c, "GET",
		arena_printf(c->arena, "/v1/models/%s%s%s/metadata", c->argv[1],
			version ? "/versions/" : "", version ? version : ""),
		(struct slice){ 0 }, &body, err);
	if (rc != ERR_OK)
		return rc;
	struct table t;
	struct json j;
	table_init(&t, c->arena,
		(const char *const[]){ "SIGNATURE", "", "NAME", "TYPE", "SHAPE", NULL });
	json_init(&j, body, c->arena, false);
	if (enter_member(&j, "metadata") && enter_member(&j, "signature_def") &&
		enter_member(&j, "signature_def"))
		show_signatures(c, &j, &t);
	rc = json_error(&j, err);
	if (rc != ERR_OK)
		return err_prefix(err, "metadata of '%s'", c->argv[1]);
	putchar('\n');
	table_print(&t, stdout);
	return ERR_OK;
}

/* -- load, unload ------------------------------------------------------------------------- */

static enum err_code repository_command(struct ctl *c, const char *what, struct err *err)
{
	struct slice body;
	enum err_code rc = ctl_options(c, no_options, 1, 1, err);
	if (rc == ERR_OK)
		rc = ctl_call(c, "POST",
			arena_printf(c->arena, "/v2/repository/models/%s/%s", c->argv[1], what),
			SLICE_LIT("{}"), &body, err);
	return rc;
}

enum err_code ctl_load(struct ctl *c, struct err *err)
{
	struct ctl_version *v;
	int n;
	enum err_code rc = repository_command(c, "load", err);
	if (rc == ERR_OK)
		rc = ctl_index(c, c->argv[1], &v, &n, err);
	if (rc == ERR_OK)
		print_versions(c, v, n);
	return rc;
}

enum err_code ctl_unload(struct ctl *c, struct err *err)
{
	enum err_code rc = repository_command(c, "unload", err);
	if (rc == ERR_OK)
		printf("model '%s' is unloaded\n", c->argv[1]);
	return rc;
}
