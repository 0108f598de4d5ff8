/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h -- a fixed set of keys, made when a kernel is prepared: which of them is this?
 *
 * Keys are bytes: strings, or integers as they lie in memory. Equal keys have one number,
 * that of the first.
 *
 * Ownership: borrows the keys' bytes; the table is the plan's.
 * Threads:   any, once it is made.
 */
#pragma once

#include "exec/kernel.h"

struct words {
	const struct slice *key; /* distinct ones */
	int32_t n;
	const int32_t *place; /* open hash: numbers + 1, 0 free */
	uint32_t mask;
};

MUST_CHECK enum err_code
words_init(struct words *w, struct prep *p, const struct slice *key, int32_t n, struct err *err);

/* 0 .. n-1; -1: none of them. */
int32_t words_find(const struct words *w, struct slice key);
