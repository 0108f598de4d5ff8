/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator against a server of one thread whose every answer is scripted. */
#include <check.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "tools/http_client.h"
#include "tools/bench/load_http.h"

struct server {
	int listen_fd;
	const char *reply; /* NULL: none; the connection is closed */
	int64_t delay_ns;
	pthread_t thread;
	struct http_url url;
};

static void *serve_one(void *ctx)
{
	struct server *s = ctx;
	int fd;
	while ((fd = accept(s->listen_fd, NULL, NULL)) >= 0) {
		char buf[4096];
		ssize_t n;
		while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
			if (s->delay_ns)
				nanosleep(&(struct timespec){ .tv_nsec = s->delay_ns }, NULL);
			if (!s->reply || send(fd, s->reply, strlen(s->reply), MSG_NOSIGNAL) < 0)
				break;
		}
		close(fd);
	}
	return NULL;
}

static void given_server(struct server *s, const char *reply, int64_t delay_ns)
{
	*s = (struct server){ .reply = reply, .delay_ns = delay_ns };
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	s->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(s->listen_fd, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(s->listen_fd, 64), 0);
	ck_assert_int_eq(getsockname(s->listen_fd, (struct sockaddr *)&addr, &len), 0);
	memcpy(&s->url.addr, &addr, len);
	s->url.addr_len = len;
	ck_assert_int_eq(pthread_create(&s->thread, NULL, serve_one, s), 0);
}

static void end_server(struct server *s)
{
	shutdown(s->listen_fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
}

static const struct slice request = SLICE_LIT("GET / HTTP/1.1\r\n\r\n");

static struct load_result *when_loaded(const struct server *s, struct load_conf conf)
{
	struct load_result *r = calloc(1, sizeof(*r));
	conf.wire = &load_http;
	conf.server = &s->url;
	conf.request = &request;
	conf.n_request = 1;
	conf.duration_ns = conf.duration_ns ? conf.duration_ns : 100 * NS_PER_MS;
	conf.timeout_ns = conf.timeout_ns ? conf.timeout_ns : 5 * NS_PER_S;
	ck_assert_int_eq(load_run(&conf, r, NULL), ERR_OK);
	return r;
}

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

START_TEST(a_closed_loop_sends_when_it_has_its_answer)
{
	struct server s;
	given_server(&s, OK_REPLY, 0);
	struct load_result *r = when_loaded(&s, (struct load_conf){ .concurrency = 1 });
	ck_assert_uint_gt(r->sent, 10);
	ck_assert_uint_eq(r->latency.n, r->sent);
	ck_assert_uint_eq(load_errors(r), 0);
	ck_assert_int_eq(r->connections, 1);
	free(r);
	end_server(&s);
}
END_TEST

START_TEST(an_open_loop_charges_a_slow_server_for_those_who_wait)
{
	/* One connection, 10 ms a request, 20 of them due at once: the last waits 200 ms. */
	struct server s;
	given_server(&s, OK_REPLY, 10 * NS_PER_MS);
	int64_t schedule[20] = { 0 };
	struct load_result *r = when_loaded(&s,
		(struct load_conf){ .schedule = schedule, .n_schedule = 20, .connections_max = 1 });
	ck_assert_uint_eq(r->latency.n, 20);
	ck_assert_int_ge(r->latency.max, 200 * NS_PER_MS);
	ck_assert_int_ge(r->lag.max, 190 * NS_PER_MS);
	ck_assert_int_lt(r->latency.min, 50 * NS_PER_MS);
	free(r);
	end_server(&s);
}
END_TEST

START_TEST(every_failure_is_counted_as_what_it_is)
{
	static const struct {
		const char *reply;
		enum load_failure want;
	} row[] = {
		{ NULL, LOAD_CLOSED },
		{ "no HTTP at all\r\n\r\n", LOAD_MALFORMED },
		{ OK_REPLY "more", LOAD_MALFORMED },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", LOAD_TIMEOUT },
	};
	int64_t schedule[3] = { 0, 1, 2 };
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct server s;
		given_server(&s, row[i].reply, 0);
		struct load_result *r = when_loaded(&s, (struct load_conf){ .schedule = schedule,
			.n_schedule = 3, .connections_max = 1, .timeout_ns = NS_PER_MS });
		ck_assert_msg(r->failure[row[i].want] > 0, "row %zu", i);
		ck_assert_uint_eq(load_errors(r), 3);
		ck_assert_uint_eq(r->latency.n, 0);
		free(r);
		end_server(&s);
	}
}
END_TEST

