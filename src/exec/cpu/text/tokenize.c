/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizer: strings to their tokens, which lie where they lay in the input
 *
 * A string's bytes are marked first with what they are to tokens, which are then counted or
 * written. tokenexp says what a token is, the first and longest that there is; separators cut
 * one after the other what those before them have left; a separator that is empty leaves
 * characters.
 */
#include "exec/cpu/text/pattern.h"

#include <math.h>
#include "base/utf8.h"

/* Where a search goes over the rest for each token, its time is the square of this. */
#define TEXT_BYTES_MAX ((size_t)1 << 16)
#define WORK_MAX 4e9 /* comparisons of ways */
#define MARK_BEGIN SLICE_LIT("\x02")
#define MARK_END SLICE_LIT("\x03")

enum { NO_TOKEN, TOKEN_BEGINS, TOKEN_GOES_ON };

struct tokenizer_state {
	pcre2_code *token; /* NULL: separators, or characters */
	pcre2_code **separator;
	int32_t n_separator;
	int64_t chars_min;
	bool mark;
	struct slice pad;
};

struct span {
	size_t begin, end;
};

/* A string at work. */
struct text {
	const struct kernel_args *a;
	const struct tokenizer_state *s;
	struct slice bytes;
	uint8_t *mark;
	int64_t i; /* which one, for messages */
};

/* -- marking ----------------------------------------------------------------------------------- */

/* The first match in part from `from` on, and the longest there. false: none, or a fault. */
static bool find(
	struct text *t, const pcre2_code *code, struct slice part, size_t from, struct span *ret)
{
	struct pattern_call c;
	double len = (double)part.len + 1;
	pattern_begin(&c, t->a->scratch);
	size_t ways = (size_t)fmin(sqrt(WORK_MAX / len), PATTERN_WAYS_MAX);
	int rc = pcre2_dfa_match(code, (PCRE2_SPTR)part.ptr, part.len, from, PCRE2_NO_UTF_CHECK,
		c.found, c.context, c.ways, PATTERN_WAYS_INTS(ways));
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		kernel_fault(t->a, FAULT_PATTERN, t->i);
	const size_t *at = pcre2_get_ovector_pointer(c.found);
	*ret = rc < 0 ? (struct span){ 0, 0 } : (struct span){ at[0], at[1] };
	return rc >= 0;
}

static size_t char_bytes(struct slice bytes, size_t at)
{
	uint32_t c;
	return utf8_decode(bytes.ptr + at, bytes.len - at, &c);
}

static void mark_token(struct text *t, struct span token)
{
	int64_t chars = 0;
	for (size_t at = token.begin; at < token.end; at += char_bytes(t->bytes, at))
		chars++;
	memset(t->mark + token.begin, chars < t->s->chars_min ? NO_TOKEN : TOKEN_GOES_ON,
		token.end - token.begin);
	if (chars >= t->s->chars_min)
		t->mark[token.begin] = TOKEN_BEGINS;
}

static void mark_matches(struct text *t)
{
	struct span found;
	size_t at = 0;
	while (at < t->bytes.len && find(t, t->s->token, t->bytes, at, &found)) {
		if (found.end > found.begin)
			mark_token(t, found);
		at = found.end;
		if (found.end <= found.begin) /* an empty match: on behind the next character */
			at += at < t->bytes.len ? char_bytes(t->bytes, at) : 0;
	}
}

static void mark_characters(struct text *t)
{
	for (size_t at = 0, n; at < t->bytes.len; at += n) {
		n = char_bytes(t->bytes, at);
		mark_token(t, (struct span){ at, at + n });
	}
}

/* The next run of marked bytes from `from` on. */
static bool next_run(const struct text *t, size_t from, struct span *ret)
{
	while (from < t->bytes.len && t->mark[from] == NO_TOKEN)
		from++;
	ret->begin = ret->end = from;
	while (ret->end < t->bytes.len && t->mark[ret->end] != NO_TOKEN)
		ret->end++;
	return ret->end > ret->begin;
}

static void cut_out(struct text *t, const pcre2_code *separator, struct span run)
{
	struct slice part = { t->bytes.ptr + run.begin, run.end - run.begin };
	struct span found = { 0, 0 };
	while (found.end < part.len && find(t, separator, part, found.end, &found))
		memset(t->mark + run.begin + found.begin, NO_TOKEN, found.end - found.begin);
}

static void mark_between(struct text *t)
{
	struct span run = { 0, 0 };
	memset(t->mark, TOKEN_GOES_ON, t->bytes.len);
	for (int32_t k = 0; k < t->s->n_separator; k++)
		for (run.end = 0; next_run(t, run.end, &run);)
			cut_out(t, t->s->separator[k], run);
	for (run.end = 0; next_run(t, run.end, &run);)
		mark_token(t, run);
}

