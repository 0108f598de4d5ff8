/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/trial.h"

#include <string.h>
#include "base/buf.h"
#include "exec/cpu/contest.h"

/* -- the key -------------------------------------------------------------------------------- */

/* SIZES: the very shapes. KIND: images and sequences of any size. */
enum detail { SIZES, KIND };

/* Images of a batch are computed one by one: one answer serves every batch size, which
   also keeps each weight in one packed form. */
static void put_tensor(struct buf *b, const struct tensor *t, enum detail detail)
{
	static const char *const layout[LAYOUT_COUNT_] = { "", "c8", "c16", "nhwc", "c16bf" };
	struct shape s = t->shape;
	if (s.rank == RANK_UNKNOWN) {
		buf_str(b, " -");
		return;
	}
	if (s.rank == 4 && !t->data)
		s.dim[0] = DIM_UNKNOWN;
	for (int i = 2; i < s.rank && !t->data && detail == KIND; i++)
		s.dim[i] = DIM_UNKNOWN;
	buf_printf(b, " %s%s%s", dtype_name(t->dtype), SHAPE_TEXT(&s), layout[t->layout]);
}

static void put_attr(struct buf *b, const struct attr *a)
{
	buf_printf(b, " %s=", a->name);
	if (a->kind == ATTR_INT)
		buf_printf(b, "%lld", (long long)a->i);
	else if (a->kind == ATTR_FLOAT)
		buf_printf(b, "%a", (double)a->f);
	else if (a->kind == ATTR_INTS)
		for (int32_t i = 0; i < a->n; i++)
			buf_printf(b, "%s%lld", i ? "," : "", (long long)a->ints[i]);
	else
		buf_printf(b, "kind%d", (int)a->kind);
}

/* All that the times depend on, but for the machine and the values of constants. */
static bool describe(const struct prep *p, enum detail detail, const char **ret)
{
	static const char *const precision[PRECISION_COUNT_] = { "", " exact", " bf16", "", "" };
	struct buf b = buf_of(p->tmp, 0);
	struct slice text;
	buf_str(&b, op_info(p->node->op)->name);
	for (int i = 0; i < p->n_in; i++)
		put_tensor(&b, &p->in[i], detail);
	buf_str(&b, " ->");
	for (int i = 0; i < p->n_out; i++)
		put_tensor(&b, &p->out[i], detail);
	for (int32_t i = 0; i < p->node->n_attr; i++)
		put_attr(&b, &p->node->attr[i]);
	buf_printf(&b, " threads=%d%s%s%s", p->threads, precision[p->precision],
		p->bf16_wanted ? " for bf16" : "", contest_is_cold(p) ? " cold" : "");
	buf_char(&b, '\0');
	if (buf_finish(&b, &text, NULL) != ERR_OK || text.len >= CHOICE_KEY_MAX)
		return false;
	*ret = text.ptr;
	return true;
}

/* -- the choice ------------------------------------------------------------------------------- */

/* The row remembered under key, if it is one of these. */
static bool remembered(
	const struct prep *p, const char *key, const struct cpu_row *const *row, int n, int *ret)
{
	char name[CHOICE_NAME_MAX];
	if (!choices_find(p->choices, key, name))
		return false;
	for (int i = 0; i < n; i++)
		if (strcmp(row[i]->name, name) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

enum err_code trial_choose(
	const struct prep *p, const struct cpu_row *const *row, int n, int *ret, struct err *err)
{
	const char *key, *kind;
	*ret = n - 1;
	if (!p->choices || !contest_is_possible(p) || !describe(p, SIZES, &key) ||
		!describe(p, KIND, &kind))
		return ERR_OK;
	if (remembered(p, key, row, n, ret))
		return ERR_OK;
	if (p->settled) {
		(void)!remembered(p, kind, row, n, ret); /* sizes that warm-up has not seen */
		return ERR_OK;
	}
	TRY(contest_hold(p, row, n, ret, err));
	choices_put(p->choices, key, row[*ret]->name);
	choices_put(p->choices, kind, row[*ret]->name);
	return ERR_OK;
}
