/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/sock.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/http/cors.h"
#include "server/http/http_state.h"
#include "server/http/listen.h"
#include "server/net/crowd.h"
#include "server/net/tcp.h"

#define SLOTS_MAX 1048576
#define BODY_RATE_BYTES_PER_S 1024
#define LOOK_AFTER_MS 1000 /* in a phase; most are shorter, and the kernel is not asked */

enum err_code sock_table_init(struct sock_table *t, struct err *err)
{
	t->n = tcp_fds_max(SLOTS_MAX);
	/* Not cleared here, which would take all of it from the system. */
	t->memory = calloc((size_t)t->n + 1, sizeof(*t->slot));
	t->slot = (struct sock *)(((uintptr_t)t->memory + SOCK_BYTES - 1) & -(uintptr_t)SOCK_BYTES);
	atomic_store(&t->now_ms, clock_now_ns() / NS_PER_MS);
	return t->memory ? ERR_OK : err_oom(err);
}

void sock_table_done(struct sock_table *t)
{
	free(t->memory);
	t->memory = NULL;
}

/* Held for a few instructions, but for the sweep's shutdown(); nobody ever queues here. */
static void lock(struct sock *s)
{
	while (atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire))
		sched_yield();
}

static void unlock(struct sock *s)
{
	atomic_flag_clear_explicit(&s->lock, memory_order_release);
}

/* Under the lock. */
static void shut(struct sock_table *t, struct sock *s)
{
	if (atomic_exchange(&s->phase, SOCK_CLOSED) == SOCK_OVER)
		atomic_fetch_sub(&t->over, 1);
	s->request = NULL;
	if (s->wire >= 0)
		close(s->wire);
	s->wire = -1;
	atomic_fetch_sub(&t->open, 1);
}

struct sock *sock_open(struct sock_table *t, int fd, int wire)
{
	if (fd >= t->n)
		return NULL;
	struct sock *s = &t->slot[fd];
	lock(s);
	if (atomic_load(&s->phase) != SOCK_CLOSED)
		shut(t, s); /* sock_abandon() is yet to come */
	s->generation++;
	s->wire = wire;
	s->request = NULL;
	s->mark_ms = 0;
	s->ended_ms = -1;
	s->acked = 0;
	atomic_store(&s->since_ms, atomic_load(&t->now_ms));
	atomic_store(&s->phase, SOCK_IDLE);
	unlock(s);
	atomic_fetch_add(&t->open, 1);
	if (fd > atomic_load(&t->highest))
		atomic_store(&t->highest, fd);
	return s;
}

void sock_close(struct sock_table *t, struct sock *s)
{
	lock(s);
	shut(t, s);
	unlock(s);
}

void sock_abandon(struct sock_table *t, struct sock *s, uint32_t generation)
{
	lock(s);
	if (s->generation == generation && atomic_load(&s->phase) != SOCK_CLOSED)
		shut(t, s);
	unlock(s);
}

bool sock_enter(struct sock_table *t, struct sock *s, enum sock_phase phase)
{
	unsigned char was = atomic_load_explicit(&s->phase, memory_order_relaxed);
	if (was == SOCK_OVER)
		return false;
	int64_t now_ms = atomic_load_explicit(&t->now_ms, memory_order_relaxed);
	atomic_store_explicit(&s->since_ms, now_ms, memory_order_relaxed);
	return atomic_compare_exchange_strong(&s->phase, &was, (unsigned char)phase);
}

void sock_set_request(struct sock *s, struct request *r)
{
	lock(s);
	s->request = r;
	unlock(s);
}

void sock_hang_up(struct sock_table *t, int fd, uint32_t generation)
{
	struct sock *s = &t->slot[fd];
	lock(s);
	/* Cancelling may call done() right here, which resumes the connection and no more. */
	if (s->generation == generation && s->request)
		request_cancel(s->request);
	unlock(s);
}

void sock_cancel_all(struct sock_table *t)
{
	for (int fd = 0; fd <= atomic_load(&t->highest); fd++)
		sock_hang_up(t, fd, t->slot[fd].generation);
}

/* --- the sweep --- */

/* Under the lock: shuts a connection down unless it has moved on; the IO thread then sees its end.
   REFUSAL_COUNT_: nothing was refused. */
static bool end(struct http *h, int fd, enum sock_phase in, enum refusal why, const char *msg)
{
	unsigned char expected = (unsigned char)in;
	if (!atomic_compare_exchange_strong(&h->socks.slot[fd].phase, &expected, SOCK_OVER))
		return false;
	atomic_fetch_add(&h->socks.over, 1);
	if (why != REFUSAL_COUNT_)
		http_count_refusal(h, why);
	if (msg)
		sock_refuse(h, fd, 408, msg, CORS_UNKNOWN);
	shutdown(fd, SHUT_RDWR);
	return true;
}

