/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h -- what the tools' command lines have in common
 *
 * Messages name the option and what it takes. Strings point into argv.
 *
 * Threads: any; nothing is shared.
 */
#pragma once

#include <stdio.h>
#include "exec/tensor.h"

#define ARGS_LIST_MAX 256

/* An option that may be given more than once. */
struct args_list {
	const char *item[ARGS_LIST_MAX];
	int n;
};
MUST_CHECK enum err_code args_add(struct args_list *l, const char *option, const char *item,
	struct err *err);

/* "NAME=VALUE"; NAME ends at the last '=', because names of values contain them and files
   seldom do. */
MUST_CHECK enum err_code args_split(const char *option, const char *item, struct slice *ret_name,
	const char **ret_value, struct err *err);

/* The VALUE of the item with this NAME; NULL: none. */
const char *args_value(const struct args_list *l, const char *name);

/* "2,3" */
MUST_CHECK enum err_code args_shape(const char *option, const char *text, struct shape *ret,
	struct err *err);
MUST_CHECK enum err_code args_int(const char *option, const char *text, int64_t min, int64_t max,
	int64_t *ret, struct err *err);
MUST_CHECK enum err_code args_positive(const char *option, const char *text, double *ret,
	struct err *err);

/* Every item's NAME must be one that is_known() knows. */
MUST_CHECK enum err_code args_check_names(const struct args_list *l, const char *option,
	bool (*is_known)(const void *ctx, struct slice name), const void *ctx, struct err *err);
