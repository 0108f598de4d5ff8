/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>

#include "server/http/base64.h"
#include "server/http/dialect_json.h"

static struct arena *arena;
static struct err err;

static void setup(void)
{
	arena = arena_new(4096, 0);
}

static void teardown(void)
{
	arena_free(arena);
}

static bool read(struct literal *l, enum dtype dtype, const char *text)
{
	struct json j;
	json_init(&j, slice_of(text), arena, false);
	ck_assert_int_eq(literal_init(l, dtype, arena, 0, &err), ERR_OK);
	return literal_read(l, &j, 0) && json_end(&j);
}

START_TEST(shape_is_found_in_the_brackets)
{
	static const struct {
		const char *text;
		struct shape shape;
	} rows[] = {
		{ "7", { 0, { 0 } } },
		{ "[]", { 1, { 0 } } },
		{ "[1,2,3]", { 1, { 3 } } },
		{ "[[1,2,3],[4,5,6]]", { 2, { 2, 3 } } },
		{ "[[],[]]", { 2, { 2, 0 } } },
		{ "[[[1],[2]],[[3],[4]],[[5],[6]]]", { 3, { 3, 2, 1 } } },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct literal l;
		ck_assert_msg(read(&l, DTYPE_I32, rows[i].text), "%s", rows[i].text);
		struct tensor t = literal_tensor(&l);
		ck_assert_msg(shape_equal(&t.shape, &rows[i].shape), "%s: %s", rows[i].text,
			SHAPE_TEXT(&t.shape));
		ck_assert_ptr_nonnull(t.data);
	}
}
END_TEST

START_TEST(ragged_literals_are_refused) /* H8 */
{
	static const char *const bad[] = { "[[1,2],[3]]", "[1,[2]]", "[[1],2]", "[[1],[[2]]]",
		"[[],[1]]", "[[1],[]]", "[[[1]],[2]]", "[[[[[[[[[[[[[1]]]]]]]]]]]]]", "[1,]", "[1",
		"[1,\"2\"]" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct literal l;
		ck_assert_msg(!read(&l, DTYPE_F32, bad[i]), "took %s", bad[i]);
	}
}
END_TEST

START_TEST(literals_grow)
{
	struct literal l;
	struct buf b = buf_of(arena, 0);
	struct slice text;
	for (int i = 0; i < 5000; i++)
		buf_printf(&b, "%s%d", i ? "," : "[", i);
	buf_char(&b, ']');
	ck_assert_int_eq(buf_finish(&b, &text, &err), ERR_OK);
	ck_assert(read(&l, DTYPE_I16, text.ptr));
	ck_assert_uint_eq(l.n, 5000);
	for (int i = 0; i < 5000; i++)
		ck_assert_int_eq(((int16_t *)l.data)[i], i);
}
END_TEST

static const char *nested(struct shape shape, void *data, enum dtype dtype)
{
	struct tensor t = { .data = data, .dtype = dtype, .shape = shape };
	struct buf b = buf_of(arena, 0);
	struct slice text;
	dialect_put_nested(&b, &t, &(struct put_opts){ 0 });
	ck_assert_int_eq(buf_finish(&b, &text, &err), ERR_OK);
	return text.ptr;
}

START_TEST(nesting_written_is_the_shape)
{
	int32_t v[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	ck_assert_str_eq(nested(SHAPE_SCALAR, v, DTYPE_I32), "1");
	ck_assert_str_eq(nested(shape_of(3), v, DTYPE_I32), "[1,2,3]");
	ck_assert_str_eq(nested(shape_of(2, 2, 2), v, DTYPE_I32), "[[[1,2],[3,4]],[[5,6],[7,8]]]");
	ck_assert_str_eq(nested(shape_of(2, 1, 2), v, DTYPE_I32), "[[[1,2]],[[3,4]]]");
	ck_assert_str_eq(nested(shape_of(0, 3), v, DTYPE_I32), "[]");
	ck_assert_str_eq(nested(shape_of(2, 0), v, DTYPE_I32), "[[],[]]");
	ck_assert_str_eq(nested(shape_of(2, 0, 3), v, DTYPE_I32), "[[],[]]");
	ck_assert_str_eq(nested(shape_of(2), (bool[]){ true, false }, DTYPE_BOOL), "[true,false]");
	ck_assert_str_eq(nested(shape_of(2), (float[]){ 0.5f, NAN }, DTYPE_F32), "[0.5,null]");
}
END_TEST

START_TEST(base64_round_trips_and_refuses_rubbish)
{
	static const char *const plain[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
	struct slice bytes;
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		struct buf b = buf_of(arena, 0);
		struct slice text;
		base64_put(&b, slice_of(plain[i]));
		ck_assert_int_eq(buf_finish(&b, &text, &err), ERR_OK);
		ck_assert(base64_decode(text, arena, &bytes) && slice_is(bytes, plain[i]));
	}
	ck_assert(base64_decode(SLICE_LIT("-_8"), arena, &bytes) && slice_is(bytes, "\xfb\xff"));
	static const char *const bad[] = { "a", "a===", "Zg=", "Z g=", "Zg==\n", "====", "Zm9v!" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!base64_decode(slice_of(bad[i]), arena, &bytes), "took '%s'", bad[i]);
}
END_TEST

Suite *suite_dialect_json(void);
Suite *suite_dialect_json(void)
{
	Suite *s = suite_create("dialect_json");
	TCase *t = tcase_create("dialect_json");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, shape_is_found_in_the_brackets);
	tcase_add_test(t, ragged_literals_are_refused);
	tcase_add_test(t, literals_grow);
	tcase_add_test(t, nesting_written_is_the_shape);
	tcase_add_test(t, base64_round_trips_and_refuses_rubbish);
	suite_add_tcase(s, t);
	return s;
}
