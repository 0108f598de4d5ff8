/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. Numbers are found in sixty-four bytes at a time (json_block.h). A block is used up to
 * the first byte that is not as expected. The next one begins behind the last comma of this one:
 * a number is never cut.
 *
 * Digits are read as the sixteen bytes that end where they end. What stands before them is
 * masked away, the point is shuffled out, and neighbours are joined: digits to pairs, pairs
 * to fours, to eights, to sixteen. A division by a power of ten, both exact, rounds
 * correctly; what has more digits goes the ways of decimal.h.
 *
 * INVARIANTS
 *   1. HEAD bytes before the block belong to the document, and so do all 64 of it.
 *   2. What is not read here is left to json_number(), never refused.
 *
 * Few numbers near 1 are written with an exponent: blocks are looked at for them only when
 * nothing can be made of one without.
 */
#include "base/json_run.h"

#include <float.h>

#ifdef __x86_64__
#include "base/decimal.h"
#include "base/json_block.h"
#include "base/pow10.h"

#define HEAD 32 /* as far back as the first digits of a long number are looked for */

/* --- what they are --- */

/* A mask of sixteen bytes begins at each: the one from the n-th on keeps the last n. */
static const int8_t keep_last[32] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };

/* Row n takes out the n-th byte from the end, if n is not 0. */
#define FROM(k, n) ((n) == 0 || (k) >= 17 - (n) ? (k) : (k) - 1)
#define ROW(n) \
	{ FROM(0, n), FROM(1, n), FROM(2, n), FROM(3, n), FROM(4, n), FROM(5, n), FROM(6, n), \
		FROM(7, n), FROM(8, n), FROM(9, n), FROM(10, n), FROM(11, n), FROM(12, n), \
		FROM(13, n), FROM(14, n), FROM(15, n) }
static const int8_t take_out[17][16] = { ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6),
	ROW(7), ROW(8), ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15), ROW(16) };

/* By how far a point is from the end of its number. */
static const double scale[17] = { 1, 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15 };

/* The n <= 16 bytes that end at `end`, one of them, `point` from the end, no digit but a
   point; 0: there is none. */
INLINE uint64_t read_16(const char *end, size_t n, size_t point)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(end - 16));
	v = _mm_sub_epi8(v, _mm_set1_epi8('0'));
	v = _mm_and_si128(v, _mm_loadu_si128((const __m128i *)(keep_last + n)));
	if (!__builtin_constant_p(point))
		v = _mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)take_out[point]));
	v = _mm_maddubs_epi16(v, _mm_set1_epi16(0x010a));
	v = _mm_madd_epi16(v, _mm_set1_epi32(0x00010064));
	v = _mm_packus_epi32(v, v);
	v = _mm_madd_epi16(v, _mm_set1_epi32(0x00012710));
	uint64_t eights = (uint64_t)_mm_cvtsi128_si64(v);
	return (eights & UINT32_MAX) * 100000000 + (eights >> 32);
}

/* Up to 19 digits. */
INLINE uint64_t read_long(const char *end, size_t n)
{
	if (n <= 16)
		return read_16(end, n, 0);
	return read_16(end - 16, n - 16, 0) * pow10_u64[16] + read_16(end, 16, 0);
}

/* One number without its sign. */
struct token {
	const char *first, *point, *mantissa, *end; /* the last three: as in struct block */
	uint64_t negative; /* or 0 */
};

/* What follows the 'e', three digits at most. */
INLINE bool read_exponent(struct token t, int *ret)
{
	const char *p = t.mantissa + 1;
	int e = 0, negative = *p == '-';
	p += negative || *p == '+';
	if (t.end - p > 3)
		return false;
	for (; p < t.end; p++)
		e = e * 10 + (*p - '0');
	*ret += negative ? -e : e;
	return true;
}

