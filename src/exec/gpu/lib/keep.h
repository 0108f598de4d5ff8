/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep.h -- what a device compiled, in files for the next start
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * An entry is a file in a folder of the state directory, found by a text that says all that its
 * data depends on. One that is damaged is as if it were not there, and is replaced. What was used
 * longest ago goes when there is no more room.
 *
 * Threads: any, and other processes. Memory: the caller's arena.
 */
#pragma once

#include <stdint.h>
#include "base/arena.h"
#include "base/slice.h"

#define KEEP_FOLDER "compiled"
#define KEEP_ENTRY_BYTES_MAX ((size_t)16 << 20)
#define KEEP_FILES_MAX 4096
#define KEEP_BYTES_MAX ((uint64_t)256 << 20)

/* What was kept under key; false: nothing that is whole. state: the state directory; -1: none. */
bool keep_find(int state, struct slice key, struct arena *arena, struct slice *ret);

/* Best effort: what cannot be kept is made again. */
void keep_put(int state, struct slice key, struct slice data, struct arena *arena);

/* Removes the oldest files of the folder until no more than that are left. */
void keep_prune(int state, size_t files_max, uint64_t bytes_max, struct arena *arena);
