/* SPDX-License-Identifier: Apache-2.0 */
#include "server/notify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/parse.h"

#define MESSAGE_MAX 2048
#define FD_FIRST 3
#define FDS_MAX 16
#define FD_NAME_MAX 64

static struct {
	struct sockaddr_un to;
	socklen_t to_len; /* 0: nobody listens */
	int64_t watchdog_ns;
	int n_fds;
	struct {
		int fd; /* -1: taken */
		char name[FD_NAME_MAX];
	} fds[FDS_MAX];
} state;

/* "/path", or "@name" for the abstract namespace. */
static void take_socket(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;
	if (len < 2 || (path[0] != '/' && path[0] != '@') || len >= sizeof(state.to.sun_path))
		return;
	state.to.sun_family = AF_UNIX;
	memcpy(state.to.sun_path, path, len);
	if (path[0] == '@')
		state.to.sun_path[0] = '\0';
	state.to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* Is a variable that names a process meant for this one? */
static bool is_for_us(const char *variable)
{
	const char *text = getenv(variable);
	int64_t pid;
	return text && parse_i64(slice_of(text), 1, INT32_MAX, &pid) && pid == getpid();
}

static void take_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	int64_t us;
	if (!usec || (getenv("WATCHDOG_PID") && !is_for_us("WATCHDOG_PID")))
		return;
	if (parse_i64(slice_of(usec), 1, INT64_MAX / NS_PER_US, &us))
		state.watchdog_ns = us * NS_PER_US;
}

/* Names are separated by colons; a socket without one is called "unknown". */
static enum err_code take_fds(struct err *err)
{
	const char *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	int64_t n;
	if (!count || !is_for_us("LISTEN_PID"))
		return ERR_OK;
	if (!parse_i64(slice_of(count), 0, FDS_MAX, &n))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"LISTEN_FDS=%.20s: systemd may pass %d sockets at most; two, named http "
			"and grpc, are of use",
			count, FDS_MAX);
	for (int i = 0; i < n; i++) {
		size_t len = names ? strcspn(names, ":") : 0;
		int fd = FD_FIRST + i, flags = fcntl(fd, F_GETFD);
		if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"LISTEN_FDS=%.20s, but descriptor %d is not open", count, fd);
		state.fds[i].fd = fd;
		snprintf(state.fds[i].name, FD_NAME_MAX, "%.*s", (int)len, names ? names : "");
		if (names)
			names += len + (names[len] == ':');
	}
	state.n_fds = (int)n;
	return ERR_OK;
}

enum err_code notify_init(struct err *err)
{
	static const char *const variables[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
		"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES" };
	memset(&state, 0, sizeof(state));
	take_socket();
	take_watchdog();
	enum err_code rc = take_fds(err);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	return rc;
}

void notify_send(const char *fmt, ...)
{
	if (state.to_len == 0)
		return;
	char msg[MESSAGE_MAX];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (len <= 0)
		return;
	size_t bytes = (size_t)len < sizeof(msg) ? (size_t)len : sizeof(msg) - 1;
	/* A socket for each message: they are few, and a manager that was restarted meanwhile
	   is found again. */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, msg, bytes, MSG_NOSIGNAL, (struct sockaddr *)&state.to, state.to_len);
	close(fd);
}

void notify_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(clock_now_ns() / NS_PER_US));
}

int64_t notify_watchdog_ns(void)
{
	return state.watchdog_ns;
}

static bool is_unnamed(const char *name)
{
	return *name == '\0' || strcmp(name, "unknown") == 0;
}

int notify_take_fd(const char *name)
{
	for (int i = 0; i < state.n_fds; i++) {
		bool match = strcmp(state.fds[i].name, name) == 0 ||
			(state.n_fds == 1 && is_unnamed(state.fds[i].name));
		if (match && state.fds[i].fd >= 0) {
			int fd = state.fds[i].fd;
			state.fds[i].fd = -1;
			return fd;
		}
	}
	return -1;
}

enum err_code notify_check_fds(struct err *err)
{
	for (int i = 0; i < state.n_fds; i++)
		if (state.fds[i].fd >= 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"nobody serves the socket '%s' that systemd passes: each needs "
				"another FileDescriptorName= of http and grpc, whose listen option "
				"is not off",
				state.fds[i].name);
	return ERR_OK;
}

bool notify_state_dir(char *buf, size_t size)
{
	const char *list = getenv("STATE_DIRECTORY");
	size_t len = list ? strcspn(list, ":") : 0;
	if (len == 0 || len >= size)
		return false;
	memcpy(buf, list, len);
	buf[len] = '\0';
	return true;
}
