/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention_rows.c -- Attention in any of its forms, row by row (attend.h)
 *
 * What attention.c leaves: keys of the past, lengths, and half types that are capped.
 */
#include "exec/gpu/nn/attend.h"
#include "exec/gpu/nn/present.h"

struct rows_state {
	struct attend attend;
	struct present present;
};

static void *data_of(const struct kernel_args *a, int i)
{
	return i < a->n_in ? a->in[i].data : NULL;
}

static void run_rows(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct rows_state *s = a->state;
	struct gpu_attend_at at = { .q = a->in[ATTENTION_Q].data,
		.k = { data_of(a, ATTENTION_PAST_K), a->in[ATTENTION_K].data },
		.v = { data_of(a, ATTENTION_PAST_V), a->in[ATTENTION_V].data },
		.mask = data_of(a, ATTENTION_MASK),
		.lengths = data_of(a, ATTENTION_LENGTHS),
		.y = a->out[0].data };
	attend_run(&s->attend, a, &at);
	present_run(&s->present, a);
}

static enum err_code read_geometry(
	const struct prep *p, struct attention_geometry *ret, struct err *err)
{
	struct shape in[ATTENTION_INPUTS_];
	for (int i = 0; i < ATTENTION_INPUTS_; i++)
		in[i] = gpu_has_in(p, i) ? p->in[i].shape : SHAPE_UNKNOWN;
	TRY(attention_geometry(p->node, in, ret, err));
	for (int i = ATTENTION_K; i <= ATTENTION_PAST_V; i++)
		if (gpu_has_in(p, i) && p->in[i].dtype != p->in[0].dtype &&
			p->in[i].dtype != DTYPE_BOOL)
			return prep_refuse(err, "the inputs are not of one type");
	if (p->n_out > ATTENTION_SCORES && p->out[ATTENTION_SCORES].shape.rank != RANK_UNKNOWN)
		return prep_refuse(err, "the scores are the host's to show");
	if (attention_keys(ret) > INT32_MAX || ret->kv_heads == 0)
		return prep_refuse(err, "so many keys, or no heads");
	return ERR_OK;
}

static void set_mask(const struct prep *p, const struct attention_geometry *g, struct gpu_attend *a)
{
	const struct tensor *m = &p->in[ATTENTION_MASK];
	int64_t stride[4];
	if (!gpu_has_in(p, ATTENTION_MASK))
		return;
	struct shape to = shape_of(g->batch, g->q_heads, g->q_len, m->shape.dim[m->shape.rank - 1]);
	shape_broadcast_strides(&m->shape, &to, stride);
	a->masked = m->dtype == DTYPE_BOOL ? GPU_MASK_BOOL : GPU_MASK_ADDED;
	a->mask_keys = (int32_t)to.dim[3];
	for (int i = 0; i < 3; i++)
		a->mask[i] = stride[i];
}

static struct gpu_attend attend_of(const struct prep *p, const struct attention_geometry *g)
{
	struct gpu_attend a = { .q_len = gpu_div(g->q_len), .heads = gpu_div(g->q_heads),
		.group = gpu_div(g->q_heads / g->kv_heads), .head = (int32_t)g->head,
		.v_head = (int32_t)g->v_head, .keys = (int32_t)attention_keys(g),
		.past = (int32_t)g->past_len, .causal = g->causal, .lengths_wide = true,
		.scale = (float)g->scale, .softcap = (float)g->softcap };
	attend_strides(a.q, g->packed, g->q_heads, g->q_len, g->head);
	attend_strides(a.y, g->packed, g->q_heads, g->q_len, g->v_head);
	attend_strides(a.k[PRESENT_PAST], false, g->kv_heads, g->past_len, g->head);
	attend_strides(a.v[PRESENT_PAST], false, g->kv_heads, g->past_len, g->v_head);
	attend_strides(a.k[PRESENT_NEW], g->packed, g->kv_heads, g->kv_len, g->head);
	attend_strides(a.v[PRESENT_NEW], g->packed, g->kv_heads, g->kv_len, g->v_head);
	set_mask(p, g, &a);
	return a;
}

enum err_code gpu_prepare_attention_rows(struct prep *p, struct kernel *ret, struct err *err)
{
	struct attention_geometry g;
	TRY(read_geometry(p, &g, err));
	struct rows_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->attend.a = attend_of(p, &g);
	int64_t rows_batch = g.q_len == 0 ? 0 : g.batch; /* a division by 0 is one by 1 */
	TRY(attend_prepare(&s->attend, p, rows_batch, err));
	TRY(present_prepare(&s->present, p, &g, err));
	ret->run = run_rows;
	return ERR_OK;
}
