/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LinearAttention: token by token, each changes the state of its head and is answered from
 * it. A unit of work is one head of keys of one sequence, with the heads of queries that
 * share it.
 */
#include "exec/cpu/cpu.h"

#include <math.h>
#include <string.h>
#include "exec/cpu/types.h"

enum { IN_QUERY, IN_KEY, IN_VALUE, IN_STATE, IN_DECAY, IN_BETA };

struct linear_state {
	int64_t tokens, heads, kv_heads, head, v_head;
	bool gated, delta;
	int64_t decays, betas; /* per token */
	float scale;
};

/* Input i at a token of a sequence. */
static const float *row_of(const struct kernel_args *a, int i, int64_t token, int64_t width)
{
	return (const float *)a->in[i].data + token * width;
}

/* state [head][v_head] forgets, by one factor for all or one per element of a key. */
static void forget(const struct linear_state *s, float *state, const float *decay, bool each)
{
	for (int64_t k = 0; k < s->head; k++) {
		float by = expf(decay[each ? k : 0]);
		IVDEP for (int64_t d = 0; d < s->v_head; d++)
			state[k * s->v_head + d] *= by;
	}
}

/* out = x times state. */
static void recall(const struct linear_state *s, float *out, const float *state, const float *x)
{
	memset(out, 0, (size_t)s->v_head * sizeof(float));
	for (int64_t k = 0; k < s->head; k++)
		IVDEP for (int64_t d = 0; d < s->v_head; d++)
			out[d] += x[k] * state[k * s->v_head + d];
}

/* What is new in a value, as strongly as beta says. */
static void subtract_known(const struct linear_state *s, float *fresh, const float *state,
	const float *key, const float *value, float beta)
{
	recall(s, fresh, state, key);
	for (int64_t d = 0; d < s->v_head; d++)
		fresh[d] = beta * (value[d] - fresh[d]);
}

static void learn(const struct linear_state *s, float *state, const float *key, const float *value)
{
	for (int64_t k = 0; k < s->head; k++)
		IVDEP for (int64_t d = 0; d < s->v_head; d++)
			state[k * s->v_head + d] += key[k] * value[d];
}

static void run_token(const struct kernel_args *a, const struct linear_state *s, int64_t token,
	int64_t h, float *state, float *fresh)
{
	const float *key = row_of(a, IN_KEY, token, s->kv_heads * s->head) + h * s->head;
	const float *value = row_of(a, IN_VALUE, token, s->kv_heads * s->v_head) + h * s->v_head;
	int64_t group = s->heads / s->kv_heads;
	if (s->gated) {
		bool each = s->decays != s->kv_heads;
		forget(s, state, row_of(a, IN_DECAY, token, s->decays) + h * (each ? s->head : 1),
			each);
	}
	if (s->delta) {
		float beta = row_of(a, IN_BETA, token, s->betas)[s->betas == 1 ? 0 : h];
		subtract_known(s, fresh, state, key, value, beta);
		value = fresh;
	}
	learn(s, state, key, value);
	for (int64_t q = h * group; q < (h + 1) * group; q++) {
		float *out = (float *)a->out[0].data + (token * s->heads + q) * s->v_head;
		recall(s, out, state, row_of(a, IN_QUERY, token, s->heads * s->head) + q * s->head);
		for (int64_t d = 0; d < s->v_head; d++)
			out[d] *= s->scale;
	}
}

static void run_linear_attention(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct linear_state *s = a->state;
	int64_t size = s->head * s->v_head;
	float *fresh = a->scratch;
	for (int64_t unit = begin; unit < end; unit++) {
		int64_t b = unit / s->kv_heads, h = unit % s->kv_heads;
		float *state = args_has_out(a, 1) ? (float *)a->out[1].data + unit * size
						  : fresh + s->v_head;
		if (args_has_in(a, IN_STATE))
			memcpy(state, (const float *)a->in[IN_STATE].data + unit * size,
				(size_t)size * sizeof(float));
		else
			memset(state, 0, (size_t)size * sizeof(float));
		for (int64_t t = 0; t < s->tokens; t++)
			run_token(a, s, b * s->tokens + t, h, state, fresh);
	}
}

enum err_code prepare_linear_attention(struct prep *p, struct kernel *ret, struct err *err)
{
	struct linear_state *s = kernel_state(p, ret, sizeof(*s));
	struct slice rule = node_string(p->node, "update_rule", "gated_delta");
	if (!s)
		return err_oom(err);
	if (prep_has_in(p, IN_STATE) && p->in[IN_STATE].dtype != DTYPE_F32)
		return prep_refuse(err, "the state is of another type");
	s->tokens = p->in[0].shape.dim[1];
	s->heads = node_int(p->node, "q_num_heads", 1);
	s->kv_heads = node_int(p->node, "kv_num_heads", 1);
	s->head = p->in[IN_KEY].shape.dim[2] / s->kv_heads;
	s->v_head = p->in[IN_VALUE].shape.dim[2] / s->kv_heads;
	s->gated = slice_is(rule, "gated") || slice_is(rule, "gated_delta");
	s->delta = slice_is(rule, "delta") || slice_is(rule, "gated_delta");
	s->decays = s->gated ? p->in[IN_DECAY].shape.dim[2] : 0;
	s->betas = s->delta ? p->in[IN_BETA].shape.dim[2] : 0;
	s->scale = node_float(p->node, "scale", 0);
	if (s->scale == 0)
		s->scale = (float)(1 / sqrt((double)s->head));
	ret->units = p->in[0].shape.dim[0] * s->kv_heads;
	ret->unit_cost_ns = (int64_t)((double)s->tokens * (double)(s->head * s->v_head)) + 1;
	ret->scratch_bytes = (size_t)(s->v_head * (s->head + 1)) * sizeof(float);
	ret->run = run_linear_attention;
	return ERR_OK;
}