static void put_over(struct http *h, int fd, enum sock_phase in, enum refusal why, const char *msg)
{
	struct sock *s = &h->socks.slot[fd];
	lock(s);
	(void)end(h, fd, in, why, msg);
	unlock(s);
}

/* Under the lock, while it is open: the client's own connection, as the kernel sees it. False: it
   is not TCP. */
static bool look_at(int fd, const struct sock *s, struct tcp_state *ret)
{
	return tcp_look(s->wire >= 0 ? s->wire : fd, ret);
}

/* Likewise: above 0 when there is something to read, 0 when its client has closed its side. */
static ssize_t peek(int fd)
{
	char byte;
	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

/* False: it has gone, or is not TCP. */
static bool look(int fd, struct sock *s, struct tcp_state *ret)
{
	lock(s);
	bool is_open = atomic_load(&s->phase) != SOCK_CLOSED;
	bool seen = is_open && look_at(fd, s, ret);
	unlock(s);
	return seen;
}

/* The client has closed its side, and there is nothing of it left to read. */
static bool has_ended(int fd, struct sock *s)
{
	lock(s);
	bool is_open = atomic_load(&s->phase) != SOCK_CLOSED;
	bool ended = is_open && peek(fd) == 0;
	unlock(s);
	return ended;
}

/* epoll reports once that something has come. When the last bytes and the end of the connection
   came together, libmicrohttpd reads the bytes and does not look for the end, so we do. The bytes
   may have been a whole request that is not in the phase yet: so it takes two sweeps that find
   the same. */
static bool sweep_ended(
	struct http *h, int fd, struct sock *s, enum sock_phase in, int64_t since_ms)
{
	if (!has_ended(fd, s))
		return false;
	if (s->ended_ms == since_ms)
		put_over(h, fd, in, REFUSAL_COUNT_, NULL);
	s->ended_ms = since_ms;
	return true;
}

/* Between requests: quiet (kept alive), or a request's headers have begun to arrive, which
   only the kernel can tell. */
static void sweep_idle(struct http *h, int fd, struct sock *s, int64_t since_ms, int64_t now_ms)
{
	struct tcp_state tcp;
	if (now_ms - since_ms > h->conf.idle_timeout_ms) {
		put_over(h, fd, SOCK_IDLE, REFUSAL_IDLE, NULL);
		return;
	}
	if (now_ms - since_ms < LOOK_AFTER_MS || sweep_ended(h, fd, s, SOCK_IDLE, since_ms) ||
		!look(fd, s, &tcp))
		return;
	/* A tick of slack: the clock of since_ms is that coarse. */
	bool begun = tcp.silent_ms + 1000 < now_ms - since_ms;
	if (!begun)
		s->mark_ms = 0;
	else if (s->mark_ms < since_ms)
		s->mark_ms = now_ms;
	else if (now_ms - s->mark_ms > h->conf.header_timeout_ms)
		put_over(h, fd, SOCK_IDLE, REFUSAL_HEADER_TIMEOUT,
			"the request's headers took too long");
}

static void sweep_body(struct http *h, int fd, struct sock *s, int64_t since_ms, int64_t now_ms)
{
	int64_t late_ms = now_ms - since_ms - h->conf.body_timeout_ms;
	if (late_ms > 0 &&
		(int64_t)atomic_load_explicit(&s->received, memory_order_relaxed) <
			late_ms * BODY_RATE_BYTES_PER_S / 1000)
		put_over(
			h, fd, SOCK_BODY, REFUSAL_BODY_TIMEOUT, "the request's body took too long");
	else if (now_ms - since_ms >= LOOK_AFTER_MS)
		(void)sweep_ended(h, fd, s, SOCK_BODY, since_ms);
}

static void sweep_reply(struct http *h, int fd, struct sock *s, int64_t since_ms, int64_t now_ms)
{
	struct tcp_state tcp;
	if (now_ms - since_ms < LOOK_AFTER_MS || !look(fd, s, &tcp))
		return;
	if (s->mark_ms < since_ms || tcp.acked != s->acked) {
		s->acked = tcp.acked;
		s->mark_ms = now_ms;
	} else if (now_ms - s->mark_ms > h->conf.write_timeout_ms) {
		put_over(h, fd, SOCK_REPLY, REFUSAL_WRITE_TIMEOUT, NULL);
	}
}

void sock_sweep(struct http *h)
{
	struct sock_table *t = &h->socks;
	int64_t now_ms = clock_now_ns() / NS_PER_MS;
	atomic_store(&t->now_ms, now_ms);
	for (int fd = 0; fd <= atomic_load(&t->highest); fd++) {
		struct sock *s = &t->slot[fd];
		int64_t since_ms = atomic_load_explicit(&s->since_ms, memory_order_relaxed);
		switch ((enum sock_phase)atomic_load(&s->phase)) {
		case SOCK_IDLE: sweep_idle(h, fd, s, since_ms, now_ms); break;
		case SOCK_BODY: sweep_body(h, fd, s, since_ms, now_ms); break;
		case SOCK_REPLY: sweep_reply(h, fd, s, since_ms, now_ms); break;
		case SOCK_CLOSED:
		case SOCK_BUSY:
		case SOCK_OVER: break;
		}
	}
}

/* --- making room --- */

static void offer_idle(struct sock_table *t, struct crowd *crowd)
{
	for (int fd = 0; fd <= atomic_load(&t->highest); fd++) {
		struct sock *s = &t->slot[fd];
		if (atomic_load_explicit(&s->phase, memory_order_relaxed) == SOCK_IDLE)
			crowd_offer(crowd, (struct crowd_member){ fd, s->generation,
				atomic_load_explicit(&s->since_ms, memory_order_relaxed) });
	}
}

/* Under the lock. What has come is read at once: half of a request's headers may be there, but
   nothing of them for a while. */
static bool is_silent(int fd, struct sock *s)
{
	struct tcp_state tcp;
	return peek(fd) <= 0 && (!look_at(fd, s, &tcp) || tcp.silent_ms >= CROWD_IDLE_MS);
}

static bool send_away(struct http *h, const struct crowd_member *m)
{
	struct sock *s = &h->socks.slot[m->fd];
	lock(s);
	bool gone = s->generation == m->generation && atomic_load(&s->phase) == SOCK_IDLE &&
		atomic_load(&s->since_ms) == m->since_ms && is_silent(m->fd, s) &&
		end(h, m->fd, SOCK_IDLE, REFUSAL_CROWDED_OUT, NULL);
	unlock(s);
	return gone;
}

bool sock_make_room(struct http *h, struct crowd *crowd)
{
	const struct crowd_member *m;
	if (crowd_begin(crowd, atomic_load(&h->socks.now_ms)))
		offer_idle(&h->socks, crowd);
	do
		m = crowd_next(crowd);
	while (m && !send_away(h, m));
	return m != NULL;
}

/* --- the end --- */

/* Where the kernel does not tell, the sweep's clock says how long it has been idle. */
static bool may_ask(struct sock_table *t, int fd, struct sock *s, int64_t quiet_ms)
{
	struct tcp_state tcp;
	lock(s);
	bool is_idle = atomic_load(&s->phase) == SOCK_IDLE;
	ssize_t n = is_idle ? peek(fd) : 0;
	if (is_idle && !look_at(fd, s, &tcp))
		tcp.silent_ms = atomic_load(&t->now_ms) - atomic_load(&s->since_ms);
	unlock(s);
	return is_idle && n != 0 && (n > 0 || tcp.silent_ms < quiet_ms);
}

bool sock_any_may_ask(struct sock_table *t, int64_t quiet_ms)
{
	bool any = false;
	for (int fd = 0; !any && fd <= atomic_load(&t->highest); fd++)
		any = atomic_load(&t->slot[fd].phase) == SOCK_IDLE &&
			may_ask(t, fd, &t->slot[fd], quiet_ms);
	return any;
}

/* --- answers of our own --- */

static const char *reason_phrase(int status)
{
	switch (status) {
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 415: return "Unsupported Media Type";
	case 413: return "Content Too Large";
	case 417: return "Expectation Failed";
	case 501: return "Not Implemented";
	case 503: return "Service Unavailable";
	default: return "Bad Request";
	}
}

#define HEADERS_MAX 1024

/* What has no room is left out, as a whole. */
static void add_header(void *ctx, const char *name, struct slice value)
{
	char *to = ctx;
	size_t used = strlen(to);
	int n = snprintf(to + used, HEADERS_MAX - used, "%s: %.*s\r\n", name, SLICE_ARG(value));
	if (n < 0 || (size_t)n >= HEADERS_MAX - used)
		to[used] = '\0';
}

void sock_refuse(struct http *h, int fd, int status, const char *msg, struct slice origin)
{
	char headers[HEADERS_MAX] = "";
	char body[ERR_MSG_MAX + 16], text[ERR_MSG_MAX + HEADERS_MAX + 256];
	if (status == 503)
		add_header(headers, "Retry-After", SLICE_LIT("1"));
	cors_headers(&h->conf, origin, add_header, headers);
	int body_len = snprintf(body, sizeof(body), "{\"error\":\"%s\"}", msg);
	/* No arena here for real escaping; what needs it becomes an apostrophe. */
	for (char *p = body + 10; p < body + body_len - 2; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f || *p == '"' || *p == '\\')
			*p = '\'';
	int len = snprintf(text, sizeof(text),
		"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s"
		"Connection: close\r\n\r\n%s",
		status, reason_phrase(status), body_len, headers, body);
	(void)!send(fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	listener_linger(h->listener, fd);
}
