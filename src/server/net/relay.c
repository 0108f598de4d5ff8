/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/relay.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/net/relay_conn.h"

#define SWEEP_MS 250
/* For a handshake, where more than half of those that may be are under way. */
#define HASTE_NS NS_PER_S
/* The library has closed; the client has this long to read what was sent. */
#define FLUSH_NS (30 * NS_PER_S)

struct relay_thread {
	struct relay *relay;
	pthread_t thread;
	bool started;
	int epoll_fd, wake_fd;
	pthread_mutex_t lock; /* of the list of all */
	struct relay_conn *all;
	struct relay_conn *busy; /* to be stepped; the thread's own */
	int64_t sweep_ns;
	uint8_t scratch[RELAY_BYTES];
};

/* A connection to be accepted. */
struct arrival {
	int fd, wire;
};

struct relay {
	struct relay_conf conf;
	struct relay_thread *thread;
	int n_thread;
	int ready_fd;
	atomic_uint next_thread;
	atomic_bool stop;
	atomic_int open;
	atomic_int shaking; /* hands, of the open ones */
	atomic_uint_least64_t failed, cut_off, shed;
	pthread_mutex_t lock; /* of what follows */
	struct tls *tls;
	struct arrival *ring;
	int first, n_arrived;
};

static void signal_fd(int fd)
{
	uint64_t one = 1;
	(void)!write(fd, &one, sizeof(one));
}

static void clear_fd(int fd)
{
	uint64_t n;
	(void)!read(fd, &n, sizeof(n));
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* --- a thread's connections --- */

static bool watch(struct relay_thread *t, struct relay_side *side)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = side };
	return epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, side->fd, &ev) == 0;
}

static void link_conn(struct relay_thread *t, struct relay_conn *c)
{
	pthread_mutex_lock(&t->lock);
	c->next = t->all;
	if (t->all)
		t->all->prev = c;
	t->all = c;
	pthread_mutex_unlock(&t->lock);
}

static void unlink_conn(struct relay_thread *t, struct relay_conn *c)
{
	pthread_mutex_lock(&t->lock);
	*(c->prev ? &c->prev->next : &t->all) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	pthread_mutex_unlock(&t->lock);
}

/* Out of epoll first: a copy of the descriptor may be with whoever has accepted. */
static void end(struct relay_thread *t, struct relay_conn *c)
{
	unlink_conn(t, c);
	(void)epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, c->wire.fd, NULL);
	if (!c->opened)
		atomic_fetch_sub(&t->relay->shaking, 1);
	relay_conn_free(c);
	atomic_fetch_sub(&t->relay->open, 1);
}

static void make_busy(struct relay_thread *t, struct relay_conn *c)
{
	if (c->busy)
		return;
	c->busy = true;
	c->next_busy = t->busy;
	t->busy = c;
}

/* --- handing out --- */

static void fail(struct relay *r, const char *why)
{
	atomic_fetch_add(&r->failed, 1);
	if (r->conf.on_failure)
		r->conf.on_failure(r->conf.ctx, why);
}

static bool arrive(struct relay *r, struct arrival a)
{
	pthread_mutex_lock(&r->lock);
	bool room = r->n_arrived < r->conf.connections_max;
	if (room)
		r->ring[(r->first + r->n_arrived++) % r->conf.connections_max] = a;
	if (room)
		signal_fd(r->ready_fd);
	pthread_mutex_unlock(&r->lock);
	return room;
}

/* The handshake is over. False: so is the connection. */
static bool hand_out(struct relay_thread *t, struct relay_conn *c)
{
	struct arrival a;
	if (c->ssl && t->relay->conf.needs_protocol && !tls_has_protocol(c->ssl)) {
		fail(t->relay, "the client chose no protocol");
		return false;
	}
	if (!relay_conn_open(c, &a.fd)) {
		atomic_fetch_add(&t->relay->shed, 1);
		return false;
	}
	atomic_fetch_sub(&t->relay->shaking, 1);
	a.wire = fcntl(c->wire.fd, F_DUPFD_CLOEXEC, 0);
	if (watch(t, &c->plain) && arrive(t->relay, a))
		return true;
	close(a.fd);
	close_fd(a.wire);
	return false;
}

