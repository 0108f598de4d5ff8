/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/pages.h"
#include "server/http/cors.h"
#include "server/http/http_state.h"
#include "server/http/io.h"
#include "server/net/crowd.h"
#include "server/net/intake.h"
#include "server/net/tcp.h"

#define SWEEP_MS 250
#define TRIM_CONNECTIONS 128 /* that have gone leave something behind worth collecting */
#define LINGER_MAX 256
#define LINGER_MS 2000
#define LINGER_BYTES (16u << 20)

struct lingering {
	int fd; /* -1: free */
	int64_t until_ns;
	size_t dropped;
};

struct listener {
	struct http *http;
	pthread_t thread;
	bool started;
	struct intake intake;
	struct crowd crowd;
	int epoll_fd, wake_fd;
	unsigned next_io;
	int most_open; /* connections, since memory was given back */
	int64_t last_sweep_ns;
	atomic_bool stop, refusing, closed;
	atomic_uint_least64_t rounds;
	pthread_mutex_t lock; /* guards lingering */
	struct lingering lingering[LINGER_MAX];
};

/* What epoll hands back for the intake. */
#define KEY_INTAKE UINT64_MAX

/* --- accepting --- */

/* What epoll hands back: the descriptor and the generation of its slot. */
static uint64_t event_key(int fd, uint32_t generation)
{
	return (uint64_t)generation << 32 | (uint32_t)fd;
}

static void turn_away(struct listener *l, int fd, enum refusal why)
{
	http_count_refusal(l->http, why);
	sock_refuse(l->http, fd, 503, "too many connections", CORS_UNKNOWN);
	close(fd);
}

static void refuse(void *ctx, int fd)
{
	struct listener *l = ctx;
	enum refusal why = fd >= 0 ? REFUSAL_DESCRIPTORS : REFUSAL_CONNECTIONS;
	if (fd >= 0)
		(void)sock_make_room(l->http, &l->crowd); /* the next one may find a descriptor */
	if (fd >= 0 && !l->http->relay) {
		turn_away(l, fd, why);
		return;
	}
	http_count_refusal(l->http, why);
	/* Without an answer: a client that waits for a TLS handshake could not read it. */
	if (fd >= 0)
		close(fd);
}

/* Those that are over take a place in libmicrohttpd, which has some more, but not for long. */
static bool has_room(struct listener *l)
{
	struct sock_table *t = &l->http->socks;
	return atomic_load(&t->open) - atomic_load(&t->over) < l->http->conf.connections_max ||
		sock_make_room(l->http, &l->crowd);
}

/* From here on fd belongs to an IO thread, and wire to the connection's slot. */
static void admit(void *ctx, int fd, int wire)
{
	struct listener *l = ctx;
	struct http *h = l->http;
	struct sock *s = has_room(l) ? sock_open(&h->socks, fd, wire) : NULL;
	if (!s) {
		if (wire >= 0)
			close(wire);
		turn_away(l, fd, REFUSAL_CONNECTIONS);
		return;
	}
	int open = atomic_load(&h->socks.open);
	if (open > l->most_open)
		l->most_open = open;
	tcp_no_delay(fd);
	/* No event is asked for: epoll reports errors and hang-ups in any case, with EPOLLET once.
	   The entry goes with the fd. */
	struct epoll_event ev = { .events = EPOLLET, .data.u64 = event_key(fd, s->generation) };
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
	io_add(&h->io[l->next_io++ % (unsigned)h->n_io], fd);
}

/* --- lingering --- */

void listener_linger(struct listener *l, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return;
	shutdown(copy, SHUT_WR);
	pthread_mutex_lock(&l->lock);
	for (int i = 0; i < LINGER_MAX; i++) {
		struct lingering *g = &l->lingering[i];
		if (g->fd >= 0)
			continue;
		*g = (struct lingering){ .fd = copy,
			.until_ns = clock_now_ns() + LINGER_MS * NS_PER_MS };
		copy = -1;
		break;
	}
	pthread_mutex_unlock(&l->lock);
	if (copy >= 0)
		close(copy);
}

