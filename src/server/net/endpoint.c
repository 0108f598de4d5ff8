/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/parse.h"

#define BACKLOG 4096
#define HOST_BYTES 256

static bool is_loopback(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 ==
		       IN_LOOPBACKNET;
	return sa->ss_family == AF_INET6 &&
		IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

static enum err_code name_address(const char *who, struct endpoint *e, struct err *err)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	char host[64], port[16];
	if (getsockname(e->fd, (struct sockaddr *)&sa, &len) != 0)
		return err_set(err, ERR_INTERNAL, "%s: the listening socket has no address", who);
	e->is_local = sa.ss_family == AF_UNIX || is_loopback(&sa);
	if (sa.ss_family == AF_UNIX) {
		snprintf(e->address, sizeof(e->address), "unix:%.110s",
			((struct sockaddr_un *)&sa)->sun_path);
		return ERR_OK;
	}
	if (getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return err_set(
			err, ERR_INTERNAL, "%s: the listening socket is neither IP nor unix", who);
	e->port = atoi(port);
	snprintf(e->address, sizeof(e->address), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
		port);
	return ERR_OK;
}

/* A socket file that nobody answers on is a leftover; anything else is not ours to remove. */
static bool is_stale(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool stale =
		connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0 && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static enum err_code check_unix(const char *who, const char *path, struct err *err)
{
	if (strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path))
		return ERR_OK;
	return err_set(
		err, ERR_INVALID_ARGUMENT, "%s: the path of the unix socket is too long", who);
}

static enum err_code open_unix(
	const char *who, const char *path, struct endpoint *e, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	TRY(check_unix(who, path, err));
	memcpy(sa.sun_path, path, strlen(path));
	e->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (e->fd < 0)
		return err_set(err, ERR_INTERNAL, "%s: socket: %s", who, strerror(errno));
	if (is_stale(&sa))
		unlink(path);
	if (bind(e->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(e->fd, BACKLOG) != 0)
		return err_set(err, ERR_UNAVAILABLE, "%s: cannot listen on unix:%s: %s", who, path,
			strerror(errno));
	e->unlink_path = path;
	return ERR_OK;
}

static int bind_one(const struct addrinfo *ai)
{
	int on = 1;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* HOST:PORT; *ret_port is what stands behind the colon. */
static enum err_code split_tcp(const char *who, const char *text, char host[HOST_BYTES],
	const char **ret_port, struct err *err)
{
	int64_t number;
	const char *colon = strrchr(text, ':');
	if (!colon || colon - text >= HOST_BYTES ||
		!parse_i64(slice_of(colon + 1), 0, 65535, &number))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s: '%s' is not HOST:PORT, unix:PATH or off", who, text);
	size_t len = (size_t)(colon - text);
	bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	snprintf(host, HOST_BYTES, "%.*s", (int)(bracketed ? len - 2 : len), text + bracketed);
	*ret_port = colon + 1;
	return ERR_OK;
}

static enum err_code open_tcp(
	const char *who, const char *text, struct endpoint *e, struct err *err)
{
	char host[HOST_BYTES];
	const char *port;
	TRY(split_tcp(who, text, host, &port, err));
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	int bad = getaddrinfo(
		host[0] && strcmp(host, "*") != 0 ? host : NULL, port, &hints, &list);
	if (bad)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: '%s': %s", who, text,
			gai_strerror(bad));
	errno = EADDRNOTAVAIL;
	for (struct addrinfo *ai = list; ai && e->fd < 0; ai = ai->ai_next)
		e->fd = bind_one(ai);
	freeaddrinfo(list);
	if (e->fd < 0)
		return err_set(err, ERR_UNAVAILABLE, "%s: cannot listen on %s: %s", who, text,
			strerror(errno));
	return ERR_OK;
}

static enum err_code take_passed(const char *who, int fd, struct endpoint *e, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: descriptor %d: %s", who, fd,
			strerror(errno));
	e->fd = fd;
	e->passed = true;
	return ERR_OK;
}

enum err_code endpoint_check(const char *who, const char *where, struct err *err)
{
	char host[HOST_BYTES];
	const char *port;
	if (strncmp(where, "unix:", 5) == 0)
		return check_unix(who, where + 5, err);
	return split_tcp(who, where, host, &port, err);
}

enum err_code endpoint_open(const char *who, const char *where, int passed_fd, struct endpoint *e,
	struct err *err)
{
	*e = (struct endpoint){ .fd = -1 };
	if (passed_fd >= 0)
		TRY(take_passed(who, passed_fd, e, err));
	else if (strncmp(where, "unix:", 5) == 0)
		TRY(open_unix(who, where + 5, e, err));
	else
		TRY(open_tcp(who, where, e, err));
	return name_address(who, e, err);
}

void endpoint_close(struct endpoint *e)
{
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}

void endpoint_done(struct endpoint *e)
{
	if (!e->passed)
		endpoint_close(e);
	if (e->unlink_path)
		unlink(e->unlink_path);
	e->unlink_path = NULL;
}
