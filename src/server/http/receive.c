/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/receive.h"

#include <string.h>
#include "base/clock.h"
#include "server/http/send.h"

#define BODY_BYTES_MIN 4096    /* room for a body whose length is not announced */
#define DRAIN_BYTES 65536      /* a refused body up to this size is read, not reset */
#define PIECES_MAX 65536       /* of a body: a flood of tiny chunks is not served */
#define PIECE_BYTES 1024       /* of larger bodies a piece more for each */
#define EARLY_LOOK_BYTES 65536 /* bodies from here on are worth a look at the model first */

/* Room for what is announced, at once; where room is scarce only as it comes, since it may never.
   The first tensor of the binary extension comes to stand on a boundary that kernels like, so that
   it is used where it is. */
static bool reserve_body(struct call *c, size_t more)
{
	size_t need = c->body.len + more;
	if (need <= c->body_capacity)
		return true;
	bool believed = c->head.has_length && !room_is_scarce(request_room());
	size_t capacity = believed ? (size_t)c->head.length : c->body_capacity * 2;
	if (capacity < need)
		capacity = need < BODY_BYTES_MIN ? BODY_BYTES_MIN : need;
	size_t ahead = c->head.json_len > 0 ? (size_t)-c->head.json_len % ARENA_ALIGN_TENSOR : 0;
	char *p = arena_alloc_aligned(c->arena, ahead + capacity, ARENA_ALIGN_TENSOR);
	if (!p)
		return false;
	if (c->body.len)
		memcpy(p + ahead, c->body.ptr, c->body.len);
	c->body.ptr = p + ahead;
	c->body_capacity = capacity;
	return true;
}

enum MHD_Result receive_piece(struct call *c, const char *data, size_t len)
{
	struct http *h = c->http;
	if (++c->pieces > PIECES_MAX + (int)(h->conf.body_bytes_max / PIECE_BYTES))
		return send_refusal(c, 400, REFUSAL_FRAMING, "the body comes in too many pieces");
	if (len > h->conf.body_bytes_max - c->body.len)
		return send_refusal(c, 413, REFUSAL_TOO_LARGE, "the body is larger than the limit");
	if (c->stage == CALL_BODY) {
		if (!reserve_body(c, len))
			return send_refusal(c, 503, REFUSAL_MEMORY, "no memory for the body");
		memcpy((char *)(uintptr_t)c->body.ptr + c->body.len, data, len);
	}
	c->body.len += len;
	atomic_store_explicit(&c->sock->received, c->body.len, memory_order_relaxed);
	return MHD_YES;
}

static int check_type(const struct call *c, const char **ret_msg)
{
	enum head_type type = head_type(&c->head);
	if (type == HEAD_TYPE_JSON ||
		(type == HEAD_TYPE_BINARY && (c->route->flags & ROUTE_BINARY)))
		return 0;
	*ret_msg = "Content-Type is not supported here: application/json is";
	return 415;
}

/* Before a large body is read: is there a version to answer it? 0 or an HTTP status. */
static int look_ahead(struct call *c, struct err *err)
{
	bool large =
		c->head.chunked || c->head.length > EARLY_LOOK_BYTES || c->head.expects_continue;
	if (!c->route->encode || !large)
		return 0;
	enum err_code rc = call_check_version(c, err);
	return rc == ERR_OK ? 0 : err_http(rc);
}

/* Method, path and type. Whatever is wrong with them, it is clear where the request ends, so the
   connection can go on. 0 or an HTTP status. */
static int check_request(struct call *c, const char *method, const char **ret_msg, struct err *err)
{
	unsigned m = route_method(method);
	if (m == 0) {
		*ret_msg = "unknown method";
		return 501;
	}
	int status = route_find(c, m, ret_msg);
	if (status == 405 && m == METHOD_OPTIONS)
		return 204;
	if (status)
		return status;
	if ((c->route->flags & ROUTE_ADMIN) && !c->http->conf.allow_admin) {
		*ret_msg = "explicit model load and unload are not allowed by the configuration";
		return 503;
	}
	if (c->route->method == METHOD_POST)
		status = check_type(c, ret_msg);
	if (status)
		return status;
	*ret_msg = err->msg;
	return look_ahead(c, err);
}

/* A refusal after which the connection can go on, once the body is out of the way. */
static enum MHD_Result reject(struct call *c, int status, const char *msg)
{
	bool small = !c->head.chunked && c->head.length <= DRAIN_BYTES;
	if (!small || c->head.expects_continue)
		return send_refusal(c, status, REFUSAL_FRAMING, msg);
	if (status == 204)
		call_reply(c, status, NULL, (struct slice){ "", 0 });
	else
		call_reply_error(c, status, msg);
	c->stage = CALL_DISCARD;
	return MHD_YES;
}

/* Method, target and version stand in libmicrohttpd's buffer one byte apart, unless a NUL
   has cut the target short, or there was more than one space. */
static bool line_is_whole(const struct call *c, const char *method, const char *version)
{
	return c->raw == method + strlen(method) + 1 && version == c->raw + c->target.len + 1;
}

enum MHD_Result receive_head(struct call *c, const char *method, const char *version)
{
	struct http *h = c->http;
	const char *msg = NULL;
	struct err err;
	bool fatal;
	c->began_ns = clock_now_ns();
	atomic_fetch_add_explicit(&c->io->in_flight, 1, memory_order_relaxed);

	int status = head_read(c->mhd, &c->head, &msg, &fatal);
	if (status && fatal)
		return send_refusal(c, status, REFUSAL_FRAMING, msg);
	if (!line_is_whole(c, method, version))
		return send_refusal(c, 400, REFUSAL_FRAMING, "the request line is malformed");
	if (c->head.has_length && c->head.length > h->conf.body_bytes_max)
		return send_refusal(c, 413, REFUSAL_TOO_LARGE, "the body is larger than the limit");
	if (status == 0)
		status = check_request(c, method, &msg, &err);
	bool has_body = c->head.chunked || c->head.length > 0;
	atomic_store_explicit(&c->sock->received, 0, memory_order_relaxed);
	if (!sock_enter(&h->socks, c->sock, has_body ? SOCK_BODY : SOCK_BUSY))
		return MHD_NO;
	if (status)
		return reject(c, status, msg);
	c->stage = CALL_BODY;
	return MHD_YES;
}
