/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INVARIANTS
 *   1. begin <= at <= end; error set implies at == end, so that every reader stops.
 *   2. depth <= JSON_DEPTH_MAX, and is_object has one bit per open container.
 *   3. Between calls the reader stands before a value (after json_next() or json_member()
 *      said true), or behind one.
 */
#include "base/json.h"

#include <math.h>
#include "base/utf8.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

_Static_assert(JSON_DEPTH_MAX <= 64, "is_object has 64 bits");

void json_init(struct json *j, struct slice doc, struct arena *arena, bool allow_nan)
{
	*j = (struct json){ .at = doc.ptr, .begin = doc.ptr, .end = doc.ptr + doc.len,
		.arena = arena, .allow_nan = allow_nan };
}

void json_init_value(struct json *j, struct slice raw, const struct json *outer)
{
	*j = (struct json){ .at = raw.ptr, .begin = outer->begin, .end = raw.ptr + raw.len,
		.arena = outer->arena, .allow_nan = outer->allow_nan };
}

void json_fail(struct json *j, const char *text)
{
	if (j->error)
		return;
	j->error = text;
	j->error_at = (size_t)(j->at - j->begin);
	j->at = j->end;
}

enum err_code json_error(const struct json *j, struct err *err)
{
	if (!j->error)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "JSON Parse error: %s at offset: %zu", j->error,
		j->error_at);
}

