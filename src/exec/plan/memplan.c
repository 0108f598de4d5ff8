/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memplan.c -- where in the workspace each result lies
 *
 * Greedy by size: the largest first, each at the lowest offset where nothing that lives
 * at the same time is in the way (Pisarchyk and Lee, "Efficient Memory Management for
 * Deep Neural Net Inference", 2020, section 5.1).
 */
#include <stdlib.h>
#include "base/checked.h"
#include "exec/plan/plan.h"

/* No workspace is larger than this, whatever a model's shapes say. */
#define WORK_BYTES_MAX ((size_t)1 << 40)

static int by_size_descending(const void *a, const void *b)
{
	const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static bool lives_with(const struct slot *a, const struct slot *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* placed[] is sorted by offset; the lowest gap that fits s. */
static size_t lowest_gap(struct slot *const *placed, int32_t n, const struct slot *s)
{
	size_t at = 0;
	for (int32_t i = 0; i < n; i++) {
		const struct slot *q = placed[i];
		if (!lives_with(q, s))
			continue;
		if (q->offset >= at && q->offset - at >= s->bytes)
			break;
		size_t end = q->offset + round_up(q->bytes, ARENA_ALIGN_TENSOR);
		at = end > at ? end : at;
	}
	return at;
}

static void insert_by_offset(struct slot **placed, int32_t n, struct slot *s)
{
	int32_t i = n;
	for (; i > 0 && placed[i - 1]->offset > s->offset; i--)
		placed[i] = placed[i - 1];
	placed[i] = s;
}

enum err_code memplan(struct plan *p, struct err *err)
{
	struct slot **todo = calloc(2 * (size_t)p->n_slot + 1, sizeof(*todo));
	if (!todo)
		return err_oom(err);
	struct slot **placed = todo + p->n_slot;
	enum err_code rc = ERR_OK;
	int32_t n = 0;
	for (int32_t i = 0; i < p->n_slot; i++) {
		struct slot *s = &p->slot[i];
		if (s->root == i && s->home == SLOT_WORK && s->last >= 0)
			todo[n++] = s;
	}
	qsort(todo, (size_t)n, sizeof(*todo), by_size_descending);
	for (int32_t i = 0; i < n && rc == ERR_OK; i++) {
		struct slot *s = todo[i];
		s->offset = lowest_gap(placed, i, s);
		insert_by_offset(placed, i, s);
		size_t end = s->offset + round_up(s->bytes, ARENA_ALIGN_TENSOR);
		p->work_bytes = end > p->work_bytes ? end : p->work_bytes;
		if (s->bytes > WORK_BYTES_MAX || p->work_bytes > WORK_BYTES_MAX)
			rc = err_set(err, ERR_RESOURCE_EXHAUSTED,
				"the workspace for these shapes exceeds %zu bytes", WORK_BYTES_MAX);
	}
	free(todo);
	return rc;
}
