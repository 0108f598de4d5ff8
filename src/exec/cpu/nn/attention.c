/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention: where the heads lie and which keys count; what is done with them is
 * attention.h's. A unit of work is a block of query rows of one head.
 */
#include "exec/cpu/nn/attention.h"

#include <math.h>
#include <string.h>

#define E float
#define N(name) name##_f32
#include "exec/cpu/nn/attention_t.h"
#define E double
#define N(name) name##_f64
#include "exec/cpu/nn/attention_t.h"

const struct attention_loop *attention_for(enum precision precision)
{
#ifdef __x86_64__
	if (precision == PRECISION_BF16 && cpu_features() & CPU_AMX)
		return &attention_avx512_amx;
	if (precision == PRECISION_BF16 && cpu_features() & CPU_BF16)
		return &attention_avx512_bf16;
#else
	(void)precision;
#endif
	return CPU_BEST(&attention);
}

struct attention_state {
	struct attention_geometry g;
	void (*run)(const struct attention_job *j);
	int64_t blocks, rows; /* of the queries of one head */
	int64_t mask_stride[3]; /* batch, head, row */
	int64_t element;
};

/* Elements before the first row of head h, and from one row to the next. */
static void place(bool packed, int64_t heads, int64_t len, int64_t size, int64_t b, int64_t h,
	int64_t *at, int64_t *row)
{
	*row = packed ? heads * size : size;
	*at = packed ? (b * len * heads + h) * size : (b * heads + h) * len * size;
}

/* Past and new rows of one head behind each other. */
static void
write_present(const struct attention_state *s, const struct tensor *out, int64_t size, int64_t at,
	const void *const part[2], const int64_t part_row[2])
{
	int64_t past = s->g.past_len, keys = attention_keys(&s->g), e = s->element;
	char *to = (char *)out->data + at * keys * size * e;
	for (int64_t k = 0; k < keys; k++, to += size * e) {
		int which = k >= past;
		memcpy(to, (const char *)part[which] + (which ? k - past : k) * part_row[which] * e,
			(size_t)(size * e));
	}
}

/* Where keys or values of head h lie. */
static void place_parts(const struct kernel_args *a, const struct attention_state *s, int past_in,
	int64_t size, int64_t b, int64_t h, const void *part[2], int64_t row[2])
{
	const struct attention_geometry *g = &s->g;
	int64_t at;
	place(g->packed, g->kv_heads, g->kv_len, size, b, h, &at, &row[1]);
	part[1] = (const char *)a->in[past_in - ATTENTION_PAST_K + ATTENTION_K].data +
		  at * s->element;
	place(false, g->kv_heads, g->past_len, size, b, h, &at, &row[0]);
	part[0] = args_has_in(a, past_in) ? (const char *)a->in[past_in].data + at * s->element
					  : NULL;
}

static int64_t valid_keys(
	const struct kernel_args *a, const struct attention_geometry *g, int64_t b)
{
	int64_t keys = attention_keys(g);
	if (!args_has_in(a, ATTENTION_LENGTHS))
		return keys;
	int64_t n = ((const int64_t *)a->in[ATTENTION_LENGTHS].data)[b];
	if (n >= 0 && n <= keys)
		return n;
	kernel_fault(a, FAULT_VALUE, n);
	return 0;
}

static void set_mask(const struct kernel_args *a, const struct attention_state *s, int64_t b,
	int64_t h, int64_t first, struct attention_job *j)
{
	const struct tensor *m = &a->in[ATTENTION_MASK];
	if (!args_has_in(a, ATTENTION_MASK))
		return;
	int64_t at = b * s->mask_stride[0] + h * s->mask_stride[1] + first * s->mask_stride[2];
	j->mask_is_bool = m->dtype == DTYPE_BOOL;
	j->mask = (const char *)m->data + at * (int64_t)dtype_bytes(m->dtype);
	j->mask_row = s->mask_stride[2];
	j->mask_keys = m->shape.dim[m->shape.rank - 1];
}

