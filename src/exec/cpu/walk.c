/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/walk.h"

#include <string.h>

static bool can_merge(const struct walk *w, int n, int64_t dim, int64_t next[WALK_OPERANDS])
{
	for (int k = 0; k < w->operands; k++)
		if (w->stride[k][n - 1] != next[k] * dim)
			return false;
	return true;
}

void walk_init(struct walk *w, const struct shape *out, int operands,
	const struct shape *const operand[])
{
	int64_t all[WALK_OPERANDS][RANK_MAX];
	*w = (struct walk){ .operands = operands, .run = 1, .count = shape_count(out) };
	for (int k = 0; k < operands; k++)
		shape_broadcast_strides(operand[k], out, all[k]);
	int n = 0;
	for (int i = 0; i < out->rank; i++) {
		if (out->dim[i] == 1)
			continue;
		int64_t next[WALK_OPERANDS];
		for (int k = 0; k < operands; k++)
			next[k] = all[k][i];
		if (n && can_merge(w, n, out->dim[i], next))
			w->dim[n - 1] *= out->dim[i];
		else
			w->dim[n++] = out->dim[i];
		for (int k = 0; k < operands; k++)
			w->stride[k][n - 1] = next[k];
	}
	if (n) {
		n--;
		w->run = w->dim[n];
		for (int k = 0; k < operands; k++)
			w->step[k] = w->stride[k][n];
	}
	w->rank = n;
}

void walk_begin(struct walk_iter *it, const struct walk *w, int64_t from, int64_t to)
{
	*it = (struct walk_iter){ .w = w, .at = from, .end = to };
	if (from >= to)
		return;
	int64_t row = from / w->run;
	it->col = from % w->run;
	for (int i = w->rank - 1; i >= 0; i--) {
		it->index[i] = row % w->dim[i];
		row /= w->dim[i];
		for (int k = 0; k < w->operands; k++)
			it->row[k] += it->index[i] * w->stride[k][i];
	}
}

static void next_row(struct walk_iter *it)
{
	const struct walk *w = it->w;
	it->col = 0;
	for (int i = w->rank - 1; i >= 0; i--) {
		bool carry = ++it->index[i] == w->dim[i];
		for (int k = 0; k < w->operands; k++)
			it->row[k] += w->stride[k][i] * (carry ? 1 - w->dim[i] : 1);
		if (!carry)
			return;
		it->index[i] = 0;
	}
}

bool walk_next(struct walk_iter *it)
{
	const struct walk *w = it->w;
	it->at += it->n;
	it->col += it->n;
	if (it->at >= it->end)
		return false;
	if (it->col == w->run)
		next_row(it);
	it->n = min_i64(w->run - it->col, it->end - it->at);
	for (int k = 0; k < w->operands; k++)
		it->off[k] = it->row[k] + it->col * w->step[k];
	return true;
}
