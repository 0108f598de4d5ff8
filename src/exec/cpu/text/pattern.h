/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern.h -- regular expressions by PCRE2, for kernels
 *
 * The specifications mean RE2, which has no interface for C. What both have means the same
 * here: bytes are UTF-8, \w \d \b and [[:alpha:]] are ASCII, . is all but a newline, $ the
 * very end. Differences: \s is the vertical tab too; what RE2 has not (look-around, atomic
 * groups) is taken, but for back-references.
 *
 * Memory: of a call, PATTERN_SCRATCH_BYTES that the caller has. Threads: any, each with its own.
 */
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/checked.h"
#include "exec/cpu/cpu.h"

#define PATTERN_WAYS_MAX 4096
/* Room for the ways before and behind a character, three numbers each. */
#define PATTERN_WAYS_INTS(n) (2 + (n) * 2 * 3)
#define PATTERN_WAYS_BYTES \
	round_up(PATTERN_WAYS_INTS(PATTERN_WAYS_MAX) * sizeof(int), ARENA_ALIGN_TENSOR)
#define PATTERN_STACK_BYTES ((size_t)1 << 20) /* what the matcher may take besides */
#define PATTERN_SCRATCH_BYTES (PATTERN_WAYS_BYTES + PATTERN_STACK_BYTES)

/* The node's attribute, compiled with these options of PCRE2 besides; it goes with the kernel. */
MUST_CHECK enum err_code pattern_compile(
	struct prep *p, struct slice pattern, uint32_t options, pcre2_code **ret, struct err *err);

/* What a matcher works with, in scratch; whatever it allocates goes with the next call. */
struct pattern_call {
	pcre2_match_context *context;
	pcre2_match_data *found;
	int *ways; /* PATTERN_WAYS_INTS(PATTERN_WAYS_MAX) */
	char *at, *end; /* what is left of the stack */
};
void pattern_begin(struct pattern_call *c, char *scratch);
