/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RegexFullMatch, by PCRE2
 *
 * The specification means RE2, which has no interface for C. What both have means the same
 * here: bytes are UTF-8, \w \d \b and [[:alpha:]] are ASCII, . is all but a newline, $ the
 * very end. Differences: \s is the vertical tab too; what RE2 has not (look-around, atomic
 * groups) is taken, but for back-references.
 *
 * RE2's time is linear in the string, PCRE2's is not. Its backtracking matcher goes first,
 * since it is quick with what is harmless, and gives up after some number of steps. Then the
 * breadth-first one is asked, which is on all ways at once and so takes no exponential time,
 * but compares them, each with each, for every character, and has room for so many. A step
 * may look at the whole string, so the longer it is the fewer steps and ways are allowed:
 * that bounds the work. Where neither gets through, the run fails.
 *
 * Strings that are no UTF-8 match nothing.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "exec/cpu/cpu.h"

#include <math.h>
#include <pcre2.h>
#include "base/checked.h"
#include "base/utf8.h"

#define PATTERN_BYTES_MAX 65536
#define WORK_MAX 4e9    /* comparisons of ways */
#define LOOKS_MAX 2e8   /* at characters, in all steps */
#define WAYS_MAX 4096
#define WAYS_MIN 16
#define STEPS_MAX 1e6
/* Room for the ways before and behind a character, three numbers each. */
#define WAYS_INTS(n) (2 + (n) * 2 * 3)
#define WAYS_BYTES round_up(WAYS_INTS(WAYS_MAX) * sizeof(int), ARENA_ALIGN_TENSOR)
#define STACK_BYTES ((size_t)1 << 20) /* what the matcher may take besides, of scratch */

struct regex_state {
	struct split split; /* of strings */
	pcre2_code *code;
};

/* -- memory of one call, given out of scratch and taken back with it ------------------------------- */

struct pile {
	char *at, *end;
};

static void *pile_alloc(size_t bytes, void *ctx)
{
	struct pile *p = ctx;
	bytes = round_up(bytes, ARENA_ALIGN);
	if (bytes > (size_t)(p->end - p->at))
		return NULL;
	p->at += bytes;
	return p->at - bytes;
}

static void pile_free(void *mem, void *ctx)
{
	(void)mem, (void)ctx;
}

/* -- matching --------------------------------------------------------------------------------------- */

static int match_string(const struct regex_state *s, struct slice text, char *scratch)
{
	const PCRE2_SPTR at = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
	double len = (double)text.len + 1;
	size_t ways = (size_t)fmax(fmin(sqrt(WORK_MAX / len), WAYS_MAX), WAYS_MIN);
	struct pile pile = { scratch + WAYS_BYTES, scratch + WAYS_BYTES + STACK_BYTES };
	pcre2_general_context *general = pcre2_general_context_create(pile_alloc, pile_free, &pile);
	pcre2_match_context *context = pcre2_match_context_create(general);
	pcre2_match_data *found = pcre2_match_data_create(1, general);
	pcre2_set_match_limit(context, (uint32_t)fmin(LOOKS_MAX / len, STEPS_MAX));
	int rc = pcre2_match(s->code, at, text.len, 0, PCRE2_NO_UTF_CHECK | PCRE2_ENDANCHORED, found, context);
	if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
		return rc;
	rc = pcre2_dfa_match(s->code, at, text.len, 0, PCRE2_NO_UTF_CHECK, found, context, (int *)scratch,
		WAYS_INTS(ways));
	/* It finds all matches, the longest first; of PCRE2_ENDANCHORED 10.42 makes too little. */
	return rc >= 0 && pcre2_get_ovector_pointer(found)[1] != text.len ? PCRE2_ERROR_NOMATCH : rc;
}

static bool matches(const struct kernel_args *a, int64_t i)
{
	struct slice text = ((const struct slice *)a->in[0].data)[i];
	if (!utf8_is_valid(text))
		return false;
	int rc = match_string(a->state, text, a->scratch);
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		kernel_fault(a, FAULT_PATTERN, i);
	return rc >= 0;
}

static void run_regex(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct regex_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++)
		((uint8_t *)a->out[0].data)[i] = matches(a, i);
}

/* -- preparing -------------------------------------------------------------------------------------- */

static void free_code(void *ctx)
{
	pcre2_code_free(ctx);
}

static enum err_code
refuse(const struct prep *p, struct slice pattern, const char *why, struct err *err)
{
	return prep_fail(p, err, ERR_INVALID_ARGUMENT, "pattern '%.80s%s': %s", pattern.ptr ? pattern.ptr : "",
		pattern.len > 80 ? "..." : "", why);
}

static enum err_code
compile(struct regex_state *s, const struct prep *p, struct slice pattern, struct err *err)
{
	int code;
	size_t at;
	char why[128];
	if (pattern.len > PATTERN_BYTES_MAX)
		return refuse(p, pattern, "is longer than 65536 bytes", err);
	/* PCRE2's way to change what all this means. */
	if (pattern.len >= 2 && pattern.ptr[0] == '(' && pattern.ptr[1] == '*')
		return refuse(p, pattern, "begins with a repetition of nothing", err);
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	if (!context)
		return err_oom(err);
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	s->code = pcre2_compile((PCRE2_SPTR)(pattern.ptr ? pattern.ptr : ""), pattern.len,
		PCRE2_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY | PCRE2_ANCHORED,
		&code, &at, context);
	pcre2_compile_context_free(context);
	if (s->code)
		return ERR_OK;
	pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
	return refuse(p, pattern, why, err);
}

enum err_code prepare_regex(struct prep *p, struct kernel *ret, struct err *err)
{
	struct slice pattern = node_string(p->node, "pattern", "");
	struct regex_state *s = kernel_state(p, ret, sizeof(*s));
	uint32_t references = 0;
	if (!s)
		return err_oom(err);
	TRY(compile(s, p, pattern, err));
	if (prep_defer(p, free_code, s->code) != ERR_OK) {
		pcre2_code_free(s->code);
		return err_oom(err);
	}
	pcre2_pattern_info(s->code, PCRE2_INFO_BACKREFMAX, &references);
	if (references)
		return refuse(p, pattern, "back-references are not supported", err);
	ret->scratch_bytes = WAYS_BYTES + STACK_BYTES;
	s->split = split_work(p, ret, tensor_count(&p->in[0]), 2000);
	ret->run = run_regex;
	return ERR_OK;
}
