/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_block.h -- where the numbers of an array are, for 64 bytes of JSON at once
 *
 * Each byte becomes a bit per class: digit, point, minus, comma, ... Shifts and additions of such
 * words check the grammar of all numbers in the block at once, and say where each begins, has its
 * point and ends; so that finding them costs no branch, whatever their lengths.
 *
 * For functions that are compiled for TARGET, on x86-64. Threads: any. Memory: none.
 */
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define JSON_BLOCK 64
#define TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define INLINE TARGET static inline __attribute__((always_inline))

/* A bit per byte; of each number, in order, one in begin, point, mantissa and end. */
struct block {
	uint64_t begin;    /* its first byte, the minus if it has one */
	uint64_t point;    /* or the same as mantissa */
	uint64_t mantissa; /* the byte behind it: the 'e' of an exponent, or the same as end */
	uint64_t end;      /* the comma or bracket behind it */
	uint64_t minus;
};

/* What is looked for. */
enum forms {
	FORM_INTEGERS,
	FORM_FRACTIONS, /* too */
	FORM_EXPONENTS, /* too */
};

struct bytes {
	__m256i low, high;
};

INLINE uint64_t bits(__m256i low, __m256i high)
{
	return (uint32_t)_mm256_movemask_epi8(low) |
	       (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

INLINE uint64_t equal(struct bytes v, char c)
{
	__m256i all = _mm256_set1_epi8(c);
	return bits(_mm256_cmpeq_epi8(v.low, all), _mm256_cmpeq_epi8(v.high, all));
}

INLINE uint64_t digits(struct bytes v)
{
	const __m256i zero = _mm256_set1_epi8('0'), nine = _mm256_set1_epi8(9);
	__m256i low = _mm256_sub_epi8(v.low, zero), high = _mm256_sub_epi8(v.high, zero);
	return bits(_mm256_cmpeq_epi8(_mm256_min_epu8(low, nine), low),
		_mm256_cmpeq_epi8(_mm256_min_epu8(high, nine), high));
}

/* Each byte looks up the one space that has the same four low bits. */
INLINE uint64_t spaces(struct bytes v)
{
	const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(
		' ', -1, -1, -1, -1, -1, -1, -1, -1, '\t', '\n', -1, -1, '\r', -1, -1));
	return bits(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, v.low), v.low),
		_mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, v.high), v.high));
}

INLINE uint64_t lowest(uint64_t bits)
{
	return bits & -bits;
}

/* The numbers that end in the block at p. after_row: p is at the bracket behind the last
   number, not at what may be the next. */
INLINE struct block find_numbers(const char *p, enum forms forms, bool after_row)
{
	struct bytes v = { _mm256_loadu_si256((const __m256i *)p),
		_mm256_loadu_si256((const __m256i *)(p + 32)) };
	uint64_t digit = digits(v), minus = equal(v, '-'), plus = 0, point = 0, e = 0;
	if (forms >= FORM_FRACTIONS)
		point = equal(v, '.');
	if (forms == FORM_EXPONENTS) {
		e = equal(v, 'e') | equal(v, 'E');
		plus = equal(v, '+');
	}
	uint64_t comma = equal(v, ','), open = equal(v, '['), close = equal(v, ']');
	uint64_t space = spaces(v);

	uint64_t sign = minus | plus, number = digit | point | sign | e;
	uint64_t begin = number & ~(number << 1), end = ~number & number << 1;
	uint64_t first = (begin & ~minus) | (begin & minus) << 1; /* digit */
	/* The carry runs through the digits of a fraction, or exponent, to what is behind them. */
	uint64_t fraction_end = ((point << 1) + digit) & ~digit;
	uint64_t exponent = e << 1, exponent_sign = exponent & sign;
	uint64_t exponent_end = ((exponent ^ exponent_sign) | exponent_sign << 1) + digit;
	exponent_end &= ~digit;

	uint64_t bad = ~(number | comma | open | close | space);
	bad |= (sign & ~(begin | exponent_sign)) | (plus & begin);
	bad |= ((sign | point) << 1 | exponent) & ~(digit | exponent_sign);
	bad |= ((point | e) & ~(digit << 1)) | (point & fraction_end) | (number & exponent_end);
	bad |= (first & equal(v, '0')) << 1 & digit;

	/* Behind a number comes a comma, or "],[" with a space at most. */
	uint64_t row_comma = close << 1, row = close << 2;
	row = (row & ~space) | (row & space) << 1;
	bad |= (end | after_row) ^ ((comma & ~row_comma) | close);
	bad |= (row_comma & ~comma) | (open ^ row) | (open << 1 & ~begin);

	end &= lowest(bad) - 1;
	uint64_t mantissa = e | (end & ~exponent_end);
	return (struct block){ begin, point | (mantissa & ~fraction_end), mantissa, end, minus };
}