static inline void skip_space(struct json *j)
{
	const char *p = j->at;
	while (p < j->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	j->at = p;
}

enum json_kind json_peek(struct json *j)
{
	skip_space(j);
	if (j->at == j->end) {
		json_fail(j, "the document ends where a value is expected");
		return JSON_NONE;
	}
	switch (*j->at) {
	case '{': return JSON_OBJECT;
	case '[': return JSON_ARRAY;
	case '"': return JSON_STRING;
	case 't':
	case 'f': return JSON_BOOL;
	case 'n': return JSON_NULL;
	case '-':
	case '0' ... '9': return JSON_NUMBER;
	case 'N':
	case 'I':
		if (j->allow_nan)
			return JSON_NUMBER;
		break;
	default: break;
	}
	json_fail(j, "no JSON value begins like this");
	return JSON_NONE;
}

/* --- containers --- */

static bool enter(struct json *j, enum json_kind kind, const char *otherwise)
{
	if (json_peek(j) != kind) {
		json_fail(j, otherwise);
		return false;
	}
	if (j->depth == JSON_DEPTH_MAX) {
		json_fail(j, "nested deeper than 64 levels");
		return false;
	}
	j->at++;
	j->depth++;
	j->is_object = j->is_object << 1 | (kind == JSON_OBJECT);
	j->fresh = true;
	return true;
}

bool json_enter_array(struct json *j)
{
	return enter(j, JSON_ARRAY, "expected an array");
}

bool json_enter_object(struct json *j)
{
	return enter(j, JSON_OBJECT, "expected an object");
}

/* Behind the comma, or at the first element; false: the container was closed. */
static bool next_element(struct json *j, char close, const char *otherwise)
{
	bool fresh = j->fresh;
	j->fresh = false;
	skip_space(j);
	if (j->at == j->end) {
		json_fail(j, otherwise);
		return false;
	}
	if (*j->at == close) {
		j->at++;
		j->depth--;
		j->is_object >>= 1;
		return false;
	}
	if (fresh)
		return true;
	if (*j->at != ',') {
		json_fail(j, otherwise);
		return false;
	}
	j->at++;
	return true;
}

bool json_next(struct json *j)
{
	return next_element(j, ']', "expected ',' or ']'");
}

bool json_member(struct json *j, struct slice *ret_key)
{
	if (!next_element(j, '}', "expected ',' or '}'"))
		return false;
	skip_space(j);
	if (j->at == j->end || *j->at != '"') {
		json_fail(j, "expected a key in quotes");
		return false;
	}
	if (!json_string(j, ret_key))
		return false;
	skip_space(j);
	if (j->at == j->end || *j->at != ':') {
		json_fail(j, "expected ':'");
		return false;
	}
	j->at++;
	return true;
}

/* --- strings --- */

/* Over the bytes of a string that mean themselves: ASCII but controls, quote, backslash. */
static const char *skip_plain(const char *p, const char *end)
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
static const char *scan_string(struct json *j, bool *ret_escapes)
{
	const char *p = j->at;
	uint32_t character;
	*ret_escapes = false;
	for (;;) {
		p = skip_plain(p, j->end);
		if (p == j->end) {
			j->at = p;
			json_fail(j, "the document ends inside a string");
			return NULL;
		}
		size_t n = 2;
		if (*p == '"')
			return p;
		if (*p == '\\') {
			*ret_escapes = true;
			n = j->end - p >= 2 ? 2 : 1;
		} else if ((unsigned char)*p < ' ') {
			j->at = p;
			json_fail(j, "a control character inside a string");
			return NULL;
		} else if ((n = utf8_decode(p, (size_t)(j->end - p), &character)) == 0) {
			j->at = p;
			json_fail(j, "a string is not valid UTF-8");
			return NULL;
		}
		p += n;
	}
}

static int hex4(const char *p, const char *end)
{
	if (end - p < 4)
		return -1;
	int v = 0;
	for (int i = 0; i < 4; i++) {
		int c = p[i], low = c | 0x20;
		int digit = c >= '0' && c <= '9'     ? c - '0' :
			    low >= 'a' && low <= 'f' ? low - 'a' + 10 :
						       -1;
		if (digit < 0)
			return -1;
		v = v << 4 | digit;
	}
	return v;
}

/* The code point of "\uXXXX" (or a pair of them) at *at, which moves behind it; -1: bad. */
static long unicode_escape(const char **at, const char *end)
{
	int high = hex4(*at + 2, end);
	if (high < 0 || (high & 0xfc00) == 0xdc00)
		return -1;
	*at += 6;
	if ((high & 0xfc00) != 0xd800)
		return high;
	if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return -1;
	int low = hex4(*at + 2, end);
	if ((low & ~0x3ff) != 0xdc00)
		return -1;
	*at += 6;
	return 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
}

/* [p, end) with its escapes resolved, to w, which has room for as much; NULL: error. */
static char *unescape(struct json *j, const char *p, const char *end, char *w)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	while (p < end) {
		const char *slash = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((slash ? slash : end) - p);
		memcpy(w, p, plain);
		w += plain;
		p += plain;
		if (p == end)
			break;
		const char *known = p[1] ? strchr(from, p[1]) : NULL;
		if (known) {
			*w++ = to[known - from];
			p += 2;
			continue;
		}
		long c = p[1] == 'u' ? unicode_escape(&p, end) : -1;
		if (c < 0) {
			j->at = p;
			json_fail(j, "a bad escape or a lone surrogate inside a string");
			return NULL;
		}
		w += utf8_encode((uint32_t)c, w);
	}
	return w;
}

bool json_string(struct json *j, struct slice *ret)
{
	if (json_peek(j) != JSON_STRING) {
		json_fail(j, "expected a string");
		return false;
	}
	bool escapes;
	const char *first = ++j->at;
	const char *quote = scan_string(j, &escapes);
	if (!quote)
		return false;
	struct slice s = { first, (size_t)(quote - first) };
	if (escapes) {
		/* Every escape is at least as long as what it stands for. */
		char *w = arena_alloc(j->arena, s.len);
		if (!w) {
			json_fail(j, "no memory for a string");
			return false;
		}
		char *end = unescape(j, first, quote, w);
		if (!end)
			return false;
		s = (struct slice){ w, (size_t)(end - w) };
	}
	j->at = quote + 1;
	*ret = s;
	return true;
}

/* --- scalars --- */

/* A value may be followed by space, a comma, a closing bracket or the end. */
static bool word(struct json *j, const char *text)
{
	size_t len = strlen(text);
	if ((size_t)(j->end - j->at) < len || memcmp(j->at, text, len) != 0)
		return false;
	if (j->at + len < j->end) {
		char c = j->at[len];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
			return false;
	}
	j->at += len;
	return true;
}

