/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RotaryEmbedding. An item is one head of one token.
 */
#include "exec/cpu/nn/rotary.h"

#include <string.h>

void rotary_row(
	const struct rotary *r, float *out, const float *x, const float *cos, const float *sin)
{
	int64_t step = r->interleaved ? 2 : 1, second = r->interleaved ? 1 : r->half;
	for (int64_t k = 0; k < r->half; k++) {
		float a = x[k * step], b = x[k * step + second];
		out[k * step] = cos[k] * a - sin[k] * b;
		out[k * step + second] = sin[k] * a + cos[k] * b;
	}
	if (out != x)
		memcpy(out + 2 * r->half, x + 2 * r->half,
			(size_t)(r->size - 2 * r->half) * sizeof(*x));
}

struct rotary_state {
	struct split split;
	struct rotary r;
	int64_t tokens, heads; /* of a sequence; of a token */
	bool heads_inside; /* [batch, token, head], else [batch, head, token] */
	int64_t positions;
};

static void run_rotary(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct rotary_state *s = a->state;
	const float *x = a->in[0].data, *cos = a->in[1].data, *sin = a->in[2].data;
	float *out = a->out[0].data;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t outer = i / s->heads / s->tokens;
		int64_t token = s->heads_inside ? i / s->heads % s->tokens : i % s->tokens;
		int64_t at = outer * s->tokens + token;
		if (args_has_in(a, 3))
			at = ((const int64_t *)a->in[3].data)[at];
		if (at < 0 || at >= s->positions) {
			kernel_fault(a, FAULT_INDEX, at);
			continue;
		}
		rotary_row(&s->r, out + i * s->r.size, x + i * s->r.size, cos + at * s->r.half,
			sin + at * s->r.half);
	}
}

enum err_code prepare_rotary(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct rotary_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->heads_inside = x->rank == 3;
	s->heads = s->heads_inside ? node_int(p->node, "num_heads", 1) : x->dim[1];
	s->tokens = x->dim[x->rank - 2];
	s->r.size = s->heads_inside ? x->dim[2] / s->heads : x->dim[3];
	int64_t turned = node_int(p->node, "rotary_embedding_dim", 0);
	s->r.half = (turned ? turned : s->r.size) / 2;
	s->r.interleaved = node_int(p->node, "interleaved", 0) != 0;
	s->positions = shape_count_range(&p->in[1].shape, 0, p->in[1].shape.rank - 1);
	int64_t items = s->r.size ? tensor_count(&p->in[0]) / s->r.size : 0;
	s->split = split_work(p, ret, items, 5 + (double)s->r.size);
	ret->run = run_rotary;
	ret->inplace = true;
	return ERR_OK;
}
