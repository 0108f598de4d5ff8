/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_room.h -- what the workspaces of this process may take together
 *
 * Life of a request: ... -> plan -> [KERNELS] -> ...
 *
 * A small request can make intermediate results of any size: whoever sends 100000 tokens, or the
 * number that an Expand goes to. What all runs hold at a time is at most half of the memory that
 * there is, and who wants more is refused.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes that there are for all; of a process, not of a program. */
size_t work_room_max(void);
/* For tests; 0: half of the machine's memory, or of what our control groups leave us of it. */
void work_room_set_max(size_t bytes);

/* false: there is no room for so many bytes more. */
bool work_room_take(size_t bytes);
void work_room_give(size_t bytes);

/* To map and clear less than this takes no longer than a run that fills it. */
#define WORK_SMALL_BYTES ((size_t)64 << 20)

/* Runs after which nobody expects that one more wants what has not been wanted since. */
#define WORK_UNUSED_MAX 64

/* Is it worth keeping an idle workspace of that size, which the last `unused` runs had no use for?
   A large one is soon wanted again, or goes; none stays where idle ones would leave those that run
   less than half of the room. */
bool work_room_keeps(size_t bytes, int unused);