bool json_bool(struct json *j, bool *ret)
{
	if (json_peek(j) == JSON_BOOL) {
		bool is_true = word(j, "true");
		if (is_true || word(j, "false")) {
			*ret = is_true;
			return true;
		}
	}
	json_fail(j, "expected true or false");
	return false;
}

bool json_null(struct json *j)
{
	if (json_peek(j) == JSON_NULL && word(j, "null"))
		return true;
	json_fail(j, "expected null");
	return false;
}

bool json_number(struct json *j, struct number *ret)
{
	skip_space(j);
	const char *end = number_scan(j->at, j->end, ret);
	if (!end) {
		json_fail(j, "expected a number");
		return false;
	}
	j->at = end;
	return true;
}

bool json_special(struct json *j, double *ret)
{
	skip_space(j);
	if (!j->allow_nan || j->at == j->end)
		return false;
	if (word(j, "NaN"))
		*ret = (double)NAN;
	else if (word(j, "Infinity") || word(j, "Inf"))
		*ret = (double)INFINITY;
	else if (word(j, "-Infinity") || word(j, "-Inf"))
		*ret = -(double)INFINITY;
	else
		return false;
	return true;
}

bool json_i64(struct json *j, int64_t *ret)
{
	struct number n;
	const char *at = j->at;
	if (!json_number(j, &n))
		return false;
	if (number_to_i64(&n, INT64_MIN, INT64_MAX, ret))
		return true;
	j->at = at;
	json_fail(j, "expected an integer of 64 bits");
	return false;
}

/* --- values of any kind --- */

/* Reads a scalar, or enters a container. */
static bool skip_one(struct json *j)
{
	struct slice str;
	struct number n;
	double special;
	bool b, escapes;
	switch (json_peek(j)) {
	case JSON_OBJECT: return json_enter_object(j);
	case JSON_ARRAY: return json_enter_array(j);
	case JSON_BOOL: return json_bool(j, &b);
	case JSON_NULL: return json_null(j);
	case JSON_NUMBER: return json_special(j, &special) || json_number(j, &n);
	case JSON_STRING: {
		const char *quote;
		const char *first = j->at++;
		quote = scan_string(j, &escapes);
		if (!quote)
			return false;
		j->at = first;
		if (escapes)
			return json_string(j, &str);
		j->at = quote + 1;
		return true;
	}
	case JSON_NONE: break;
	}
	return false;
}

bool json_skip(struct json *j, struct slice *ret_raw)
{
	struct slice key;
	int outside = j->depth;
	skip_space(j);
	const char *first = j->at;
	do {
		if (!skip_one(j))
			return false;
		/* Behind a value: close what ends here, or go on to the next element. */
		while (j->depth > outside &&
			!(j->is_object & 1 ? json_member(j, &key) : json_next(j)))
			if (j->error)
				return false;
	} while (j->depth > outside);
	if (ret_raw)
		*ret_raw = (struct slice){ first, (size_t)(j->at - first) };
	return !j->error;
}

/* Over a string without looking at what is in it; NULL: it has no end. */
static const char *skim_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		const char *quote = memchr(p, '"', (size_t)(end - p));
		if (!quote)
			return NULL;
		const char *slash = memchr(p, '\\', (size_t)(quote - p));
		if (!slash)
			return quote + 1;
		p = slash + 1;
	}
	return NULL;
}

struct skim {
	const char *p, *end;
	size_t commas;
	int depth, depth_max;
};

/* Sixteen bytes at a time while no string begins and the outermost bracket cannot close. */
static void skim_blocks(struct skim *s)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), comma = _mm_set1_epi8(',');
	const __m128i bit5 = _mm_set1_epi8(0x20), open = _mm_set1_epi8('{'),
		      close = _mm_set1_epi8('}');
	while (s->end - s->p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)s->p);
		if (_mm_movemask_epi8(_mm_cmpeq_epi8(v, quote)))
			return;
		__m128i folded = _mm_or_si128(v, bit5); /* '[' is '{' then, ']' is '}' */
		int opens = __builtin_popcount(
			(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(folded, open)));
		int closes = __builtin_popcount(
			(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(folded, close)));
		if (closes >= s->depth || s->depth + opens > s->depth_max)
			return;
		s->depth += opens - closes;
		s->commas += (size_t)__builtin_popcount(
			(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, comma)));
		s->p += 16;
	}
