/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
#include "base/clock.h"
#include "server/grpc/rpc_guard.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE,
	CONTINUATION };
enum { END_STREAM = 1, END_HEADERS = 4, WITH_PRIORITY = 32 };

static struct rpc_waste resets;
static const struct rpc_guard_conf conf = { .streams_max = 100, .resets = &resets };
static struct rpc_guard guard;
static uint32_t stream; /* of the next frame */
static uint8_t no_field[1 << 17]; /* as headers: sizes of a table, again and again */
static int64_t now_ns;

static bool see(const void *bytes, size_t n)
{
	return rpc_guard_bytes(&conf, &guard, RELAY_UP, bytes, n, now_ns);
}

/* Head and payload in pieces of step bytes. */
static bool frame_in(size_t step, int type, int flags, uint32_t len)
{
	uint8_t all[GUARD_HEAD_BYTES + 64] = { 0, (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)type,
		(uint8_t)flags, (uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
		(uint8_t)(stream >> 8), (uint8_t)stream };
	all[0] = (uint8_t)(len >> 16);
	uint32_t small = len < 64 ? len : 64;
	memcpy(all + GUARD_HEAD_BYTES, no_field, small);
	size_t n = GUARD_HEAD_BYTES + small;
	for (size_t at = 0; at < n; at += step)
		if (!see(all + at, n - at < step ? n - at : step))
			return false;
	return len == small || see(no_field, len - small);
}

static bool frame(int type, int flags, uint32_t len)
{
	return frame_in(SIZE_MAX / 2, type, flags, len);
}

/* The server's frame on the same stream. */
static void answer(int type, int flags)
{
	const uint8_t head[] = { 0, 0, 0, (uint8_t)type, (uint8_t)flags, 0, 0, 0, (uint8_t)stream };
	ck_assert(rpc_guard_bytes(&conf, &guard, RELAY_DOWN, head, sizeof(head), now_ns));
}

static bool call(void)
{
	stream += 2;
	return frame(HEADERS, END_HEADERS, 10);
}

static void setup(void)
{
	stream = 1;
	resets = (struct rpc_waste){ .one_max = 50, .forgets_ns = NS_PER_MS };
	memset(&guard, 0, sizeof(guard));
	memset(no_field, 0x20, sizeof(no_field));
	now_ns = 5 * NS_PER_S;
	ck_assert(see(PREFACE, strlen(PREFACE)));
}

START_TEST(the_preface_comes_in_any_pieces)
{
	for (size_t step = 1; step < 30; step++) {
		memset(&guard, 0, sizeof(guard));
		for (size_t at = 0; at < strlen(PREFACE); at += step)
			ck_assert(see(PREFACE + at,
				strlen(PREFACE) - at < step ? strlen(PREFACE) - at : step));
		ck_assert(frame_in(step, SETTINGS, 0, 6));
		ck_assert(frame_in(step, DATA, 0, 3));
		ck_assert_int_eq(guard.control, 1);
	}
}
END_TEST

START_TEST(another_beginning_is_cut_off)
{
	resets = (struct rpc_waste){ .one_max = 50, .forgets_ns = NS_PER_MS };
	memset(&guard, 0, sizeof(guard));
	ck_assert(!see("GET / HTTP/1.1\r\n", 16));
	resets = (struct rpc_waste){ .one_max = 50, .forgets_ns = NS_PER_MS };
	memset(&guard, 0, sizeof(guard));
	ck_assert(see("PRI * HTTP/", 11));
	ck_assert(!see("1.1\r\n", 5));
}
END_TEST

START_TEST(ordinary_calls_pass_in_any_number)
{
	for (int i = 0; i < 5000; i++) {
		ck_assert(frame(HEADERS, END_HEADERS, 100));
		ck_assert(frame(DATA, 0, 16384));
		ck_assert(frame(DATA, END_STREAM, 0));
		ck_assert(frame(WINDOW_UPDATE, 0, 4));
		answer(HEADERS, END_HEADERS);
		answer(DATA, 0);
		answer(HEADERS, END_HEADERS | END_STREAM);
		stream += 2;
	}
}
END_TEST

START_TEST(streams_that_stay_open_have_a_limit)
{
	for (int i = 0; i < 100; i++)
		ck_assert(call());
	answer(HEADERS, END_HEADERS | END_STREAM);
	answer(RST_STREAM, 0);
	ck_assert(frame(RST_STREAM, 0, 4));
	for (int i = 0; i < 3; i++)
		ck_assert(call());
	/* Trailers open nothing. */
	ck_assert(frame(HEADERS, END_HEADERS | END_STREAM, 5));
	ck_assert(!call());
}
END_TEST

START_TEST(resets_have_a_budget_for_each_second)
{
	for (int second = 0; second < 3; second++) {
		for (int i = 0; i < 50; i++) {
			ck_assert(call());
			ck_assert(frame(RST_STREAM, 0, 4));
		}
		now_ns += NS_PER_S;
	}
	for (int i = 0; i < 50; i++)
		ck_assert(frame(RST_STREAM, 0, 4));
	ck_assert(!frame(RST_STREAM, 0, 4));
}
END_TEST

START_TEST(a_block_of_headers_has_its_bytes)
{
	ck_assert(frame(HEADERS, 0, 16384));
	for (int i = 0; i < 3; i++)
		ck_assert(frame(CONTINUATION, 0, 16384));
	ck_assert(!frame(CONTINUATION, END_HEADERS, 1));
	setup();
	ck_assert(!frame(HEADERS, END_HEADERS, GUARD_BLOCK_BYTES + 1));
}
END_TEST

START_TEST(a_block_of_headers_has_its_frames_and_the_next_one_its_own)
{
	for (int block = 0; block < 3; block++) {
		ck_assert(frame(HEADERS, 0, 1));
		for (int i = 0; i < GUARD_BLOCK_FRAMES - 2; i++)
			ck_assert(frame(CONTINUATION, 0, 0));
		ck_assert(frame(CONTINUATION, END_HEADERS, 1));
	}
	ck_assert(frame(HEADERS, 0, 1));
	for (int i = 0; i < GUARD_BLOCK_FRAMES - 1; i++)
		ck_assert(frame(CONTINUATION, 0, 0));
	ck_assert(!frame(CONTINUATION, 0, 0));
}
END_TEST

/* A frame with this payload. */
static bool frame_of(int type, int flags, const uint8_t *payload, size_t n)
{
	const uint8_t head[] = { 0, (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)type, (uint8_t)flags, 0,
		0, 0, (uint8_t)stream };
	return see(head, sizeof(head)) && see(payload, n);
}

START_TEST(a_block_of_headers_has_its_fields_however_short_they_are)
{
	uint8_t fields[RPC_FIELDS_MAX + 1];
	memset(fields, 0xbe, sizeof(fields)); /* what was said last, once more */
	for (int block = 0; block < 3; block++) {
		ck_assert(frame_of(HEADERS, 0, fields, 200));
		ck_assert(frame_of(CONTINUATION, END_HEADERS, fields, RPC_FIELDS_MAX - 200));
		ck_assert(frame_of(DATA, 0, fields, sizeof(fields)));
	}
	ck_assert(frame_of(HEADERS, 0, fields, 200));
	ck_assert(!frame_of(CONTINUATION, END_HEADERS, fields, RPC_FIELDS_MAX - 199));
}
END_TEST

START_TEST(a_priority_is_no_field)
{
	uint8_t payload[5 + RPC_FIELDS_MAX];
	memset(payload, 0xbe, sizeof(payload));
	ck_assert(frame_of(HEADERS, END_HEADERS | WITH_PRIORITY, payload, sizeof(payload)));
	ck_assert(!frame_of(HEADERS, END_HEADERS, payload, sizeof(payload)));
}
END_TEST

START_TEST(control_frames_have_a_budget_for_each_second)
{
	static const int kinds[] = { SETTINGS, PING, PRIORITY, GOAWAY, 0x77 };
	for (int second = 0; second < 3; second++) {
		for (int i = 0; i < GUARD_CONTROL_FRAMES; i++)
			ck_assert(frame(kinds[i % 5], 0, 8));
		now_ns += NS_PER_S;
	}
	for (int i = 0; i < GUARD_CONTROL_FRAMES; i++)
		ck_assert(frame(DATA, 0, 0));
	ck_assert(!frame(PING, 0, 8));
}
END_TEST

START_TEST(crumbs_of_data_have_a_budget_for_each_second)
{
	for (int second = 0; second < 3; second++) {
		for (int i = 0; i < GUARD_SMALL_FRAMES; i++)
			ck_assert(frame(DATA, 0, 1));
		ck_assert(frame(DATA, 0, GUARD_SMALL_BYTES));
		now_ns += NS_PER_S;
	}
	for (int i = 0; i < GUARD_SMALL_FRAMES; i++)
		ck_assert(frame(DATA, 0, GUARD_SMALL_BYTES - 1));
	ck_assert(!frame(DATA, END_STREAM, 0));
}
END_TEST

START_TEST(headers_of_a_stream_that_was_count_as_control)
{
	ck_assert(call());
	for (int i = 0; i < GUARD_CONTROL_FRAMES; i++)
		ck_assert(frame(HEADERS, END_HEADERS | END_STREAM, 1));
	ck_assert(!frame(HEADERS, END_HEADERS | END_STREAM, 1));
}
END_TEST

START_TEST(windows_count_unless_data_was_sent)
{
	ck_assert(call());
	for (int i = 0; i < 3 * GUARD_CONTROL_FRAMES; i++) {
		answer(DATA, 0);
		ck_assert(frame(WINDOW_UPDATE, 0, 4) && frame(WINDOW_UPDATE, 0, 4));
	}
	for (int i = 0; i < GUARD_CONTROL_FRAMES; i++)
		ck_assert(frame(WINDOW_UPDATE, 0, 4));
	ck_assert(!frame(WINDOW_UPDATE, 0, 4));
}
END_TEST

Suite *suite_rpc_guard(void);
Suite *suite_rpc_guard(void)
{
	Suite *s = suite_create("rpc_guard");
	TCase *t = tcase_create("rpc_guard");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, the_preface_comes_in_any_pieces);
	tcase_add_test(t, another_beginning_is_cut_off);
	tcase_add_test(t, ordinary_calls_pass_in_any_number);
	tcase_add_test(t, streams_that_stay_open_have_a_limit);
	tcase_add_test(t, resets_have_a_budget_for_each_second);
	tcase_add_test(t, a_block_of_headers_has_its_bytes);
	tcase_add_test(t, a_block_of_headers_has_its_frames_and_the_next_one_its_own);
	tcase_add_test(t, a_block_of_headers_has_its_fields_however_short_they_are);
	tcase_add_test(t, a_priority_is_no_field);
	tcase_add_test(t, control_frames_have_a_budget_for_each_second);
	tcase_add_test(t, crumbs_of_data_have_a_budget_for_each_second);
	tcase_add_test(t, headers_of_a_stream_that_was_count_as_control);
	tcase_add_test(t, windows_count_unless_data_was_sent);
	suite_add_tcase(s, t);
	return s;
}
