/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. Events are edges: each clears what the flows believe to be blocked, and a step
 * tries until all is. So it does not matter that TLS reads may want to write. What was read
 * is written at once from the thread's scratch; only what the other side does not take is
 * copied, and nothing more is read before that has gone.
 *
 * INVARIANTS
 * 1. A flow reads only while it has no rest.
 * 2. closed implies ended and no rest; when both flows are closed the connection is over.
 */
#include "server/net/relay_conn.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"

/* Reads and writes of one step, before others have their turn. */
#define MOVES_MAX 16

enum io {
	IO_BLOCKED = 0,
	IO_ENDED = -1,
	IO_BROKEN = -2,
};

/* --- life --- */

struct relay_conn *relay_conn_new(const struct relay_conf *conf, int fd, SSL *ssl)
{
	struct relay_conn *c = calloc(1, sizeof(*c) + (conf->look_bytes + 7) / 8 * 8);
	if (!c)
		return NULL;
	c->wire = (struct relay_side){ .conn = c, .fd = fd };
	c->plain = (struct relay_side){ .conn = c, .fd = -1 };
	c->ssl = ssl;
	c->conf = conf;
	c->began_ns = clock_now_ns();
	return c;
}

void relay_conn_free(struct relay_conn *c)
{
	SSL_free(c->ssl);
	close(c->wire.fd);
	if (c->plain.fd >= 0)
		close(c->plain.fd);
	free(c->up.rest);
	free(c->down.rest);
	free(c);
}

bool relay_conn_open(struct relay_conn *c, int *ret)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	c->plain.fd = pair[0];
	*ret = pair[1];
	c->opened = true;
	return true;
}

/* --- the four ends --- */

/* What an operation of OpenSSL came to. */
static int tls_outcome(SSL *ssl, int n)
{
	if (n > 0)
		return n;
	int why = SSL_get_error(ssl, n);
	ERR_clear_error();
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return IO_BLOCKED;
	return why == SSL_ERROR_ZERO_RETURN ? IO_ENDED : IO_BROKEN;
}

static int socket_outcome(ssize_t n)
{
	if (n > 0)
		return (int)n;
	if (n == 0)
		return IO_ENDED;
	return errno == EAGAIN || errno == EINTR ? IO_BLOCKED : IO_BROKEN;
}

static int read_wire(struct relay_conn *c, uint8_t *to, int size)
{
	if (!c->ssl)
		return socket_outcome(recv(c->wire.fd, to, (size_t)size, 0));
	int total = 0, n = 1;
	/* Record by record; what stopped it comes again at the next time. */
	while (n > 0 && total < size) {
		n = tls_outcome(c->ssl, SSL_read(c->ssl, to + total, size - total));
		total += n > 0 ? n : 0;
	}
	return total ? total : n;
}

static int write_wire(struct relay_conn *c, const uint8_t *from, int size)
{
	if (c->ssl)
		return tls_outcome(c->ssl, SSL_write(c->ssl, from, size));
	return socket_outcome(send(c->wire.fd, from, (size_t)size, MSG_NOSIGNAL));
}

static int read_plain(struct relay_conn *c, uint8_t *to, int size)
{
	int n = socket_outcome(recv(c->plain.fd, to, (size_t)size, 0));
	/* The library closed with bytes unread: no reason to break what it has sent. */
	return n == IO_BROKEN ? IO_ENDED : n;
}

static int write_plain(struct relay_conn *c, const uint8_t *from, int size)
{
	return socket_outcome(send(c->plain.fd, from, (size_t)size, MSG_NOSIGNAL));
}

/* --- flows --- */

static void drop_rest(struct relay_flow *f)
{
	free(f->rest);
	f->rest = NULL;
}

/* Nobody takes what comes from the client any more. */
static void close_up(struct relay_conn *c)
{
	drop_rest(&c->up);
	c->up.ended = c->up.closed = true;
	if (!c->hung_up_ns)
		c->hung_up_ns = clock_now_ns();
}

/* How many of these bytes have left. */
static size_t write_out(struct relay_conn *c, struct relay_flow *f, const uint8_t *from, size_t len)
{
	size_t done = 0;
	while (done < len) {
		int size = (int)(len - done);
		int n = f == &c->up ? write_plain(c, from + done, size)
				    : write_wire(c, from + done, size);
		if (n > 0) {
			done += (size_t)n;
		} else if (n == IO_BLOCKED) {
			f->out_blocked = true;
			return done;
		} else if (f == &c->up) {
			close_up(c);
			return len;
		} else {
			c->broken = true;
			return len;
		}
	}
	return done;
}

