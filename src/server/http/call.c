/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/call.h"

#include "base/clock.h"
#include "server/http/http_state.h"

static const char json_type[] = "application/json";

void call_reply(struct call *c, int status, const char *type, struct slice body)
{
	c->reply.status = status;
	c->reply.type = type;
	c->reply.n_part = 0;
	c->reply.json_len = -1;
	c->reply.part = arena_alloc(c->arena, sizeof(*c->reply.part));
	if (c->reply.part) {
		c->reply.part[0] = body;
		c->reply.n_part = 1;
	}
}

enum err_code call_reply_json(struct call *c, struct buf *b, struct err *err)
{
	struct slice body;
	enum err_code rc = buf_finish(b, &body, err);
	if (rc == ERR_OK)
		call_reply(c, 200, json_type, body);
	return rc;
}

void call_reply_error(struct call *c, int status, const char *msg)
{
	struct buf b = buf_of(c->arena, 0);
	struct slice body;
	buf_str(&b, "{\"error\":");
	json_put_cstr(&b, msg);
	buf_char(&b, '}');
	if (buf_finish(&b, &body, NULL) != ERR_OK)
		body = SLICE_LIT("{\"error\":\"out of memory\"}");
	call_reply(c, status, json_type, body);
}

enum err_code call_acquire(struct call *c, struct version **ret, struct err *err)
{
	return registry_acquire(c->http->registry, c->model, &c->spec, ret, err);
}

enum err_code call_check_version(struct call *c, struct err *err)
{
	struct version *v;
	TRY(call_acquire(c, &v, err));
	version_release(v);
	return ERR_OK;
}

bool call_enter_json(struct call *c, struct json *j)
{
	if (c->body.len == 0)
		return false;
	json_init(j, c->body, c->arena, false);
	json_enter_object(j);
	return true;
}

enum err_code call_pin(struct call *c, struct slice signature, struct err *err)
{
	if (!c->request) {
		c->request = request_new();
		if (!c->request)
			return err_set(err, ERR_UNAVAILABLE, "too many requests in flight");
		c->request->arrived_ns = c->began_ns;
		int64_t limit_ns = c->http->conf.request_timeout_ms * NS_PER_MS;
		if (c->head.timeout_us && (!limit_ns || c->head.timeout_us < limit_ns / NS_PER_US))
			limit_ns = c->head.timeout_us * NS_PER_US;
		if (limit_ns)
			c->request->deadline_ns = clock_after(c->began_ns, limit_ns);
	}
	return request_pin(c->request, c->http->registry, c->model, &c->spec, signature, err);
}
