/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of floats, or of their products in bfloat16, block of keys by block of keys.
 *
 * DESIGN. The softmax of a row is taken as its keys come by: the largest score so far and
 * the sum of exponentials against it are kept, and what was summed before is scaled down
 * when a larger score appears. So scores of a block of keys only are in memory, in the
 * second-level cache with the block's packed keys and values. Both products are gemm.h's.
 * Few rows (one token at a time) go without packing, which would cost as much as the product:
 * a dot product per key, and a multiple of its value added.
 *
 * INVARIANTS
 * 1. Blocks of keys begin at fixed places, and a block that a row does not see leaves it as
 *    it was to the last bit: what other rows see does not show.
 *
 * Compiled once per instruction set; ISA is base, avx2, avx512, avx512_bf16 or
 * avx512_amx.
 */
#include "exec/cpu/nn/attention.h"

#include <string.h>
#include "base/checked.h"
#include "exec/cpu/math/vec_math.h"
#include "exec/cpu/math/vec_sums.h"
#include "exec/cpu/types.h"

#define KEYS 256 /* in a block */
#define FEW_ROWS 4
#define WORK_ARRAYS 6

static const struct gemm *const gemm = &VEC_NAME(gemm);

/* The scratch, taken apart. */
struct work {
	float *scores;      /* ATTENTION_ROWS x KEYS */
	float *sum, *part;  /* ATTENTION_ROWS x v_head: so far, and of a later block */
	float *k, *v;       /* packed */
	float *gemm;
	float top[ATTENTION_ROWS], total[ATTENTION_ROWS];
};

/* Where each array of the scratch begins, in this order; returns the end. */
static size_t work_layout(int64_t head, int64_t v_head, size_t at[WORK_ARRAYS])
{
	size_t gemm_bytes = gemm_scratch_bytes(gemm, ATTENTION_ROWS, max_i64(head, KEYS));
	const size_t floats[WORK_ARRAYS] = { ATTENTION_ROWS * KEYS,
		(size_t)(ATTENTION_ROWS * v_head), (size_t)(ATTENTION_ROWS * v_head),
		(size_t)gemm_packed_floats(gemm, head, KEYS),
		(size_t)gemm_packed_floats(gemm, KEYS, v_head), gemm_bytes / sizeof(float) };
	size_t end = 0;
	for (int i = 0; i < WORK_ARRAYS; i++) {
		at[i] = end;
		end += round_up(floats[i] * sizeof(float), ARENA_ALIGN_TENSOR);
	}
	return end;
}

static void work_init(struct work *w, char *scratch, int64_t head, int64_t v_head)
{
	size_t at[WORK_ARRAYS];
	float **array[WORK_ARRAYS] = { &w->scores, &w->sum, &w->part, &w->k, &w->v, &w->gemm };
	work_layout(head, v_head, at);
	for (int i = 0; i < WORK_ARRAYS; i++)
		*array[i] = (float *)(scratch + at[i]);
}

static size_t attention_scratch(int64_t head, int64_t v_head)
{
	size_t at[WORK_ARRAYS];
	return work_layout(head, v_head, at);
}

/* Neighbouring keys in one part. */
struct block {
	int64_t first, n;
	const float *k, *v;
	int64_t k_row, v_row;
};

static struct block block_at(const struct attention_job *j, int64_t first, int64_t end)
{
	int part = first >= j->past;
	int64_t base = part ? j->past : 0, stop = part ? end : min_i64(end, j->past);
	struct block b = { first, min_i64(KEYS - (first - base) % KEYS, stop - first), NULL, NULL,
		j->k_row[part], j->v_row[part] };
	b.k = (const float *)j->k[part] + (first - base) * b.k_row;
	b.v = (const float *)j->v[part] + (first - base) * b.v_row;
	return b;
}

static void multiply_keys(const struct attention_job *j, struct work *w, const struct block *b)
{
	const float *q = j->q;
	if (j->rows <= FEW_ROWS) {
		for (int64_t i = 0; i < j->rows; i++)
			for (int64_t k = 0; k < b->n; k++)
				w->scores[i * KEYS + k] =
					(float)j->scale *
					dot_of(q + i * j->q_row, b->k + k * b->k_row, j->head);
		return;
	}
	gemm->pack(w->k, b->k, 1, b->k_row, j->head, b->n);
	struct gemm_job g = { .m = j->rows, .n = b->n, .k = j->head, .a = q, .a_row = j->q_row,
		.a_k = 1, .b = w->k, .c = w->scores, .c_row = KEYS, .alpha = (float)j->scale,
		.scratch = w->gemm };
	gemm->run(&g);
}

