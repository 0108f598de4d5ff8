/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool_file.h -- a file that the user of a tool names: any path, unlike the daemon's
 *
 * Ownership: bytes live in the arena. Threads: any.
 */
#pragma once

#include "base/arena.h"

#define TOOL_FILE_BYTES_MAX ((size_t)8 << 30)

MUST_CHECK enum err_code tool_file_read(const char *path, struct arena *arena, struct slice *ret,
	struct err *err);
