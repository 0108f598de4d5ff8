/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outline.h -- the configuration files of other servers, laid flat
 *
 * Reads protobuf's text format, and JSON, which differs from it in little: names before
 * values, messages in braces, lists in brackets. Each value comes with the names that lead to
 * it, "model_config_list.config.name"; a list is its values one after the other. What the
 * names mean is the caller's.
 *
 * Ownership: values live in the arena or in the text. Threads: any.
 */
#pragma once

#include "base/arena.h"

enum outline_kind { OUTLINE_OPEN, OUTLINE_VALUE, OUTLINE_CLOSE }; /* of a message: open, close */

struct outline_item {
	enum outline_kind kind;
	const char *path; /* until the call returns */
	struct slice value;
};

typedef enum err_code (*outline_fn)(void *ctx, const struct outline_item *item, struct err *err);

/* INVALID_ARGUMENT "line N: ...": what is not well-formed, or what on_item() would not have. */
MUST_CHECK enum err_code outline_read(struct slice text, struct arena *arena, outline_fn on_item,
	void *ctx, struct err *err);
