/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms of every kind of length against the sum that defines them. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "exec/cpu/signal/fft.h"

static const int64_t lengths[] = { 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 16, 25, 30, 31, 32, 37, 49, 64,
	74, 97, 121, 128, 210, 256, 360, 400, 997, 1024, 1369 };

static struct cplx *given_signal(int64_t n, int64_t room)
{
	struct cplx *x = calloc((size_t)room, sizeof(*x));
	for (int64_t k = 0; k < n; k++)
		x[k] = (struct cplx){ sin((double)(k * k)) + 1, cos(3 * (double)k) };
	return x;
}

/* Point k of the transform of n points, in long double. */
static struct cplx defined(const struct cplx *x, int64_t n, int64_t k, bool inverse)
{
	long double re = 0, im = 0;
	for (int64_t j = 0; j < n; j++) {
		long double angle =
			2 * 3.14159265358979323846264338327950288L * (long double)(j * k % n) / n;
		long double c = cosl(angle), s = inverse ? sinl(angle) : -sinl(angle);
		re += (long double)x[j].re * c - (long double)x[j].im * s;
		im += (long double)x[j].re * s + (long double)x[j].im * c;
	}
	long double scale = inverse ? 1 / (long double)n : 1;
	return (struct cplx){ (double)(re * scale), (double)(im * scale) };
}

static void expect_transform(int64_t n, bool inverse)
{
	struct prep p = { .arena = arena_new(1 << 16, 0), .tmp = arena_new(1 << 16, 0) };
	const struct fft *f;
	struct err err;
	ck_assert_msg(fft_new(&p, n, &f, &err) == ERR_OK, "%lld: %s", (long long)n, err.msg);
	struct cplx *x = given_signal(n, n + fft_scratch(f)), *was = given_signal(n, n);

	fft_run(f, inverse, x, x + n);

	for (int64_t k = 0; k < n; k++) {
		struct cplx want = defined(was, n, k, inverse);
		double off = hypot(x[k].re - want.re, x[k].im - want.im);
		ck_assert_msg(off < 1e-14 * (double)n,
			"%lld points, inverse %d: [%lld] is off by %g", (long long)n, inverse,
			(long long)k, off);
	}
	free(x);
	free(was);
	arena_free(p.tmp);
	arena_free(p.arena);
}

START_TEST(any_length_gives_what_the_definition_does)
{
	expect_transform(lengths[_i], false);
	expect_transform(lengths[_i], true);
}
END_TEST

Suite *suite_fft(void);
Suite *suite_fft(void)
{
	Suite *s = suite_create("fft");
	TCase *t = tcase_create("lengths");
	tcase_add_loop_test(t, any_length_gives_what_the_definition_does, 0,
		sizeof(lengths) / sizeof(lengths[0]));
	suite_add_tcase(s, t);
	return s;
}