/* True: the peer has read our answer and closed, or has used up its time or its bytes. */
static bool linger_is_over(struct lingering *g, int64_t now_ns)
{
	static char sink[65536]; /* the listener's thread alone writes it, and nobody reads it */
	for (;;) {
		ssize_t n = recv(g->fd, sink, sizeof(sink), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
		if (n < 0)
			return now_ns > g->until_ns;
		g->dropped += (size_t)n;
		if (g->dropped > LINGER_BYTES)
			return true;
	}
}

/* True: some are left, so come back soon. */
static bool linger_round(struct listener *l, bool at_once)
{
	int64_t now_ns = clock_now_ns();
	bool left = false;
	pthread_mutex_lock(&l->lock);
	for (int i = 0; i < LINGER_MAX; i++) {
		struct lingering *g = &l->lingering[i];
		if (g->fd < 0)
			continue;
		if (at_once || linger_is_over(g, now_ns)) {
			close(g->fd);
			g->fd = -1;
		} else {
			left = true;
		}
	}
	pthread_mutex_unlock(&l->lock);
	return left;
}

/* --- the thread --- */

static void on_event(struct listener *l, const struct epoll_event *ev)
{
	int fd = (int)(uint32_t)ev->data.u64;
	uint64_t wakes;
	if (fd == l->wake_fd)
		(void)!read(fd, &wakes, sizeof(wakes));
	else if (ev->data.u64 == KEY_INTAKE)
		intake_some(&l->intake);
	else
		sock_hang_up(&l->http->socks, fd, (uint32_t)(ev->data.u64 >> 32));
}

/* Closing the socket would reset the connections that the kernel has accepted and we have not, so
   they are taken first. A socket that systemd passed to us stays open: there they wait for the
   next process. */
static void close_up(struct listener *l)
{
	if (!l->http->endpoint.passed)
		intake_rest(&l->intake);
	endpoint_close(&l->http->endpoint);
	atomic_store(&l->closed, true);
}

/* libmicrohttpd's memory for a connection comes from malloc(), which keeps it. */
static void trim_after_many(struct listener *l)
{
	int open = atomic_load(&l->http->socks.open);
	if (l->most_open - open < TRIM_CONNECTIONS)
		return;
	l->most_open = open;
	pages_trim();
}

static void *run(void *ctx)
{
	struct listener *l = ctx;
	struct epoll_event events[64];
	bool lingering = false;
	pthread_setname_np(pthread_self(), "http-listen");
	while (!atomic_load(&l->stop)) {
		int n = epoll_wait(l->epoll_fd, events, 64, lingering ? 10 : SWEEP_MS);
		atomic_fetch_add(&l->rounds, 1);
		for (int i = 0; i < n; i++)
			on_event(l, &events[i]);
		if (atomic_load(&l->refusing) && !atomic_load(&l->closed))
			close_up(l);
		int64_t now_ns = clock_now_ns();
		if (now_ns - l->last_sweep_ns >= SWEEP_MS * NS_PER_MS) {
			l->last_sweep_ns = now_ns;
			sock_sweep(l->http);
			trim_after_many(l);
		}
		lingering = linger_round(l, false);
	}
	linger_round(l, true);
	return NULL;
}

enum err_code listener_new(struct http *h, struct err *err)
{
	struct listener *l = calloc(1, sizeof(*l));
	if (!l)
		return err_oom(err);
	h->listener = l;
	l->http = h;
	for (int i = 0; i < LINGER_MAX; i++)
		l->lingering[i].fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->intake = (struct intake){ .endpoint = &h->endpoint, .relay = h->relay, .admit = admit,
		.refuse = refuse, .ctx = l, .spare_fd = -1 };
	struct epoll_event wake_ev = { .events = EPOLLIN, .data.u64 = event_key(l->wake_fd, 0) };
	if (l->epoll_fd < 0 || l->wake_fd < 0 ||
		epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &wake_ev) != 0)
		return err_set(
			err, ERR_INTERNAL, "http: cannot start accepting: %s", strerror(errno));
	if (intake_init(&l->intake, l->epoll_fd, KEY_INTAKE, err) != ERR_OK)
		return err_prefix(err, "http");
	l->started = pthread_create(&l->thread, NULL, run, l) == 0;
	if (!l->started)
		return err_set(err, ERR_INTERNAL, "http: cannot start a thread");
	return ERR_OK;
}

static void wake(struct listener *l)
{
	uint64_t one = 1;
	(void)!write(l->wake_fd, &one, sizeof(one));
}

void listener_start_refusing(struct listener *l)
{
	atomic_store(&l->refusing, true);
	wake(l);
}

bool listener_is_closed(const struct listener *l)
{
	return atomic_load(&l->closed);
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	if (l->started) {
		atomic_store(&l->stop, true);
		wake(l);
		pthread_join(l->thread, NULL);
	}
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	intake_done(&l->intake);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

uint64_t listener_rounds(const struct listener *l)
{
	return atomic_load(&l->rounds);
}
