/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attention.c -- Attention by cuDNN, or as two batches of products with a softmax between
 *
 * float16 and bfloat16 go to the library's fused attention, which never writes the scores
 * to memory; that a query sees no later keys is a mask there. Floats compute
 * scores in the scratch, make weights of them in place, and multiply again: of
 * [batch, heads, length, size] all at once, the heads that share keys as further rows; of
 * [batch, length, heads * size] once per batch and per head that shares keys.
 *
 * NOT DONE: keys of the past, lengths: attention_rows.c does those; scores that are shown: the
 * host.
 */
#include "exec/gpu/nn/attention_plan.h"

#include "base/checked.h"
#include "exec/gpu/params.h"
#include "exec/gpu/nn/present.h"
#include "exec/gpu/matmul/product.h"

#define LATER_MAX (INT64_C(1) << 24) /* elements of a mask that we make */

/* -- what both ways need ----------------------------------------------------------------------- */

/* Columns of something wider are Q, K and V alone, packed ones that nothing else is made of. */
static bool columns_fit(const struct prep *p, const struct attention_geometry *g)
{
	bool columns = false, good = g->packed;
	for (int i = 0; i < p->n_in; i++)
		if (gpu_has_in(p, i) && p->in[i].layout == LAYOUT_COLUMNS) {
			columns = true;
			good &= i <= ATTENTION_V;
		}
	for (int i = ATTENTION_PRESENT_K; i <= ATTENTION_PRESENT_V && i < p->n_out; i++)
		good &= p->out[i].shape.rank == RANK_UNKNOWN;
	return good || !columns;
}

static enum err_code read_geometry(
	const struct prep *p, struct attention_geometry *ret, struct err *err)
{
	struct shape in[ATTENTION_INPUTS_];
	for (int i = 0; i < ATTENTION_INPUTS_; i++)
		in[i] = gpu_has_in(p, i) ? p->in[i].shape : SHAPE_UNKNOWN;
	TRY(attention_geometry(p->node, in, ret, err));
	if (p->n_out > ATTENTION_SCORES && p->out[ATTENTION_SCORES].shape.rank != RANK_UNKNOWN)
		return prep_refuse(err, "the scores are asked for");
	if (ret->past_len > 0 || gpu_has_in(p, ATTENTION_LENGTHS))
		return prep_refuse(err, "past keys, or lengths");
	if (p->in[ATTENTION_V].dtype != p->in[0].dtype || tensor_count(&p->out[0]) == 0 ||
		ret->kv_len == 0 || ret->head == 0)
		return prep_refuse(err, "values of another type, or nothing to do");
	return columns_fit(p, ret) ? ERR_OK : prep_refuse(err, "columns that have to be plain");
}

/* Elements from one place of the length to the next, of Q, K, V or the result; 0: its heads are
   not packed. */
static int64_t pitch_of(const struct attention_geometry *g, const struct tensor *t)
{
	if (!g->packed)
		return 0;
	return t->layout == LAYOUT_COLUMNS ? t->pitch : t->shape.dim[t->shape.rank - 1];
}

/* Strides of the mask as [batch, heads, queries, its last dimension]. */
static void mask_strides(const struct prep *p, const struct attention_geometry *g, int64_t *ret)
{
	const struct shape *m = &p->in[ATTENTION_MASK].shape;
	struct shape to = shape_of(g->batch, g->q_heads, g->q_len, m->dim[m->rank - 1]);
	shape_broadcast_strides(m, &to, ret);
}

/* -- the library's ----------------------------------------------------------------------------- */

struct sdpa_state {
	struct dnn_plan *plan;
	struct present present;
	void *later; /* a mask of the keys behind each query, on the device; NULL: none */
	float scale;
	bool mask;
};

static void run_sdpa(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct sdpa_state *s = a->state;
	uintptr_t scratch = ((uintptr_t)a->scratch + PRODUCT_WORKSPACE_ALIGN - 1) &
		~(uintptr_t)(PRODUCT_WORKSPACE_ALIGN - 1);
	struct dnn_binding b = { 5 + s->mask,
		{ SDPA_Q, SDPA_K, SDPA_V, SDPA_Y, SDPA_SCALE, SDPA_MASK },
		{ a->in[ATTENTION_Q].data, a->in[ATTENTION_K].data, a->in[ATTENTION_V].data,
			a->out[0].data, (void *)&s->scale,
			s->later  ? s->later
			: s->mask ? a->in[ATTENTION_MASK].data
				  : NULL },
		(void *)scratch };
	dnn_run(s->plan, a, gpu_lane_dnn(a->device->lane), &b);
	present_run(&s->present, a);
}

