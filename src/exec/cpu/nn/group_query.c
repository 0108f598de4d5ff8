/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GroupQueryAttention: new tokens are turned by their positions, their keys and values go
 * behind those of the past, then all heads of a group attend to them. A unit of work is one
 * head of keys of one sequence.
 */
#include "exec/cpu/nn/attention.h"
#include "exec/cpu/nn/rotary.h"

#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "exec/infer/group_query.h"

struct group_state {
	struct group_query g;
	struct rotary rotary; /* half 0: none */
	const struct attention_loop *loop;
	int64_t kept;      /* keys that a cache has room for */
	int64_t positions; /* that there are cosines for */
	int64_t bias_batch, bias_head, bias_row; /* strides */
	int64_t window;
	double scale, softcap;
	bool causal, smooth;
	size_t at_keys, at_values, at_loop; /* in the scratch, behind the turned queries */
};

/* One sequence and head of keys. */
struct group_unit {
	const struct kernel_args *a;
	const struct group_state *s;
	int64_t b, h, past; /* keys that were there */
	float *keys, *values;
};

/* Head h of part (0: queries, 1: keys, 2: values) of the new token i. */
static const float *new_row(const struct group_unit *u, int part, int64_t h, int64_t i)
{
	const struct group_query *g = &u->s->g;
	int64_t token = u->b * g->len + i;
	if (!g->packed)
		return (const float *)u->a->in[part].data +
		       (token * (part ? g->kv_heads : g->heads) + h) * g->head;
	int64_t first = part == 0 ? 0 : g->heads + (part - 1) * g->kv_heads;
	return (const float *)u->a->in[0].data +
	       (token * (g->heads + 2 * g->kv_heads) + first + h) * g->head;
}

/* Where token i stands: behind its past, unless it is said. */
static int64_t position_of(const struct group_unit *u, int64_t i)
{
	const int64_t *given = u->a->in[GROUP_QUERY_POSITIONS].data;
	if (!args_has_in(u->a, GROUP_QUERY_POSITIONS))
		return u->past + i;
	return given[u->b * u->s->g.len + i];
}

static void turn(const struct group_unit *u, float *to, const float *x, int64_t i)
{
	const struct rotary *r = &u->s->rotary;
	int64_t at = r->half ? position_of(u, i) : 0;
	if (r->half && (at < 0 || at >= u->s->positions))
		kernel_fault(u->a, FAULT_INDEX, at);
	else if (r->half)
		rotary_row(r, to, x, (const float *)u->a->in[GROUP_QUERY_COS].data + at * r->half,
			(const float *)u->a->in[GROUP_QUERY_SIN].data + at * r->half);
	else
		memcpy(to, x, (size_t)r->size * sizeof(float));
}

/* What was kept, what is new, and zeros. */
static void fill_cache(const struct group_unit *u, int part, float *to)
{
	const struct group_query *g = &u->s->g;
	int64_t n = g->head, head = u->b * g->kv_heads + u->h;
	const struct tensor *past = &u->a->in[part == 1 ? GROUP_QUERY_PAST_K : GROUP_QUERY_PAST_V];
	if (u->past)
		memcpy(to, (const float *)past->data + head * g->past_len * n,
			(size_t)(u->past * n) * sizeof(float));
	for (int64_t i = 0; i < g->len; i++) {
		float *row = to + (u->past + i) * n;
		if (part == 1)
			turn(u, row, new_row(u, part, u->h, i), i);
		else
			memcpy(row, new_row(u, part, u->h, i), (size_t)n * sizeof(float));
	}
	int64_t end = u->past + g->len;
	memset(to + end * n, 0, (size_t)((u->s->kept - end) * n) * sizeof(float));
}

static void attend(const struct group_unit *u, int64_t h, int64_t valid)
{
	const struct group_state *s = u->s;
	const struct group_query *g = &s->g;
	float *q = u->a->scratch;
	struct attention_job j = { .head = g->head,
		.v_head = g->head,
		.keys = valid,
		.valid = valid,
		.q = q,
		.q_row = g->head,
		.k = { NULL, u->keys },
		.v = { NULL, u->values },
		.k_row = { 0, g->head },
		.v_row = { 0, g->head },
		.out_row = g->heads * g->head,
		.scale = s->scale,
		.softcap = s->softcap,
		.window = s->window,
		.causal = s->causal,
		.has_sink = s->smooth,
		.scratch = (char *)u->a->scratch + s->at_loop };
	if (args_has_in(u->a, GROUP_QUERY_SINK)) {
		j.has_sink = true;
		j.sink = (double)((const float *)u->a->in[GROUP_QUERY_SINK].data)[h];
	}
	for (int64_t first = 0; first < g->len; first += ATTENTION_ROWS) {
		j.rows = min_i64(ATTENTION_ROWS, g->len - first);
		j.position = u->past + first;
		j.out = (float *)u->a->out[0].data +
			((u->b * g->len + first) * g->heads + h) * g->head;
		for (int64_t i = 0; i < j.rows; i++)
			turn(u, q + i * g->head, new_row(u, 0, h, first + i), first + i);
		if (args_has_in(u->a, GROUP_QUERY_BIAS)) {
			j.mask = (const float *)u->a->in[GROUP_QUERY_BIAS].data +
				 u->b * s->bias_batch + h * s->bias_head + first * s->bias_row;
			j.mask_row = s->bias_row;
			j.mask_keys = u->a->in[GROUP_QUERY_BIAS].shape.dim[3];
		}
		s->loop->run(&j);
	}
}

