/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_scan.h -- what the sources of json.h share
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "base/json.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline void json_skip_space(struct json *j)
{
	const char *p = j->at;
	while (p < j->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	j->at = p;
}

/* Over the bytes of a string that mean themselves: ASCII but controls, quote, backslash. */
static inline const char *json_skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
	const __m128i space = _mm_set1_epi8(' ');
	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)p);
		/* Signed: bytes from 0x80 on are less than a space as well. */
		__m128i hit = _mm_or_si128(_mm_cmplt_epi8(v, space),
			_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
		int mask = _mm_movemask_epi8(hit);
		if (mask)
			return p + __builtin_ctz((unsigned)mask);
	}
#endif
	while (p < end && (signed char)*p >= ' ' && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* The closing quote of the string whose first byte is at j->at; NULL: error. */
const char *json_scan_string(struct json *j, bool *ret_escapes);
