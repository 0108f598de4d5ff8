/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include "support/arena_case.h"
#include "tools/npy.h"

/* A version 1 file of this header and these bytes. */
static struct slice given_file(const char *head, const void *data, size_t bytes)
{
	size_t n = strlen(head);
	char *file = arena_alloc(arena, 10 + n + bytes);
	memcpy(file, "\x93NUMPY\x01\x00", 8);
	file[8] = (char)(n & 0xff);
	file[9] = (char)(n >> 8);
	memcpy(file + 10, head, n);
	memcpy(file + 10 + n, data, bytes);
	return (struct slice){ file, 10 + n + bytes };
}

START_TEST(what_is_written_is_read_back)
{
	float values[6] = { 0, 1, -2.5f, 3e38f, 1e-40f, 7 };
	struct tensor t = { .data = values, .dtype = DTYPE_F32, .shape = shape_of(2, 3) }, back;
	char *bytes;
	size_t len;
	FILE *to = open_memstream(&bytes, &len);
	ck_assert_int_eq(npy_write(to, &t, NULL), ERR_OK);
	fclose(to);
	ck_assert_uint_eq((len - sizeof(values)) % 64, 0);
	ck_assert_int_eq(npy_parse((struct slice){ bytes, len }, arena, &back, NULL), ERR_OK);
	ck_assert_int_eq(back.dtype, DTYPE_F32);
	ck_assert(shape_equal(&back.shape, &t.shape));
	ck_assert_mem_eq(back.data, values, sizeof(values));
	free(bytes);
}
END_TEST

START_TEST(fortran_order_is_turned_around)
{
	int16_t columns[6] = { 1, 4, 2, 5, 3, 6 };
	struct slice file =
		given_file("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n", columns,
			sizeof(columns));
	struct tensor t;
	ck_assert_int_eq(npy_parse(file, arena, &t, NULL), ERR_OK);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(tensor_int(&t, i), i + 1);
}
END_TEST

START_TEST(byte_strings_end_at_their_first_nul)
{
	struct slice file = given_file(
		"{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }\n", "ab\0xyz", 6);
	struct tensor t;
	ck_assert_int_eq(npy_parse(file, arena, &t, NULL), ERR_OK);
	ck_assert(slice_is(((struct slice *)t.data)[0], "ab"));
	ck_assert(slice_is(((struct slice *)t.data)[1], "xyz"));
}
END_TEST

START_TEST(a_scalar_and_an_empty_array_are_read)
{
	struct tensor t;
	ck_assert_int_eq(npy_parse(given_file(
		"{'descr': '|u1', 'fortran_order': False, 'shape': (), }", "\7", 1), arena, &t,
		NULL), ERR_OK);
	ck_assert_int_eq(t.shape.rank, 0);
	ck_assert_int_eq(tensor_int(&t, 0), 7);
	ck_assert_int_eq(npy_parse(given_file(
		"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4), }", "", 0), arena, &t,
		NULL), ERR_OK);
	ck_assert_int_eq(tensor_count(&t), 0);
}
END_TEST

START_TEST(bad_files_are_refused)
{
	static const char *const head[] = {
		"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
		"{'descr': '<f4', 'fortran_order': False}",
		"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
		"{'descr': '|S4294967295', 'fortran_order': False, 'shape': (99999,), }",
		"{'shape': (1,), }",
		"",
	};
	struct tensor t;
	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		ck_assert_msg(npy_parse(given_file(head[i], "\0\0\0", 4), arena, &t, NULL) ==
			ERR_INVALID_ARGUMENT, "row %zu", i);
	struct slice file = given_file(
		"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "\0\0\0", 4);
	for (size_t n = 0; n < file.len; n++)
		ck_assert_int_eq(npy_parse((struct slice){ file.ptr, n }, arena, &t, NULL),
			ERR_INVALID_ARGUMENT);
}
END_TEST

Suite *suite_npy(void);
Suite *suite_npy(void)
{
	Suite *s = suite_create("npy");
	TCase *t = tcase_create("npy");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_written_is_read_back);
	tcase_add_test(t, fortran_order_is_turned_around);
	tcase_add_test(t, byte_strings_end_at_their_first_nul);
	tcase_add_test(t, a_scalar_and_an_empty_array_are_read);
	tcase_add_test(t, bad_files_are_refused);
	suite_add_tcase(s, t);
	return s;
}
