/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/nn/present.h"

#include "exec/gpu/nn/attend.h"

/* One part behind the other, as [batch, heads, keys, size]. */
static enum err_code prepare_part(const struct prep *p, const struct attention_geometry *g,
	enum present_part part, int64_t size, struct gpu_copy *ret, struct err *err)
{
	bool past = part == PRESENT_PAST;
	int64_t len = past ? g->past_len : g->kv_len;
	struct gpu_view v = { .rank = 4, .dim = { g->batch, g->kv_heads, len, size }, .src[3] = 1,
		.dst[3] = 1,
		.dst_at = past ? 0 : g->past_len * size, .elem = dtype_bytes(p->in[0].dtype) };
	attend_strides(v.src, g->packed && !past, g->kv_heads, len, size);
	attend_strides(v.dst, false, g->kv_heads, attention_keys(g), size);
	return gpu_copy_init(ret, p, &v, err);
}

enum err_code present_prepare(struct present *s, const struct prep *p,
	const struct attention_geometry *g, struct err *err)
{
	for (int i = 0; i < 2; i++) {
		int out = ATTENTION_PRESENT_K + i;
		if (out >= p->n_out || p->out[out].shape.rank == RANK_UNKNOWN)
			continue;
		s->asked |= 1 << i;
		for (enum present_part part = PRESENT_PAST; part < PRESENT_PARTS; part++)
			TRY(prepare_part(
				p, g, part, i == 0 ? g->head : g->v_head, &s->copy[i][part], err));
	}
	return ERR_OK;
}

void present_run(const struct present *s, const struct kernel_args *a)
{
	static const int from[2][PRESENT_PARTS] = { { ATTENTION_PAST_K, ATTENTION_K },
		{ ATTENTION_PAST_V, ATTENTION_V } };
	for (int i = 0; i < 2; i++)
		for (int part = 0; part < PRESENT_PARTS && s->asked >> i & 1; part++)
			if (from[i][part] < a->n_in)
				gpu_copy_run(a, &s->copy[i][part],
					a->out[ATTENTION_PRESENT_K + i].data,
					a->in[from[i][part]].data);
}
