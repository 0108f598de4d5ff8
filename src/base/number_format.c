/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. The shortest decimal that reads back as v is the one with the fewest digits
 * inside v's rounding interval. For float32 the interval is wide enough to look for it
 * in double arithmetic: v is scaled to nine digits before the point, where an error of
 * the scaling is below 1e-6 and half an interval is above 1; a candidate nearer than
 * NEAR to the interval's edge is left to the slow way. For float64 a decimal of at most
 * 15 digits is tried; it is right when dividing it back gives v, as both operands are
 * exact. The slow way prints with rising precision until the text reads back as v.
 */
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR 1e-4

static const double pow10_tab[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26,
	1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41,
	1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54 };
#define POW10_EXACT 22

static const char two_digits[] = "0001020304050607080910111213141516171819"
				 "2021222324252627282930313233343536373839"
				 "4041424344454647484950515253545556575859"
				 "6061626364656667686970717273747576777879"
				 "8081828384858687888990919293949596979899";

size_t number_format_u64(char *to, uint64_t v)
{
	char buf[20], *p = buf + sizeof(buf);
	while (v >= 100) {
		p -= 2;
		memcpy(p, two_digits + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10) {
		p -= 2;
		memcpy(p, two_digits + v * 2, 2);
	} else {
		*--p = (char)('0' + v);
	}
	size_t len = (size_t)(buf + sizeof(buf) - p);
	memcpy(to, p, len);
	return len;
}

size_t number_format_i64(char *to, int64_t v)
{
	if (v >= 0)
		return number_format_u64(to, (uint64_t)v);
	*to = '-';
	return 1 + number_format_u64(to + 1, -(uint64_t)v);
}

/* digits * 10^exp10 in decimal notation from 1e-5 to below 1e17, else with an exponent. */
static size_t put_decimal(char *to, uint64_t digits, int exp10)
{
	char buf[20];
	char *w = to;
	while (digits % 10 == 0) {
		digits /= 10;
		exp10++;
	}
	int n = (int)number_format_u64(buf, digits);
	int scientific = n - 1 + exp10;
	if (scientific < -5 || scientific >= 17) {
		*w++ = buf[0];
		if (n > 1) {
			*w++ = '.';
			memcpy(w, buf + 1, (size_t)n - 1);
			w += n - 1;
		}
		*w++ = 'e';
		return (size_t)(w - to) + number_format_i64(w, scientific);
	}
	int before = scientific < 0 ? 0 : n < scientific + 1 ? n : scientific + 1;
	if (before == 0)
		*w++ = '0';
	memcpy(w, buf, (size_t)before);
	w += before;
	for (int i = n; i <= scientific; i++)
		*w++ = '0';
	*w++ = '.';
	for (int i = -1; i > scientific; i--)
		*w++ = '0';
	memcpy(w, buf + before, (size_t)(n - before));
	w += n - before;
	if (before == n)
		*w++ = '0';
	return (size_t)(w - to);
}

/* The slow way; is_f32: reading back as a float is enough. */
static size_t put_slowly(char *to, double v, bool is_f32)
{
	char buf[40];
	for (int precision = is_f32 ? 0 : 14; precision < 17; precision++) {
		snprintf(buf, sizeof(buf), "%.*e", precision, v);
		if (is_f32 ? strtof(buf, NULL) == (float)v : strtod(buf, NULL) == v)
			break;
	}
	uint64_t digits = 0;
	int after_point = 0;
	const char *p = buf;
	for (; *p != 'e'; p++) {
		if (*p < '0' || *p > '9')
			continue;
		digits = digits * 10 + (uint64_t)(*p - '0');
		after_point += p > buf;
	}
	return put_decimal(to, digits, (int)strtol(p + 1, NULL, 10) - after_point);
}

/* k so that v * 10^k is in [10^(n-1), 10^n), or one off where v is next to a power. */
static int scale_for(double v, int n)
{
	int e2;
	frexp(v, &e2);
	int e10 = (int)floor((e2 - 1) * 0.30102999566398120);
	int k = n - 1 - e10;
	return k;
}

static double scaled(double v, int k)
{
	return k >= 0 ? v * pow10_tab[k] : v / pow10_tab[-k];
}

/* v > 0; true: written. */
static bool put_short_f32(char *to, float v, size_t *ret)
{
	int k = scale_for(v, 9);
	double w = scaled(v, k);
	if (w >= 1e9)
		w = scaled(v, --k);
	double above = (nextafterf(v, INFINITY) - (double)v) / 2;
	double below = ((double)v - nextafterf(v, 0)) / 2;
	if (isinf(above))
		return false;
	above = scaled(above, k);
	below = scaled(below, k);

	double best = floor(w + 0.5);
	for (double p = 10; p <= 1e9; p *= 10) {
		double n = floor(w / p + 0.5) * p;
		double gap = n > w ? n - w : w - n;
		double half = n > w ? above : below;
		if (fabs(gap - half) < NEAR)
			return false;
		if (gap > half)
			break;
		best = n;
	}
	*ret = put_decimal(to, (uint64_t)best, -k);
	return true;
}

size_t number_format_f32(char *to, float v)
{
	size_t sign = 0, len;
	if (signbit(v)) {
		*to++ = '-';
		sign = 1;
		v = -v;
	}
	if (v == 0) {
		memcpy(to, "0.0", 3);
		return sign + 3;
	}
	if (!put_short_f32(to, v, &len))
		len = put_slowly(to, v, true);
	return sign + len;
}

static bool put_short_f64(char *to, double v, size_t *ret)
{
	int k = scale_for(v, 15);
	if (k < -POW10_EXACT || k > POW10_EXACT)
		return false;
	double n = floor(scaled(v, k) + 0.5);
	if (n >= 0x1p53 || (k >= 0 ? n / pow10_tab[k] : n * pow10_tab[-k]) != v)
		return false;
	*ret = put_decimal(to, (uint64_t)n, -k);
	return true;
}

size_t number_format_f64(char *to, double v)
{
	size_t sign = 0, len;
	if (signbit(v)) {
		*to++ = '-';
		sign = 1;
		v = -v;
	}
	if (v == 0) {
		memcpy(to, "0.0", 3);
		return sign + 3;
	}
	if (!put_short_f64(to, v, &len))
		len = put_slowly(to, v, false);
	return sign + len;
}
