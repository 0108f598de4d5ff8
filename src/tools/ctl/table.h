/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h -- aligned columns on a terminal
 *
 * Ownership: cells are copied to the arena.
 * Threads:   one at a time.
 */
#pragma once

#include <stdio.h>
#include "base/arena.h"

#define TABLE_COLUMNS_MAX 8

struct table_row;

struct table {
	struct arena *arena;
	int columns;
	struct table_row *first, **last;
};

/* head: the columns' titles, NULL terminated. */
void table_init(struct table *t, struct arena *arena, const char *const *head);

/* As many cells as there are columns. NULL is an empty cell. No memory: the row is left
   out of the print. */
void table_row(struct table *t, const char *const *cell);
#define TABLE_ROW(t, ...) table_row((t), (const char *const[]){ __VA_ARGS__, NULL })

void table_print(const struct table *t, FILE *to);
