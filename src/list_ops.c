/* SPDX-License-Identifier: Apache-2.0 */
#include "list_ops.h"

#include <stdio.h>
#include <string.h>
#include "exec/cpu/cpu.h"
#include "exec/ops.h"

static const struct old_row {
	enum op_domain domain;
	const char *name;
	int from, to;
	const char *rewrite;
} old_rows[] = {
#define OP_OLD(domain, name, from, to, fn, attrs) { DOMAIN_##domain, name, from, to, #fn },
#include "exec/ops_old.def"
#undef OP_OLD
};
#define OLD_ROWS (sizeof(old_rows) / sizeof(old_rows[0]))

/* A column of a list that grows; its first word has none before it. */
static void put_item(struct buf *to, int *n, const char *text)
{
	buf_str(to, (*n)++ ? ", " : "  ");
	buf_str(to, text);
}

static void put_old(struct buf *to, enum op_domain domain, const char *name)
{
	int n = 0;
	char text[96];
	for (size_t i = 0; i < OLD_ROWS; i++) {
		const struct old_row *o = &old_rows[i];
		if (o->domain != domain || strcmp(o->name, name) != 0)
			continue;
		snprintf(text, sizeof(text), "%d-%d %s", o->from, o->to, o->rewrite);
		put_item(to, &n, text);
	}
	if (!n)
		buf_str(to, "  -");
}

/* All that some kernel takes as the input that decides. */
static void put_types(struct buf *to, enum op_id op)
{
	uint64_t types = 0;
	int n = 0;
	for (int i = 0; i < cpu_rows_count; i++)
		if (cpu_rows[i].op == op)
			types |= cpu_rows[i].types;
	if (types == T_ALL) {
		buf_str(to, "  all");
		return;
	}
	for (enum dtype d = DTYPE_UNDEFINED + 1; d < DTYPE_TENSOR; d++)
		if (dtype_in(d, types))
			put_item(to, &n, dtype_name(d));
	if (!n)
		buf_str(to, "  -");
}

static bool named_before(enum op_id op, int i)
{
	for (int k = 0; k < i; k++)
		if (cpu_rows[k].op == op && strcmp(cpu_rows[k].name, cpu_rows[i].name) == 0)
			return true;
	return false;
}

static void put_kernels(struct buf *to, enum op_id op)
{
	int n = 0;
	for (int i = 0; i < cpu_rows_count; i++)
		if (cpu_rows[i].op == op && !named_before(op, i))
			put_item(to, &n, cpu_rows[i].name);
	if (!n)
		buf_str(to, op_info(op)->flags & OP_CONTROL ? "  (bodies)" : "  -");
}

static void list_row(struct buf *to, enum op_id op)
{
	const struct op_info *info = op_info(op);
	char since[16];
	snprintf(since, sizeof(since), "%d", info->since);
	buf_printf(to, "%-24s  %-32s  %-3s", op_domain_of(info), info->name, since);
	put_old(to, info->domain, info->name);
	put_types(to, op);
	put_kernels(to, op);
	buf_char(to, '\n');
}

/* Operators that have no row of their own, at their first one here. */
static bool is_only_old(size_t i)
{
	const struct old_row *o = &old_rows[i];
	for (size_t k = 0; k < i; k++)
		if (old_rows[k].domain == o->domain && strcmp(old_rows[k].name, o->name) == 0)
			return false;
	return op_find(slice_of(op_domain_name(o->domain)), slice_of(o->name)) == OP_NONE;
}

void list_ops(struct buf *to)
{
	for (int op = OP_NONE + 1; op < OP_COUNT_ + op_custom_count(); op++)
		if (op_info((enum op_id)op)->domain != DOMAIN_SIGNET)
			list_row(to, (enum op_id)op);
	for (size_t i = 0; i < OLD_ROWS; i++) {
		if (!is_only_old(i))
			continue;
		buf_printf(to, "%-24s  %-32s  %-3s", op_domain_name(old_rows[i].domain),
			old_rows[i].name, "-");
		put_old(to, old_rows[i].domain, old_rows[i].name);
		buf_str(to, "  -  -\n");
	}
}