/* pitch: of packed ones, elements from one place of the length to the next; 0: they
   are not packed. */
static struct sdpa_tensor sdpa_tensor(
	int64_t pitch, int64_t batch, int64_t heads, int64_t len, int64_t size)
{
	struct sdpa_tensor t = { { batch, heads, len, size },
		{ heads * len * size, len * size, size, 1 } };
	if (pitch) {
		t.stride[0] = len * pitch;
		t.stride[1] = size;
		t.stride[2] = pitch;
	}
	return t;
}

static struct sdpa_tensor sdpa_operand(const struct attention_geometry *g, const struct tensor *t,
	int64_t heads, int64_t len, int64_t size)
{
	return sdpa_tensor(pitch_of(g, t), g->batch, heads, len, size);
}

struct later_key {
	const void *place;
	int64_t q_len, kv_len, dtype;
};

/* With dimensions of 1 where it broadcasts. */
static struct sdpa_tensor sdpa_mask(const struct prep *p)
{
	struct sdpa_tensor t = { { 1, 1, 1, 1 }, { 1, 1, 1, 1 } };
	const struct shape *m = &p->in[ATTENTION_MASK].shape;
	int64_t step = 1;
	for (int d = 3; d >= 0; d--) {
		int own = m->rank - 4 + d;
		t.dim[d] = own >= 0 ? m->dim[own] : 1;
		t.stride[d] = step;
		step *= t.dim[d];
	}
	return t;
}

/* The lowest number for keys behind the query, of which each sees its own place's at least. */
static void fill_later(void *dst, void *ctx)
{
	const struct later_key *k = ctx;
	uint16_t *m = dst, lowest = k->dtype == DTYPE_F16 ? 0xfbff : 0xff7f;
	for (int64_t q = 0; q < k->q_len; q++)
		for (int64_t i = q + 1; i < k->kv_len; i++)
			m[q * k->kv_len + i] = lowest;
}

static enum err_code mask_later(struct prep *p, const struct attention_geometry *g,
	struct sdpa_spec *s, struct sdpa_state *st, struct err *err)
{
	static const char place; /* where no tensor lies */
	struct later_key key = { &place, g->q_len, g->kv_len, (int64_t)p->in[0].dtype };
	if (gpu_has_in(p, ATTENTION_MASK) || g->q_len * g->kv_len > LATER_MAX)
		return prep_refuse(err, "causal with a mask besides, or of so many keys");
	s->mask = sdpa_tensor(0, 1, 1, g->q_len, g->kv_len);
	return gpu_pack(p, &key, sizeof(key), (size_t)(g->q_len * g->kv_len) * sizeof(uint16_t),
		fill_later, &key, &st->later, err);
}

enum err_code gpu_prepare_sdpa(struct prep *p, struct kernel *ret, struct err *err)
{
	struct attention_geometry g;
	TRY(read_geometry(p, &g, err));
	bool mask = gpu_has_in(p, ATTENTION_MASK);
	if (g.softcap > 0 || g.head > 128 || g.v_head > 128 ||
		(mask &&
			(p->in[ATTENTION_MASK].dtype != p->in[0].dtype ||
				p->in[ATTENTION_MASK].shape.dim[p->in[ATTENTION_MASK].shape.rank -
					1] != g.kv_len)))
		return prep_refuse(err, "not the plain form");
	struct sdpa_spec s = { .backend = p->backend, .dtype = (int64_t)p->in[0].dtype,
		.q = sdpa_operand(&g, &p->in[ATTENTION_Q], g.q_heads, g.q_len, g.head),
		.k = sdpa_operand(&g, &p->in[ATTENTION_K], g.kv_heads, g.kv_len, g.head),
		.v = sdpa_operand(&g, &p->in[ATTENTION_V], g.kv_heads, g.kv_len, g.v_head),
		.y = sdpa_operand(&g, &p->out[0], g.q_heads, g.q_len, g.v_head) };
	if (mask)
		s.mask = sdpa_mask(p);
	struct sdpa_state *st = gpu_state(p, ret, sizeof(*st));
	if (!st)
		return err_oom(err);
	if (g.causal)
		TRY(mask_later(p, &g, &s, st, err));
	TRY(sdpa_plan(p, &s, &st->plan, err));
	st->scale = (float)g.scale;
	st->mask = mask || st->later;
	ret->scratch_bytes = dnn_workspace_bytes(st->plan) + PRODUCT_WORKSPACE_ALIGN;
	ret->run = run_sdpa;
	return present_prepare(&st->present, p, &g, err);
}

