/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/http/rest/base64.h"
#include "server/http/rest/dialect_json.h"
#include "support/arena_case.h"
#include "support/random.h"

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

/* xorshift: the same numbers on every run */
static uint64_t next_random(void)
{
	static uint64_t state = 4711;
	return random_next(&state);
}

/* Numbers as they come, in rows that mostly agree. */
static size_t random_document(char *to, size_t room)
{
	static const char *const odd[] = { "0", "-0", "1e5", "1E-7", "-1.5e+3", "1e+", "1e-",
		"1e5e5", "1e5.5", "1e--5", "+1", "1+1", "0e0", "-0e-0", "01e1", "1e0005", "1.e5",
		"e5", "1e39", "-1e-46", "1e309", "1.e", "1ee5", "16777217", "9007199254740993",
		"18446744073709551615", "9223372036854775808", "-128", "256", "00", "01", "-",
		".5", "5.", "--1", "1.2.3", "1-2", "null", "NaN", "1,", ",2", "[3]", "4 5", "]",
		"[", "1e", "0.30000001192092896", "123456789012345678901234567890",
		"0.000000000000000000000000000012345", "\t\n7", "8 ", " 9\r" };
	const size_t n_odd = sizeof(odd) / sizeof(*odd);
	static const char *const separators[] = { ",", ", ", ",\n  " };
	const char *separator = separators[next_random() % 3];
	size_t rows = next_random() % 12 + 1, columns = next_random() % 24 + 1;
	bool wild = next_random() % 4 == 0;
	char *w = to + sprintf(to, "%*s[", (int)(next_random() % 40), "");
	for (size_t i = 0; i < rows; i++) {
		w += sprintf(w, "%s[", i ? separator : "");
		size_t n = columns + (wild && next_random() % 30 == 0);
		for (size_t k = 0; k < n; k++) {
			double v = (double)(int64_t)next_random() * 0x1p-60;
			uint64_t kind = next_random() % (wild ? 40 : 36);
			w += sprintf(w, "%s", k ? separator : "");
			if (kind < 12)
				w += sprintf(w, "%.*f", (int)(kind + next_random() % 8), v);
			else if (kind < 18)
				w += sprintf(w, "%.*g", (int)kind - 6, v);
			else if (kind < 24)
				w += sprintf(w, "%.*e", (int)(next_random() % 20),
					ldexp(v, (int)(next_random() % 300) - 150));
			else if (kind < 36)
				w += sprintf(w, "%lld", (long long)next_random() >> (kind * 2 - 8));
			else
				w += sprintf(w, "%s", odd[next_random() % n_odd]);
		}
		w += sprintf(w, "]");
	}
	w += sprintf(w, "]");
	ck_assert_uint_lt((size_t)(w - to), room);
	return (size_t)(w - to);
}

/* The same with and without runs: elements, shape, or the error and its place. */
static bool reads_alike(struct slice text, enum dtype dtype)
{
	struct literal fast, slow;
	struct json j, k;
	ck_assert_int_eq(literal_init(&fast, dtype, arena, 0, &err), ERR_OK);
	ck_assert_int_eq(literal_init(&slow, dtype, arena, 0, &err), ERR_OK);
	slow.run = NULL;
	json_init(&j, text, arena, true);
	json_init(&k, text, arena, true);
	bool ok = literal_read(&fast, &j, 0);
	ck_assert_msg(literal_read(&slow, &k, 0) == ok, "%s: %.*s", dtype_name(dtype),
		(int)text.len, text.ptr);
	ck_assert_msg(j.error == k.error && j.error_at == k.error_at && j.at == k.at,
		"%s at %zu, not %s at %zu: %.*s", j.error, j.error_at, k.error, k.error_at,
		(int)text.len, text.ptr);
	ck_assert_uint_eq(fast.n, slow.n);
	ck_assert_msg(memcmp(fast.data, slow.data, fast.n * dtype_bytes(dtype)) == 0, "%.*s",
		(int)text.len, text.ptr);
	ck_assert(!ok || memcmp(fast.dim, slow.dim, sizeof(fast.dim)) == 0);
	return ok;
}