static void run_unit(const struct kernel_args *a, const struct attention_state *s, int64_t unit)
{
	const struct attention_geometry *g = &s->g;
	int64_t first = unit % s->blocks * s->rows, keys = attention_keys(g), at;
	int64_t h = unit / s->blocks % g->q_heads, b = unit / s->blocks / g->q_heads;
	int64_t group = g->q_heads / g->kv_heads, kv = h / group;
	struct attention_job j = { .rows = min_i64(s->rows, g->q_len - first), .head = g->head,
		.v_head = g->v_head, .keys = keys, .past = g->past_len, .scale = g->scale,
		.softcap = g->softcap, .causal = g->causal, .position = g->past_len + first,
		.valid = valid_keys(a, g, b), .mode = g->mode, .scratch = a->scratch };
	place(g->packed, g->q_heads, g->q_len, g->head, b, h, &at, &j.q_row);
	j.q = (const char *)a->in[ATTENTION_Q].data + (at + first * j.q_row) * s->element;
	place(g->packed, g->q_heads, g->q_len, g->v_head, b, h, &at, &j.out_row);
	j.out = (char *)a->out[ATTENTION_Y].data + (at + first * j.out_row) * s->element;
	place_parts(a, s, ATTENTION_PAST_K, g->head, b, kv, j.k, j.k_row);
	place_parts(a, s, ATTENTION_PAST_V, g->v_head, b, kv, j.v, j.v_row);
	set_mask(a, s, b, h, first, &j);
	if (args_has_out(a, ATTENTION_SCORES)) {
		at = ((b * g->q_heads + h) * g->q_len + first) * keys;
		j.scores = (char *)a->out[ATTENTION_SCORES].data + at * s->element;
		j.scores_row = keys;
	}
	s->run(&j);
	if (first > 0 || h % group)
		return;
	if (args_has_out(a, ATTENTION_PRESENT_K))
		write_present(s, &a->out[ATTENTION_PRESENT_K], g->head, b * g->kv_heads + kv, j.k,
			j.k_row);
	if (args_has_out(a, ATTENTION_PRESENT_V))
		write_present(s, &a->out[ATTENTION_PRESENT_V], g->v_head, b * g->kv_heads + kv, j.v,
			j.v_row);
}

static void run_attention(const struct kernel_args *a, int64_t begin, int64_t end)
{
	for (int64_t unit = begin; unit < end; unit++)
		run_unit(a, a->state, unit);
}

/* -- prepare --------------------------------------------------------------------------------- */

static void set_mask_strides(const struct prep *p, struct attention_state *s)
{
	const struct shape *m = &p->in[ATTENTION_MASK].shape;
	int64_t stride[4];
	if (!prep_has_in(p, ATTENTION_MASK))
		return;
	struct shape to = shape_of(s->g.batch, s->g.q_heads, s->g.q_len, m->dim[m->rank - 1]);
	shape_broadcast_strides(m, &to, stride);
	memcpy(s->mask_stride, stride, sizeof(s->mask_stride));
}

static enum err_code attention_state(struct prep *p, struct kernel *ret, double flops_per_ns,
	struct attention_state **ret_state, struct err *err)
{
	struct shape in[ATTENTION_INPUTS_];
	struct attention_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	for (int i = 0; i < ATTENTION_INPUTS_; i++)
		in[i] = prep_has_in(p, i) ? p->in[i].shape : SHAPE_UNKNOWN;
	TRY(attention_geometry(p->node, in, &s->g, err));
	for (int i = ATTENTION_K; i <= ATTENTION_PAST_V; i++)
		if (prep_has_in(p, i) && p->in[i].dtype != p->in[0].dtype &&
			p->in[i].dtype != DTYPE_BOOL)
			return prep_refuse(err, "the inputs are not of one type");
	const struct attention_geometry *g = &s->g;
	s->element = (int64_t)dtype_bytes(p->in[0].dtype);
	set_mask_strides(p, s);
	s->blocks = max_i64((g->q_len + ATTENTION_ROWS - 1) / ATTENTION_ROWS, 1);
	s->rows = max_i64((g->q_len + s->blocks - 1) / s->blocks, 1);
	ret->units = g->batch * g->q_heads * s->blocks;
	if (g->kv_heads == 0)
		ret->units = 0;
	ret->unit_cost_ns = (int64_t)((double)(s->rows * (g->head + g->v_head)) *
				      (double)attention_keys(g) * 2 / flops_per_ns) + 100;
	ret->run = run_attention;
	*ret_state = s;
	return ERR_OK;
}

enum err_code prepare_attention_blocked(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct attention_loop *loop = attention_for(p->precision);
	struct attention_state *s;
	if (p->n_out > ATTENTION_SCORES && p->out[ATTENTION_SCORES].shape.rank != RANK_UNKNOWN)
		return prep_refuse(err, "the scores are the reference's to show");
	TRY(attention_state(p, ret, 50, &s, err));
	s->run = loop->run;
	ret->scratch_bytes = loop->scratch_bytes(s->g.head, s->g.v_head);
	return ERR_OK;
}

enum err_code prepare_attention(struct prep *p, struct kernel *ret, struct err *err)
{
	struct attention_state *s;
	TRY(attention_state(p, ret, 1, &s, err));
	s->run = p->in[0].dtype == DTYPE_F64 ? ref_f64 : ref_f32;
	ret->scratch_bytes = (size_t)attention_keys(&s->g) * sizeof(double);
	return ERR_OK;
}