static float *cache_of(const struct group_unit *u, int out, size_t otherwise)
{
	int64_t head = u->b * u->s->g.kv_heads + u->h;
	if (!args_has_out(u->a, out))
		return (float *)((char *)u->a->scratch + otherwise);
	return (float *)u->a->out[out].data + head * u->s->kept * u->s->g.head;
}

static void run_group_query(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct group_state *s = a->state;
	const struct group_query *g = &s->g;
	const int32_t *lengths = a->in[GROUP_QUERY_LENGTHS].data;
	int64_t total = tensor_int(&a->in[GROUP_QUERY_TOTAL], 0), group = g->heads / g->kv_heads;
	for (int64_t unit = begin; unit < end; unit++) {
		struct group_unit u = {
			.a = a, .s = s, .b = unit / g->kv_heads, .h = unit % g->kv_heads };
		int64_t valid = (int64_t)lengths[u.b] + 1;
		u.past = total == g->len ? 0 : valid - g->len;
		if (valid < 0 || u.past < 0 || u.past > g->past_len || valid > s->kept ||
			u.past + g->len > s->kept) {
			kernel_fault(a, FAULT_VALUE, valid - 1);
			continue;
		}
		u.keys = cache_of(&u, 1, s->at_keys);
		u.values = cache_of(&u, 2, s->at_values);
		fill_cache(&u, 1, u.keys);
		fill_cache(&u, 2, u.values);
		for (int64_t h = u.h * group; h < (u.h + 1) * group; h++)
			attend(&u, h, valid);
	}
}

static void set_bias_strides(const struct prep *p, struct group_state *s)
{
	const struct shape *b = &p->in[GROUP_QUERY_BIAS].shape;
	if (!prep_has_in(p, GROUP_QUERY_BIAS))
		return;
	s->bias_row = b->dim[3];
	s->bias_head = b->dim[1] == 1 ? 0 : b->dim[2] * b->dim[3];
	s->bias_batch = b->dim[0] == 1 ? 0 : b->dim[1] * b->dim[2] * b->dim[3];
}

static void lay_out(const struct prep *p, struct group_state *s, struct kernel *ret)
{
	size_t cache = round_up((size_t)(s->kept * s->g.head) * sizeof(float), ARENA_ALIGN_TENSOR);
	bool outside = p->n_out > 2 && p->out[1].shape.rank != RANK_UNKNOWN &&
		       p->out[2].shape.rank != RANK_UNKNOWN;
	s->at_keys =
		round_up((size_t)(ATTENTION_ROWS * s->g.head) * sizeof(float), ARENA_ALIGN_TENSOR);
	s->at_values = s->at_keys + (outside ? 0 : cache);
	s->at_loop = s->at_values + (outside ? 0 : cache);
	ret->scratch_bytes = s->at_loop + s->loop->scratch_bytes(s->g.head, s->g.head);
}

enum err_code prepare_group_query(struct prep *p, struct kernel *ret, struct err *err)
{
	struct shape in[GROUP_QUERY_INPUTS_];
	struct group_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	for (int i = 0; i < GROUP_QUERY_INPUTS_; i++)
		in[i] = prep_has_in(p, i) ? p->in[i].shape : SHAPE_UNKNOWN;
	TRY(group_query_read(p->node, in, &s->g, err));
	const struct group_query *g = &s->g;
	int64_t total = tensor_int(&p->in[GROUP_QUERY_TOTAL], 0);
	s->loop = attention_for(p->precision);
	s->kept = max_i64(total, g->past_len);
	s->rotary.size = g->head;
	if (node_int(p->node, "do_rotary", 0)) {
		s->rotary.half = in[GROUP_QUERY_COS].dim[1];
		s->rotary.interleaved = node_int(p->node, "rotary_interleaved", 0) != 0;
		s->positions = in[GROUP_QUERY_COS].dim[0];
	}
	set_bias_strides(p, s);
	s->window = max_i64(node_int(p->node, "local_window_size", -1), 0);
	s->scale = (double)node_float(p->node, "scale", 0);
	if (s->scale == 0)
		s->scale = 1 / sqrt((double)g->head);
	s->softcap = (double)node_float(p->node, "softcap", 0);
	s->causal = node_int(p->node, "causal", 1) != 0;
	s->smooth = node_int(p->node, "smooth_softmax", -1) == 1;
	lay_out(p, s, ret);
	ret->units = g->batch * g->kv_heads;
	ret->unit_cost_ns = (int64_t)((double)(g->len * g->heads / g->kv_heads) * (double)s->kept *
				      (double)g->head / 12) + 100;
	ret->run = run_group_query;
	return ERR_OK;
}
