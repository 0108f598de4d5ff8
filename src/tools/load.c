/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 * A connection is idle, or busy with one request. The loop sends what is due on idle
 * connections, sleeps until the next moment of the schedule or an event, and reads. It
 * costs two system calls a request and a share of an epoll_pwait2(), because it usually
 * shares the machine with the server.
 *
 * INVARIANTS
 * 1. A connection is in the list of idle ones exactly when it has no request; it may have
 *    no descriptor either, and is then opened when it is given one.
 * 2. Every request that was sent ends in one count: a status or a failure.
 *
 * NOT DONE
 * Pipelining: servers answer it one after the other, and it would hide their latency.
 */
#include "tools/load.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "tools/values.h"

#define READ_BYTES (64 << 10)
#define EVENTS_MAX 256
/* Connections that an open loop has at hand before it begins. */
#define OPEN_LOOP_READY 16

struct conn {
	int fd; /* -1: none */
	bool busy, wants_out;
	int64_t due_ns, sent_ns;
	struct slice out; /* what is left to send */
	char *in;
	size_t in_len, in_cap;
	struct http_reply reply;
	struct conn *next_idle;
};

struct load {
	const struct load_conf *conf;
	struct load_result *result;
	struct rng rng;
	int epoll_fd;
	struct conn *conn;
	int n_conn, cap_conn, n_busy;
	struct conn *idle;
	int64_t start_ns, end_ns, second_ns;
	size_t next; /* of the schedule */
};

const char *load_failure_text(enum load_failure f)
{
	static const char *const text[] = {
#define X(id, words) [LOAD_##id] = words,
		LOAD_FAILURES(X)
#undef X
	};
	return text[f];
}

uint64_t load_errors(const struct load_result *r)
{
	uint64_t n = 0;
	for (int s = 0; s < LOAD_STATUS_MAX; s++)
		n += s == 200 ? 0 : r->by_status[s];
	for (int f = 0; f < LOAD_FAILURE_COUNT_; f++)
		n += r->failure[f];
	return n;
}

enum err_code load_schedule(double rate, bool poisson, int64_t duration_ns, uint64_t seed,
	struct arena *arena, const int64_t **ret, size_t *ret_n, struct err *err)
{
	double gap_ns = (double)NS_PER_S / rate;
	/* Six standard deviations above the mean: the process fits but in one run of 10^9. */
	double mean = (double)duration_ns / gap_ns, room = mean + 6 * sqrt(mean) + 16;
	size_t cap = room < 1e9 ? (size_t)room : 0, n = 0;
	if (cap == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "%.0f requests are more than one run takes (10^9)", mean);
	int64_t *at = ARENA_ARRAY(arena, int64_t, cap);
	if (!at)
		return err_oom(err);
	struct rng rng = { seed };
	double t = 0;
	while (n < cap && t < (double)duration_ns) {
		at[n++] = (int64_t)t;
		t += poisson ? -log1p(-rng_unit(&rng)) * gap_ns : gap_ns;
	}
	*ret = at;
	*ret_n = n;
	return ERR_OK;
}

static void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->in_len = 0;
	c->wants_out = false;
	c->reply = (struct http_reply){ 0 };
}

static enum err_code conn_open(struct load *l, struct conn *c, struct err *err)
{
	enum err_code rc = http_connect(l->conf->url, &c->fd, err);
	if (rc != ERR_OK) {
		c->fd = -1;
		return rc;
	}
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0) {
		conn_close(c);
		return err_set(err, ERR_INTERNAL, "epoll: %s", strerror(errno));
	}
	l->result->connections++;
	return ERR_OK;
}

static void conn_idle(struct load *l, struct conn *c)
{
	c->next_idle = l->idle;
	l->idle = c;
}

/* A connection without request: an idle one, else a new one; NULL: as many as allowed. */
static struct conn *conn_take(struct load *l)
{
	struct conn *c = l->idle;
	if (c) {
		l->idle = c->next_idle;
		return c;
	}
	if (l->n_conn == l->cap_conn)
		return NULL;
	c = &l->conn[l->n_conn++];
	c->fd = -1;
	return c;
}

