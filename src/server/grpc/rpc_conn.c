/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_conn.h"

#include <fcntl.h>
#include <grpc/support/alloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/parse.h"
#include "server/net/crowd.h"
#include "server/net/tcp.h"

#define SLOTS_MAX 1048576
#define PEER_PREFIX "fd:"
/* Who has no call has little to say: settings, pings, the headers of the next one. gRPC
   joins a header's pieces anew with each that comes, so their cost grows with the square. */
#define QUIET_BYTES_MAX (2u << 20)

enum err_code rpc_conns_init(struct rpc_conns *t, int calls_max, struct err *err)
{
	*t = (struct rpc_conns){ .n = tcp_fds_max(SLOTS_MAX), .calls_max = calls_max,
		.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.now_ms = clock_now_ns() / NS_PER_MS };
	t->slot = calloc((size_t)t->n, sizeof(*t->slot));
	if (!t->slot || t->wake_fd < 0)
		return err_oom(err);
	for (int fd = 0; fd < t->n; fd++)
		t->slot[fd].copy = -1;
	return ERR_OK;
}

void rpc_conns_cut_off(struct rpc_conns *t)
{
	for (int fd = 0; t->slot && fd <= t->highest; fd++)
		if (t->slot[fd].copy >= 0)
			shutdown(t->slot[fd].copy, SHUT_RDWR);
}

void rpc_conns_done(struct rpc_conns *t)
{
	for (int fd = 0; t->slot && fd <= t->highest; fd++)
		if (t->slot[fd].copy >= 0)
			close(t->slot[fd].copy);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	free(t->slot);
}

void rpc_conns_wake(struct rpc_conns *t)
{
	uint64_t one = 1;
	(void)!write(t->wake_fd, &one, sizeof(one));
}

/* --- coming and going --- */

uint32_t rpc_conn_generation(const struct rpc_conn *s)
{
	return (uint32_t)(atomic_load(&s->calls) >> 32);
}

struct rpc_conn *rpc_conn_open(struct rpc_conns *t, int fd)
{
	struct rpc_conn *s = fd < t->n ? &t->slot[fd] : NULL;
	if (!s)
		return NULL;
	/* gRPC has closed the one that had this descriptor, and we have not heard yet. */
	if (s->copy >= 0)
		rpc_conn_close(t, fd);
	s->copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->copy < 0)
		return NULL;
	atomic_store(&s->calls, (uint64_t)(rpc_conn_generation(s) + 1) << 32);
	atomic_store(&s->wasted.word, 0);
	s->seen_started = atomic_load(&s->started);
	s->called_ms = t->now_ms;
	s->quiet_from = 0;
	if (fd > t->highest)
		t->highest = fd;
	atomic_fetch_add(&t->open, 1);
	return s;
}

void rpc_conn_close(struct rpc_conns *t, int fd)
{
	close(t->slot[fd].copy);
	t->slot[fd].copy = -1;
	atomic_fetch_sub(&t->open, 1);
}

/* --- the sweep --- */

static void cut_off(struct rpc_conns *t, struct rpc_conn *s, enum rpc_refusal why)
{
	rpc_count_refusal(t, why);
	shutdown(s->copy, SHUT_RDWR);
}

/* Since the last round. */
static bool has_called(const struct rpc_conn *s)
{
	return (uint32_t)atomic_load(&s->calls) > 0 || atomic_load(&s->started) != s->seen_started;
}

static bool talks_without_calling(struct rpc_conn *s, bool calls)
{
	struct tcp_state tcp;
	if (!tcp_look(s->copy, &tcp))
		return false;
	if (calls)
		s->quiet_from = tcp.received;
	return tcp.received - s->quiet_from > QUIET_BYTES_MAX;
}