#else
	(void)s;
#endif
}

/* One byte, or a whole string; false: the value cannot end well. */
static bool skim_step(struct skim *s)
{
	switch (*s->p) {
	case '"':
		s->p = skim_string(s->p, s->end);
		return s->p != NULL;
	case '{':
	case '[': s->depth++; break;
	case '}':
	case ']': s->depth--; break;
	case ',': s->commas++; break;
	default: break;
	}
	s->p++;
	return s->depth <= s->depth_max;
}

bool json_skim(struct json *j, struct slice *ret_raw, size_t *ret_commas)
{
	*ret_commas = 0;
	enum json_kind kind = json_peek(j);
	if (kind != JSON_ARRAY && kind != JSON_OBJECT)
		return json_skip(j, ret_raw);

	struct skim s = { .p = j->at, .end = j->end, .depth_max = JSON_DEPTH_MAX - j->depth };
	do {
		if (s.depth > 0)
			skim_blocks(&s);
		int steps = 0;
		do {
			if (s.p == s.end) {
				json_fail(j, "the document ends inside an array or object");
				return false;
			}
			if (!skim_step(&s)) {
				json_fail(j, s.p ? "nested deeper than 64 levels" :
						   "a string without an end");
				return false;
			}
		} while (s.depth > 0 && ++steps < 16);
	} while (s.depth > 0);
	*ret_raw = (struct slice){ j->at, (size_t)(s.p - j->at) };
	*ret_commas = s.commas;
	j->at = s.p;
	return true;
}

bool json_end(struct json *j)
{
	skip_space(j);
	if (j->at != j->end)
		json_fail(j, "something follows the document");
	return !j->error;
}

/* --- writing --- */

void json_put_string(struct buf *b, struct slice str)
{
	static const char hex[] = "0123456789abcdef";
	const char *p = str.ptr, *end = str.ptr + str.len;
	uint32_t character;
	buf_char(b, '"');
	while (p < end) {
		const char *plain = skip_plain(p, end);
		buf_bytes(b, p, (size_t)(plain - p));
		p = plain;
		if (p == end)
			break;
		unsigned char c = (unsigned char)*p;
		size_t n = utf8_decode(p, (size_t)(end - p), &character);
		if (n > 1)
			buf_bytes(b, p, n);
		else if (n == 0)
			buf_str(b, "\\ufffd");
		else if (c == '"' || c == '\\')
			buf_bytes(b, (char[]){ '\\', (char)c }, 2);
		else
			buf_bytes(b, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
		p += n ? n : 1;
	}
	buf_char(b, '"');
}

void json_put_cstr(struct buf *b, const char *str)
{
	json_put_string(b, slice_of(str));
}

void json_put_i64(struct buf *b, int64_t v)
{
	char *to = buf_reserve(b, NUMBER_TEXT_MAX);
	if (to)
		b->len += number_format_i64(to, v);
}

void json_put_u64(struct buf *b, uint64_t v)
{
	char *to = buf_reserve(b, NUMBER_TEXT_MAX);
	if (to)
		b->len += number_format_u64(to, v);
}

static const char *special_text(double v, bool allow_nan)
{
	if (!allow_nan)
		return "null";
	return isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity";
}

void json_put_f32(struct buf *b, float v, bool allow_nan)
{
	char *to = buf_reserve(b, NUMBER_TEXT_MAX);
	if (!isfinite(v))
		buf_str(b, special_text(v, allow_nan));
	else if (to)
		b->len += number_format_f32(to, v);
}

void json_put_f64(struct buf *b, double v, bool allow_nan)
{
	char *to = buf_reserve(b, NUMBER_TEXT_MAX);
	if (!isfinite(v))
		buf_str(b, special_text(v, allow_nan));
	else if (to)
		b->len += number_format_f64(to, v);
}
