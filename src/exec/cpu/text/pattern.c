/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/text/pattern.h"


#define PATTERN_BYTES_MAX 65536

/* -- memory of one call, given out of scratch and taken back with it --------------------------- */

static void *stack_alloc(size_t bytes, void *ctx)
{
	struct pattern_call *c = ctx;
	bytes = round_up(bytes, ARENA_ALIGN);
	if (bytes > (size_t)(c->end - c->at))
		return NULL;
	c->at += bytes;
	return c->at - bytes;
}

static void stack_free(void *mem, void *ctx)
{
	(void)mem, (void)ctx;
}

void pattern_begin(struct pattern_call *c, char *scratch)
{
	c->ways = (int *)scratch;
	c->at = scratch + PATTERN_WAYS_BYTES;
	c->end = c->at + PATTERN_STACK_BYTES;
	pcre2_general_context *general = pcre2_general_context_create(stack_alloc, stack_free, c);
	c->context = pcre2_match_context_create(general);
	c->found = pcre2_match_data_create(1, general);
}

/* -- compiling --------------------------------------------------------------------------------- */

static void free_code(void *ctx)
{
	pcre2_code_free(ctx);
}

static enum err_code
refuse(const struct prep *p, struct slice pattern, const char *why, struct err *err)
{
	return prep_fail(p, err, ERR_INVALID_ARGUMENT, "pattern '%.80s%s': %s",
		pattern.ptr ? pattern.ptr : "", pattern.len > 80 ? "..." : "", why);
}

enum err_code pattern_compile(
	struct prep *p, struct slice pattern, uint32_t options, pcre2_code **ret, struct err *err)
{
	uint32_t references = 0;
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
	pcre2_code *made = pcre2_compile((PCRE2_SPTR)(pattern.ptr ? pattern.ptr : ""), pattern.len,
		PCRE2_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY |
			options,
		&code, &at, context);
	pcre2_compile_context_free(context);
	if (!made) {
		pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
		return refuse(p, pattern, why, err);
	}
	if (prep_defer(p, free_code, made) != ERR_OK) {
		pcre2_code_free(made);
		return err_oom(err);
	}
	pcre2_pattern_info(made, PCRE2_INFO_BACKREFMAX, &references);
	if (references)
		return refuse(p, pattern, "back-references are not supported", err);
	*ret = made;
	return ERR_OK;
}
