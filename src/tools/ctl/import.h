/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.h -- what other servers' configuration files say, as sections of signetd.conf
 *
 * TensorFlow Serving's model_config_list and batching parameters, Triton's config.pbtxt,
 * OpenVINO Model Server's config.json. A row of import.def says of each name what becomes of
 * it; what has no counterpart stands as a comment in its section, so that nothing is lost in
 * silence.
 *
 * Threads: any. Memory: the arena given.
 */
#pragma once

#include "base/buf.h"

/* Appends to `to`. file: for comments, and Triton's model without a name is called as its
   directory. INVALID_ARGUMENT: not well-formed, or of none of these servers. */
MUST_CHECK enum err_code import_text(struct slice text, const char *file, struct buf *to,
	struct err *err);
