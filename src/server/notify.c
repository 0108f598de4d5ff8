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
static void take_fds(void)
{
	const char *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	int64_t n;
	if (!count || !is_for_us("LISTEN_PID") || !parse_i64(slice_of(count), 0, FDS_MAX, &n))
		return;
	for (int i = 0; i < n; i++) {
		size_t len = names ? strcspn(names, ":") : 0;
		int flags = fcntl(FD_FIRST + i, F_GETFD);
		state.fds[i].fd = flags < 0 ? -1 : FD_FIRST + i;
		if (flags >= 0)
			fcntl(FD_FIRST + i, F_SETFD, flags | FD_CLOEXEC);
		snprintf(state.fds[i].name, FD_NAME_MAX, "%.*s", (int)len, names ? names : "");
		if (names)
			names += len + (names[len] == ':');
	}
	state.n_fds = (int)n;
}

void notify_init(void)
{
	static const char *const variables[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
		"LISTEN_PID", "LISTEN_FDNAMES" };
	memset(&state, 0, sizeof(state));
	take_socket();
	take_watchdog();
	take_fds();
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
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
