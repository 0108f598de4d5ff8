/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GatherBlockQuantized: rows of a table whose numbers have 2 to 8 bits, in blocks along an axis
 * that have a scale and a zero point each. Language models hold their embeddings so; only the
 * rows that are asked for become floats. An index out of range gives zeros.
 */
#include "exec/cpu/cpu.h"
#include "exec/cpu/widen.h"

#include <string.h>
#include "exec/infer/nbits_geometry.h"

struct gather_blocks_state {
	struct split split; /* of rows: one index of one outer slice */
	struct blocks_geometry g;
	struct axis_view v; /* of the numbers, from the axis that is gathered along */
	int64_t indices;
};

static inline int64_t index_at(const struct tensor *t, int64_t i)
{
	return t->dtype == DTYPE_I32 ? ((const int32_t *)t->data)[i]
				     : ((const int64_t *)t->data)[i];
}

/* Number i of codes that bytes hold, low bits first. */
static inline int code_at(const struct tensor *t, int bits, int64_t i)
{
	int64_t bit = i * bits;
	if (t->dtype == DTYPE_I4)
		return ((const int8_t *)t->data)[i];
	return ((const uint8_t *)t->data)[bit / 8] >> bit % 8 & ((1 << bits) - 1);
}

static float scale_at(const struct tensor *t, int64_t i)
{
	float f;
	if (t->dtype == DTYPE_F32)
		return ((const float *)t->data)[i];
	widen_array(&f, (const uint16_t *)t->data + i, 1, t->dtype);
	return f;
}

/* Of block i. Rows of zero points begin with a byte of their own. */
static int zero_at(const struct kernel_args *a, const struct blocks_geometry *g, int64_t i)
{
	if (!args_has_in(a, 3))
		return a->in[0].dtype == DTYPE_U8 ? 1 << (g->bits - 1) : 0;
	return code_at(&a->in[3], g->held_bits,
		i / g->zero_row * g->zero_room + i % g->zero_row);
}

/* Numbers [from, from + n) as floats, by runs that share a block. */
static void unpack(const struct kernel_args *a, const struct blocks_geometry *g, int64_t from,
	int64_t n, float *to)
{
	for (int64_t i = from, run; i < from + n; i += run) {
		int64_t at = i / g->after % g->along;
		int64_t block = (i / g->after / g->along * g->blocks + at / g->block) * g->after +
				i % g->after;
		run = g->after > 1 ? 1 : min_i64(g->block - at % g->block, g->along - at);
		run = min_i64(run, from + n - i);
		float scale = scale_at(&a->in[2], block);
		int zero = zero_at(a, g, block);
		for (int64_t k = 0; k < run; k++)
			*to++ = (float)(code_at(&a->in[0], g->held_bits, i + k) - zero) * scale;
	}
}

static void run_gather_blocks(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct gather_blocks_state *s = a->state;
	int64_t from, to, row = s->v.inner;
	bool half = a->out[0].dtype != DTYPE_F32;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		int64_t index = index_at(&a->in[1], item % s->indices);
		int64_t outer = item / s->indices;
		float *y = half ? a->scratch : (float *)a->out[0].data + item * row;
		index += index < 0 ? s->v.n : 0;
		if (index < 0 || index >= s->v.n)
			memset(y, 0, (size_t)row * sizeof(*y));
		else
			unpack(a, &s->g, (outer * s->v.n + index) * row, row, y);
		if (half)
			narrow_array((uint16_t *)a->out[0].data + item * row, y, row,
				a->out[0].dtype);
	}
}

enum err_code prepare_gather_blocks(struct prep *p, struct kernel *ret, struct err *err)
{
	struct gather_blocks_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc = blocks_geometry(p->node, &p->in[0], &s->g, err);
	if (rc != ERR_OK)
		return rc;
	s->v = axis_view(&s->g.numbers, s->g.gather_axis);
	s->indices = tensor_count(&p->in[1]);
	s->split = split_work(p, ret, s->v.inner ? s->v.outer * s->indices : 0,
		10 + (double)s->v.inner);
	if (p->out[0].dtype != DTYPE_F32)
		ret->scratch_bytes = (size_t)s->v.inner * sizeof(float);
	ret->run = run_gather_blocks;
	return ERR_OK;
}
