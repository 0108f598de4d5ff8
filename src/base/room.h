/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room.h -- what many may take together
 *
 * Each of them has its own limit, and there may be any number of them: so what all take is
 * counted too, and who wants more than is left is refused.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct room {
	atomic_size_t taken;
	atomic_size_t max;
};

/* Half of the memory that this process can have at all. */
size_t room_default_bytes(void);

/* false: there is no room for so many bytes more. */
bool room_take(struct room *r, size_t bytes);
void room_give(struct room *r, size_t bytes);

/* Is more than half of it taken? Then nobody should keep what he does not use. */
bool room_is_scarce(const struct room *r);
