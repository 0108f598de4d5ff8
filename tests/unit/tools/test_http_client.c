/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "support/tempdir.h"
#include "tools/http_client.h"

static enum http_parse parse_all(const char *text, struct http_reply *r)
{
	*r = (struct http_reply){ 0 };
	return http_reply_parse(r, text, strlen(text));
}

START_TEST(a_reply_is_complete_with_its_last_byte_and_not_before)
{
	const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
			   "inference-header-content-length: 3\r\n\r\nhello";
	struct http_reply r = { 0 };
	for (size_t n = 0; n < strlen(text); n++)
		ck_assert_int_eq(http_reply_parse(&r, text, n), HTTP_MORE);
	ck_assert_int_eq(http_reply_parse(&r, text, strlen(text)), HTTP_DONE);
	ck_assert_int_eq(r.status, 200);
	ck_assert_uint_eq(r.body_bytes, 5);
	ck_assert_uint_eq(r.json_bytes, 3);
	ck_assert(r.keep_alive);
}
END_TEST

START_TEST(connection_close_and_http_1_0_end_keep_alive)
{
	struct http_reply r;
	ck_assert_int_eq(
		parse_all("HTTP/1.1 503 Busy\r\nconnection: CLOSE\r\n\r\n", &r), HTTP_DONE);
	ck_assert(!r.keep_alive);
	ck_assert_int_eq(r.status, 503);
	ck_assert_int_eq(parse_all("HTTP/1.0 200 OK\r\n\r\n", &r), HTTP_DONE);
	ck_assert(!r.keep_alive);
}
END_TEST

START_TEST(what_is_no_reply_is_bad)
{
	static const char *const wrong[] = {
		"SSH-2.0-OpenSSH_9.2 and some\r\n\r\n",
		"HTTP/1.1 99 Low number\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nInference-Header-Content-Length: "
		"3\r\n\r\nab",
	};
	struct http_reply r;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(parse_all(wrong[i], &r) == HTTP_BAD, "row %zu", i);
}
END_TEST

START_TEST(a_head_without_end_is_bad_at_its_limit)
{
	static char text[HTTP_HEAD_MAX];
	memset(text, 'a', sizeof(text));
	struct http_reply r = { 0 };
	ck_assert_int_eq(http_reply_parse(&r, text, sizeof(text) - 1), HTTP_MORE);
	ck_assert_int_eq(http_reply_parse(&r, text, sizeof(text)), HTTP_BAD);
}
END_TEST

/* Has chunks that were filled to their ends, so that no zero is left behind what
   is written there. */
static struct arena *used_arena(size_t chunk_bytes)
{
	struct arena *a = arena_new(chunk_bytes, 0);
	for (size_t at = 0; at < 2 * chunk_bytes; at += 16)
		memset(arena_alloc(a, 16), 'b', 16);
	arena_reset(a, SIZE_MAX);
	return a;
}

/* Answers before it reads, so that all of the answer is there when the client comes to read it. */
static void *answer_without_lines(void *ctx)
{
	static char text[HTTP_HEAD_MAX], sink[HTTP_HEAD_MAX];
	memset(text, 'a', sizeof(text));
	int fd = accept(*(int *)ctx, NULL, NULL);
	ck_assert_int_eq(send(fd, text, sizeof(text), MSG_NOSIGNAL), sizeof(text));
	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
	close(fd);
	return NULL;
}

START_TEST(of_an_answer_without_lines_no_more_is_read_than_there_is)
{
	const size_t larger_than_the_socket_holds = 500 << 10;
	struct tempdir dir = tempdir_new();
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/socket", dir.path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	pthread_t server;
	ck_assert_int_eq(pthread_create(&server, NULL, answer_without_lines, &fd), 0);
	struct arena *a = used_arena(4 * HTTP_HEAD_MAX);
	char url[256], *body = calloc(1, larger_than_the_socket_holds);
	snprintf(url, sizeof(url), "unix:%s", at.sun_path);
	const struct http_request q = { "POST", "/x", { body, larger_than_the_socket_holds }, 2 };
	struct http_url u;
	struct http_reply r;
	struct slice got;
	struct err err;
	ck_assert_int_eq(http_url_parse(url, &u, NULL), ERR_OK);

	ck_assert_int_eq(http_call(&u, &q, 60000, a, &r, &got, &err), ERR_UNKNOWN);

	ck_assert_ptr_nonnull(strstr(err.msg, "no HTTP/1.1 that we read: 'aaaa"));
	pthread_join(server, NULL);
	close(fd);
	free(body);
	arena_free(a);
	tempdir_free(&dir);
}
END_TEST

START_TEST(addresses_are_taken_apart)
{
	struct http_url u;
	ck_assert_int_eq(http_url_parse("http://127.0.0.1:8000/base/", &u, NULL), ERR_OK);
	ck_assert_str_eq(u.authority, "127.0.0.1:8000");
	ck_assert_str_eq(u.base, "/base");
	ck_assert_int_eq(u.addr.ss_family, AF_INET);
	ck_assert_int_eq(http_url_parse("unix:/run/signet.sock", &u, NULL), ERR_OK);
	ck_assert_int_eq(u.addr.ss_family, AF_UNIX);
	static const char *const wrong[] = { "", "http://", "http://:80",
		"http://h:", "unix:", "http://h:123456789" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(http_url_parse(wrong[i], &u, NULL) == ERR_INVALID_ARGUMENT, "'%s'",
			wrong[i]);
}
END_TEST

START_TEST(a_binary_request_says_where_its_json_ends)
{
	struct http_url u;
	struct arena *a = arena_new(4096, 0);
	ck_assert_int_eq(http_url_parse("127.0.0.1:80", &u, NULL), ERR_OK);
	struct http_request q = { "POST", "/x", SLICE_LIT("{}\1\2"), 2 };
	struct slice wire;
	ck_assert_int_eq(http_request_format(&u, &q, a, &wire, NULL), ERR_OK);
	ck_assert_str_eq(wire.ptr, "POST /x HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"
		"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: 2\r\n"
		"Content-Length: 4\r\n\r\n{}\1\2");
	arena_free(a);
}
END_TEST

Suite *suite_http_client(void);
Suite *suite_http_client(void)
{
	Suite *s = suite_create("http_client");
	TCase *t = tcase_create("http_client");
	tcase_add_test(t, a_reply_is_complete_with_its_last_byte_and_not_before);
	tcase_add_test(t, connection_close_and_http_1_0_end_keep_alive);
	tcase_add_test(t, what_is_no_reply_is_bad);
	tcase_add_test(t, a_head_without_end_is_bad_at_its_limit);
	tcase_add_test(t, of_an_answer_without_lines_no_more_is_read_than_there_is);
	tcase_add_test(t, addresses_are_taken_apart);
	tcase_add_test(t, a_binary_request_says_where_its_json_ends);
	suite_add_tcase(s, t);
	return s;
}
