/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_json -- tensors read from JSON and written as JSON, one thread
 *
 * usage: bench_json [--verify] [WORD]...      only the forms whose names contain a WORD
 *
 * Prints GB/s of text: finding where the value ends (skim), reading it into typed memory
 * (read), writing it (write). Times are the smallest of several rounds. --verify first
 * compares millions of numbers with what the C library makes of them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "server/http/rest/dialect_json.h"

#define ELEMENTS (1 * 3 * 224 * 224)
#define ROUNDS 25
#define TEXT_MAX 40 /* of one element, with what stands around it */
#define VERIFIED 5000000

static uint64_t seed = UINT64_C(88172645463325252);

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double uniform(void)
{
	return (double)(next_random() >> 11) * 0x1p-53;
}

/* One element, as its writer would print it: returns the length. */
typedef int print_fn(char *to);

static int print_f32_6(char *to)
{
	return sprintf(to, "%.6f", uniform());
}

static int print_f32_9(char *to)
{
	return sprintf(to, "%.9f", uniform());
}

static int print_f32_normal(char *to)
{
	return sprintf(to, "%.6f", uniform() + uniform() + uniform() + uniform() - 2);
}

static int print_f32_shortest(char *to)
{
	return (int)number_format_f32(to, (float)(uniform() + uniform() - 1));
}

static int print_f32_mixed(char *to)
{
	return next_random() % 2 ? sprintf(to, "%d", (int)(next_random() % 10)) :
				   print_f32_shortest(to);
}

static int print_f32_exponent(char *to)
{
	return sprintf(to, "%.7e", (uniform() - 0.5) * 1e-4);
}

static int print_f64_shortest(char *to)
{
	return sprintf(to, "%.17g", uniform() - 0.5);
}

static int print_u8(char *to)
{
	return sprintf(to, "%u", (unsigned)(next_random() % 256));
}

static int print_token_id(char *to)
{
	return sprintf(to, "%u", (unsigned)(next_random() % 50000));
}

static int print_i64(char *to)
{
	return sprintf(to, "%lld", (long long)next_random() >> 4);
}

static const struct form {
	const char *name;
	enum dtype dtype;
	struct shape shape;
	const char *separator;
	print_fn *print;
} forms[] = {
	{ "f32 0.123456", DTYPE_F32, { 4, { 1, 3, 224, 224 } }, ",", print_f32_6 },
	{ "f32 0.123456, as Python", DTYPE_F32, { 4, { 1, 3, 224, 224 } }, ", ", print_f32_6 },
	{ "f32 0.123456789", DTYPE_F32, { 4, { 1, 3, 224, 224 } }, ",", print_f32_9 },
	{ "f32 -1.234567", DTYPE_F32, { 4, { 1, 3, 224, 224 } }, ",", print_f32_normal },
	{ "f32 shortest", DTYPE_F32, { 4, { 1, 3, 224, 224 } }, ",", print_f32_shortest },
	{ "f32 shortest, flat", DTYPE_F32, { 1, { ELEMENTS } }, ",", print_f32_shortest },
	{ "f32 shortest, NHWC", DTYPE_F32, { 4, { 1, 224, 224, 3 } }, ",", print_f32_shortest },
	{ "f32 shortest, rows of 1", DTYPE_F32, { 2, { ELEMENTS, 1 } }, ",", print_f32_shortest },
	{ "f32 shortest or a digit", DTYPE_F32, { 4, { 1, 3, 224, 224 } }, ",", print_f32_mixed },
	{ "f32 -1.2345678e-05", DTYPE_F32, { 4, { 1, 3, 224, 224 } }, ",", print_f32_exponent },
	{ "f32 0-255", DTYPE_F32, { 4, { 1, 3, 224, 224 } }, ",", print_u8 },
	{ "f64 0.123456", DTYPE_F64, { 4, { 1, 3, 224, 224 } }, ",", print_f32_6 },
	{ "f64 shortest", DTYPE_F64, { 4, { 1, 3, 224, 224 } }, ",", print_f64_shortest },
	{ "f64 -1.2345678e-05", DTYPE_F64, { 4, { 1, 3, 224, 224 } }, ",", print_f32_exponent },
	{ "u8 0-255", DTYPE_U8, { 4, { 1, 3, 224, 224 } }, ",", print_u8 },
	{ "u8 0-255, NHWC", DTYPE_U8, { 4, { 1, 224, 224, 3 } }, ",", print_u8 },
	{ "i32 0-255", DTYPE_I32, { 4, { 1, 3, 224, 224 } }, ",", print_u8 },
	{ "i64 0-50000, as Python", DTYPE_I64, { 2, { 294, 512 } }, ", ", print_token_id },
	{ "i64 18 digits", DTYPE_I64, { 4, { 1, 3, 224, 224 } }, ",", print_i64 },
};

