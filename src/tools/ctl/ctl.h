/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.h -- signetctl: one function per subcommand, one row each in ctl_main.c
 *
 * A subcommand reads its own options with ctl_options(), prints its result on stdout and
 * returns ERR_OK, or what went wrong, which ctl_main.c prints.
 *
 * Threads: one. Memory: c->arena, until the process ends.
 */
#pragma once

#include "tools/args.h"
#include "tools/model_info.h"

struct ctl {
	const char *name;    /* of the subcommand */
	const char *args;    /* what it takes, for usage */
	struct http_url url; /* of the server; only for those that need one */
	struct arena *arena;
	int argc; /* argv[1 ...] are the subcommand's */
	char **argv;
	bool usage; /* what went wrong is how it was called */
	struct args_list libraries; /* CTL_LIBRARIES: ctl_options() loads them */
};

/* The row of an option for those that read models. */
#define CTL_LIBRARIES(c) \
	{ "op-library", ARGS_LIST, &(c)->libraries, "FILE", "operators of your own (signet/op.h)" }

/* Leaves what is no option in argv; there must be at least min of them and at most max. */
MUST_CHECK enum err_code ctl_options(
	struct ctl *c, const struct args_option *options, int min, int max, struct err *err);

/* A call to the server whose answer is JSON. */
MUST_CHECK enum err_code ctl_call(struct ctl *c, const char *method, const char *path,
	struct slice body, struct slice *ret_body, struct err *err);

/* One row of the server's repository index. */
struct ctl_version {
	struct slice model, version, state, reason;
	bool aside; /* on disk, but not to be served */
};
/* model NULL: all. In the arena. */
MUST_CHECK enum err_code ctl_index(
	struct ctl *c, const char *model, struct ctl_version **ret, int *ret_n, struct err *err);

enum err_code ctl_status(struct ctl *c, struct err *err);
enum err_code ctl_models(struct ctl *c, struct err *err);
enum err_code ctl_show(struct ctl *c, struct err *err);
enum err_code ctl_predict(struct ctl *c, struct err *err);
enum err_code ctl_load(struct ctl *c, struct err *err);
enum err_code ctl_unload(struct ctl *c, struct err *err);
enum err_code ctl_explain(struct ctl *c, struct err *err);
enum err_code ctl_validate(struct ctl *c, struct err *err);
enum err_code ctl_compile(struct ctl *c, struct err *err);
enum err_code ctl_import(struct ctl *c, struct err *err);
enum err_code ctl_run(struct ctl *c, struct err *err);
enum err_code ctl_test(struct ctl *c, struct err *err);
