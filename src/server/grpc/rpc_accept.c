/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_accept.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_posix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/grpc/rpc_watch.h"

#define ROUND_MS 250
#define ACCEPTS_PER_ROUND 256
/* What epoll hands back that is no slot. */
#define KEY_LISTEN UINT64_MAX
#define KEY_WAKE (UINT64_MAX - 1)

struct rpc_acceptor {
	struct rpc *rpc;
	pthread_t thread;
	bool started;
	int epoll_fd, wake_fd, spare_fd;
	atomic_bool stop, refusing;
	atomic_uint_least64_t rounds;
	int *fd;    /* by slot: our copy, -1: free */
	int *idle;  /* slots that are free */
	int n_idle;
};

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Out of epoll first: closing a copy does not do that while gRPC has the connection open,
   and the next hang-up would come for a slot that is free. */
static void on_hang_up(struct rpc_acceptor *a, int slot)
{
	(void)epoll_ctl(a->epoll_fd, EPOLL_CTL_DEL, a->fd[slot], NULL);
	close(a->fd[slot]);
	a->fd[slot] = -1;
	a->idle[a->n_idle++] = slot;
}

/* Gives the connection away, or closes it. */
static void admit(struct rpc_acceptor *a, int fd)
{
	int on = 1;
	int copy = a->n_idle ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (copy < 0) {
		close(fd);
		return;
	}
	int slot = a->idle[a->n_idle - 1];
	struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLET, .data.u64 = (uint64_t)slot };
	if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, copy, &ev) != 0) {
		close(copy);
		close(fd);
		return;
	}
	a->n_idle--;
	a->fd[slot] = copy;
	/* Fails for a unix socket, which has no delay. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	grpc_server_add_channel_from_fd(a->rpc->server, fd, a->rpc->credentials);
}

/* No descriptor is left: with the spare one take what waits and let it go. */
static void shed_one(struct rpc_acceptor *a)
{
	close_fd(a->spare_fd);
	int fd = accept4(a->rpc->endpoint.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	else
		usleep(10000); /* somebody took the spare one as well: wait, do not spin */
	a->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_some(struct rpc_acceptor *a)
{
	for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
		int fd = accept4(a->rpc->endpoint.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			admit(a, fd);
		else if (errno == EMFILE || errno == ENFILE)
			shed_one(a);
		else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			return;
		/* Else that one connection failed before it was ours. */
	}
}

static void on_event(struct rpc_acceptor *a, uint64_t key)
{
	uint64_t wakes;
	if (key == KEY_WAKE)
		(void)!read(a->wake_fd, &wakes, sizeof(wakes));
	else if (key == KEY_LISTEN)
		accept_some(a);
	else
		on_hang_up(a, (int)key);
}

static void *run(void *ctx)
{
	struct rpc_acceptor *a = ctx;
	struct epoll_event events[64];
	int64_t round_ns = 0;
	pthread_setname_np(pthread_self(), "grpc-listen");
	while (!atomic_load(&a->stop)) {
		int n = epoll_wait(a->epoll_fd, events, 64, ROUND_MS);
		atomic_fetch_add(&a->rounds, 1);
		for (int i = 0; i < n; i++)
			on_event(a, events[i].data.u64);
		if (clock_now_ns() >= round_ns) {
			rpc_watch_round(a->rpc);
			round_ns = clock_now_ns() + ROUND_MS * NS_PER_MS;
		}
		if (atomic_load(&a->refusing))
			endpoint_close(&a->rpc->endpoint);
	}
	return NULL;
}

static bool make_slots(struct rpc_acceptor *a)
{
	int n = a->rpc->conf.connections_max;
	a->fd = calloc((size_t)n, sizeof(*a->fd));
	a->idle = calloc((size_t)n, sizeof(*a->idle));
	if (!a->fd || !a->idle)
		return false;
	for (int i = 0; i < n; i++) {
		a->fd[i] = -1;
		a->idle[a->n_idle++] = n - 1 - i;
	}
	return true;
}

enum err_code rpc_accept_start(struct rpc *r, struct err *err)
{
	struct rpc_acceptor *a = calloc(1, sizeof(*a));
	if (!a)
		return err_oom(err);
	r->acceptor = a;
	a->rpc = r;
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (!make_slots(a))
		return err_oom(err);
	struct epoll_event listen_ev = { .events = EPOLLIN, .data.u64 = KEY_LISTEN };
	struct epoll_event wake_ev = { .events = EPOLLIN, .data.u64 = KEY_WAKE };
	if (a->epoll_fd < 0 || a->wake_fd < 0 || a->spare_fd < 0 ||
		epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, r->endpoint.fd, &listen_ev) != 0 ||
		epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->wake_fd, &wake_ev) != 0 ||
		pthread_create(&a->thread, NULL, run, a) != 0)
		return err_set(err, ERR_INTERNAL, "grpc: cannot start accepting: %s", strerror(errno));
	a->started = true;
	return ERR_OK;
}

static void wake(struct rpc_acceptor *a)
{
	uint64_t one = 1;
	(void)!write(a->wake_fd, &one, sizeof(one));
}

void rpc_accept_refuse(struct rpc_acceptor *a)
{
	atomic_store(&a->refusing, true);
	wake(a);
}

void rpc_accept_stop(struct rpc_acceptor *a)
{
	if (!a)
		return;
	if (a->started) {
		atomic_store(&a->stop, true);
		wake(a);
		pthread_join(a->thread, NULL);
	}
	for (int i = 0; a->fd && i < a->rpc->conf.connections_max; i++) {
		if (a->fd[i] >= 0)
			shutdown(a->fd[i], SHUT_RDWR);
		close_fd(a->fd[i]);
	}
	close_fd(a->epoll_fd);
	close_fd(a->wake_fd);
	close_fd(a->spare_fd);
	free(a->fd);
	free(a->idle);
	free(a);
}

uint64_t rpc_accept_rounds(const struct rpc_acceptor *a)
{
	return atomic_load(&a->rounds);
}
