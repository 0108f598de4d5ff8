/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
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
	ck_assert_int_eq(parse_all("HTTP/1.1 503 Busy\r\nconnection: CLOSE\r\n\r\n", &r), HTTP_DONE);
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
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nInference-Header-Content-Length: 3\r\n\r\nab",
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

START_TEST(addresses_are_taken_apart)
{
	struct http_url u;
	ck_assert_int_eq(http_url_parse("http://127.0.0.1:8000/base/", &u, NULL), ERR_OK);
	ck_assert_str_eq(u.authority, "127.0.0.1:8000");
	ck_assert_str_eq(u.base, "/base");
	ck_assert_int_eq(u.addr.ss_family, AF_INET);
	ck_assert_int_eq(http_url_parse("unix:/run/signet.sock", &u, NULL), ERR_OK);
	ck_assert_int_eq(u.addr.ss_family, AF_UNIX);
	static const char *const wrong[] = { "", "http://", "http://:80", "http://h:", "unix:", "http://h:123456789" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(http_url_parse(wrong[i], &u, NULL) == ERR_INVALID_ARGUMENT, "'%s'", wrong[i]);
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
	tcase_add_test(t, addresses_are_taken_apart);
	tcase_add_test(t, a_binary_request_says_where_its_json_ends);
	suite_add_tcase(s, t);
	return s;
}