/* false: a fault. */
static bool mark_tokens(struct text *t)
{
	if (t->bytes.len > TEXT_BYTES_MAX) {
		kernel_fault(t->a, FAULT_PATTERN, t->i);
		return false;
	}
	if (!utf8_is_valid(t->bytes)) {
		kernel_fault_data(t->a, "a string is no UTF-8");
		return false;
	}
	memset(t->mark, NO_TOKEN, t->bytes.len);
	(t->s->token ? mark_matches : t->s->n_separator ? mark_between : mark_characters)(t);
	return atomic_load(&t->a->fault->code) == FAULT_NONE;
}

/* -- counting and writing ---------------------------------------------------------------------- */

static int64_t count_tokens(const struct text *t)
{
	int64_t n = 0;
	for (size_t i = 0; i < t->bytes.len; i++)
		n += t->mark[i] == TOKEN_BEGINS;
	return n;
}

static struct slice *put_tokens(const struct text *t, struct slice *to)
{
	for (size_t i = 0; i < t->bytes.len; i++) {
		if (t->mark[i] == TOKEN_BEGINS)
			*to++ = (struct slice){ t->bytes.ptr + i, 1 };
		else if (t->mark[i] == TOKEN_GOES_ON)
			to[-1].len++;
	}
	return to;
}

static void put_row(const struct text *t, struct slice *to, int64_t n)
{
	struct slice *end = to + n;
	if (t->s->mark)
		*to++ = MARK_BEGIN;
	to = put_tokens(t, to);
	if (t->s->mark)
		*to++ = MARK_END;
	while (to < end)
		*to++ = t->s->pad;
}

static struct text text_of(const struct kernel_args *a, int64_t i)
{
	struct slice bytes = ((const struct slice *)a->in[0].data)[i];
	bytes.ptr = bytes.ptr ? bytes.ptr : "";
	return (struct text){ .a = a, .s = a->state, .bytes = bytes, .i = i,
		.mark = (uint8_t *)a->scratch + PATTERN_SCRATCH_BYTES };
}

static void run_tokenizer(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct tokenizer_state *s = a->state;
	int64_t n = tensor_count(&a->in[0]), most = 0;
	(void)begin, (void)end;
	for (int64_t i = 0; i < n; i++) {
		struct text t = text_of(a, i);
		if (!mark_tokens(&t))
			return;
		most = max_i64(most, count_tokens(&t));
	}
	struct shape shape = a->in[0].shape;
	most += most && s->mark ? 2 : 0;
	shape.dim[shape.rank++] = most;
	struct slice *to = kernel_output(a, 0, DTYPE_STRING, &shape);
	for (int64_t i = 0; to && most && i < n; i++, to += most) {
		struct text t = text_of(a, i);
		if (mark_tokens(&t))
			put_row(&t, to, most);
	}
}

/* -- preparing --------------------------------------------------------------------------------- */

static enum err_code compile_separators(struct prep *p, struct tokenizer_state *s,
	const struct slice *separator, int32_t n, struct err *err)
{
	s->separator = ARENA_ARRAY(p->arena, pcre2_code *, (size_t)n);
	if (!s->separator)
		return err_oom(err);
	for (int32_t i = 0; i < n; i++) {
		uint32_t empty = 0;
		TRY(pattern_compile(p, separator[i], 0, &s->separator[i], err));
		pcre2_pattern_info(s->separator[i], PCRE2_INFO_MATCHEMPTY, &empty);
		if (empty)
			return prep_fail(p, err, ERR_INVALID_ARGUMENT,
				"separator %d matches nothing at all", i);
	}
	s->n_separator = n;
	return ERR_OK;
}

enum err_code prepare_tokenizer(struct prep *p, struct kernel *ret, struct err *err)
{
	int32_t n = 0;
	const struct slice *separator = node_strings(p->node, "separators", &n);
	struct tokenizer_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->chars_min = node_int(p->node, "mincharnum", 1);
	s->mark = node_int(p->node, "mark", 0) != 0;
	s->pad = node_string(p->node, "pad_value", "");
	if (n > 1 || (n == 1 && separator[0].len))
		TRY(compile_separators(p, s, separator, n, err));
	else if (n == 0)
		TRY(pattern_compile(p, node_string(p->node, "tokenexp", ""), 0, &s->token, err));
	ret->scratch_bytes = PATTERN_SCRATCH_BYTES + TEXT_BYTES_MAX;
	ret->run = run_tokenizer;
	return ERR_OK;
}
