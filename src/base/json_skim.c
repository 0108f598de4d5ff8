/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. Sixty-four bytes at a time become a bit per byte for quotes, commas and brackets.
 * Up to the first quote they are only counted, unless the outermost bracket may close or the
 * depth be exceeded among them: then the brackets are gone through one by one.
 */
#include "base/json_scan.h"

struct skim {
	const char *p, *end;
	size_t commas;
	int depth, depth_max; /* 0: the value is over; beyond the most: it is refused */
};

/* Over a string without looking at what is in it; NULL: it has no end. */
static const char *skim_string(const char *p, const char *end)
{
	p++;
	while (p < end) {
#ifdef __SSE2__
		const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
		for (; end - p >= 16; p += 16) {
			__m128i v = _mm_loadu_si128((const __m128i *)p);
			int mask = _mm_movemask_epi8(
				_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
			if (mask) {
				p += __builtin_ctz((unsigned)mask);
				break;
			}
		}
#endif
		while (p < end && *p != '"' && *p != '\\')
			p++;
		if (p < end && *p == '"')
			return p + 1;
		p += 2; /* with what is escaped */
	}
	return NULL;
}

static bool is_over(const struct skim *s)
{
	return s->depth == 0 || s->depth > s->depth_max;
}

/* One byte, or a whole string; false: that has no end. */
static bool skim_step(struct skim *s)
{
	switch (*s->p) {
	case '"': s->p = skim_string(s->p, s->end); return s->p != NULL;
	case '{':
	case '[': s->depth++; break;
	case '}':
	case ']': s->depth--; break;
	case ',': s->commas++; break;
	default: break;
	}
	s->p++;
	return true;
}

#ifdef __x86_64__
#include <immintrin.h>

#define BLOCK 64
#define TARGET __attribute__((target("avx2,bmi,popcnt")))
#define INLINE TARGET static inline __attribute__((always_inline))

struct bits {
	uint64_t quote, comma, open, close;
};

INLINE uint64_t equal(__m256i low, __m256i high, char c)
{
	__m256i all = _mm256_set1_epi8(c);
	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, all)) |
	       (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, all)) << 32;
}

INLINE struct bits classify(const char *p)
{
	const __m256i bit5 = _mm256_set1_epi8(0x20); /* '[' is '{' then, ']' is '}' */
	__m256i low = _mm256_loadu_si256((const __m256i *)p);
	__m256i high = _mm256_loadu_si256((const __m256i *)(p + 32));
	struct bits b = { .quote = equal(low, high, '"'), .comma = equal(low, high, ',') };
	low = _mm256_or_si256(low, bit5);
	high = _mm256_or_si256(high, bit5);
	b.open = equal(low, high, '{');
	b.close = equal(low, high, '}');
	return b;
}

INLINE int count(uint64_t bits)
{
	return (int)_mm_popcnt_u64(bits);
}

/* The brackets of a block one by one; returns how much of it belongs to the value. */
INLINE size_t walk_brackets(struct skim *s, struct bits b, size_t len)
{
	for (uint64_t all = b.open | b.close; all; all &= all - 1) {
		uint64_t bit = all & -all;
		s->depth += b.open & bit ? 1 : -1;
		if (is_over(s))
			return (size_t)__builtin_ctzll(bit) + 1;
	}
	return len;
}

/* While whole blocks are left; false: a string has no end. */
TARGET static bool skim_blocks(struct skim *s)
{
	while (!is_over(s) && s->end - s->p >= BLOCK) {
		struct bits b = classify(s->p);
		uint64_t quote = b.quote & -b.quote, before = quote - 1; /* all, if there is none */
		size_t len = quote ? (size_t)__builtin_ctzll(quote) : BLOCK;
		b.open &= before;
		b.close &= before;
		b.comma &= before;
		int opens = count(b.open), closes = count(b.close);
		if (closes >= s->depth || s->depth + opens > s->depth_max) {
			len = walk_brackets(s, b, len);
			b.comma &= len < BLOCK ? (UINT64_C(1) << len) - 1 : ~UINT64_C(0);
		} else {
			s->depth += opens - closes;
		}
		s->commas += (size_t)count(b.comma);
		s->p += len;
		if (quote && !is_over(s)) {
			s->p = skim_string(s->p, s->end);
			if (!s->p)
				return false;
		}
	}
	return true;
}

static bool can_skim_blocks(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("popcnt");
}
#else
static bool skim_blocks(struct skim *s)
{
	(void)s;
	return true;
}

static bool can_skim_blocks(void)
{
	return false;
}
#endif

/* From inside the outermost bracket to behind the one that closes it; NULL, or what is wrong. */
static const char *skim(struct skim *s)
{
	if (can_skim_blocks() && !skim_blocks(s))
		return "a string without an end";
	while (!is_over(s)) {
		if (s->p == s->end)
			return "the document ends inside an array or object";
		if (!skim_step(s))
			return "a string without an end";
	}
	return s->depth == 0 ? NULL : "nested deeper than 64 levels";
}

bool json_skim(struct json *j, struct slice *ret_raw, size_t *ret_commas)
{
	*ret_commas = 0;
	enum json_kind kind = json_peek(j);
	if (kind != JSON_ARRAY && kind != JSON_OBJECT)
		return json_skip(j, ret_raw);

	struct skim s = { .p = j->at + 1, .end = j->end, .depth = 1,
		.depth_max = JSON_DEPTH_MAX - j->depth };
	const char *wrong = skim(&s);
	if (wrong) {
		json_fail(j, wrong);
		return false;
	}
	*ret_raw = (struct slice){ j->at, (size_t)(s.p - j->at) };
	*ret_commas = s.commas;
	j->at = s.p;
	return true;
}