static void conn_ends(struct load *l, struct conn *c)
{
	c->busy = false;
	l->n_busy--;
	conn_idle(l, c);
}

static void conn_fails(struct load *l, struct conn *c, enum load_failure why)
{
	l->result->failure[why]++;
	conn_close(c);
	conn_ends(l, c);
}

static void conn_watch_out(struct load *l, struct conn *c, bool on)
{
	if (c->wants_out == on)
		return;
	struct epoll_event ev = { .events = EPOLLIN | (on ? EPOLLOUT : 0u), .data.ptr = c };
	epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
	c->wants_out = on;
}

static void conn_send(struct load *l, struct conn *c)
{
	ssize_t n = send(c->fd, c->out.ptr, c->out.len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		conn_fails(l, c, errno == ECONNREFUSED ? LOAD_CONNECT : LOAD_CLOSED);
		return;
	}
	if (n > 0) {
		c->out = (struct slice){ c->out.ptr + n, c->out.len - (size_t)n };
		l->result->bytes_out += (uint64_t)n;
	}
	conn_watch_out(l, c, c->out.len > 0);
}

/* Gives the connection its next request; latency counts from due_ns. */
static void conn_start(struct load *l, struct conn *c, int64_t due_ns, int64_t now_ns)
{
	const struct load_conf *conf = l->conf;
	c->busy = true;
	l->n_busy++;
	l->result->sent++;
	c->due_ns = due_ns;
	c->sent_ns = now_ns;
	c->out = conf->request[conf->n_request > 1 ? rng_next(&l->rng) % (unsigned)conf->n_request : 0];
	if (c->fd < 0 && conn_open(l, c, NULL) != ERR_OK) {
		conn_fails(l, c, LOAD_CONNECT);
		return;
	}
	conn_send(l, c);
}

