/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_model.h -- what the options of one model amount to
 *
 * For config.c, which makes the models of the daemon's own file with it. A model's own file
 * (config_model_file() of config.h) goes the same way.
 *
 * Memory, threads: as config.h says.
 */
#pragma once

#include "server/config.h"

/* Where options come from: a parsed file, where what is made lies, where mistakes go. */
struct making {
	const struct conf *conf;
	struct arena *arena;
	struct err *err;
	struct err_all *all; /* NULL: the first mistake ends it */
};

/* FILE:LINE of a section, before the message that is there; its code. */
enum err_code config_at_block(struct making *m, const struct conf_block *b);

/* The model's part of "MODEL/SIGNATURE"; model names have no "/". */
bool config_belongs_to(const struct conf_block *signature, const char *model);

/* "" or what backend_open() takes; b (may be NULL): whose option `device` it is. */
MUST_CHECK enum err_code config_check_device(
	struct making *m, const char *device, const struct conf_block *b);

/* b: for where a mistake is; NULL: the options are nobody's, but defaults. */
MUST_CHECK enum err_code config_make_model(struct making *m, const struct options_model *o,
	const struct conf_block *b, const char *name, struct model_conf *ret);

/* The sections [signature NAME/...]. */
MUST_CHECK enum err_code config_make_signatures(
	struct making *m, const char *name, struct model_conf *to);
