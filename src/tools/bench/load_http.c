/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 * Keep-alive connections in one epoll, each with one request under way at most: two system
 * calls a request and a share of an epoll_pwait2().
 *
 * INVARIANTS
 * 1. A slot without request may have no descriptor; it is opened when it is given one.
 *
 * NOT DONE
 * Pipelining: servers answer it one after the other, and it would hide their latency.
 */
#include "tools/bench/load_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/http_client.h"
#include "tools/bench/load_state.h"

#define READ_BYTES (64 << 10)
#define EVENTS_MAX 256
#define CONNECT_MS 5000

struct conn {
	struct load_slot slot;
	bool is_open, wants_out;
	struct http_conn wire;
	struct slice out; /* what is left to send */
	char *in;
	size_t in_len, in_cap;
	struct http_reply reply;
};

struct pool {
	int epoll_fd;
};

static int epoll_of(const struct load *l)
{
	return ((const struct pool *)l->wire)->epoll_fd;
}

static struct conn *conn_of(struct load_slot *s)
{
	return (struct conn *)s;
}

static void conn_close(struct conn *c)
{
	if (c->is_open)
		http_conn_close(&c->wire);
	c->is_open = false;
	c->in_len = 0;
	c->wants_out = false;
	c->reply = (struct http_reply){ 0 };
}

static enum err_code conn_open(struct load *l, struct conn *c, struct err *err)
{
	TRY(http_connect(l->conf->server, &c->wire, err));
	c->is_open = true;
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	if (epoll_ctl(epoll_of(l), EPOLL_CTL_ADD, c->wire.fd, &ev) != 0) {
		conn_close(c);
		return err_set(err, ERR_INTERNAL, "epoll: %s", strerror(errno));
	}
	l->result->connections++;
	return ERR_OK;
}

static void conn_fails(struct load *l, struct conn *c, enum load_failure why)
{
	conn_close(c);
	load_failed(l, &c->slot, why);
}

static void conn_watch_out(struct load *l, struct conn *c, bool on)
{
	if (c->wants_out == on)
		return;
	struct epoll_event ev = { .events = EPOLLIN | (on ? EPOLLOUT : 0u), .data.ptr = c };
	epoll_ctl(epoll_of(l), EPOLL_CTL_MOD, c->wire.fd, &ev);
	c->wants_out = on;
}

static void conn_send(struct load *l, struct conn *c)
{
	ssize_t n = http_conn_send(&c->wire, c->out);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		conn_fails(l, c,
			errno == ECONNREFUSED || errno == EPROTO ? LOAD_CONNECT : LOAD_CLOSED);
		return;
	}
	if (n > 0) {
		c->out = (struct slice){ c->out.ptr + n, c->out.len - (size_t)n };
		l->result->bytes_out += (uint64_t)n;
	}
	conn_watch_out(l, c, c->out.len > 0 && http_conn_wants_out(&c->wire));
}

static void conn_answered(struct load *l, struct conn *c)
{
	struct http_reply r = c->reply;
	struct slice body = { c->in + r.head_bytes, r.body_bytes };
	if (c->in_len != r.head_bytes + r.body_bytes) {
		conn_fails(l, c, LOAD_MALFORMED);
		return;
	}
	if (!r.keep_alive)
		conn_close(c);
	c->in_len = 0;
	c->reply = (struct http_reply){ 0 };
	load_answered(l, &c->slot, r.status, body, r.json_bytes);
}

static bool conn_grow(struct conn *c)
{
	size_t want = c->in_len + READ_BYTES;
	size_t whole = c->reply.head_bytes + c->reply.body_bytes;
	if (c->reply.head_bytes && whole + 1 > want)
		want = whole + 1;
	if (c->in_cap >= want)
		return true;
	char *more = realloc(c->in, want);
	if (!more)
		return false;
	c->in = more;
	c->in_cap = want;
	return true;
}

static void conn_readable(struct load *l, struct conn *c)
{
	if (!conn_grow(c)) {
		conn_fails(l, c, LOAD_MALFORMED);
		return;
	}
	ssize_t n = http_conn_recv(&c->wire, c->in + c->in_len, c->in_cap - c->in_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (!c->slot.busy) { /* the server has closed an idle connection: no failure */
		conn_close(c);
		return;
	}
	if (n <= 0) {
		conn_fails(l, c, n < 0 && errno == ECONNREFUSED ? LOAD_CONNECT : LOAD_CLOSED);
		return;
	}
	c->in_len += (size_t)n;
	l->result->bytes_in += (uint64_t)n;
	switch (http_reply_parse(&c->reply, c->in, c->in_len)) {
	case HTTP_MORE:
		return;
	case HTTP_BAD:
		conn_fails(l, c, LOAD_MALFORMED);
		return;
	case HTTP_DONE:
		conn_answered(l, c);
		return;
	}
}

/* -- the way of requests ------------------------------------------------------------------- */

static enum err_code http_begin(struct load *l, struct err *err)
{
	struct pool *p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	l->wire = p;
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return p->epoll_fd < 0 ? err_set(err, ERR_INTERNAL, "epoll: %s", strerror(errno)) : ERR_OK;
}

static enum err_code http_slot_connect(struct load *l, struct load_slot *s, struct err *err)
{
	struct conn *c = conn_of(s);
	TRY(conn_open(l, c, err));
	return http_conn_shake_hands(&c->wire, CONNECT_MS, err);
}

static void http_send(struct load *l, struct load_slot *s, struct slice request)
{
	struct conn *c = conn_of(s);
	c->out = request;
	if (!c->is_open && conn_open(l, c, NULL) != ERR_OK)
		conn_fails(l, c, LOAD_CONNECT);
	else
		conn_send(l, c);
}

static void http_wait(struct load *l, int64_t wait_ns)
{
	struct epoll_event ev[EVENTS_MAX];
	struct timespec ts = { .tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S };
	int n = epoll_pwait2(epoll_of(l), ev, EVENTS_MAX, &ts, NULL);
	for (int i = 0; i < n; i++) {
		struct conn *c = ev[i].data.ptr;
		/* Of a handshake the server's part has come, perhaps. */
		if (c->slot.busy && c->out.len > 0)
			conn_send(l, c);
		if (ev[i].events & ~(uint32_t)EPOLLOUT && c->is_open)
			conn_readable(l, c);
	}
}

static void http_drop(struct load *l, struct load_slot *s)
{
	(void)l;
	conn_close(conn_of(s));
}

static void http_end_slot(struct load *l, struct load_slot *s)
{
	http_drop(l, s);
	free(conn_of(s)->in);
}

static void http_end(struct load *l)
{
	struct pool *p = l->wire;
	if (p && p->epoll_fd >= 0)
		close(p->epoll_fd);
	free(p);
}

const struct load_wire load_http = {
	.slot_bytes = sizeof(struct conn),
	.ok_status = 200,
	.begin = http_begin,
	.connect = http_slot_connect,
	.send = http_send,
	.wait = http_wait,
	.drop = http_drop,
	.end_slot = http_end_slot,
	.end = http_end,
};
