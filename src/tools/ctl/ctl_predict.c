/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_predict.c -- signetctl predict: ask a model, see its outputs
 *
 * Either a request as it stands in a file, of TensorFlow Serving's form, which is posted
 * as it is; or inputs one by one, which go as binary tensors.
 */
#include <stdio.h>
#include <string.h>

#include "tools/ctl/ctl.h"
#include "tools/model_inputs.h"
#include "tools/protocol.h"
#include "tools/ctl/tensor_file.h"
#include "tools/tool_file.h"

#define PRINT_MAX 1000

/* A value in brackets, or a bare number: JSON; else a file. */
static enum err_code read_input(const struct model_io *io, const char *value, struct arena *arena,
	struct tensor *ret, struct err *err)
{
	if (!strchr("[-0123456789\"tf", *value) || strstr(value, ".npy") || strstr(value, ".pb"))
		return tensor_file_read(value, &io->type, arena, ret, err);
	return protocol_read_json(io, slice_of(value), arena, ret, err);
}

static enum err_code print_outputs(struct ctl *c, const struct model_info *m,
	const struct args_list *files, const struct tensor *out, struct err *err)
{
	for (int i = 0; i < m->n_out; i++) {
		const char *file = args_value(files, m->out[i].name);
		if (!out[i].data)
			continue;
		if (file) {
			enum err_code rc = tensor_file_write(
				file, m->out[i].name, &m->out[i].type, &out[i], err);
			if (rc != ERR_OK)
				return rc;
			continue;
		}
		struct buf b = buf_of(c->arena, 0);
		struct slice text;
		values_print_nested(&b, &out[i], PRINT_MAX);
		if (buf_finish(&b, &text, err) != ERR_OK)
			return ERR_RESOURCE_EXHAUSTED;
		printf("%s: %s%s = %s\n", m->out[i].name, dtype_name(out[i].dtype),
			SHAPE_TEXT(&out[i].shape), text.ptr);
	}
	return ERR_OK;
}

static enum err_code predict_tensors(struct ctl *c, const char *version,
	const struct args_list *input, const struct args_list *output, struct err *err)
{
	const struct protocol *p = protocol_find("v2-binary");
	const struct args_list no_shapes = { 0 };
	struct model_inputs_conf conf = { input, &no_shapes, 1, read_input };
	struct model_info m;
	struct http_request q;
	struct http_reply reply;
	struct slice body;
	enum err_code rc = model_info_fetch(&c->url, c->argv[1], version, c->arena, &m, err);
	if (rc == ERR_OK)
		rc = model_inputs_check(&m, &conf, err);
	if (rc == ERR_OK)
		rc = model_inputs_check_names(m.out, m.n_out, output, "--output", err);
	if (rc != ERR_OK)
		return rc;
	for (int i = 0; i < m.n_in; i++) {
		if (!args_value(input, m.in[i].name))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"input '%s' (%s%s) is missing: --input '%s=...'", m.in[i].name,
				dtype_name(m.in[i].dtype), SHAPE_TEXT(&m.in[i].shape),
				m.in[i].name);
	}
	struct tensor *in = ARENA_ARRAY(c->arena, struct tensor, (size_t)m.n_in + 1);
	struct tensor *out = ARENA_ARRAY(c->arena, struct tensor, (size_t)m.n_out + 1);
	if (!in || !out)
		return err_oom(err);
	rc = model_inputs_make(&m, &conf, NULL, c->arena, in, err);
	if (rc == ERR_OK)
		rc = protocol_request(p, &m, in, c->arena, &q, err);
	if (rc == ERR_OK)
		rc = model_info_exchange(&c->url, &q, c->arena, &reply, &body, err);
	if (rc == ERR_OK)
		rc = p->decode(&m, body, reply.json_bytes, c->arena, out, err);
	return rc == ERR_OK ? print_outputs(c, &m, output, out, err) : rc;
}

static enum err_code predict_file(
	struct ctl *c, const char *version, const char *file, struct err *err)
{
	struct slice request, body;
	enum err_code rc = tool_file_read(file, c->arena, &request, err);
	if (rc == ERR_OK)
		rc = ctl_call(c, "POST",
			arena_printf(c->arena, "/v1/models/%s%s%s:predict", c->argv[1],
				version ? "/versions/" : "", version ? version : ""),
			request, &body, err);
	if (rc != ERR_OK)
		return rc;
	fwrite(body.ptr, 1, body.len, stdout);
	if (body.len && body.ptr[body.len - 1] != '\n')
		putchar('\n');
	return ERR_OK;
}

enum err_code ctl_predict(struct ctl *c, struct err *err)
{
	struct args_list input = { 0 }, output = { 0 };
	const char *version = NULL;
	const struct args_option options[] = {
		{ "input", ARGS_LIST, &input, "NAME=VALUE",
			"an input: .npy, .pb, or JSON as in 'x=[[1, 2]]'" },
		{ "output", ARGS_LIST, &output, "NAME=FILE",
			"where an output goes, .npy or .pb; else it is printed" },
		{ "version", ARGS_TEXT, &version, "N", "ask this version; default: the latest" },
		{ 0 },
	};
	enum err_code rc = ctl_options(c, options, 1, 2, err);
	if (rc != ERR_OK)
		return rc;
	if (c->argc == 3 && input.n)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "a request in a file, or --input: give one");
	return c->argc == 3 ? predict_file(c, version, c->argv[2], err)
			    : predict_tensors(c, version, &input, &output, err);
}