/* All elements, in arrays nested as the shape is. */
static struct slice write_form(const struct form *f)
{
	char *text = malloc(ELEMENTS * TEXT_MAX), *w = text;
	int64_t count = shape_count(&f->shape);
	for (int64_t i = 0; i < count; i++) {
		int64_t stride = 1;
		int opens = 0;
		for (int d = f->shape.rank - 1; d >= 0; d--) {
			stride *= f->shape.dim[d];
			opens += i % stride == 0;
		}
		for (int k = 0; i && k < opens; k++)
			*w++ = ']';
		if (i)
			w = stpcpy(w, f->separator);
		for (int k = 0; k < opens; k++)
			*w++ = '[';
		w += f->print(w);
	}
	for (int k = 0; k < f->shape.rank; k++)
		*w++ = ']';
	return (struct slice){ text, (size_t)(w - text) };
}

static void fail(const struct form *f, const char *what, const struct json *j)
{
	struct err err = { 0 };
	(void)!json_error(j, &err);
	fprintf(stderr, "bench_json: %s: cannot %s: %s\n", f->name, what, err.msg);
	exit(1);
}

struct times {
	int64_t skim_ns, read_ns, write_ns;
	size_t written;
};

static void keep_least(int64_t *least, int64_t began_ns)
{
	int64_t ns = clock_now_ns() - began_ns;
	if (*least == 0 || ns < *least)
		*least = ns;
}

/* Once round: what a request of TensorFlow Serving's dialect goes through. */
static void round_trip(
	const struct form *f, struct slice text, struct arena *arena, struct times *t)
{
	struct json j;
	struct slice raw, written;
	struct literal l;
	struct err err;
	size_t commas;

	json_init(&j, text, arena, false);
	int64_t began_ns = clock_now_ns();
	if (!json_skim(&j, &raw, &commas))
		fail(f, "skim", &j);
	keep_least(&t->skim_ns, began_ns);

	json_init(&j, text, arena, false);
	began_ns = clock_now_ns();
	if (literal_init(&l, f->dtype, arena, commas + 1, &err) != ERR_OK ||
		!literal_read(&l, &j, 0))
		fail(f, "read", &j);
	keep_least(&t->read_ns, began_ns);

	struct tensor tensor = literal_tensor(&l);
	struct buf b = buf_of(arena, 0);
	began_ns = clock_now_ns();
	dialect_put_nested(&b, &tensor, &(struct put_opts){ 0 });
	if (buf_finish(&b, &written, &err) != ERR_OK)
		fail(f, "write", &j);
	keep_least(&t->write_ns, began_ns);
	t->written = written.len;
	arena_reset(arena, SIZE_MAX);
}

static double rate(size_t bytes, int64_t ns)
{
	return (double)bytes / (double)ns;
}

static void measure(const struct form *f)
{
	struct slice text = write_form(f);
	struct arena *arena = arena_new(64 << 20, 0);
	struct times t = { 0 };
	for (int i = 0; i < ROUNDS; i++)
		round_trip(f, text, arena, &t);
	printf("%-26s %8.2f %8.2f %8.2f %10.1f %8.1f\n", f->name, rate(text.len, t.skim_ns),
		rate(text.len, t.read_ns), rate(t.written, t.write_ns),
		(double)t.read_ns / ELEMENTS, (double)t.write_ns / ELEMENTS);
	arena_free(arena);
	free((char *)(uintptr_t)text.ptr);
}

static void expect(bool holds, const char *text)
{
	if (holds)
		return;
	fprintf(stderr, "bench_json: %s is read or written wrongly\n", text);
	exit(1);
}

/* text as the C library reads it. */
static void verify_text(const char *text)
{
	struct number n;
	double d, want = strtod(text, NULL);
	float f, want_f = strtof(text, NULL);
	expect(number_scan(text, text + strlen(text), &n) == text + strlen(text), text);
	expect(number_to_f64(&n, &d) == !!isfinite(want), text);
	expect(!isfinite(want) || memcmp(&d, &want, sizeof(d)) == 0, text);
	expect(number_to_f32(&n, &f) == !!isfinite(want_f), text);
	expect(!isfinite(want_f) || memcmp(&f, &want_f, sizeof(f)) == 0, text);
}

/* Random bits written, read back; random digits and exponents read. */
static void verify(void)
{
	char text[NUMBER_TEXT_MAX + 1];
	for (int i = 0; i < VERIFIED; i++) {
		uint64_t bits = next_random();
		double d;
		float f;
		memcpy(&d, &bits, sizeof(d));
		memcpy(&f, &bits, sizeof(f));
		if (isfinite(d)) {
			text[number_format_f64(text, d)] = '\0';
			double back = strtod(text, NULL);
			expect(memcmp(&back, &d, sizeof(d)) == 0, text);
		}
		if (isfinite(f)) {
			text[number_format_f32(text, f)] = '\0';
			float back = strtof(text, NULL);
			expect(memcmp(&back, &f, sizeof(f)) == 0, text);
		}
		snprintf(text, sizeof(text), "%llue%d", (unsigned long long)(bits >> i % 64),
			(int)(next_random() % 700) - 350);
		verify_text(text);
	}
	printf("%d numbers written and as many read: as the C library has it\n", VERIFIED);
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	bool any = false;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		if (strstr(name, argv[i]))
			return true;
		any = true;
	}
	return !any;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--verify") == 0)
		verify();
	printf("%-26s %8s %8s %8s %10s %8s\n", "GB/s of text", "skim", "read", "write",
		"ns/read", "ns/write");
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		if (is_wanted(forms[i].name, argc, argv))
			measure(&forms[i]);
	return 0;
}
