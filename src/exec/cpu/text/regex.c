/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RegexFullMatch
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
#include "exec/cpu/text/pattern.h"

#include <math.h>
#include "base/utf8.h"

#define WORK_MAX 4e9    /* comparisons of ways */
#define LOOKS_MAX 2e8   /* at characters, in all steps */
#define WAYS_MIN 16
#define STEPS_MAX 1e6

struct regex_state {
	struct split split; /* of strings */
	pcre2_code *code;
};

static int match_string(const struct regex_state *s, struct slice text, char *scratch)
{
	const PCRE2_SPTR at = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
	double len = (double)text.len + 1;
	size_t ways = (size_t)fmax(fmin(sqrt(WORK_MAX / len), PATTERN_WAYS_MAX), WAYS_MIN);
	struct pattern_call c;
	pattern_begin(&c, scratch);
	pcre2_set_match_limit(c.context, (uint32_t)fmin(LOOKS_MAX / len, STEPS_MAX));
	int rc = pcre2_match(s->code, at, text.len, 0, PCRE2_NO_UTF_CHECK | PCRE2_ENDANCHORED,
		c.found, c.context);
	if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
		return rc;
	rc = pcre2_dfa_match(s->code, at, text.len, 0, PCRE2_NO_UTF_CHECK, c.found, c.context,
		c.ways, PATTERN_WAYS_INTS(ways));
	/* It finds all matches, the longest first; of PCRE2_ENDANCHORED 10.42 makes too little. */
	bool is_part = rc >= 0 && pcre2_get_ovector_pointer(c.found)[1] != text.len;
	return is_part ? PCRE2_ERROR_NOMATCH : rc;
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

enum err_code prepare_regex(struct prep *p, struct kernel *ret, struct err *err)
{
	struct regex_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(pattern_compile(p, node_string(p->node, "pattern", ""), PCRE2_ANCHORED, &s->code, err));
	ret->scratch_bytes = PATTERN_SCRATCH_BYTES;
	s->split = split_work(p, ret, tensor_count(&p->in[0]), 2000);
	ret->run = run_regex;
	return ERR_OK;
}
