/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl/table.h"

#include <string.h>

struct table_row {
	struct table_row *next;
	const char *cell[TABLE_COLUMNS_MAX];
};

void table_init(struct table *t, struct arena *arena, const char *const *head)
{
	*t = (struct table){ .arena = arena };
	t->last = &t->first;
	while (head[t->columns] && t->columns < TABLE_COLUMNS_MAX)
		t->columns++;
	table_row(t, head);
}

void table_row(struct table *t, const char *const *cell)
{
	struct table_row *row = ARENA_NEW(t->arena, struct table_row);
	if (!row)
		return;
	for (int i = 0; i < t->columns; i++) {
		const char *copy = cell[i] ? arena_strdup(t->arena, cell[i]) : NULL;
		row->cell[i] = copy ? copy : "";
	}
	*t->last = row;
	t->last = &row->next;
}

void table_print(const struct table *t, FILE *to)
{
	int width[TABLE_COLUMNS_MAX] = { 0 };
	for (const struct table_row *r = t->first; r; r = r->next) {
		for (int i = 0; i < t->columns; i++) {
			int n = (int)strlen(r->cell[i]);
			width[i] = n > width[i] ? n : width[i];
		}
	}
	for (const struct table_row *r = t->first; r; r = r->next) {
		/* No blanks at the end of a line. */
		int last = t->columns - 1;
		while (last > 0 && !*r->cell[last])
			last--;
		for (int i = 0; i < last; i++)
			fprintf(to, "%-*s  ", width[i], r->cell[i]);
		fprintf(to, "%s\n", r->cell[last]);
	}
}