/* -- products ---------------------------------------------------------------------------------- */

struct attention_state {
	struct product scores, values;
	struct present present;
	struct gpu_attention weights;
	struct gpu_launch launch;
	int64_t batches, sharing; /* calls */
	/* Bytes from one call to the next, per batch and per head that shares keys. */
	int64_t q[2], k[2], v[2], y[2], s[2];
	size_t workspace_at;
};

static const void *in_call(const void *mem, const int64_t *step, int64_t batch, int64_t share)
{
	return (const char *)mem + batch * step[0] + share * step[1];
}

static void multiply(const struct kernel_args *a, const struct attention_state *s,
	bool scores_first, char *scratch)
{
	struct product_at at = { .workspace = scratch + s->workspace_at };
	for (int64_t b = 0; b < s->batches; b++)
		for (int64_t i = 0; i < s->sharing; i++) {
			void *scores = (void *)in_call(scratch, s->s, b, i);
			at.a = scores_first ? in_call(a->in[ATTENTION_Q].data, s->q, b, i) : scores;
			at.b = scores_first ? in_call(a->in[ATTENTION_K].data, s->k, b, 0)
					    : in_call(a->in[ATTENTION_V].data, s->v, b, 0);
			at.d = scores_first ? scores : (void *)in_call(a->out[0].data, s->y, b, i);
			product_run(scores_first ? &s->scores : &s->values, a, &at);
		}
}

static void run_attention(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct attention_state *s = a->state;
	char *scratch = product_workspace(a);
	void *mask = s->weights.mask == GPU_MASK_NONE ? NULL : a->in[ATTENTION_MASK].data;
	void *params[] = { (void *)&s->weights, &scratch, &mask };
	multiply(a, s, true, scratch);
	gpu_launch(a, &s->launch, params);
	multiply(a, s, false, scratch);
	present_run(&s->present, a);
}

/* Addresses of calls and of the batch are multiples of it. */
static uint32_t alignment(const int64_t *steps, int64_t inner_bytes)
{
	uint64_t bits = (uint64_t)(steps[0] | steps[1] | inner_bytes) | PRODUCT_ALIGN_MAX;
	return (uint32_t)(bits & -bits);
}

/* One of the four: its calls' steps, and what a call's batch is. */
struct placing {
	int64_t steps[2]; /* in bytes */
	struct product_matrix m;
};

/* Of x; sharing: how many heads one call's matrix is from the next; pitch: as pitch_of() has it. */
static struct placing place(const struct attention_state *s, int64_t pitch, int64_t len,
	int64_t size, int64_t sharing)
{
	int64_t e = sizeof(float);
	struct placing r = { .m = { .ld = size, .step = sharing * len * size } };
	if (pitch) {
		r.steps[0] = len * pitch * e;
		r.steps[1] = size * e;
		r.m = (struct product_matrix){ .ld = pitch, .step = sharing * size };
	}
	if (s->batches == 1)
		r.steps[0] = 0;
	if (s->sharing == 1)
		r.steps[1] = 0;
	r.m.align = alignment(r.steps, r.m.step * e);
	return r;
}

static void set_steps(int64_t to[2], const struct placing *from)
{
	to[0] = from->steps[0];
	to[1] = from->steps[1];
}

