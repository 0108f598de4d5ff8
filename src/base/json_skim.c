/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. Sixty-four bytes at a time become a bit per byte for quotes, backslashes, commas and
 * brackets. Which bytes stand inside a string is the running parity of the quotes that no backslash
 * escapes. Brackets outside are only counted, unless the outermost one may close or the depth be
 * exceeded among them: then they are gone through one by one.
 */
#include "base/json_scan.h"

#define BLOCK 64

struct skim {
	const char *p, *end;
	size_t commas;
	int depth, depth_max; /* 0: the value is over; beyond the most: it is refused */
};

static const char no_end[] = "the document ends inside an array or object";
static const char no_string_end[] = "a string without an end";
static const char stray_backslash[] = "a backslash outside a string";

static bool is_over(const struct skim *s)
{
	return s->depth == 0 || s->depth > s->depth_max;
}

#ifdef __x86_64__
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,bmi,popcnt")))
#define INLINE TARGET static inline __attribute__((always_inline))

struct bits {
	uint64_t quote, slash, comma, open, close;
};

/* Between two blocks. */
struct carry {
	uint64_t in_string; /* all ones: the next byte is inside one */
	uint64_t escaped;   /* 1: the next byte is */
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
	struct bits b = { .quote = equal(low, high, '"'), .slash = equal(low, high, '\\'),
		.comma = equal(low, high, ',') };
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

/* Each bit becomes the parity of those up to it. */
INLINE uint64_t running_parity(uint64_t bits)
{
	for (int by = 1; by < BLOCK; by *= 2)
		bits ^= bits << by;
	return bits;
}

/* What stands behind a backslash that is not escaped itself. */
INLINE uint64_t find_escaped(uint64_t slash, struct carry *c)
{
	uint64_t escaped = c->escaped;
	c->escaped = 0;
	for (uint64_t left = slash & ~escaped; left; left &= ~escaped & (left - 1)) {
		uint64_t bit = left & -left;
		escaped |= bit << 1;
		c->escaped = bit >> (BLOCK - 1);
	}
	return escaped;
}

/* The bytes inside of strings, their first quotes too. */
INLINE uint64_t find_strings(const struct bits *b, struct carry *c)
{
	uint64_t quote = b->quote;
	if (b->slash | c->escaped)
		quote &= ~find_escaped(b->slash, c);
	uint64_t in = running_parity(quote) ^ c->in_string;
	c->in_string = in >> (BLOCK - 1) ? ~UINT64_C(0) : 0;
	return in;
}

/* The brackets of a block one by one; returns how much of it belongs to the value. */
INLINE size_t walk_brackets(struct skim *s, struct bits b)
{
	for (uint64_t all = b.open | b.close; all; all &= all - 1) {
		uint64_t bit = all & -all;
		s->depth += b.open & bit ? 1 : -1;
		if (is_over(s))
			return (size_t)__builtin_ctzll(bit) + 1;
	}
	return BLOCK;
}

/* A block, or what is left of one; false: a backslash outside a string. */
INLINE bool skim_block(struct skim *s, const char *block, struct carry *c)
{
	struct bits b = classify(block);
	uint64_t in_string = find_strings(&b, c);
	size_t len = BLOCK;
	b.open &= ~in_string;
	b.close &= ~in_string;
	b.comma &= ~in_string;
	int opens = count(b.open), closes = count(b.close);
	if (closes >= s->depth || s->depth + opens > s->depth_max)
		len = walk_brackets(s, b);
	else
		s->depth += opens - closes;
	uint64_t here = len < BLOCK ? (UINT64_C(1) << len) - 1 : ~UINT64_C(0);
	s->commas += (size_t)count(b.comma & here);
	s->p += len;
	return !(b.slash & ~in_string & here);
}

/* As skim_bytes(). */
TARGET static const char *skim_blocks(struct skim *s)
{
	struct carry c = { 0 };
	while (!is_over(s) && s->p < s->end) {
		const char *block = s->p;
		char rest[BLOCK];
		if (s->end - s->p < BLOCK) {
			memset(rest, ' ', BLOCK);
			block = memcpy(rest, s->p, (size_t)(s->end - s->p));
		}
		if (!skim_block(s, block, &c))
			return stray_backslash;
	}
	return is_over(s) ? NULL : c.in_string ? no_string_end : no_end;
}

static bool can_skim_blocks(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("popcnt");
}
#else
static bool can_skim_blocks(void)
{
	return false;
}

static const char *skim_blocks(struct skim *s)
{
	(void)s;
	return NULL;
}
#endif

/* Over a string without looking at what is in it; NULL: it has no end. */
static const char *skim_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		p += *p == '\\'; /* with what is escaped */
	}
	return NULL;
}

/* Until the value is over: NULL, or what is wrong. */
static const char *skim_bytes(struct skim *s)
{
	while (!is_over(s)) {
		if (s->p == s->end)
			return no_end;
		switch (*s->p) {
		case '"':
			s->p = skim_string(s->p, s->end);
			if (!s->p)
				return no_string_end;
			continue;
		case '\\': return stray_backslash;
		case '{':
		case '[': s->depth++; break;
		case '}':
		case ']': s->depth--; break;
		case ',': s->commas++; break;
		default: break;
		}
		s->p++;
	}
	return NULL;
}

/* From inside the outermost bracket to behind the one that closes it; NULL, or what is wrong. */
static const char *skim(struct skim *s)
{
	bool by_blocks = s->end - s->p >= BLOCK && can_skim_blocks();
	const char *wrong = by_blocks ? skim_blocks(s) : skim_bytes(s);
	return wrong || s->depth == 0 ? wrong : "nested deeper than 64 levels";
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