static void
multiply_values(const struct attention_job *j, struct work *w, const struct block *b, float *to)
{
	if (j->rows <= FEW_ROWS) {
		for (int64_t i = 0; i < j->rows; i++) {
			float *part = to + i * j->v_head;
			memset(part, 0, (size_t)j->v_head * sizeof(float));
			for (int64_t k = 0; k < b->n; k++) {
				const float *v = b->v + k * b->v_row;
				float p = w->scores[i * KEYS + k];
				IVDEP for (int64_t d = 0; d < j->v_head; d++)
					part[d] += p * v[d];
			}
		}
		return;
	}
	gemm->pack(w->v, b->v, b->v_row, 1, b->n, j->v_head);
	struct gemm_job g = { .m = j->rows,
		.n = j->v_head,
		.k = b->n,
		.a = w->scores,
		.a_row = KEYS,
		.a_k = 1,
		.b = w->v,
		.c = to,
		.c_row = j->v_head,
		.alpha = 1,
		.scratch = w->gemm };
	gemm->run(&g);
}

/* Softcap and mask of row i, whose scores of this block are s. */
static void mask_row(const struct attention_job *j, int64_t i, const struct block *b, float *s)
{
	float cap = (float)j->softcap, inverse = 1 / cap;
	int64_t from, to;
	if (cap > 0)
		IVDEP for (int64_t k = 0; k < b->n; k++)
			s[k] = cap * vec_tanh(s[k] * inverse);
	attention_visible(j, i, &from, &to);
	from = max_i64(min_i64(from - b->first, b->n), 0);
	to = max_i64(min_i64(to - b->first, b->n), from);
	for (int64_t k = 0; k < from; k++)
		s[k] = -INFINITY;
	for (int64_t k = to; k < b->n; k++)
		s[k] = -INFINITY;
	if (j->mask && j->mask_is_bool) {
		const uint8_t *m = (const uint8_t *)j->mask + i * j->mask_row + b->first;
		for (int64_t k = from; k < to; k++)
			s[k] = m[k] ? s[k] : -INFINITY;
	} else if (j->mask) {
		const float *m = (const float *)j->mask + i * j->mask_row + b->first;
		IVDEP for (int64_t k = from; k < to; k++)
			s[k] += m[k];
	}
}

/* Scores to exponentials, and what was there before to the same measure: sum is of the
   blocks before, NULL for the first. */
static void soften_row(struct work *w, int64_t i, int64_t n, float *sum, int64_t v_head)
{
	float *s = w->scores + i * KEYS;
	float before = w->top[i], top = max_of(s, n);
	top = top > before ? top : before;
	/* As long as nothing is seen there is nothing to scale, and infinity less itself is NaN. */
	float shift = top == -INFINITY ? 0 : top;
	IVDEP for (int64_t k = 0; k < n; k++)
		s[k] = vec_exp_below(s[k] - shift);
	float scale = before == top ? 1 : before == -INFINITY ? 0 : vec_exp(before - shift);
	w->total[i] = w->total[i] * scale + sum_powers(s, n, 0, false);
	w->top[i] = top;
	if (sum && scale != 1)
		IVDEP for (int64_t d = 0; d < v_head; d++)
			sum[d] *= scale;
}

static void
run_block(const struct attention_job *j, struct work *w, const struct block *b, bool first)
{
	multiply_keys(j, w, b);
	for (int64_t i = 0; i < j->rows; i++) {
		mask_row(j, i, b, w->scores + i * KEYS);
		soften_row(w, i, b->n, first ? NULL : w->sum + i * j->v_head, j->v_head);
	}
	multiply_values(j, w, b, first ? w->sum : w->part);
	if (first)
		return;
	IVDEP for (int64_t d = 0; d < j->rows * j->v_head; d++)
		w->sum[d] += w->part[d];
}

/* What any row sees: the window of the first begins first, the last sees furthest. */
static void attention_run(const struct attention_job *j)
{
	struct work w;
	int64_t from, to, ignored;
	work_init(&w, j->scratch, j->head, j->v_head);
	attention_visible(j, 0, &from, &ignored);
	attention_visible(j, j->rows - 1, &ignored, &to);
	for (int64_t i = 0; i < j->rows; i++) {
		w.top[i] = j->has_sink ? (float)j->sink : -INFINITY;
		w.total[i] = j->has_sink ? 1 : 0;
	}
	bool first = true;
	for (int64_t at = from / KEYS * KEYS; at < to; first = false) {
		struct block b = block_at(j, at, to);
		run_block(j, &w, &b, first);
		at += b.n;
	}
	if (first)
		memset(w.sum, 0, (size_t)(j->rows * j->v_head) * sizeof(float));
	for (int64_t i = 0; i < j->rows; i++) {
		float *out = (float *)j->out + i * j->out_row, inverse = 1 / w.total[i];
		const float *sum = w.sum + i * j->v_head;
		/* Nothing seen: 0 / 0. */
		if (w.total[i] == 0)
			inverse = NAN;
		IVDEP for (int64_t d = 0; d < j->v_head; d++)
			out[d] = sum[d] * inverse;
	}
}

const struct attention_loop VEC_NAME(attention) = {
	.run = attention_run,
	.scratch_bytes = attention_scratch,
};
