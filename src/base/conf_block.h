/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_block.h -- sections of a configuration, found and filled: shared by conf*.c only
 *
 * Memory: the conf's arena. Threads: the one that parses.
 */
#pragma once

#include "base/conf.h"

/* NULL: there is none of that name. */
const struct conf_section *conf_block_find_section(const struct conf_section *s, struct slice name);
const struct conf_option *conf_block_find_option(const struct conf_section *s, const char *key);

/* The error of a header, `head`, whose first word names no section. */
enum err_code conf_block_no_section(
	const struct conf_section *s, struct slice word, struct slice head, struct err *err);

/* NULL: not there yet; name NULL: a section that is there once. */
struct conf_block *conf_block_find(
	const struct conf *c, const struct conf_section *s, const char *name);

/* At the end of c's, with the values of [SECTION *] or else the table's; borrows name. */
MUST_CHECK enum err_code conf_block_new(struct conf *c, const struct conf_section *s,
	const char *name, struct conf_block **ret, struct err *err);
MUST_CHECK enum err_code conf_block_defaults(const struct conf_section *s, void *values,
	struct arena *arena, struct err *err);

/* line 0: from elsewhere, which may say otherwise than the file does. */
MUST_CHECK enum err_code conf_block_set(struct conf *c, struct conf_block *b, const char *key,
	const char *value, int line, struct err *err);
