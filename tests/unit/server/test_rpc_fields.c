/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>
#include "server/grpc/rpc_fields.h"

/* Fields in a block that comes in pieces of each length. */
#define ck_assert_fields(text, want) \
	do { \
		for (size_t step_ = 1; step_ <= sizeof(text); step_++) \
			ck_assert_uint_eq(count(text, sizeof(text) - 1, step_), want); \
	} while (0)

static uint32_t count(const char *block, size_t n, size_t step)
{
	struct rpc_fields f = { 0 };
	for (size_t at = 0; at < n; at += step)
		rpc_fields_count(
			&f, (const uint8_t *)block + at, n - at < step ? n - at : step);
	return f.n;
}

START_TEST(every_kind_of_field_is_one)
{
	ck_assert_fields("\x82", 1);                 /* an entry */
	ck_assert_fields("\xff\x80\x80\x01\x82", 2); /* far down the table */
	ck_assert_fields("\x40\x01x\x01y\x82", 2);   /* to be kept, both strings */
	ck_assert_fields("\x41\x01y\x82", 2);        /* its name an entry's */
	ck_assert_fields("\x7f\x05\x01y\x82", 2);
	ck_assert_fields("\x00\x01x\x01y\x82", 2);   /* not to be kept */
	ck_assert_fields("\x0f\x05\x01y\x82", 2);
	ck_assert_fields("\x10\x01x\x01y\x82", 2);   /* never */
	ck_assert_fields("\x04\x81\xbe\x82", 2);     /* a string in Huffman's code */
	ck_assert_fields("\x00\x00\x00\x82", 2);     /* both strings empty */
}
END_TEST

START_TEST(a_size_of_the_table_is_none)
{
	ck_assert_fields("\x20\x3f\xe1\x1f\x82", 1);
}
END_TEST

START_TEST(long_strings_are_skipped)
{
	char block[1000];
	memset(block, 0x82, sizeof(block));
	/* 7f, then 74: 127 + 116 = 243 bytes */
	memcpy(block, "\x41\x7f\x74", 3);
	for (size_t step = 1; step < 300; step++)
		ck_assert_uint_eq(count(block, 3 + 243 + 10, step), 11);
}
END_TEST

START_TEST(a_length_without_end_hides_all_and_overflows_nothing)
{
	char block[1000];
	memset(block, 0xff, sizeof(block));
	memcpy(block, "\x41", 1);
	block[500] = 0;
	ck_assert_uint_eq(count(block, sizeof(block), 7), 1);
}
END_TEST

Suite *suite_rpc_fields(void);
Suite *suite_rpc_fields(void)
{
	Suite *s = suite_create("rpc_fields");
	TCase *t = tcase_create("rpc_fields");
	tcase_add_test(t, every_kind_of_field_is_one);
	tcase_add_test(t, a_size_of_the_table_is_none);
	tcase_add_test(t, long_strings_are_skipped);
	tcase_add_test(t, a_length_without_end_hides_all_and_overflows_nothing);
	suite_add_tcase(s, t);
	return s;
}
