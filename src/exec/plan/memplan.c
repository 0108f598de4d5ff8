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

/* The slots of one of the two memories. */
static enum err_code place_slots(
	struct plan *p, bool on_device, struct slot **todo, size_t *ret_bytes, struct err *err)
{
	struct slot **placed = todo + p->n_slot;
	int32_t n = 0;
	for (int32_t i = 0; i < p->n_slot; i++) {
		struct slot *s = &p->slot[i];
		if (s->root == i && s->home == SLOT_WORK && s->last >= 0 &&
			s->on_device == on_device)
			todo[n++] = s;
	}
	qsort(todo, (size_t)n, sizeof(*todo), by_size_descending);
	for (int32_t i = 0; i < n; i++) {
		struct slot *s = todo[i];
		s->offset = lowest_gap(placed, i, s);
		insert_by_offset(placed, i, s);
		size_t end = s->offset + round_up(s->bytes, ARENA_ALIGN_TENSOR);
		*ret_bytes = end > *ret_bytes ? end : *ret_bytes;
		if (s->bytes > WORK_BYTES_MAX || *ret_bytes > WORK_BYTES_MAX)
			return err_set(err, ERR_RESOURCE_EXHAUSTED,
				"the workspace for these shapes exceeds %zu bytes", WORK_BYTES_MAX);
	}
	return ERR_OK;
}

enum err_code memplan(struct plan *p, struct err *err)
{
	struct slot **todo = calloc(2 * (size_t)p->n_slot + 1, sizeof(*todo));
	if (!todo)
		return err_oom(err);
	enum err_code rc = place_slots(p, false, todo, &p->work_bytes, err);
	if (rc == ERR_OK && p->device)
		rc = place_slots(p, true, todo, &p->device_bytes, err);
	free(todo);
	return rc;
}