INLINE bool any_decimal(struct token t, struct decimal *ret)
{
	size_t before = (size_t)(t.point - t.first);
	size_t behind = t.point == t.mantissa ? 0 : (size_t)(t.mantissa - t.point) - 1;
	if (before > 16 || behind > NUMBER_DIGITS_EXACT)
		return false;
	uint64_t whole = before == 1 ? (uint64_t)(*t.first - '0') : read_16(t.point, before, 0);
	if (whole && before + behind > NUMBER_DIGITS_EXACT)
		return false;
	uint64_t all = whole * pow10_u64[behind] + read_long(t.mantissa, behind);
	*ret = (struct decimal){ all, -(int)behind };
	return t.mantissa == t.end || read_exponent(t, &ret->exp10);
}

/* Is one division or multiplication of doubles exact? */
INLINE bool quotient(struct decimal d, double *ret)
{
	if (d.digits >> 53 || d.exp10 < -POW10_F64_MAX || d.exp10 > POW10_F64_MAX)
		return false;
	double v = (double)(int64_t)d.digits;
	*ret = d.exp10 < 0 ? v / pow10_f64[-d.exp10] : v * pow10_f64[d.exp10];
	return true;
}

/* As much as forms says may be there. Signs cannot be predicted: no branch. False: for
   json_number(). */
INLINE bool put_f64(struct token t, enum forms forms, void *to)
{
	double v;
	size_t n = (size_t)(t.end - t.first), point = (size_t)(t.end - t.point);
	if (n <= 8 && forms == FORM_INTEGERS) {
		v = (double)(int32_t)read_16(t.end, n, 0);
	} else if (n <= 16 && t.mantissa == t.end) {
		v = (double)(int64_t)read_16(t.end, n, point) / scale[point];
	} else {
		struct decimal d;
		if (!any_decimal(t, &d) || (!quotient(d, &v) && !decimal_to_f64(d, &v)) ||
			v > DBL_MAX)
			return false;
	}
	uint64_t bits;
	memcpy(&bits, &v, sizeof(bits));
	bits |= t.negative << 63;
	memcpy(to, &bits, sizeof(bits));
	return true;
}

INLINE bool put_f32(struct token t, enum forms forms, void *to)
{
	float v;
	size_t n = (size_t)(t.end - t.first), point = (size_t)(t.end - t.point);
	struct decimal d;
	if (n <= 7 && forms == FORM_INTEGERS) {
		v = (float)(int32_t)read_16(t.end, n, 0); /* exact */
	} else if (n <= 16 && t.mantissa == t.end) {
		/* Sixteen digits may be rounded to a double, which narrowing puts up with. */
		uint64_t all = read_16(t.end, n, point);
		d = (struct decimal){ all, point ? 1 - (int)point : 0 };
		if (!decimal_narrow((double)(int64_t)all / scale[point], &v) &&
			!decimal_to_f32(d, &v))
			return false;
	} else {
		double wide;
		if (!any_decimal(t, &d))
			return false;
		bool near = quotient(d, &wide) && wide >= (double)FLT_MIN &&
			    wide <= (double)FLT_MAX;
		if (!(near && decimal_narrow(wide, &v)) && (!decimal_to_f32(d, &v) || v > FLT_MAX))
			return false;
	}
	uint32_t bits;
	memcpy(&bits, &v, sizeof(bits));
	bits |= (uint32_t)t.negative << 31;
	memcpy(to, &bits, sizeof(bits));
	return true;
}

INLINE bool read_int(struct token t, uint64_t max, bool is_signed, uint64_t *ret)
{
	size_t n = (size_t)(t.end - t.first);
	if (n > NUMBER_DIGITS_EXACT)
		return false;
	uint64_t v = read_long(t.end, n);
	if (v > max + (is_signed ? t.negative : 0) || (!is_signed && t.negative && v))
		return false;
	*ret = (v ^ -t.negative) + t.negative;
	return true;
}

#define X(name, type, max, is_signed) \
	INLINE bool put_##name(struct token t, enum forms forms, void *to) \
	{ \
		uint64_t v; \
		(void)forms; \
		if (!read_int(t, max, is_signed, &v)) \
			return false; \
		*(type *)to = (type)v; \
		return true; \
	}
