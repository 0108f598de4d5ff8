/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_import.c -- signetctl import: other servers' configuration files as one of ours
 */
#include <stdio.h>

#include "server/config.h"
#include "tools/ctl/ctl.h"
#include "tools/ctl/import.h"
#include "tools/tool_file.h"

/* The daemon would take it: else what was printed is of no use. */
static enum err_code check(struct slice text, struct err *err)
{
	static const char *const roots[] = { ".", NULL };
	const struct command_line line = { .roots = roots };
	struct config *config;
	TRY(config_load_text(&line, text, "signetd.conf", &config, err));
	config_free(config);
	return ERR_OK;
}

enum err_code ctl_import(struct ctl *c, struct err *err)
{
	static const struct args_option no_options[] = { { 0 } };
	struct buf b = buf_of(c->arena, CONF_BYTES_MAX);
	struct slice text;
	TRY(ctl_options(c, no_options, 1, INT32_MAX, err));
	buf_str(&b, "# Made by signetctl import, for signetd.conf.\n");
	for (int i = 1; i < c->argc; i++) {
		TRY(tool_file_read(c->argv[i], c->arena, &text, err));
		if (import_text(text, c->argv[i], &b, err) != ERR_OK)
			return err_prefix(err, "%s", c->argv[i]);
	}
	TRY(buf_finish(&b, &text, err));
	fwrite(text.ptr, 1, text.len, stdout);
	return check(text, err);
}