static void flush_rest(struct relay_conn *c, struct relay_flow *f)
{
	f->at += write_out(c, f, f->rest + f->at, f->len - f->at);
	if (f->rest && f->at == f->len)
		drop_rest(f);
}

static void keep_rest(struct relay_conn *c, struct relay_flow *f, const uint8_t *from, size_t len)
{
	assert(!f->rest);
	f->rest = malloc(len);
	if (!f->rest) {
		c->broken = true;
		return;
	}
	memcpy(f->rest, from, len);
	f->at = 0;
	f->len = len;
}

/* A socket that gave less than it was asked for has no more, until the next edge; its end
   may stand behind it without one. What TLS has inside nobody knows. */
static bool was_all(const struct relay_conn *c, const struct relay_flow *f, int n)
{
	bool is_up = f == &c->up;
	return n < RELAY_BYTES && !(is_up ? &c->wire : &c->plain)->ending && !(is_up && c->ssl);
}

static void read_in(struct relay_conn *c, struct relay_flow *f, uint8_t *scratch)
{
	int n = f == &c->up ? read_wire(c, scratch, RELAY_BYTES)
			    : read_plain(c, scratch, RELAY_BYTES);
	if (n == IO_BLOCKED) {
		f->in_blocked = true;
		return;
	}
	if (n < 0) {
		f->ended = true;
		c->broken |= n == IO_BROKEN;
		return;
	}
	f->in_blocked = was_all(c, f, n);
	const struct relay_conf *conf = c->conf;
	if (conf->look && !conf->look(conf->look_ctx, c->look_state,
				  f == &c->up ? RELAY_UP : RELAY_DOWN, scratch, (size_t)n)) {
		c->cut_off = c->broken = true;
		return;
	}
	size_t done = write_out(c, f, scratch, (size_t)n);
	if (done < (size_t)n)
		keep_rest(c, f, scratch + done, (size_t)n - done);
}

/* Passes the end on. */
static void close_flow(struct relay_conn *c, struct relay_flow *f)
{
	if (f == &c->up) {
		shutdown(c->plain.fd, SHUT_WR);
	} else {
		if (c->ssl) {
			int n = SSL_shutdown(c->ssl);
			if (n < 0 && tls_outcome(c->ssl, n) == IO_BLOCKED) {
				f->out_blocked = true;
				return;
			}
			ERR_clear_error();
		}
		shutdown(c->wire.fd, SHUT_WR);
	}
	f->closed = true;
}

/* One move; false: there is none to make now. */
static bool move(struct relay_conn *c, struct relay_flow *f, uint8_t *scratch)
{
	if (f->closed || f->out_blocked)
		return false;
	if (f->rest)
		flush_rest(c, f);
	else if (f->ended)
		close_flow(c, f);
	else if (!f->in_blocked)
		read_in(c, f, scratch);
	else
		return false;
	return true;
}

/* --- steps --- */

static enum relay_step shake_hands(struct relay_conn *c)
{
	if (!c->ssl)
		return RELAY_READY;
	int n = SSL_do_handshake(c->ssl);
	if (n == 1)
		return RELAY_READY;
	int why = SSL_get_error(c->ssl, n);
	/* What is in the queue of errors is for tls_reason(). */
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? RELAY_WAIT : RELAY_OVER;
}

enum relay_step relay_conn_step(struct relay_conn *c, uint8_t *scratch)
{
	ERR_clear_error();
	if (c->broken)
		return RELAY_OVER;
	if (!c->opened)
		return shake_hands(c);
	for (int i = 0; i < MOVES_MAX; i++) {
		bool moved = move(c, &c->up, scratch);
		moved |= move(c, &c->down, scratch);
		if (c->broken || (c->up.closed && c->down.closed))
			return RELAY_OVER;
		if (!moved)
			return RELAY_WAIT;
	}
	return RELAY_MORE;
}

void relay_conn_on_event(struct relay_side *side, uint32_t events)
{
	struct relay_conn *c = side->conn;
	bool is_wire = side == &c->wire;
	side->ending |= (events & (EPOLLRDHUP | EPOLLHUP)) != 0;
	/* A reset is passed on even while nobody reads. */
	if (is_wire && (events & EPOLLERR))
		c->broken = true;
	else if (is_wire)
		c->up.in_blocked = c->down.out_blocked = false;
	else
		c->up.out_blocked = c->down.in_blocked = false;
	if (!is_wire && (events & EPOLLHUP))
		close_up(c);
}
