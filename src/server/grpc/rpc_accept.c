/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_accept.h"

#include <errno.h>
#include <grpc/grpc_posix.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/grpc/rpc_late.h"
#include "server/grpc/rpc_watch.h"
#include "server/net/crowd.h"
#include "server/net/intake.h"
#include "server/net/tcp.h"

#define ROUND_MS 250
/* What epoll hands back that is no slot. */
#define KEY_LISTEN UINT64_MAX
#define KEY_WAKE (UINT64_MAX - 1)

struct rpc_acceptor {
	struct rpc *rpc;
	pthread_t thread;
	bool started;
	struct intake intake;
	struct crowd crowd;
	int epoll_fd;
	atomic_bool stop, refusing;
	atomic_uint_least64_t rounds;
	int64_t round_ns; /* when to go round connections and watches next */
};

static void turn_away(struct rpc_acceptor *a, int fd, enum rpc_refusal why)
{
	rpc_count_refusal(&a->rpc->conns, why);
	close(fd);
}

/* Events of a connection that is gone are told by its generation. Out of epoll first:
   closing a copy does not do that while gRPC has the connection open. */
static void on_hang_up(struct rpc_acceptor *a, int fd, uint32_t generation)
{
	struct rpc_conn *s = &a->rpc->conns.slot[fd];
	if (s->copy < 0 || rpc_conn_generation(s) != generation)
		return;
	(void)epoll_ctl(a->epoll_fd, EPOLL_CTL_DEL, s->copy, NULL);
	rpc_conn_close(&a->rpc->conns, fd);
}

/* Whoever makes way is no longer counted, though gRPC has still to hear of it. */
static bool make_room(struct rpc_acceptor *a)
{
	int fd = rpc_conns_make_room(&a->rpc->conns, &a->crowd);
	if (fd >= 0)
		on_hang_up(a, fd, rpc_conn_generation(&a->rpc->conns.slot[fd]));
	return fd >= 0;
}

/* Gives the connection away, or closes it. */
static void admit(void *ctx, int fd, int wire)
{
	struct rpc_acceptor *a = ctx;
	struct rpc_conns *t = &a->rpc->conns;
	if (wire >= 0)
		close(wire); /* the relay looks at it more closely than we could */
	if (atomic_load(&t->open) >= a->rpc->conf.connections_max && !make_room(a)) {
		turn_away(a, fd, RPC_REFUSAL_CONNECTIONS);
		return;
	}
	struct rpc_conn *s = rpc_conn_open(t, fd);
	if (!s) {
		turn_away(a, fd, RPC_REFUSAL_DESCRIPTORS);
		return;
	}
	struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLET,
		.data.u64 = (uint64_t)rpc_conn_generation(s) << 32 | (uint32_t)fd };
	if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, s->copy, &ev) != 0) {
		rpc_conn_close(t, fd);
		turn_away(a, fd, RPC_REFUSAL_DESCRIPTORS);
		return;
	}
	tcp_no_delay(fd);
	grpc_server_add_channel_from_fd(a->rpc->server, fd, a->rpc->credentials);
}

static void refuse(void *ctx, int fd)
{
	struct rpc_acceptor *a = ctx;
	rpc_count_refusal(&a->rpc->conns,
		fd >= 0 ? RPC_REFUSAL_DESCRIPTORS : RPC_REFUSAL_CONNECTIONS);
	if (fd < 0)
		return;
	(void)make_room(a); /* the next one may find a descriptor */
	close(fd);
}

static void on_event(struct rpc_acceptor *a, uint64_t key)
{
	uint64_t wakes;
	if (key == KEY_WAKE) {
		(void)!read(a->rpc->conns.wake_fd, &wakes, sizeof(wakes));
		a->round_ns = 0;
	} else if (key == KEY_LISTEN) {
		intake_some(&a->intake);
	} else {
		on_hang_up(a, (int)(uint32_t)key, (uint32_t)(key >> 32));
	}
}

static void *run(void *ctx)
{
	struct rpc_acceptor *a = ctx;
	struct epoll_event events[64];
	pthread_setname_np(pthread_self(), "grpc-listen");
	while (!atomic_load(&a->stop)) {
		int n = epoll_wait(a->epoll_fd, events, 64, ROUND_MS);
		atomic_fetch_add(&a->rounds, 1);
		for (int i = 0; i < n; i++)
			on_event(a, events[i].data.u64);
		if (clock_now_ns() >= a->round_ns) {
			rpc_watch_round(a->rpc);
			rpc_late_sweep(a->rpc);
			rpc_conns_sweep(&a->rpc->conns);
			a->round_ns = clock_now_ns() + ROUND_MS * NS_PER_MS;
		}
		if (atomic_load(&a->refusing))
			endpoint_close(&a->rpc->endpoint);
	}
	return NULL;
}

enum err_code rpc_accept_start(struct rpc *r, struct err *err)
{
	struct rpc_acceptor *a = calloc(1, sizeof(*a));
	if (!a)
		return err_oom(err);
	r->acceptor = a;
	a->rpc = r;
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	a->intake = (struct intake){ .endpoint = &r->endpoint, .relay = r->relay, .admit = admit,
		.refuse = refuse, .ctx = a, .spare_fd = -1 };
	struct epoll_event wake_ev = { .events = EPOLLIN, .data.u64 = KEY_WAKE };
	if (a->epoll_fd < 0 ||
		epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, r->conns.wake_fd, &wake_ev) != 0)
		return err_set(
			err, ERR_INTERNAL, "grpc: cannot start accepting: %s", strerror(errno));
	if (intake_init(&a->intake, a->epoll_fd, KEY_LISTEN, err) != ERR_OK)
		return err_prefix(err, "grpc");
	a->started = pthread_create(&a->thread, NULL, run, a) == 0;
	if (!a->started)
		return err_set(err, ERR_INTERNAL, "grpc: cannot start a thread");
	return ERR_OK;
}

void rpc_accept_refuse(struct rpc_acceptor *a)
{
	atomic_store(&a->refusing, true);
	rpc_conns_wake(&a->rpc->conns);
}

void rpc_accept_stop(struct rpc_acceptor *a)
{
	if (!a)
		return;
	if (a->started) {
		atomic_store(&a->stop, true);
		rpc_conns_wake(&a->rpc->conns);
		pthread_join(a->thread, NULL);
	}
	if (a->epoll_fd >= 0)
		close(a->epoll_fd);
	intake_done(&a->intake);
	free(a);
}

uint64_t rpc_accept_rounds(const struct rpc_acceptor *a)
{
	return atomic_load(&a->rounds);
}