static void conn_answered(struct load *l, struct conn *c, int64_t now_ns)
{
	struct load_result *r = l->result;
	const char *body = c->in + c->reply.head_bytes;
	size_t whole = c->reply.head_bytes + c->reply.body_bytes;
	if (c->in_len != whole) {
		conn_fails(l, c, LOAD_MALFORMED);
		return;
	}
	r->by_status[c->reply.status]++;
	if (c->reply.status == 200) {
		hist_log_add(&r->latency, now_ns - c->due_ns);
		if (l->conf->on_answer && !l->conf->on_answer(l->conf->ctx, &c->reply, body))
			r->failure[LOAD_WRONG]++;
	}
	r->elapsed_ns = now_ns - l->start_ns;
	if (!c->reply.keep_alive)
		conn_close(c);
	c->in_len = 0;
	c->reply = (struct http_reply){ 0 };
	conn_ends(l, c);
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

static void conn_readable(struct load *l, struct conn *c, int64_t now_ns)
{
	if (!conn_grow(c)) {
		conn_fails(l, c, LOAD_MALFORMED);
		return;
	}
	ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (!c->busy) { /* the server has closed an idle connection: no failure */
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
		conn_answered(l, c, now_ns);
		return;
	}
}

static void send_due(struct load *l, int64_t now_ns)
{
	const struct load_conf *conf = l->conf;
	if (conf->concurrency) {
		/* Each once: one that fails at once is back in the list, and waits there for
		   the next round instead of spinning here. */
		struct conn *c = now_ns < l->end_ns ? l->idle : NULL;
		l->idle = c ? NULL : l->idle;
		while (c) {
			struct conn *next = c->next_idle;
			conn_start(l, c, now_ns, now_ns);
			c = next;
		}
		return;
	}
	while (l->next < conf->n_schedule && l->start_ns + conf->schedule[l->next] <= now_ns) {
		struct conn *c = conn_take(l);
		if (!c)
			return;
		int64_t due = l->start_ns + conf->schedule[l->next++];
		hist_log_add(&l->result->lag, now_ns - due);
		conn_start(l, c, due, now_ns);
		now_ns = clock_now_ns();
	}
}

static void each_second(struct load *l, int64_t now_ns)
{
	if (now_ns < l->second_ns)
		return;
	l->second_ns = now_ns + NS_PER_S;
	for (int i = 0; i < l->n_conn; i++) {
		if (l->conn[i].busy && now_ns - l->conn[i].sent_ns > l->conf->timeout_ns)
			conn_fails(l, &l->conn[i], LOAD_TIMEOUT);
	}
	if (l->conf->on_second)
		l->conf->on_second(l->conf->ctx, (double)(now_ns - l->start_ns) / 1e9, l->result);
}

static bool is_over(const struct load *l, int64_t now_ns)
{
	bool more = l->conf->concurrency ? now_ns < l->end_ns : l->next < l->conf->n_schedule;
	/* What could not be sent by then never will be. */
	bool late = now_ns > l->end_ns + l->conf->timeout_ns;
	return l->n_busy == 0 && (!more || late);
}

static int64_t wake_at(const struct load *l)
{
	int64_t at = l->second_ns;
	bool can_send = l->idle || l->n_conn < l->cap_conn;
	if (!l->conf->concurrency && l->next < l->conf->n_schedule && can_send) {
		int64_t due = l->start_ns + l->conf->schedule[l->next];
		at = due < at ? due : at;
	}
	return at;
}

static void run_loop(struct load *l)
{
	struct epoll_event ev[EVENTS_MAX];
	for (;;) {
		int64_t now = clock_now_ns();
		if (is_over(l, now))
			return;
		send_due(l, now);
		int64_t wait = wake_at(l) - clock_now_ns();
		wait = wait > 0 ? wait : 0;
		struct timespec ts = { .tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S };
		int n = epoll_pwait2(l->epoll_fd, ev, EVENTS_MAX, &ts, NULL);
		now = clock_now_ns();
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (ev[i].events & EPOLLOUT && c->busy)
				conn_send(l, c);
			if (ev[i].events & ~(uint32_t)EPOLLOUT && c->fd >= 0)
				conn_readable(l, c, now);
		}
		each_second(l, now);
	}
}

static enum err_code open_first(struct load *l, struct err *err)
{
	int n = l->conf->concurrency ? l->conf->concurrency : OPEN_LOOP_READY;
	for (int i = 0; i < n && i < l->cap_conn; i++) {
		struct conn *c = conn_take(l);
		enum err_code rc = conn_open(l, c, err);
		if (rc != ERR_OK)
			return rc;
	}
	for (int i = 0; i < l->n_conn; i++)
		conn_idle(l, &l->conn[i]);
	return ERR_OK;
}

enum err_code load_run(const struct load_conf *conf, struct load_result *ret, struct err *err)
{
	hist_log_init(&ret->latency);
	hist_log_init(&ret->lag);
	struct load l = { .conf = conf, .result = ret, .rng = { conf->seed } };
	l.cap_conn = conf->concurrency ? conf->concurrency : conf->connections_max;
	l.conn = calloc((size_t)l.cap_conn, sizeof(*l.conn));
	l.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	enum err_code rc = ERR_OK;
	if (!l.conn || l.epoll_fd < 0) {
		rc = err_oom(err);
		goto out;
	}
	/* The default of 50 us would be a lag of our own. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	rc = open_first(&l, err);
	if (rc != ERR_OK)
		goto out;
	l.start_ns = clock_now_ns();
	l.end_ns = clock_after(l.start_ns, conf->duration_ns);
	l.second_ns = l.start_ns + NS_PER_S;
	run_loop(&l);
	if (!conf->concurrency)
		ret->failure[LOAD_UNSENT] += conf->n_schedule - l.next;
out:
	for (int i = 0; l.conn && i < l.n_conn; i++) {
		conn_close(&l.conn[i]);
		free(l.conn[i].in);
	}
	free(l.conn);
	if (l.epoll_fd >= 0)
		close(l.epoll_fd);
	return rc;
}
