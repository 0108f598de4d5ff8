/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. libmicrohttpd would bring a thread of its own. We bring ours, for two reasons.
 * First, its thread asks epoll for 128 events, and when it gets all 128 it asks again, and sleeps
 * there: if just so many connections were ready, none of them is answered until some other event
 * comes. Our rounds never sleep in libmicrohttpd, but here, outside.
 * Second, between two rounds all that was ready has been read, so that quick requests can run
 * together (gather.c).
 *
 * INVARIANTS
 *   1. No thread but the IO thread calls libmicrohttpd, except to resume a connection.
 */
#include "server/http/io.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/priority.h"
#include "server/http/call_pool.h"
#include "server/http/conn.h"
#include "server/http/gather.h"

#define NO_FD (-1)
/* Measured (tests/bench/throughput, v2-binary) as a share of a bare echo's rate, on two cores that
   two such threads and the client share: 0.58 without, 0.60 for as long as two sched_yield() take,
   0.61 for 20 us, 0.63 for 50, 0.64 for 100 and for 200; of processor time no more at any rate. */
#define LINGER_NS 100000
#define ROUNDS_FOR_NOTHING 16
#define BUSY_ANSWERS 4 /* since it slept: a thread that gave so many is busy */

/* One write will do for all that happens before the thread comes to look. */
static void wake(struct io *io)
{
	uint64_t one = 1;
	if (!atomic_exchange(&io->woken, true))
		(void)!write(io->wake_fd, &one, sizeof(one));
}

void io_resume(struct io *io, struct MHD_Connection *mhd)
{
	MHD_resume_connection(mhd);
	wake(io);
}

/* --- newcomers: a stack, as a chain of descriptors --- */

void io_add(struct io *io, int fd)
{
	struct sock *s = &io->http->socks.slot[fd];
	int newest = atomic_load(&io->newest);
	do
		s->added_before = newest;
	while (!atomic_compare_exchange_weak(&io->newest, &newest, fd));
	wake(io);
}

/* libmicrohttpd insists on the peer's address; nobody reads it. */
static void hand_over(struct io *io, int fd)
{
	const struct sockaddr any = { .sa_family = AF_UNSPEC };
	struct sock *s = &io->http->socks.slot[fd];
	uint32_t generation = s->generation;
	if (MHD_add_connection(io->daemon, fd, &any, sizeof(any)) == MHD_YES)
		return;
	sock_abandon(&io->http->socks, s, generation);
	http_count_refusal(io->http, REFUSAL_MEMORY);
}

static void take_newcomers(struct io *io)
{
	int fd = atomic_load(&io->newest) == NO_FD ? NO_FD : atomic_exchange(&io->newest, NO_FD);
	while (fd != NO_FD) {
		int before = io->http->socks.slot[fd].added_before;
		hand_over(io, fd);
		fd = before;
	}
}

/* --- the thread --- */

enum { READY, WOKEN, N_EVENTS };

/* Clients that were just answered ask again as soon as they get to run: to sleep at once would cost
   both sides a wakeup for each request or two, so a busy thread gives them the core first, and
   lingers. One that is not busy does not: a thread that computes would keep the core for its whole
   time slice, and the next request would wait. */
static bool is_ready_after_giving_way(struct io *io, struct pollfd *fds)
{
	bool is_busy = io->answered_at_once >= BUSY_ANSWERS;
	io->answered_at_once = 0;
	if (!is_busy)
		return false;
	int64_t end_ns = clock_now_ns() + LINGER_NS;
	do {
		sched_yield();
		if (poll(fds, N_EVENTS, 0) > 0)
			return true;
	} while (clock_now_ns() < end_ns);
	return false;
}

/* Until a connection is ready, or wake(), or so long; -1: for ever. */
static void sleep_until_woken(struct io *io, int at_most_ms)
{
	struct pollfd fds[] = { [READY] = { .fd = io->epoll_fd, .events = POLLIN },
		[WOKEN] = { .fd = io->wake_fd, .events = POLLIN } };
	uint64_t wakes;
	bool is_ready = is_ready_after_giving_way(io, fds) || poll(fds, N_EVENTS, at_most_ms) > 0;
	if (is_ready && fds[WOKEN].revents) {
		(void)!read(io->wake_fd, &wakes, sizeof(wakes));
		atomic_store(&io->woken, false);
	}
}

static bool has_work_left(struct io *io)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;
	return MHD_get_timeout(io->daemon, &wait_ms) == MHD_YES && wait_ms == 0;
}

/* libmicrohttpd asks for a round at once while a connection has bytes that it has not read, though
   it cannot take them: a chunk's extension that is longer than its memory, until the body's time is
   over. Rounds that nothing comes of wait, as does a large answer now and then. */
static void wait_for_work(struct io *io)
{
	if (!has_work_left(io)) {
		io->rounds = 0;
		sleep_until_woken(io, -1);
	} else if (++io->rounds > ROUNDS_FOR_NOTHING) {
		sleep_until_woken(io, 1);
	}
}

/* After a batch has run: libmicrohttpd makes its answers in one round, and sends them in the
   next. */
static void send_answers(struct io *io)
{
	MHD_run(io->daemon);
	MHD_run(io->daemon);
}

static void *run(void *ctx)
{
	struct io *io = ctx;
	pthread_setname_np(pthread_self(), "http-io");
	priority_short_turns();
	while (!atomic_load(&io->stop)) {
		wait_for_work(io);
		take_newcomers(io);
		MHD_run(io->daemon);
		if (gather_run(io))
			send_answers(io);
	}
	return NULL;
}

enum err_code io_start(struct io *io, struct err *err)
{
	atomic_init(&io->newest, NO_FD);
	io->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	io->daemon = io->wake_fd >= 0 ? conn_daemon_new(io) : NULL;
	const union MHD_DaemonInfo *epoll =
		io->daemon ? MHD_get_daemon_info(io->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!epoll)
		return err_set(
			err, ERR_INTERNAL, "http: cannot start an IO thread: %s", strerror(errno));
	io->epoll_fd = epoll->epoll_fd;
	io->started = pthread_create(&io->thread, NULL, run, io) == 0;
	return io->started ? ERR_OK : err_set(err, ERR_INTERNAL, "http: cannot start a thread");
}

void io_stop(struct io *io)
{
	if (io->started) {
		atomic_store(&io->stop, true);
		wake(io);
		pthread_join(io->thread, NULL);
		take_newcomers(io); /* to be closed with the others */
	}
	if (io->daemon)
		MHD_stop_daemon(io->daemon);
	if (io->wake_fd >= 0)
		close(io->wake_fd);
	call_pool_free(io);
}
