/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/notify.h"

static char text[4096];
static struct err err;

/* A manager that listens at an abstract address. */
static int given_manager(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char name[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int len = snprintf(name, sizeof(name), "@signet-test-%d", (int)getpid());
	memcpy(at.sun_path, name, (size_t)len);
	at.sun_path[0] = '\0';
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *heard(int fd)
{
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

START_TEST(a_message_is_one_datagram)
{
	int fd = given_manager();
	ck_assert_int_eq(notify_init(&err), ERR_OK);
	notify_send("READY=1\nSTATUS=%s", "serving");
	ck_assert_str_eq(heard(fd), "READY=1\nSTATUS=serving");
	notify_reloading();
	long long us;
	ck_assert_int_eq(sscanf(heard(fd), "RELOADING=1\nMONOTONIC_USEC=%lld", &us), 1);
	ck_assert_int_lt(llabs(us * 1000 - clock_now_ns()), 5 * NS_PER_S);
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	close(fd);
}
END_TEST

/* C13 */
START_TEST(junk_in_the_environment_is_survived)
{
	static const char *const sockets[] = { "", "/", "relative", "/nonexistent/socket", "@" };
	setenv("WATCHDOG_USEC", "-1", 1);
	setenv("LISTEN_FDS", "99999999999", 1);
	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
		setenv("NOTIFY_SOCKET", sockets[i], 1);
		ck_assert_int_eq(notify_init(&err), ERR_OK);
		notify_send("READY=1");
		ck_assert_int_eq(notify_watchdog_ns(), 0);
		ck_assert_int_eq(notify_take_fd("http"), -1);
	}
	char longer[300];
	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	ck_assert_int_eq(notify_init(&err), ERR_OK);
	notify_send("READY=1");
}
END_TEST

START_TEST(the_watchdog_of_another_process_is_not_ours)
{
	char pid[16];
	setenv("WATCHDOG_USEC", "2000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_int_eq(notify_init(&err), ERR_OK);
	ck_assert_int_eq(notify_watchdog_ns(), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "2000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_int_eq(notify_init(&err), ERR_OK);
	ck_assert_int_eq(notify_watchdog_ns(), 2 * NS_PER_S);
}
END_TEST

#define BROKEN 200
#define NONE 201

/* The exit status of look() in a process with these sockets: here the descriptors from 3 on belong
   to Check. */
static int with_sockets(
	const char *count, const char *names, int (*look)(const char *), const char *arg)
{
	pid_t child = fork();
	if (child == 0) {
		char pid[16];
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", count, 1);
		if (names)
			setenv("LISTEN_FDNAMES", names, 1);
		for (int fd = 3; fd < 6; fd++)
			dup2(STDOUT_FILENO, fd);
		for (int fd = 6; fd < 16; fd++)
			close(fd);
		_exit(look(arg));
	}
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int take(const char *name)
{
	if (notify_init(&err) != ERR_OK)
		return BROKEN;
	int fd = notify_take_fd(name);
	if (fd < 0)
		return NONE;
	return notify_take_fd(name) == -1 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) ? fd : BROKEN;
}

/* Which descriptor one gets for a name. */
static int passed(const char *count, const char *names, const char *name)
{
	return with_sockets(count, names, take, name);
}

/* Is this what is said of the sockets, once http has taken its own? */
static int take_http_and_check(const char *says)
{
	if (notify_init(&err) == ERR_OK) {
		(void)notify_take_fd("http");
		if (notify_check_fds(&err) == ERR_OK)
			return *says != '\0';
	}
	return err.code != ERR_INVALID_ARGUMENT || !*says || !strstr(err.msg, says);
}

static int said(const char *count, const char *names, const char *says)
{
	return with_sockets(count, names, take_http_and_check, says) == 0;
}

START_TEST(a_socket_that_nobody_serves_is_refused)
{
	ck_assert(said("1", "http", ""));
	ck_assert(said("1", NULL, ""));
	ck_assert(said("2", "http:grpc", "socket 'grpc'"));
	ck_assert(said("2", "http:http", "socket 'http'"));
	ck_assert(said("1", "web.socket", "socket 'web.socket'"));
	ck_assert(said("2", NULL, "socket ''"));
	ck_assert(said("17", NULL, "LISTEN_FDS=17: systemd may pass 16"));
	ck_assert(said("-1", NULL, "LISTEN_FDS=-1"));
	ck_assert(said("x", NULL, "LISTEN_FDS=x"));
	ck_assert(said("4", "http", "descriptor 6 is not open"));
}
END_TEST

START_TEST(sockets_are_found_by_name_and_once)
{
	ck_assert_int_eq(passed("3", "grpc:http:stored", "http"), 4);
	ck_assert_int_eq(passed("3", "grpc:http:stored", "grpc"), 3);
	ck_assert_int_eq(passed("3", "grpc:http:stored", "metrics"), NONE);
	ck_assert_int_eq(passed("1", "grpc:http:stored", "http"), NONE);
}
END_TEST

START_TEST(one_unnamed_socket_is_anyone_s)
{
	ck_assert_int_eq(passed("1", NULL, "http"), 3);
	ck_assert_int_eq(passed("1", "unknown", "http"), 3);
	ck_assert_int_eq(passed("1", "grpc", "http"), NONE);
	ck_assert_int_eq(passed("2", "", "http"), NONE);
	ck_assert_int_eq(passed("0", "http", "http"), NONE);
}
END_TEST

Suite *suite_notify(void);
Suite *suite_notify(void)
{
	Suite *s = suite_create("notify");
	TCase *t = tcase_create("notify");
	tcase_add_test(t, a_message_is_one_datagram);
	tcase_add_test(t, junk_in_the_environment_is_survived);
	tcase_add_test(t, the_watchdog_of_another_process_is_not_ours);
	tcase_add_test(t, a_socket_that_nobody_serves_is_refused);
	tcase_add_test(t, sockets_are_found_by_name_and_once);
	tcase_add_test(t, one_unnamed_socket_is_anyone_s);
	suite_add_tcase(s, t);
	return s;
}
