/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as they are; what TLS adds is in tests/e2e/test_tls.py. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "server/net/relay.h"

static struct relay *relay;
static size_t back_max;
static int client, library; /* the far ends */

/* look: a client's 'X' is not let through, nor one more byte back than ctx says. */
static bool no_x(const void *ctx, void *state, enum relay_way way, const uint8_t *data, size_t n)
{
	size_t *back = state;
	if (way == RELAY_UP)
		return !memchr(data, 'X', n);
	*back += n;
	return *back <= *(const size_t *)ctx;
}

static void given_relay(int connections_max)
{
	struct err err;
	const struct relay_conf conf = { .name = "relay", .threads = 2,
		.connections_max = connections_max, .handshake_timeout_ms = 1000, .look = no_x,
		.look_bytes = sizeof(size_t), .look_ctx = &back_max };
	back_max = SIZE_MAX;
	ck_assert_int_eq(relay_new(&conf, NULL, &relay, &err), ERR_OK);
}

static bool add_client(int *ret)
{
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct timeval patience = { .tv_sec = 20 };
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	*ret = pair[0];
	ck_assert_int_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	return relay_add(relay, pair[1]);
}

static int accepted(void)
{
	int wire, fd;
	struct pollfd p = { .fd = relay_fd(relay), .events = POLLIN };
	do {
		ck_assert_int_eq(poll(&p, 1, 20000), 1);
		fd = relay_accept(relay, &wire);
	} while (fd < 0);
	if (wire >= 0)
		close(wire);
	return fd;
}

static void setup(void)
{
	given_relay(4);
	ck_assert(add_client(&client));
	library = accepted();
}

static void teardown(void)
{
	relay_free(relay, 0);
	close(client);
	close(library);
}

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, 20000), 1);
}

static void expect(int fd, const char *text)
{
	char got[64];
	wait_readable(fd);
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), (ssize_t)strlen(text));
	ck_assert(memcmp(got, text, strlen(text)) == 0);
}

static void expect_end(int fd)
{
	char c;
	wait_readable(fd);
	ck_assert_int_eq(recv(fd, &c, 1, 0), 0);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i % 251 % 'X');
}

/* As much as goes in without anybody reading. */
static size_t fill(int fd)
{
	uint8_t chunk[4096];
	size_t total = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	while (poll(&p, 1, 300) == 1) {
		for (size_t i = 0; i < sizeof(chunk); i++)
			chunk[i] = pattern(total + i);
		ssize_t n = send(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n > 0)
			total += (size_t)n;
	}
	return total;
}

static void expect_pattern(int fd, size_t total)
{
	static uint8_t got[65536];
	for (size_t at = 0; at < total;) {
		wait_readable(fd);
		ssize_t n = recv(fd, got, sizeof(got), 0);
		ck_assert_int_gt(n, 0);
		for (ssize_t i = 0; i < n; i++)
			ck_assert_int_eq(got[i], pattern(at + (size_t)i));
		at += (size_t)n;
	}
}

START_TEST(bytes_go_both_ways)
{
	ck_assert_int_eq(send(client, "ping", 4, 0), 4);
	expect(library, "ping");
	ck_assert_int_eq(send(library, "pong", 4, 0), 4);
	expect(client, "pong");
}
END_TEST

START_TEST(a_taker_that_is_slow_holds_the_sender_back_and_gets_every_byte)
{
	int from[] = { client, library }, to[] = { library, client };
	for (int i = 0; i < 2; i++) {
		size_t sent = fill(from[i]);
		/* Two sockets' buffers and one piece in between. */
		ck_assert_uint_lt(sent, 4u << 20);
		expect_pattern(to[i], sent);
	}
}
END_TEST

START_TEST(a_half_close_is_one_on_the_other_side)
{
	shutdown(client, SHUT_WR);
	expect_end(library);
	ck_assert_int_eq(send(library, "late", 4, 0), 4);
	expect(client, "late");
	close(library);
	library = -1;
	expect_end(client);
}
END_TEST

START_TEST(what_was_sent_before_a_close_arrives)
{
	size_t sent = fill(library);
	close(library);
	library = -1;
	expect_pattern(client, sent);
	expect_end(client);
}
END_TEST

START_TEST(bytes_that_were_never_read_do_not_keep_a_closed_side_alive)
{
	fill(client);
	close(library);
	library = -1;
	wait_readable(client);
	char c;
	ssize_t n = recv(client, &c, 1, 0);
	ck_assert(n == 0 || (n < 0 && errno == ECONNRESET));
}
END_TEST

START_TEST(a_client_that_is_gone_hangs_up_though_nobody_reads)
{
	fill(client);
	close(client);
	client = -1;
	size_t total = 0;
	ssize_t n;
	char buf[65536];
	do {
		wait_readable(library);
		n = recv(library, buf, sizeof(buf), 0);
		total += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	ck_assert_uint_gt(total, 0);
}
END_TEST

START_TEST(what_must_not_pass_cuts_the_connection_off)
{
	ck_assert_int_eq(send(client, "good", 4, 0), 4);
	expect(library, "good");
	ck_assert_int_eq(send(client, "abcX", 4, 0), 4);
	expect_end(library);
	expect_end(client);
	ck_assert_uint_eq(relay_counts(relay).cut_off, 1);
}
END_TEST

START_TEST(what_goes_back_is_looked_at_too)
{
	back_max = 4;
	ck_assert_int_eq(send(library, "good", 4, 0), 4);
	expect(client, "good");
	ck_assert_int_eq(send(library, "x", 1, 0), 1);
	expect_end(client);
}
END_TEST

START_TEST(what_was_accepted_is_bounded_by_who_accepts)
{
	int more[8], held[8];
	for (int i = 0; i < 8; i++) {
		ck_assert(add_client(&more[i]));
		close(accepted());
	}
	for (int64_t until = clock_now_ns() + 20 * NS_PER_S;
		relay_counts(relay).open > 1 && clock_now_ns() < until;)
		usleep(1000);
	ck_assert_uint_eq(relay_counts(relay).open, 1);
	for (int i = 0; i < 8; i++) {
		close(more[i]);
		ck_assert(add_client(&more[i]));
		held[i] = accepted();
	}
	for (int i = 0; i < 8; i++) {
		close(held[i]);
		close(more[i]);
	}
}
END_TEST

START_TEST(it_ends_with_connections_in_any_state)
{
	int waiting;
	ck_assert(add_client(&waiting)); /* never accepted */
	fill(client);
	relay_free(relay, 50);
	expect_end(waiting);
	close(waiting);
	given_relay(1); /* for teardown() */
}
END_TEST

Suite *suite_relay(void);
Suite *suite_relay(void)
{
	Suite *s = suite_create("relay");
	TCase *t = tcase_create("relay");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, bytes_go_both_ways);
	tcase_add_test(t, a_taker_that_is_slow_holds_the_sender_back_and_gets_every_byte);
	tcase_add_test(t, a_half_close_is_one_on_the_other_side);
	tcase_add_test(t, what_was_sent_before_a_close_arrives);
	tcase_add_test(t, bytes_that_were_never_read_do_not_keep_a_closed_side_alive);
	tcase_add_test(t, a_client_that_is_gone_hangs_up_though_nobody_reads);
	tcase_add_test(t, what_must_not_pass_cuts_the_connection_off);
	tcase_add_test(t, what_goes_back_is_looked_at_too);
	tcase_add_test(t, what_was_accepted_is_bounded_by_who_accepts);
	tcase_add_test(t, it_ends_with_connections_in_any_state);
	suite_add_tcase(s, t);
	return s;
}
