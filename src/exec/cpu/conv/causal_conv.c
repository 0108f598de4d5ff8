/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CausalConvWithState: each channel with a kernel of its own over what came before. An item
 * is one channel of one sequence.
 */
#include "exec/cpu/math/unary.h"

#include <string.h>

struct causal_state {
	struct split split;
	int64_t channels, length, taps;
	unary_fn act; /* NULL: none */
	double param[2];
};

/* The sequence with its past before it. */
static void join(float *to, const float *past, int64_t n_past, const float *x, int64_t n)
{
	if (past)
		memcpy(to, past, (size_t)n_past * sizeof(float));
	else
		memset(to, 0, (size_t)n_past * sizeof(float));
	memcpy(to + n_past, x, (size_t)n * sizeof(float));
}

static void run_causal_conv(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct causal_state *s = a->state;
	int64_t from, to, kept = s->taps - 1;
	float *joined = a->scratch;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t c = i % s->channels;
		const float *w = (const float *)a->in[1].data + c * s->taps;
		float *out = (float *)a->out[0].data + i * s->length;
		double bias = args_has_in(a, 2) ? (double)((const float *)a->in[2].data)[c] : 0;
		join(joined, args_has_in(a, 3) ? (const float *)a->in[3].data + i * kept : NULL,
			kept, (const float *)a->in[0].data + i * s->length, s->length);
		for (int64_t t = 0; t < s->length; t++) {
			double sum = bias;
			for (int64_t k = 0; k < s->taps; k++)
				sum += (double)joined[t + k] * (double)w[k];
			out[t] = (float)sum;
		}
		if (s->act)
			s->act(out, out, s->length, s->param);
		if (args_has_out(a, 1))
			memcpy((float *)a->out[1].data + i * kept, joined + s->length,
				(size_t)kept * sizeof(float));
	}
}

enum err_code prepare_causal_conv(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct causal_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->channels = x->dim[1];
	s->length = x->dim[2];
	s->taps = p->in[1].shape.dim[2];
	s->param[0] = 1;
	if (!slice_is(node_string(p->node, "activation", "none"), "none"))
		s->act = unary_best(UNARY_SWISH, DTYPE_F32);
	s->split = split_work(p, ret, x->dim[0] * s->channels, 20 + (double)(s->length * s->taps));
	ret->scratch_bytes = (size_t)(s->length + s->taps) * sizeof(float);
	ret->run = run_causal_conv;
	return ERR_OK;
}
