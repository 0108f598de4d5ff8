/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h -- numbers that look random and are the same in each run
 */
#pragma once

#include <stdint.h>

/* Marsaglia's xorshift64; *state is anything but 0. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
