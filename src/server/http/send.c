/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/send.h"

#include "base/number.h"
#include "server/http/cors.h"

struct response {
	struct call *call;
	struct MHD_Response *mhd;
};

/* The bytes may lie in libmicrohttpd's memory, with no end. */
static void add_header(void *ctx, const char *name, struct slice value)
{
	const struct response *r = ctx;
	const char *text = arena_strndup(r->call->arena, value.ptr, value.len);
	if (text)
		MHD_add_response_header(r->mhd, name, text);
}

/* What a browser asks before a page's request. Whatever headers the page would send may come:
   a proxy before us wants its Authorization, tracing its traceparent, and we act on few. */
static void add_preflight(struct response *r)
{
	MHD_add_response_header(r->mhd, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
	MHD_add_response_header(r->mhd, "Access-Control-Max-Age", "600");
	if (r->call->head.asked_headers.len > 0)
		add_header(r, "Access-Control-Allow-Headers", r->call->head.asked_headers);
}

static void add_cors(struct call *c, struct MHD_Response *response)
{
	const struct http_conf *conf = &c->http->conf;
	struct response r = { c, response };
	cors_headers(conf, c->head.origin, add_header, &r);
	if (c->head.is_preflight && cors_allows(conf, c->head.origin))
		add_preflight(&r);
}

static void add_headers(struct call *c, struct MHD_Response *response)
{
	const struct reply *r = &c->reply;
	char number[NUMBER_TEXT_MAX];
	if (r->type)
		MHD_add_response_header(response, "Content-Type", r->type);
	if (r->json_len >= 0) {
		number[number_format_i64(number, r->json_len)] = '\0';
		MHD_add_response_header(response, "Inference-Header-Content-Length", number);
	}
	if (r->allow)
		MHD_add_response_header(response, "Allow", r->allow);
	if (r->status == 503)
		MHD_add_response_header(response, "Retry-After", "1");
	if (r->close || atomic_load_explicit(&c->http->draining, memory_order_relaxed))
		MHD_add_response_header(response, "Connection", "close");
	add_cors(c, response);
}

/* The bytes stay ours: they live in arenas until on_completed(). */
static struct MHD_Response *make_response(struct call *c)
{
	struct reply *r = &c->reply;
	if (r->n_part <= 1) {
		struct slice body = r->n_part ? r->part[0] : (struct slice){ "", 0 };
		return MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr,
			MHD_RESPMEM_PERSISTENT);
	}
	struct MHD_IoVec *iov = ARENA_ARRAY(c->arena, struct MHD_IoVec, (size_t)r->n_part);
	if (!iov)
		return NULL;
	for (int i = 0; i < r->n_part; i++)
		iov[i] = (struct MHD_IoVec){ r->part[i].ptr, r->part[i].len };
	return MHD_create_response_from_iovec(iov, (unsigned)r->n_part, NULL, NULL);
}

static void count(const struct call *c)
{
	int route = c->route ? (int)c->route->id : ROUTE_COUNT_;
	int class = c->reply.status / 100;
	if (class >= STATUS_CLASSES)
		class = 0;
	atomic_fetch_add_explicit(&c->io->answered[route][class], 1, memory_order_relaxed);
}

enum MHD_Result send_reply(struct call *c)
{
	struct http *h = c->http;
	if (!sock_enter(&h->socks, c->sock, SOCK_REPLY))
		return MHD_NO;
	struct MHD_Response *response = make_response(c);
	if (!response)
		return MHD_NO;
	add_headers(c, response);
	c->io->answered_at_once += c->stage != CALL_WAIT;
	enum MHD_Result queued = MHD_queue_response(c->mhd, (unsigned)c->reply.status, response);
	MHD_destroy_response(response);
	count(c);
	return queued;
}

enum MHD_Result send_refusal(struct call *c, int status, enum refusal why, const char *msg)
{
	http_count_refusal(c->http, why);
	if (sock_enter(&c->http->socks, c->sock, SOCK_REPLY))
		sock_refuse(c->http, c->fd, status, msg,
			c->head.origin.len ? c->head.origin : CORS_UNKNOWN);
	return MHD_NO;
}
