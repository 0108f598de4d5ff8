/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/protocol.h"

#include <stdio.h>
#include <string.h>

#include "tools/protocol_rest.h"
#include "tools/protocol_rpc.h"

/* -- tensors as raw bytes ----------------------------------------------------------------- */

size_t protocol_raw_bytes(const struct tensor *t)
{
	if (t->dtype != DTYPE_STRING)
		return tensor_bytes(t);
	size_t bytes = 0;
	for (int64_t i = 0; i < tensor_count(t); i++)
		bytes += 4 + ((const struct slice *)t->data)[i].len;
	return bytes;
}

void protocol_raw_write(struct buf *to, const struct tensor *t)
{
	if (t->dtype != DTYPE_STRING) {
		buf_bytes(to, t->data, tensor_bytes(t));
		return;
	}
	for (int64_t i = 0; i < tensor_count(t); i++) {
		struct slice s = ((const struct slice *)t->data)[i];
		buf_bytes(to, &(uint32_t){ (uint32_t)s.len }, 4);
		buf_slice(to, s);
	}
}

bool protocol_raw_read(struct slice raw, struct tensor *t)
{
	if (t->dtype != DTYPE_STRING) {
		if (raw.len != tensor_bytes(t))
			return false;
		memcpy(t->data, raw.ptr, raw.len);
		return true;
	}
	size_t at = 0;
	for (int64_t i = 0; i < tensor_count(t); i++) {
		uint32_t len;
		if (raw.len - at < 4)
			return false;
		memcpy(&len, raw.ptr + at, 4);
		at += 4;
		if (raw.len - at < len)
			return false;
		((struct slice *)t->data)[i] = (struct slice){ raw.ptr + at, len };
		at += len;
	}
	return at == raw.len;
}

/* -- the table ---------------------------------------------------------------------------- */

static const struct protocol protocols[] = {
	{ "v1", protocol_rest_v1_encode, protocol_rest_v1_decode, "/v1/models/", ":predict", NULL },
	{ "v2", protocol_rest_v2_encode, protocol_rest_v2_decode, "/v2/models/", "/infer", NULL },
	{ "v2-binary", protocol_rest_v2_encode_binary, protocol_rest_v2_decode, "/v2/models/",
		"/infer", NULL },
	{ "grpc-v2", protocol_rpc_v2_encode, protocol_rpc_v2_decode, NULL, NULL, &protocol_rpc_v2 },
	{ "grpc-tfs", protocol_rpc_tfs_encode, protocol_rpc_tfs_decode, NULL, NULL,
		&protocol_rpc_tfs },
};

#define PROTOCOL_COUNT (sizeof(protocols) / sizeof(protocols[0]))

const struct protocol *protocol_find(const char *name)
{
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		if (strcmp(protocols[i].name, name) == 0)
			return &protocols[i];
	}
	return NULL;
}

const char *protocol_names(void)
{
	static char text[80];
	size_t len = 0;
	for (size_t i = 0; i < PROTOCOL_COUNT && len < sizeof(text); i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s%s", i ? ", " : "", protocols[i].name);
	return text;
}

enum err_code protocol_body(const struct protocol *p, const struct model_info *m,
	const struct tensor *in, struct arena *arena, size_t *ret_json_bytes, struct slice *ret,
	struct err *err)
{
	struct buf b = buf_of(arena, HTTP_BODY_MAX);
	enum err_code rc = p->encode(m, in, &b, ret_json_bytes, err);
	return rc == ERR_OK ? buf_finish(&b, ret, err) : rc;
}

enum err_code protocol_request(const struct protocol *p, const struct model_info *m,
	const struct tensor *in, struct arena *arena, struct http_request *ret, struct err *err)
{
	enum err_code rc = protocol_body(p, m, in, arena, &ret->json_bytes, &ret->body, err);
	if (rc != ERR_OK)
		return rc;
	ret->method = "POST";
	ret->path = arena_printf(arena, "%s%s%s%s%s", p->prefix, m->name,
		m->version ? "/versions/" : "", m->version ? m->version : "", p->suffix);
	return ret->path ? ERR_OK : err_oom(err);
}