JSON_RUN_INTS(X)
#undef X

/* --- a run of them --- */

typedef bool put_fn(struct token t, enum forms forms, void *to);

/* Takes the first number out of the block at p. */
INLINE struct token next_token(const char *p, struct block *b, enum forms forms)
{
	int begin = __builtin_ctzll(b->begin);
	uint64_t negative = b->minus >> begin & 1;
	const char *end = p + __builtin_ctzll(b->end);
	struct token t = { p + begin + negative, end, end, end, negative };
	if (forms >= FORM_FRACTIONS)
		t.point = p + __builtin_ctzll(b->point);
	if (forms == FORM_EXPONENTS)
		t.mantissa = p + __builtin_ctzll(b->mantissa);
	b->begin &= b->begin - 1;
	b->point &= b->point - 1;
	b->mantissa &= b->mantissa - 1;
	b->end &= b->end - 1;
	return t;
}

/* Where they go. */
struct sink {
	char *to;
	size_t size, n, room;
	struct json_rows rows;
	const char *behind; /* the last number */
};

/* Takes all of the block. False: the run is over. */
INLINE bool take_block(
	struct sink *s, const char *p, struct block b, enum forms forms, put_fn *put)
{
	while (b.end) {
		struct token t = next_token(p, &b, forms);
		if (!put(t, forms, s->to + s->n * s->size))
			return false;
		s->behind = t.end;
		if (s->rows.at == s->rows.length) {
			s->rows.at = 0;
			s->rows.passed++;
		}
		s->rows.at++;
		if (++s->n == s->room)
			return false;
		if (*t.end == ']') {
			if (s->rows.at != s->rows.length)
				return false;
		} else if (s->rows.at == s->rows.length) {
			return false;
		}
	}
	return true;
}

INLINE size_t run(
	struct json *j, struct sink s, struct json_rows *rows, enum forms forms, put_fn *put)
{
	const char *p = s.behind = j->at;
	bool more = s.room > 0;
	while (more && j->end - p >= JSON_BLOCK) {
		bool after_row = s.n > 0 && p == s.behind;
		struct block b = find_numbers(p, forms, after_row);
		if (b.end && b.point == b.end) {
			more = take_block(&s, p, b, FORM_INTEGERS, put); /* pixels, say */
		} else if (b.end) {
			more = take_block(&s, p, b, forms, put);
		} else {
			if (forms == FORM_FRACTIONS)
				b = find_numbers(p, FORM_EXPONENTS, after_row);
			more = b.end && take_block(&s, p, b, FORM_EXPONENTS, put);
		}
		p = *s.behind == ']' ? s.behind : s.behind + 1;
	}
	j->at = s.behind;
	*rows = s.rows;
	return s.n;
}

static bool can_run(const struct json *j, const struct json_rows *rows)
{
	return j->at - j->begin >= HEAD && rows->at < rows->length &&
	       __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

#define RUN(name, type, forms) \
	TARGET static size_t run_##name( \
		struct json *j, char *to, size_t room, struct json_rows *rows) \
	{ \
		struct sink s = { .to = to, .size = sizeof(type), .room = room, .rows = *rows }; \
		return run(j, s, rows, forms, put_##name); \
	} \
\
	size_t json_run_##name(struct json *j, void *to, size_t room, struct json_rows *rows) \
	{ \
		return can_run(j, rows) ? run_##name(j, to, room, rows) : 0; \
	}
#else
#define RUN(name, type, forms) \
	size_t json_run_##name(struct json *j, void *to, size_t room, struct json_rows *rows) \
	{ \
		(void)j, (void)to, (void)room, (void)rows; \
		return 0; \
	}
#endif

RUN(f32, float, FORM_FRACTIONS)
RUN(f64, double, FORM_FRACTIONS)
#define X(name, type, ...) RUN(name, type, FORM_INTEGERS)
JSON_RUN_INTS(X)
#undef X
