/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_ROUND 256

enum err_code intake_init(struct intake *in, int epoll_fd, uint64_t key, struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = key };
	in->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (in->spare_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, in->endpoint->fd, &ev) != 0 ||
		(in->relay && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, relay_fd(in->relay), &ev) != 0))
		return err_set(err, ERR_INTERNAL, "cannot start accepting: %s", strerror(errno));
	return ERR_OK;
}

void intake_done(struct intake *in)
{
	if (in->spare_fd >= 0)
		close(in->spare_fd);
	in->spare_fd = -1;
}

/* No descriptor is left: closes the spare one, so that a connection can be accepted and turned
   away. False: another thread took that descriptor first, and the connection goes on waiting. */
static bool shed_one(struct intake *in)
{
	if (in->spare_fd >= 0)
		close(in->spare_fd);
	int fd = accept4(in->endpoint->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		in->refuse(in->ctx, fd);
	else
		usleep(10000); /* the socket stays readable: do not spin */
	in->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

static void take(struct intake *in, int fd)
{
	if (!in->relay)
		in->admit(in->ctx, fd, -1);
	else if (!relay_add(in->relay, fd))
		in->refuse(in->ctx, -1);
}

/* False: there is nothing more to take now. */
static bool accept_some(struct intake *in)
{
	/* The endpoint may be closed already, while the relay still has connections for us. */
	for (int i = 0; i < ACCEPTS_PER_ROUND && in->endpoint->fd >= 0; i++) {
		int fd = accept4(in->endpoint->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			take(in, fd);
		else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			return false;
		else if ((errno == EMFILE || errno == ENFILE) && !shed_one(in))
			return false;
		/* Any other error is of that one connection, which failed before it was ours. */
	}
	return in->endpoint->fd >= 0;
}

/* Bounded, since clients keep coming: what waited at the call is taken in so many rounds. */
void intake_rest(struct intake *in)
{
	for (int i = 0; i < SOMAXCONN / ACCEPTS_PER_ROUND + 1 && accept_some(in); i++)
		;
}

void intake_some(struct intake *in)
{
	(void)accept_some(in);
	for (int i = 0; in->relay && i < ACCEPTS_PER_ROUND; i++) {
		int wire;
		int fd = relay_accept(in->relay, &wire);
		if (fd < 0)
			return;
		in->admit(in->ctx, fd, wire);
	}
}