/* A client that came and went without a word has not failed: load balancers do that. */
static void report_failure(struct relay *r, struct relay_conn *c)
{
	if (c->ssl && BIO_number_read(SSL_get_rbio(c->ssl)) > 0)
		fail(r, c->late ? "it took too long" : tls_reason(c->ssl));
}

static void step(struct relay_thread *t, struct relay_conn *c)
{
	enum relay_step next = relay_conn_step(c, t->scratch);
	if (next == RELAY_READY)
		next = hand_out(t, c) ? RELAY_MORE : RELAY_OVER;
	else if (next == RELAY_OVER && !c->opened)
		report_failure(t->relay, c);
	if (c->cut_off)
		atomic_fetch_add(&t->relay->cut_off, 1);
	if (next == RELAY_OVER)
		end(t, c);
	else if (next == RELAY_MORE)
		make_busy(t, c);
}

/* --- the threads --- */

/* Slow handshakes shall not keep others out. */
static int64_t handshake_limit_ns(struct relay *r)
{
	int64_t limit_ns = r->conf.handshake_timeout_ms * NS_PER_MS;
	bool is_crowd = atomic_load(&r->shaking) > r->conf.connections_max / 2;
	return is_crowd && limit_ns > HASTE_NS ? HASTE_NS : limit_ns;
}

static void sweep(struct relay_thread *t)
{
	int64_t now_ns = clock_now_ns();
	int64_t handshake_ns = handshake_limit_ns(t->relay);
	pthread_mutex_lock(&t->lock);
	for (struct relay_conn *c = t->all; c; c = c->next) {
		bool late = !c->opened ? now_ns - c->began_ns > handshake_ns :
					 c->hung_up_ns && now_ns - c->hung_up_ns > FLUSH_NS;
		if (!late)
			continue;
		c->late = c->broken = true;
		make_busy(t, c);
	}
	pthread_mutex_unlock(&t->lock);
	t->sweep_ns = now_ns + SWEEP_MS * NS_PER_MS;
}

static void on_event(struct relay_thread *t, const struct epoll_event *ev)
{
	struct relay_side *side = ev->data.ptr;
	if (!side) {
		clear_fd(t->wake_fd);
		return;
	}
	relay_conn_on_event(side, ev->events);
	make_busy(t, side->conn);
}

static void *run(void *ctx)
{
	struct relay_thread *t = ctx;
	struct epoll_event events[64];
	pthread_setname_np(pthread_self(), t->relay->conf.name);
	while (!atomic_load(&t->relay->stop)) {
		int n = epoll_wait(t->epoll_fd, events, 64, t->busy ? 0 : SWEEP_MS);
		for (int i = 0; i < n; i++)
			on_event(t, &events[i]);
		if (clock_now_ns() >= t->sweep_ns)
			sweep(t);
		struct relay_conn *c = t->busy;
		t->busy = NULL;
		/* Whoever is ended here has no event left in this round. */
		while (c) {
			struct relay_conn *next = c->next_busy;
			c->busy = false;
			step(t, c);
			c = next;
		}
	}
	while (t->all)
		end(t, t->all);
	return NULL;
}

static enum err_code start_thread(struct relay *r, struct relay_thread *t, struct err *err)
{
	t->relay = r;
	pthread_mutex_init(&t->lock, NULL);
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = { .events = EPOLLIN };
	if (t->epoll_fd < 0 || t->wake_fd < 0 ||
		epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &ev) != 0 ||
		pthread_create(&t->thread, NULL, run, t) != 0)
		return err_set(err, ERR_INTERNAL, "%s: cannot start a thread", r->conf.name);
	t->started = true;
	return ERR_OK;
}

