/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena_case.h -- the fixture of tests that need an arena
 *
 * For the file of such tests alone, which includes it once: arena is new for each case.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

static struct arena *arena;
static struct err err __attribute__((unused));

static void setup(void)
{
	arena = arena_new(4096, 0);
}

static void teardown(void)
{
	arena_free(arena);
}
