/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * Lengths whose prime factors are small go factor by factor between two buffers (Stockham:
 * what comes out is in order): a pass of radix r takes r numbers that lie n / r apart, makes
 * their transform of r points, and turns the results by the roots of unity that are left.
 * Other lengths are a circular convolution with a chirp (Bluestein), since
 * j k = (j^2 + k^2 - (k - j)^2) / 2, done by transforms of a power of two.
 *
 * All roots of unity come from one table of the n-th ones, each worked out by itself, so
 * that errors do not add up.
 */
#include "exec/cpu/signal/fft.h"

#include <math.h>
#include <string.h>
#include "base/checked.h"

#define RADIX_MAX 31 /* larger primes go by way of a convolution */
#define FACTORS_MAX 64
#define FFT_MAX (INT64_C(1) << 40)

struct fft {
	int64_t n;
	int n_factor;
	int factor[FACTORS_MAX];
	const struct cplx *root; /* exp(-2 pi i k / n), k in [0, n) */
	/* of lengths with a large prime */
	const struct fft *inner;
	const struct cplx *chirp, *filter; /* exp(-pi i k^2 / n); the transform of its inverse */
};

static inline struct cplx times(struct cplx a, struct cplx b)
{
	return (struct cplx){ a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re };
}

static inline struct cplx plus(struct cplx a, struct cplx b)
{
	return (struct cplx){ a.re + b.re, a.im + b.im };
}

static inline struct cplx minus(struct cplx a, struct cplx b)
{
	return (struct cplx){ a.re - b.re, a.im - b.im };
}

/* -- run --------------------------------------------------------------------------------------- */

/* A pass over x, which is `stride` interleaved signals of `length` points, to y. */
static void pass2(
	const struct fft *f, const struct cplx *x, struct cplx *y, int64_t length, int64_t stride)
{
	int64_t half = length / 2;
	for (int64_t k = 0; k < half; k++) {
		struct cplx w = f->root[k * stride];
		const struct cplx *a = x + k * stride, *b = a + half * stride;
		struct cplx *even = y + 2 * k * stride, *odd = even + stride;
		for (int64_t q = 0; q < stride; q++) {
			even[q] = plus(a[q], b[q]);
			odd[q] = times(minus(a[q], b[q]), w);
		}
	}
}

static void pass4(
	const struct fft *f, const struct cplx *x, struct cplx *y, int64_t length, int64_t stride)
{
	int64_t quarter = length / 4, apart = quarter * stride;
	for (int64_t k = 0; k < quarter; k++) {
		struct cplx w1 = f->root[k * stride], w2 = f->root[2 * k * stride];
		struct cplx w3 = f->root[3 * k * stride];
		const struct cplx *from = x + k * stride;
		struct cplx *to = y + 4 * k * stride;
		for (int64_t q = 0; q < stride; q++) {
			struct cplx a = from[q], b = from[q + apart], c = from[q + 2 * apart];
			struct cplx d = from[q + 3 * apart];
			struct cplx ac = plus(a, c), bd = plus(b, d), a_c = minus(a, c),
				    b_d = minus(b, d);
			struct cplx turned = { b_d.im, -b_d.re }; /* by -i */
			to[q] = plus(ac, bd);
			to[q + stride] = times(plus(a_c, turned), w1);
			to[q + 2 * stride] = times(minus(ac, bd), w2);
			to[q + 3 * stride] = times(minus(a_c, turned), w3);
		}
	}
}

static void pass_any(const struct fft *f, int radix, const struct cplx *x, struct cplx *y,
	int64_t length, int64_t stride)
{
	int64_t m = length / radix, step = f->n / radix;
	for (int64_t k = 0; k < m; k++)
		for (int64_t q = 0; q < stride; q++)
			for (int r = 0; r < radix; r++) {
				struct cplx sum = x[q + k * stride];
				for (int j = 1; j < radix; j++)
					sum = plus(sum, times(x[q + stride * (k + m * j)],
								f->root[r * j % radix * step]));
				y[q + stride * (radix * k + r)] =
					times(sum, f->root[r * k * stride % f->n]);
			}
}

static void run_factors(const struct fft *f, struct cplx *x, struct cplx *scratch)
{
	struct cplx *from = x, *to = scratch;
	int64_t length = f->n, stride = 1;
	for (int i = 0; i < f->n_factor; i++) {
		int radix = f->factor[i];
		if (radix == 4)
			pass4(f, from, to, length, stride);
		else if (radix == 2)
			pass2(f, from, to, length, stride);
		else
			pass_any(f, radix, from, to, length, stride);
		length /= radix;
		stride *= radix;
		struct cplx *swap = from;
		from = to;
		to = swap;
	}
	if (from != x)
		memcpy(x, from, (size_t)f->n * sizeof(*x));
}