START_TEST(many_at_a_time_is_the_same_as_one_by_one)
{
	static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F64, DTYPE_I8, DTYPE_I16, DTYPE_I32,
		DTYPE_I64, DTYPE_U8, DTYPE_U16, DTYPE_U32, DTYPE_U64 };
	static const char bytes[] = "0123456789.,-+eE[] \n\"x\xc3";
	static char text[65536];
	int good = 0;
	for (int i = 0; i < 20000; i++) {
		size_t len = random_document(text, sizeof(text));
		if (i % 3 == 0)
			text[next_random() % len] = bytes[next_random() % (sizeof(bytes) - 1)];
		/* A copy of that very size, so that a sanitizer sees a byte read too far. */
		char *copy = malloc(len);
		memcpy(copy, text, len);
		good += reads_alike((struct slice){ copy, len }, dtypes[i % 2]);
		(void)reads_alike((struct slice){ copy, len }, dtypes[i % 10]);
		free(copy);
		arena_reset(arena, 1 << 20);
	}
	ck_assert_int_gt(good, 5000);
}
END_TEST

START_TEST(long_arrays_are_read_exactly)
{
	enum { N = 50000 };
	static char text[N * 32];
	static double want[N];
	char *w = text + sprintf(text, "%*s[", 32, "");
	for (int i = 0; i < N; i++) {
		want[i] = (double)(int64_t)next_random() * 0x1p-63;
		w += sprintf(w, "%s%.17g", i ? "," : "", want[i]);
	}
	w += sprintf(w, "]");
	struct literal l;
	struct json j;
	json_init(&j, (struct slice){ text, (size_t)(w - text) }, arena, false);
	ck_assert_int_eq(literal_init(&l, DTYPE_F64, arena, 0, &err), ERR_OK);
	ck_assert(literal_read(&l, &j, 0));
	ck_assert_uint_eq(l.n, N);
	ck_assert_int_eq(memcmp(l.data, want, sizeof(want)), 0);

	json_init(&j, (struct slice){ text, (size_t)(w - text) }, arena, false);
	ck_assert_int_eq(literal_init(&l, DTYPE_F32, arena, 0, &err), ERR_OK);
	ck_assert(literal_read(&l, &j, 0));
	const char *p = strchr(text, '[') + 1;
	for (int i = 0; i < N; i++) {
		char *end;
		ck_assert(strtof(p, &end) == ((float *)l.data)[i]);
		p = end + 1;
	}
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

START_TEST(every_half_is_read_as_what_it_is_written)
{
	static const struct {
		enum dtype dtype;
		uint16_t infinity;
	} halves[] = { { DTYPE_F16, 0x7c00 }, { DTYPE_BF16, 0x7f80 } };
	for (size_t k = 0; k < sizeof(halves) / sizeof(*halves); k++) {
		for (uint32_t bits = 0; bits < 0x10000; bits++) {
			struct literal l;
			if ((bits & 0x7fff) >= halves[k].infinity)
				continue;
			ck_assert(read(&l, halves[k].dtype,
				nested(shape_of(1), (uint16_t[]){ bits }, halves[k].dtype)));
			ck_assert_uint_eq(*(uint16_t *)l.data, bits);
			arena_reset(arena, SIZE_MAX);
		}
		uint16_t specials[] = { 0x3c00, halves[k].infinity, halves[k].infinity | 0x8001 };
		ck_assert_ptr_nonnull(
			strstr(nested(shape_of(3), specials, halves[k].dtype), ",null,null]"));
	}
}
END_TEST

START_TEST(halves_are_rounded_and_have_a_range)
{
	struct literal l;
	ck_assert(read(&l, DTYPE_F16, "[0.1, 65504, 65519.9, -1e-9]"));
	ck_assert_int_eq(memcmp(l.data, (uint16_t[]){ 0x2e66, 0x7bff, 0x7bff, 0x8000 }, 8), 0);
	ck_assert(!read(&l, DTYPE_F16, "[65520]"));
	ck_assert(!read(&l, DTYPE_F16, "[1e39]"));
	ck_assert(read(&l, DTYPE_BF16, "[0.1, 65520]"));
	ck_assert_int_eq(memcmp(l.data, (uint16_t[]){ 0x3dcd, 0x4780 }, 4), 0);
	ck_assert(!read(&l, DTYPE_BF16, "[3.4e38]"));
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
	tcase_add_test(t, many_at_a_time_is_the_same_as_one_by_one);
	tcase_add_test(t, long_arrays_are_read_exactly);
	tcase_add_test(t, nesting_written_is_the_shape);
	tcase_add_test(t, every_half_is_read_as_what_it_is_written);
	tcase_add_test(t, halves_are_rounded_and_have_a_range);
	tcase_add_test(t, base64_round_trips_and_refuses_rubbish);
	suite_add_tcase(s, t);
	return s;
}
