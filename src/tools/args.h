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
#include "exec/kernel.h"

#define ARGS_LIST_MAX 256

/* One row per option; to points at what its kind says. */
enum args_kind {
	ARGS_FLAG,     /* bool */
	ARGS_TEXT,     /* const char * */
	ARGS_COUNT,    /* int64_t, 0 or more */
	ARGS_POSITIVE, /* double, above 0 */
	ARGS_LIST,     /* struct args_list: may be given more than once */
};

struct args_option {
	const char *name; /* without "--"; NULL ends the table */
	enum args_kind kind;
	void *to;
	const char *value, *help; /* for args_help() */
};

/* Reads argv[1] to argv[argc - 1], "--name value" or "--name=value" by the table (or "-n value",
   the first row that begins with the letter), "--" ends
   options. What is no option moves to argv[1 ... *ret_argc - 1], in its order.
   INVALID_ARGUMENT names the option and what is wrong with it. */
MUST_CHECK enum err_code args_parse(int argc, char **argv, const struct args_option *options,
	int *ret_argc, struct err *err);

/* The same of these options alone, wherever they stand before "--": takes them out, and leaves all
   else as it is. */
MUST_CHECK enum err_code args_take(
	int *argc, char **argv, const struct args_option *options, struct err *err);

/* A line per option. */
void args_help(FILE *to, const struct args_option *options);

struct args_list {
	const char *item[ARGS_LIST_MAX];
	int n;
};
/* "NAME=VALUE"; NAME ends at the last '=', because names of values contain them and files
   seldom do. */
MUST_CHECK enum err_code args_split(const char *option, const char *item, struct slice *ret_name,
	const char **ret_value, struct err *err);

/* The VALUE of the item with this NAME; NULL: none. */
const char *args_value(const struct args_list *l, const char *name);

/* "2,3" */
MUST_CHECK enum err_code args_shape(const char *option, const char *text, struct shape *ret,
	struct err *err);

/* "fast", "exact", "bf16", "tf32" or "fp16"; NULL: fast. */
MUST_CHECK enum err_code args_precision(const char *text, enum precision *ret, struct err *err);