static void run_chirp(const struct fft *f, struct cplx *x, struct cplx *scratch)
{
	const struct fft *g = f->inner;
	struct cplx *y = scratch;
	for (int64_t k = 0; k < f->n; k++)
		y[k] = times(x[k], f->chirp[k]);
	memset(y + f->n, 0, (size_t)(g->n - f->n) * sizeof(*y));
	fft_run(g, false, y, scratch + g->n);
	for (int64_t k = 0; k < g->n; k++)
		y[k] = times(y[k], f->filter[k]);
	fft_run(g, true, y, scratch + g->n);
	for (int64_t k = 0; k < f->n; k++)
		x[k] = times(y[k], f->chirp[k]);
}

int64_t fft_scratch(const struct fft *f)
{
	return f->inner ? 2 * f->inner->n : f->n;
}

static void conjugate(struct cplx *x, int64_t n, double scale)
{
	for (int64_t k = 0; k < n; k++)
		x[k] = (struct cplx){ x[k].re * scale, -x[k].im * scale };
}

void fft_run(const struct fft *f, bool inverse, struct cplx *x, struct cplx *scratch)
{
	if (inverse)
		conjugate(x, f->n, 1);
	if (f->inner)
		run_chirp(f, x, scratch);
	else
		run_factors(f, x, scratch);
	if (inverse)
		conjugate(x, f->n, 1 / (double)f->n);
}

/* -- new --------------------------------------------------------------------------------------- */

/* exp(-2 pi i k / n), from an angle of at most an eighth of a turn. */
static struct cplx root_of_unity(int64_t k, int64_t n)
{
	int64_t eighth = 8 * k / n; /* k < n <= 2^41 */
	int64_t quarter = (eighth + 1) / 2;
	double angle = 2 * M_PI * ((double)(4 * k - quarter * n) / (double)n) / 4;
	double c = cos(angle), s = sin(angle);
	switch (quarter % 4) {
	case 0: return (struct cplx){ c, -s };
	case 1: return (struct cplx){ -s, -c };
	case 2: return (struct cplx){ -c, s };
	default: return (struct cplx){ s, c };
	}
}

/* false: it has a prime factor that is too large. */
static bool factorize(struct fft *f)
{
	int64_t rest = f->n;
	for (int radix = 4; radix <= RADIX_MAX;) {
		if (rest % radix == 0) {
			f->factor[f->n_factor++] = radix;
			rest /= radix;
		} else {
			radix = radix == 4 ? 2 : radix == 2 ? 3 : radix + 2;
		}
	}
	return rest == 1;
}

static enum err_code make_chirp(struct prep *p, struct fft *f, struct err *err)
{
	int64_t size = 1;
	while (size < 2 * f->n - 1)
		size *= 2;
	struct cplx *chirp = prep_alloc(p, (size_t)f->n * sizeof(*chirp));
	struct cplx *filter = prep_alloc(p, (size_t)size * sizeof(*filter));
	struct cplx *scratch = arena_alloc(p->tmp, (size_t)size * sizeof(*scratch));
	if (!chirp || !filter || !scratch)
		return err_oom(err);
	int64_t square = 0; /* k^2 modulo 2 n */
	for (int64_t k = 0; k < f->n; k++) {
		chirp[k] = root_of_unity(square, 2 * f->n);
		filter[k] = (struct cplx){ chirp[k].re, -chirp[k].im };
		if (k)
			filter[size - k] = filter[k];
		square = (square + 2 * k + 1) % (2 * f->n);
	}
	enum err_code rc = fft_new(p, size, &f->inner, err);
	if (rc != ERR_OK)
		return rc;
	fft_run(f->inner, false, filter, scratch);
	f->chirp = chirp;
	f->filter = filter;
	return ERR_OK;
}

static enum err_code make_roots(struct prep *p, struct fft *f, struct err *err)
{
	struct cplx *root = prep_alloc(p, (size_t)f->n * sizeof(*root));
	if (!root)
		return err_oom(err);
	for (int64_t k = 0; k < f->n; k++)
		root[k] = root_of_unity(k, f->n);
	f->root = root;
	return ERR_OK;
}

enum err_code fft_new(struct prep *p, int64_t n, const struct fft **ret, struct err *err)
{
	if (n > FFT_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"a transform of %lld points is too long", (long long)n);
	struct fft *f = prep_alloc(p, sizeof(*f));
	if (!f)
		return err_oom(err);
	f->n = n;
	enum err_code rc = factorize(f) ? make_roots(p, f, err) : make_chirp(p, f, err);
	if (rc == ERR_OK)
		*ret = f;
	return rc;
}
