/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
#include "base/buf.h"
#include "server/grpc/wire.h"
#include "support/arena_case.h"

Suite *suite_wire(void);

/* The same bytes in pieces of n, an empty one before each. */
static struct wire in_pieces(struct slice all, size_t n)
{
	struct slice *piece = ARENA_ARRAY(arena, struct slice, 2 * all.len + 2);
	int count = 0;
	for (size_t at = 0; at < all.len; at += n) {
		piece[count++] = SLICE_LIT("");
		piece[count++] =
			(struct slice){ all.ptr + at, all.len - at < n ? all.len - at : n };
	}
	return wire_over(piece, count);
}

START_TEST(what_is_written_is_read_however_it_is_cut)
{
	struct buf b = buf_of(arena, 0), inner = buf_of(arena, 0);
	struct slice all;
	uint32_t field;
	enum wire_type type;
	wire_put_uint(&inner, 3, UINT64_MAX);
	wire_put_uint(&b, 1, 300);
	wire_put_bytes(&b, 2, SLICE_LIT("signet"));
	wire_put_message(&b, 5, &inner);
	ck_assert_int_eq(buf_finish(&b, &all, NULL), ERR_OK);
	for (size_t n = 1; n <= all.len; n++) {
		struct wire w = in_pieces(all, n);
		ck_assert(wire_next(&w, &field, &type) && field == 1);
		ck_assert_uint_eq(wire_varint(&w, type), 300);
		ck_assert(wire_next(&w, &field, &type) && field == 2);
		ck_assert(slice_is(wire_string(&w, type, 6, arena), "signet"));
		ck_assert(wire_next(&w, &field, &type) && field == 5);
		struct wire m = wire_message(&w, type);
		ck_assert(wire_next(&m, &field, &type) && field == 3);
		ck_assert_uint_eq(wire_varint(&m, type), UINT64_MAX);
		ck_assert(!wire_next(&m, &field, &type) && wire_ok(&m));
		ck_assert(!wire_next(&w, &field, &type) && wire_ok(&w));
	}
}
END_TEST

static const struct slice malformed[] = {
	SLICE_LIT("\x00"),                                         /* field 0 */
	SLICE_LIT("\x0b"),                                         /* a group */
	SLICE_LIT("\x0e"),                                         /* type 6 */
	SLICE_LIT("\x08"),                                         /* no value */
	SLICE_LIT("\x0a\x02x"),                                    /* too long for what is there */
	SLICE_LIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* 2^64 - 1 bytes */
	SLICE_LIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), /* 65 bits */
	SLICE_LIT("\x80\x80\x80\x80\x10"),                         /* field 2^29 */
	SLICE_LIT("\x0d\x01\x02\x03"),                             /* three of four bytes */
};

START_TEST(malformed_fields_are_errors_for_good)
{
	struct wire w = in_pieces(malformed[_i], 1);
	uint32_t field;
	enum wire_type type;
	while (wire_next(&w, &field, &type))
		wire_skip(&w, type);
	ck_assert(!wire_ok(&w));
	ck_assert(!wire_next(&w, &field, &type));
}
END_TEST

static const struct slice bad_strings[] = {
	SLICE_LIT("\x0a\x02\xff\xfe"), SLICE_LIT("\x0a\x03" "a\0b"), SLICE_LIT("\x0a\x05" "abcde"),
	SLICE_LIT("\x08\x01"),
};

START_TEST(a_string_is_utf8_without_nul_and_not_too_long)
{
	struct wire w = in_pieces(bad_strings[_i], 64);
	uint32_t field;
	enum wire_type type;
	ck_assert(wire_next(&w, &field, &type));
	ck_assert_uint_eq(wire_string(&w, type, 4, arena).len, 0);
	ck_assert(!wire_ok(&w));
}
END_TEST

START_TEST(a_map_s_entry_is_read_in_either_order)
{
	static const struct slice in_order = SLICE_LIT("\012\007\012\001k\022\002\010\005");
	static const struct slice reversed = SLICE_LIT("\012\007\022\002\010\005\012\001k");
	const struct slice *both[] = { &in_order, &reversed };
	for (size_t i = 0; i < 2; i++) {
		struct wire w = wire_over(both[i], 1);
		uint32_t field;
		enum wire_type type;
		ck_assert(wire_next(&w, &field, &type));
		struct wire_entry e = wire_map_entry(&w, type, 10, arena);
		ck_assert(slice_is(e.key, "k"));
		ck_assert(wire_next(&e.value, &field, &type));
		ck_assert_uint_eq(wire_varint(&e.value, type), 5);
		ck_assert(wire_ok(&w) && !w.left);
	}
}
END_TEST

START_TEST(what_is_wrong_in_an_entry_is_wrong_in_the_map)
{
	static const struct slice wrong[] = {
		SLICE_LIT("\012\003\012\002k"),         /* longer than the entry */
		SLICE_LIT("\012\003\012\001\377"),     /* no text */
		SLICE_LIT("\012\005\012\003abc"),       /* too long */
		SLICE_LIT("\012\002\010\001"),          /* a number */
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct wire w = wire_over(&wrong[i], 1);
		uint32_t field;
		enum wire_type type;
		ck_assert(wire_next(&w, &field, &type));
		(void)wire_map_entry(&w, type, 2, arena);
		ck_assert_msg(!wire_ok(&w), "row %zu", i);
	}
}
END_TEST

START_TEST(fields_are_found_one_after_the_other)
{
	static const struct slice message = SLICE_LIT("\012\001a\020\001\012\001b\010\001");
	struct wire w = wire_over(&message, 1), one;
	ck_assert(wire_find(&w, 1, &one));
	ck_assert(slice_is(wire_bytes(&one, arena), "a"));
	ck_assert(wire_find(&w, 1, &one));
	ck_assert(slice_is(wire_bytes(&one, arena), "b"));
	ck_assert(!wire_find(&w, 1, &one)); /* it is a number */
	ck_assert(!wire_ok(&w));
}
END_TEST

Suite *suite_wire(void)
{
	Suite *s = suite_create("wire");
	TCase *t = tcase_create("wire");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_written_is_read_however_it_is_cut);
	tcase_add_loop_test(t, malformed_fields_are_errors_for_good, 0,
		sizeof(malformed) / sizeof(*malformed));
	tcase_add_loop_test(t, a_string_is_utf8_without_nul_and_not_too_long, 0,
		sizeof(bad_strings) / sizeof(*bad_strings));
	tcase_add_test(t, a_map_s_entry_is_read_in_either_order);
	tcase_add_test(t, what_is_wrong_in_an_entry_is_wrong_in_the_map);
	tcase_add_test(t, fields_are_found_one_after_the_other);
	suite_add_tcase(s, t);
	return s;
}