START_TEST(statuses_are_counted_and_only_200_has_a_latency)
{
	struct server s;
	given_server(&s, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 0);
	int64_t schedule[3] = { 0, 1, 2 };
	struct load_result *r = when_loaded(&s,
		(struct load_conf){ .schedule = schedule, .n_schedule = 3, .connections_max = 1 });
	ck_assert_uint_eq(r->by_status[503], 3);
	ck_assert_uint_eq(load_errors(r), 3);
	ck_assert_uint_eq(r->latency.n, 0);
	ck_assert_int_ge(r->connections, 3);
	free(r);
	end_server(&s);
}
END_TEST

START_TEST(nobody_listening_is_reported_and_does_not_spin)
{
	struct server s;
	given_server(&s, OK_REPLY, 0);
	end_server(&s);
	struct load_result *r = when_loaded(&s, (struct load_conf){ .concurrency = 2 });
	ck_assert_uint_ge(r->failure[LOAD_CONNECT], 2);
	ck_assert_uint_lt(r->failure[LOAD_CONNECT], 100);
	free(r);
}
END_TEST

START_TEST(poisson_gaps_have_the_mean_and_spread_of_their_rate)
{
	struct arena *a = arena_new(1 << 20, 0);
	const int64_t *at;
	size_t n;
	ck_assert_int_eq(load_schedule(1000, true, 20 * NS_PER_S, 3, a, &at, &n, NULL), ERR_OK);
	ck_assert(n > 19400 && n < 20600); /* four standard deviations */
	double sum2 = 0, mean = (double)at[n - 1] / (double)(n - 1);
	for (size_t i = 1; i < n; i++) {
		ck_assert_int_ge(at[i], at[i - 1]);
		sum2 += pow((double)(at[i] - at[i - 1]) - mean, 2);
	}
	/* Exponential: the standard deviation equals the mean. */
	double ratio = sqrt(sum2 / (double)(n - 1)) / mean;
	ck_assert(ratio > 0.95 && ratio < 1.05);
	ck_assert_int_eq(load_schedule(1000, false, NS_PER_S, 3, a, &at, &n, NULL), ERR_OK);
	ck_assert_uint_eq(n, 1000);
	ck_assert_int_eq(at[999], 999 * NS_PER_MS);
	ck_assert_int_eq(load_schedule(1e9, true, 3600 * NS_PER_S, 3, a, &at, &n, NULL),
		ERR_INVALID_ARGUMENT);
	arena_free(a);
}
END_TEST

Suite *suite_load(void);
Suite *suite_load(void)
{
	Suite *s = suite_create("load");
	TCase *t = tcase_create("load");
	tcase_add_test(t, a_closed_loop_sends_when_it_has_its_answer);
	tcase_add_test(t, an_open_loop_charges_a_slow_server_for_those_who_wait);
	tcase_add_test(t, every_failure_is_counted_as_what_it_is);
	tcase_add_test(t, statuses_are_counted_and_only_200_has_a_latency);
	tcase_add_test(t, nobody_listening_is_reported_and_does_not_spin);
	tcase_add_test(t, poisson_gaps_have_the_mean_and_spread_of_their_rate);
	suite_add_tcase(s, t);
	return s;
}
