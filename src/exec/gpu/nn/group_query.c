/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_query.c -- GroupQueryAttention
 *
 * One kernel writes the cache (what was kept, new keys that are turned, new values), one turns
 * the queries, and attend.h goes over the cache. A cache that nobody asks for lies in the scratch.
 */
#include "exec/infer/group_query.h"

#include <math.h>
#include <stdio.h>
#include "base/checked.h"
#include "exec/gpu/nn/attend.h"
#include "exec/gpu/walk.h"

#define BLOCK 256
#define ALIGN 256

struct group_state {
	struct attend attend;
	struct gpu_group_query g;
	struct gpu_launch turn, cache;
	size_t at[3]; /* in the scratch: turned queries, keys, values */
};

static void *data_of(const struct kernel_args *a, int i)
{
	return i < a->n_in ? a->in[i].data : NULL;
}

/* Output i, or the scratch in its place. */
static void *cache_of(
	const struct kernel_args *a, const struct group_state *s, char *scratch, int i)
{
	return i < a->n_out && a->out[i].data ? a->out[i].data : scratch + s->at[i];
}

static void run_group_query(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct group_state *s = a->state;
	char *scratch = (char *)(((uintptr_t)a->scratch + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
	bool packed = !data_of(a, GROUP_QUERY_K);
	struct gpu_group_query_at g = { .past_k = data_of(a, GROUP_QUERY_PAST_K),
		.past_v = data_of(a, GROUP_QUERY_PAST_V), .cosines = data_of(a, GROUP_QUERY_COS),
		.sines = data_of(a, GROUP_QUERY_SIN),
		.positions = data_of(a, GROUP_QUERY_POSITIONS),
		.lengths = a->in[GROUP_QUERY_LENGTHS].data, .q = scratch + s->at[0],
		.k = cache_of(a, s, scratch, 1), .v = cache_of(a, s, scratch, 2) };
	for (int i = 0; i < 3; i++)
		g.part[i] = a->in[packed ? 0 : i].data;
	struct gpu_complaint wrong_length = gpu_complaint(a, FAULT_VALUE),
			     wrong_place = gpu_complaint(a, FAULT_INDEX);
	void *params[] = { (void *)&s->g, &g, &wrong_length, &wrong_place };
	gpu_launch(a, &s->cache, params);
	gpu_launch(a, &s->turn, params);
	struct gpu_attend_at at = { .q = g.q, .k = { NULL, g.k }, .v = { NULL, g.v },
		.mask = data_of(a, GROUP_QUERY_BIAS), .lengths = g.lengths,
		.sinks = data_of(a, GROUP_QUERY_SINK),
		.y = a->out[0].data };
	attend_run(&s->attend, a, &at);
}

/* -- prepare ----------------------------------------------------------------------------------- */

static void set_bias(const struct prep *p, struct gpu_attend *a)
{
	const struct shape *b = &p->in[GROUP_QUERY_BIAS].shape;
	if (!gpu_has_in(p, GROUP_QUERY_BIAS))
		return;
	a->masked = GPU_MASK_ADDED;
	a->mask_keys = (int32_t)b->dim[3];
	a->mask[0] = b->dim[0] == 1 ? 0 : b->dim[1] * b->dim[2] * b->dim[3];
	a->mask[1] = b->dim[1] == 1 ? 0 : b->dim[2] * b->dim[3];
	a->mask[2] = b->dim[3];
}

static struct gpu_attend attend_of(
	const struct prep *p, const struct group_query *g, int64_t kept, bool fresh)
{
	double scale = (double)node_float(p->node, "scale", 0);
	int64_t window = node_int(p->node, "local_window_size", -1);
	struct gpu_attend a = { .q_len = gpu_div(g->len), .heads = gpu_div(g->heads),
		.group = gpu_div(g->heads / g->kv_heads), .head = (int32_t)g->head,
		.v_head = (int32_t)g->head, .keys = (int32_t)kept,
		.causal = node_int(p->node, "causal", 1) != 0,
		.window = (int32_t)(window < 0 ? 0 : window > INT32_MAX ? INT32_MAX : window),
		.at_end = !fresh, .more = 1, .smooth = node_int(p->node, "smooth_softmax", -1) == 1,
		.scale = (float)(scale == 0 ? 1 / sqrt((double)g->head) : scale),
		.softcap = node_float(p->node, "softcap", 0) };
	attend_strides(a.q, true, g->heads, g->len, g->head);
	attend_strides(a.y, true, g->heads, g->len, g->head);
	attend_strides(a.k[1], false, g->kv_heads, kept, g->head);
	attend_strides(a.v[1], false, g->kv_heads, kept, g->head);
	set_bias(p, &a);
	return a;
}

static struct gpu_group_query tokens_of(
	const struct prep *p, const struct group_query *g, int64_t kept, bool fresh)
{
	struct gpu_group_query t = { .queries = (uint32_t)(g->batch * g->len * g->heads * g->head),
		.cached = (uint32_t)(g->batch * g->kv_heads * kept * g->head),
		.head = gpu_div(g->head), .heads = gpu_div(g->heads),
		.kv_heads = gpu_div(g->kv_heads), .len = gpu_div(g->len), .kept = gpu_div(kept),
		.past_len = (int32_t)g->past_len, .fresh = fresh };
	for (int i = 0; i < 3; i++) {
		t.row[i] = (g->packed ? g->heads + 2 * g->kv_heads : i ? g->kv_heads : g->heads) *
			g->head;
		t.first[i] = g->packed && i ? (g->heads + (i - 1) * g->kv_heads) * g->head : 0;
	}
	if (node_int(p->node, "do_rotary", 0)) {
		const struct shape *c = &p->in[GROUP_QUERY_COS].shape;
		t.half = (uint32_t)c->dim[1];
		t.positions = c->dim[0];
		t.interleaved = node_int(p->node, "rotary_interleaved", 0) != 0;
	}
	return t;
}

static void lay_out(const struct prep *p, struct group_state *s, struct kernel *ret)
{
	size_t size = dtype_bytes(p->in[0].dtype), at = round_up(s->g.queries * size, ALIGN);
	for (int i = 1; i < 3; i++) {
		s->at[i] = at;
		if (i >= p->n_out || p->out[i].shape.rank == RANK_UNKNOWN)
			at += round_up(s->g.cached * size, ALIGN);
	}
	ret->scratch_bytes = at + ALIGN;
}

enum err_code gpu_prepare_group_query(struct prep *p, struct kernel *ret, struct err *err)
{
	struct shape in[GROUP_QUERY_INPUTS_];
	struct group_query g;
	char name[32];
	struct group_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	for (int i = 0; i < GROUP_QUERY_INPUTS_; i++)
		in[i] = gpu_has_in(p, i) ? p->in[i].shape : SHAPE_UNKNOWN;
	TRY(group_query_read(p->node, in, &g, err));
	if (!p->in[GROUP_QUERY_TOTAL].data)
		return prep_refuse(err, "a length that is computed");
	int64_t total = tensor_int(&p->in[GROUP_QUERY_TOTAL], 0),
		kept = total > g.past_len ? total : g.past_len;
	if (tensor_count(&p->out[0]) == 0 || tensor_count(&p->in[0]) > INT32_MAX ||
		kept > INT32_MAX || g.batch * g.kv_heads * kept > INT32_MAX / (g.head ? g.head : 1))
		return prep_refuse(err, "nothing to do, or so many elements");
	s->attend.a = attend_of(p, &g, kept, total == g.len);
	s->g = tokens_of(p, &g, kept, total == g.len);
	lay_out(p, s, ret);
	TRY(attend_prepare(&s->attend, p, g.batch, err));
	snprintf(name, sizeof(name), "group_query_turn_%s", gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, s->g.queries, BLOCK, &s->turn, err));
	snprintf(name, sizeof(name), "group_query_cache_%s", gpu_type_name(p->in[0].dtype));
	ret->unread = 1U << GROUP_QUERY_TOTAL;
	ret->run = run_group_query;
	return gpu_launch_over(p, name, s->g.cached, BLOCK, &s->cache, err);
}