void rpc_conns_sweep(struct rpc_conns *t)
{
	t->now_ms = clock_now_ns() / NS_PER_MS;
	for (int fd = 0; fd <= t->highest; fd++) {
		struct rpc_conn *s = &t->slot[fd];
		if (s->copy < 0)
			continue;
		bool calls = has_called(s);
		if (calls)
			s->called_ms = t->now_ms;
		s->seen_started = atomic_load(&s->started);
		if (atomic_load(&s->doomed) == rpc_conn_generation(s))
			cut_off(t, s, RPC_REFUSAL_WASTED);
		else if (talks_without_calling(s, calls))
			cut_off(t, s, RPC_REFUSAL_BYTES);
	}
}

static void offer_idle(struct rpc_conns *t, struct crowd *crowd)
{
	for (int fd = 0; fd <= t->highest; fd++) {
		struct rpc_conn *s = &t->slot[fd];
		if (s->copy >= 0 && !has_called(s))
			crowd_offer(crowd, (struct crowd_member){
						   fd, rpc_conn_generation(s), s->called_ms });
	}
}

static bool is_idle_still(const struct rpc_conn *s, const struct crowd_member *m)
{
	return s->copy >= 0 && rpc_conn_generation(s) == m->generation &&
		s->called_ms == m->since_ms && !has_called(s);
}

int rpc_conns_make_room(struct rpc_conns *t, struct crowd *crowd)
{
	const struct crowd_member *m;
	if (crowd_begin(crowd, t->now_ms))
		offer_idle(t, crowd);
	do
		m = crowd_next(crowd);
	while (m && !is_idle_still(&t->slot[m->fd], m));
	if (!m)
		return -1;
	cut_off(t, &t->slot[m->fd], RPC_REFUSAL_CROWDED_OUT);
	return m->fd;
}

/* --- calls --- */

/* The descriptor of a call's connection; -1: gRPC names its peer in some other way. */
static int connection_of(const struct rpc_conns *t, grpc_call *call)
{
	char *peer = grpc_call_get_peer(call);
	size_t skip = sizeof(PEER_PREFIX) - 1;
	int64_t fd = -1;
	if (peer && strncmp(peer, PEER_PREFIX, skip) == 0 &&
		!parse_i64(slice_of(peer + skip), 0, t->n - 1, &fd))
		fd = -1;
	gpr_free(peer);
	return (int)fd;
}

bool rpc_conn_enter(struct rpc_conns *t, grpc_call *call, struct rpc_ticket *ret)
{
	*ret = (struct rpc_ticket){ .fd = connection_of(t, call) };
	if (ret->fd < 0)
		return true;
	struct rpc_conn *s = &t->slot[ret->fd];
	uint64_t was = atomic_fetch_add(&s->calls, 1);
	atomic_fetch_add_explicit(&s->started, 1, memory_order_relaxed);
	ret->generation = (uint32_t)(was >> 32);
	return (uint32_t)was < (uint32_t)t->calls_max;
}

void rpc_conn_leave(struct rpc_conns *t, struct rpc_ticket ticket)
{
	if (ticket.fd < 0)
		return;
	struct rpc_conn *s = &t->slot[ticket.fd];
	uint64_t was = atomic_load(&s->calls);
	while ((uint32_t)(was >> 32) == ticket.generation &&
		!atomic_compare_exchange_weak(&s->calls, &was, was - 1))
		;
}

void rpc_conn_doom(struct rpc_conns *t, struct rpc_ticket ticket)
{
	if (ticket.fd < 0)
		return;
	if (atomic_exchange(&t->slot[ticket.fd].doomed, ticket.generation) != ticket.generation)
		rpc_conns_wake(t);
}

void rpc_conn_waste(struct rpc_conns *t, struct rpc_ticket ticket)
{
	if (ticket.fd < 0)
		return;
	struct rpc_conn *s = &t->slot[ticket.fd];
	if (rpc_conn_generation(s) != ticket.generation)
		return;
	int64_t now_ns = clock_now_ns();
	if (!rpc_waste_add(&t->waste, rpc_tally_add(&s->wasted, now_ns), now_ns))
		rpc_conn_doom(t, ticket);
}