enum err_code relay_new(
	const struct relay_conf *conf, struct tls *tls, struct relay **ret, struct err *err)
{
	struct relay *r = calloc(1, sizeof(*r));
	if (!r)
		return err_oom(err);
	r->conf = *conf;
	pthread_mutex_init(&r->lock, NULL);
	r->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->ring = calloc((size_t)conf->connections_max, sizeof(*r->ring));
	r->thread = calloc((size_t)conf->threads, sizeof(*r->thread));
	enum err_code rc = r->ring && r->thread && r->ready_fd >= 0 ? ERR_OK : err_oom(err);
	while (rc == ERR_OK && r->n_thread < conf->threads)
		rc = start_thread(r, &r->thread[r->n_thread++], err);
	if (rc != ERR_OK) {
		relay_free(r, 0);
		return rc;
	}
	r->tls = tls;
	*ret = r;
	return ERR_OK;
}

void relay_set_tls(struct relay *r, struct tls *tls)
{
	pthread_mutex_lock(&r->lock);
	struct tls *old = r->tls;
	r->tls = tls;
	pthread_mutex_unlock(&r->lock);
	tls_free(old);
}

static void free_thread(struct relay_thread *t)
{
	if (t->started) {
		signal_fd(t->wake_fd);
		pthread_join(t->thread, NULL);
	}
	close_fd(t->epoll_fd);
	close_fd(t->wake_fd);
	pthread_mutex_destroy(&t->lock);
}

void relay_free(struct relay *r, int linger_ms)
{
	if (!r)
		return;
	int64_t until_ns = clock_now_ns() + linger_ms * NS_PER_MS;
	int wire;
	/* Nobody will accept these. */
	for (int fd; (fd = relay_accept(r, &wire)) >= 0;) {
		close(fd);
		close_fd(wire);
	}
	while (atomic_load(&r->open) > 0 && clock_now_ns() < until_ns)
		usleep(1000);
	atomic_store(&r->stop, true);
	for (int i = 0; i < r->n_thread; i++)
		free_thread(&r->thread[i]);
	for (int fd; r->ring && (fd = relay_accept(r, &wire)) >= 0;) {
		close(fd);
		close_fd(wire);
	}
	close_fd(r->ready_fd);
	tls_free(r->tls);
	free(r->ring);
	free(r->thread);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* --- coming and going --- */

static struct relay_conn *new_conn(struct relay *r, int fd)
{
	SSL *ssl = NULL;
	if (atomic_load(&r->shaking) >= r->conf.connections_max)
		return NULL;
	pthread_mutex_lock(&r->lock);
	bool plain = !r->tls;
	if (!plain)
		ssl = tls_begin(r->tls, fd);
	pthread_mutex_unlock(&r->lock);
	struct relay_conn *c = plain || ssl ? relay_conn_new(&r->conf, fd, ssl) : NULL;
	if (!c)
		SSL_free(ssl);
	return c;
}

bool relay_add(struct relay *r, int fd)
{
	struct relay_conn *c = new_conn(r, fd);
	if (!c) {
		close(fd);
		return false;
	}
	struct relay_thread *t =
		&r->thread[atomic_fetch_add(&r->next_thread, 1) % (unsigned)r->n_thread];
	atomic_fetch_add(&r->open, 1);
	atomic_fetch_add(&r->shaking, 1);
	link_conn(t, c);
	/* From here on it is the thread's; its first event is that it may write. */
	if (watch(t, &c->wire))
		return true;
	end(t, c);
	return false;
}

int relay_fd(const struct relay *r)
{
	return r->ready_fd;
}

int relay_accept(struct relay *r, int *ret_wire)
{
	struct arrival a = { -1, -1 };
	pthread_mutex_lock(&r->lock);
	if (r->n_arrived > 0) {
		a = r->ring[r->first];
		r->first = (r->first + 1) % r->conf.connections_max;
		r->n_arrived--;
	} else {
		clear_fd(r->ready_fd);
	}
	pthread_mutex_unlock(&r->lock);
	*ret_wire = a.wire;
	return a.fd;
}

struct relay_counts relay_counts(const struct relay *r)
{
	return (struct relay_counts){ .open = (uint64_t)atomic_load(&r->open),
		.failed = atomic_load(&r->failed), .cut_off = atomic_load(&r->cut_off),
		.shed = atomic_load(&r->shed) };
}