static enum err_code prepare_products(struct prep *p, const struct attention_geometry *g,
	struct attention_state *s, size_t *ret_workspace, struct err *err)
{
	int64_t group = g->q_heads / g->kv_heads, keys = g->kv_len;
	bool packed = g->packed;
	s->batches = packed ? g->batch : 1;
	s->sharing = packed ? group : 1;
	struct placing q = place(s, pitch_of(g, &p->in[ATTENTION_Q]), g->q_len, g->head, group);
	struct placing k = place(s, pitch_of(g, &p->in[ATTENTION_K]), keys, g->head, 1);
	struct placing v = place(s, pitch_of(g, &p->in[ATTENTION_V]), keys, g->v_head, 1);
	struct placing y = place(s, pitch_of(g, &p->out[0]), g->q_len, g->v_head, group);
	struct placing x = place(s, 0, g->q_len, keys, group);
	x.steps[0] = s->batches > 1 ? g->q_heads * g->q_len * keys * (int64_t)sizeof(float) : 0;
	x.steps[1] = s->sharing > 1 ? g->q_len * keys * (int64_t)sizeof(float) : 0;
	x.m.align = alignment(x.steps, x.m.step * (int64_t)sizeof(float));
	set_steps(s->q, &q);
	set_steps(s->k, &k);
	set_steps(s->v, &v);
	set_steps(s->y, &y);
	set_steps(s->s, &x);
	k.m.transposed = true;
	struct product_spec spec = { .m = packed ? g->q_len : group * g->q_len, .n = keys,
		.k = g->head, .batch = packed ? g->kv_heads : g->batch * g->kv_heads,
		.dtype = DTYPE_F32, .alpha = (float)g->scale, .matrix = { q.m, k.m, x.m, x.m } };
	TRY(product_prepare(p, &spec, &s->scores, ret_workspace, err));
	spec.n = g->v_head;
	spec.k = keys;
	spec.alpha = 1;
	spec.matrix[PRODUCT_A] = x.m;
	spec.matrix[PRODUCT_B] = v.m;
	spec.matrix[PRODUCT_C] = spec.matrix[PRODUCT_D] = y.m;
	return product_prepare(p, &spec, &s->values, ret_workspace, err);
}

static enum err_code set_weights(const struct prep *p, const struct attention_geometry *g,
	struct attention_state *s, struct err *err)
{
	struct gpu_attention *w = &s->weights;
	int64_t rows = g->batch * g->q_heads * g->q_len, stride[4];
	*w = (struct gpu_attention){ .keys = (int32_t)g->kv_len, .seen = (int32_t)g->kv_len,
		.q_len = (int32_t)g->q_len, .heads = (int32_t)g->q_heads, .causal = g->causal,
		.softcap = (float)g->softcap };
	if (rows > INT32_MAX || g->kv_len > INT32_MAX)
		return prep_refuse(err, "so many queries or keys");
	if (gpu_has_in(p, ATTENTION_MASK)) {
		const struct tensor *m = &p->in[ATTENTION_MASK];
		mask_strides(p, g, stride);
		w->mask = m->dtype == DTYPE_BOOL ? GPU_MASK_BOOL : GPU_MASK_ADDED;
		w->seen = (int32_t)m->shape.dim[m->shape.rank - 1];
		for (int i = 0; i < 3; i++)
			w->mask_stride[i] = stride[i];
	}
	s->launch = (struct gpu_launch){ .grid = { (unsigned)rows, 1, 1 },
		.block = { GPU_ATTENTION_THREADS, 1, 1 } };
	return gpu_function(gpu_of(p->backend), "attention_weights_f32", &s->launch.fn, err);
}

enum err_code gpu_prepare_attention(struct prep *p, struct kernel *ret, struct err *err)
{
	struct attention_geometry g;
	size_t workspace = 0, scores;
	TRY(read_geometry(p, &g, err));
	struct attention_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	struct shape all = shape_of(g.batch, g.q_heads, g.q_len, g.kv_len);
	if (tensor_bytes_overflow(DTYPE_F32, &all, &scores))
		return prep_refuse(err, "so many scores");
	TRY(set_weights(p, &g, s, err));
	TRY(prepare_products(p, &g, s, &workspace, err));
	s->workspace_at = round_up(scores, PRODUCT_WORKSPACE_ALIGN);
	ret->scratch_bytes = s->workspace_at + workspace + PRODUCT_WORKSPACE_ALIGN;
	ret->run = run_attention;
	return present_prepare(&s->present, p, &g, err);
}
