/* SPDX-License-Identifier: Apache-2.0 */
/* The fast convolutions, oneDNN's and ours, against the definition, written out as loops. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include "exec/attrs.h"
#include "exec/infer/conv_geometry.h"
#include "exec/cpu/cpu.h"
#include "exec/cpu/ncopy.h"
#include "exec/cpu/conv/conv_job.h"
#include "exec/infer/infer.h"
#include "exec/packs.h"
#include "support/models.h"
#include "unit/cpu/conv_cases.h"

static double activate(enum activation act, double v)
{
	switch (act) {
	case ACT_RELU: return fmax(v, 0);
	case ACT_LEAKY_RELU: return v < 0 ? 0.25 * v : v;
	case ACT_CLIP: return fmin(fmax(v, 0.25), 0.5);
	case ACT_SIGMOID: return 1 / (1 + exp(-v));
	case ACT_TANH: return tanh(v);
	case ACT_HARD_SIGMOID: return fmin(fmax(0.25 * v + 0.5, 0), 1);
	case ACT_HARD_SWISH: return v * fmin(fmax(v / 6 + 0.5, 0), 1);
	case ACT_SWISH: return v / (1 + exp(-0.25 * v));
	case ACT_GELU: return 0.5 * v * (1 + erf(v / sqrt(2)));
	case ACT_GELU_TANH:
		return 0.5 * v * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
	default: return v;
	}
}

static const float *floats(const struct tensor *t)
{
	return t->data;
}

/* One output of the definition, before bias, sum and activation. */
static double conv_at(const struct conv_case *c, const struct conv_geometry *g,
	const struct tensor *in, int64_t n, int64_t oc, int64_t y, int64_t x)
{
	int64_t icg = c->ic / c->group, ocg = c->oc / c->group, group = oc / ocg;
	int s0 = c->line ? -1 : 0, s1 = c->line ? 0 : 1;
	double sum = 0;
	for (int64_t i = 0; i < icg; i++)
		for (int64_t ky = 0; ky < c->kh; ky++)
			for (int64_t kx = 0; kx < c->kw; kx++) {
				int64_t py = y - ky * c->dilation, px = x - kx * c->dilation;
				if (c->transposed) {
					py += s0 < 0 ? 0 : g->pad_begin[s0];
					px += g->pad_begin[s1];
					if (py % c->stride || px % c->stride)
						continue;
					py /= c->stride;
					px /= c->stride;
				} else {
					py = s0 < 0 ? 0
						    : y * c->stride + ky * c->dilation -
							      g->pad_begin[s0];
					px = x * c->stride + kx * c->dilation - g->pad_begin[s1];
				}
				if (py < 0 || py >= c->h || px < 0 || px >= c->w)
					continue;
				int64_t ic = group * icg + i;
				int64_t at = c->transposed ? ic * ocg + oc % ocg : oc * icg + i;
				sum += (double)floats(
					       &in[0])[((n * c->ic + ic) * c->h + py) * c->w + px] *
				       (double)floats(&in[1])[(at * c->kh + ky) * c->kw + kx];
			}
	return sum;
}

static struct graph *given_graph(const struct conv_case *c)
{
	struct graph *g = model_new();
	struct shape x = shape_of(c->n, c->ic, c->h, c->w),
		     w = shape_of(c->oc, c->ic / c->group, c->kh, c->kw);
	if (c->transposed)
		w = shape_of(c->ic, c->oc / c->group, c->kh, c->kw);
	if (c->line) {
		x = shape_of(c->n, c->ic, c->w);
		w = shape_of(c->oc, c->ic / c->group, c->kw);
	}
	/* Inputs are constants, so that they have data; the kernel only asks for W's. */
	int32_t in[4] = { model_floats(g, x, NULL), model_floats(g, w, NULL), VALUE_NONE,
		VALUE_NONE };
	if (c->bias)
		in[2] = model_floats(g, shape_of(c->oc), NULL);
	model_output(g, model_node(g, c->transposed ? OP_CONV_TRANSPOSE : OP_FUSED_CONV, 1,
				c->bias ? 3 : 2, in));
	model_attr_int(g, "group", c->group);
	int n = c->line ? 1 : 2;
	model_attr_ints(g, "strides", n, (int64_t[]){ c->stride, c->stride });
	model_attr_ints(g, "dilations", n, (int64_t[]){ c->dilation, c->dilation });
	model_attr_ints(g, "pads", 2 * n, c->line ? (int64_t[]){ c->pad[1], c->pad[1] } : c->pad);
	if (!c->transposed) {
		model_attr_int(g, "activation", c->act);
		model_attr_float(g, "alpha", 0.25f);
		model_attr_float(g, "beta", 0.5f);
	}
	return g;
}

/* t in another layout, in memory of its own. */
static struct tensor copied(struct graph *g, const struct tensor *t, enum layout layout)
{
	struct tensor to = *t;
	to.layout = layout;
	to.data = arena_alloc_aligned(g->arena, tensor_bytes(t), 64);
	struct err err;
	struct kernel k;
	struct prep p = { .in = t, .out = &to, .n_in = 1, .n_out = 1, .threads = 1,
		.arena = g->arena, .tmp = g->arena };
	ck_assert_int_eq(prepare_copy(&p, &k, &err), ERR_OK);
	k.run(&(struct kernel_args){ .in = t, .out = &to, .n_in = 1, .n_out = 1, .state = k.state },
		0, k.units);
	return to;
}

static struct tensor filled(struct graph *g, const struct shape *s)
{
	struct tensor t = { .dtype = DTYPE_F32, .shape = *s };
	float *v = arena_alloc_aligned(g->arena, tensor_bytes(&t), 64);
	for (int64_t i = 0; i < tensor_count(&t); i++)
		v[i] = (float)(i * 7 % 23) / 23 - 0.5f;
	t.data = v;
	return t;
}

/* Small numbers: they and Winograd's points of them fit in the eight bits of bfloat16. */
static void make_small(const struct tensor *t)
{
	float *v = t->data;
	for (int64_t i = 0; i < tensor_count(t); i++)
		v[i] = (float)(i * 7 % 5 - 2);
}

static void make_wild(const struct tensor *t)
{
	float *v = t->data;
	for (int64_t i = 5; i < tensor_count(t); i += 53 + tensor_count(t) / 4)
		v[i] = i % 3 == 0 ? INFINITY : i % 3 == 1 ? -INFINITY : NAN;
}

static bool is_close(double want, double got, double tolerance)
{
	if (!isfinite(want))
		return isnan(want) ? isnan(got) : got == want;
	return fabs(want - got) < tolerance * (1 + fabs(want));
}

static void then_equals_definition(const struct conv_case *c, const struct conv_geometry *g,
	const struct tensor *in, const float *sum, const float *got)
{
	int64_t oh = c->line ? 1 : g->out[0], ow = c->line ? g->out[0] : g->out[1], at = 0;
	double tolerance = c->kept ? 0x1p-8 : c->rounds ? 1e-3 : 1e-4;
	for (int64_t n = 0; n < c->n; n++)
		for (int64_t oc = 0; oc < c->oc; oc++)
			for (int64_t y = 0; y < oh; y++)
				for (int64_t x = 0; x < ow; x++, at++) {
					double want = conv_at(c, g, in, n, oc, y, x);
					want += c->bias ? (double)floats(&in[2])[oc] : 0;
					want = activate(c->act, want + (sum ? (double)sum[at] : 0));
					ck_assert_msg(is_close(want, (double)got[at], tolerance),
						"image %d, channel %d, row %d, column %d: %g, not "
						"%g",
						(int)n, (int)oc, (int)y, (int)x, (double)got[at],
						want);
				}
}

static enum layout image_layout(const struct conv_case *c, int64_t channels, const struct shape *s)
{
	enum layout layout = conv_layout(channels);
	bool kept = c->kept && layout == LAYOUT_NCHW16C && shape_count_range(s, 2, 4) > 1;
	return kept ? LAYOUT_NCHW16C_BF16 : layout;
}

static void check_case(const struct conv_case *c, prepare_fn prepare, bool inplace)
{
	struct err err;
	if (c->nhwc && !(cpu_features() & CPU_AVX512))
		return; /* the row needs it */
	struct graph *g = given_graph(c);
	const struct node *n = &g->node[0];
	ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	struct tensor in[4], out = { .dtype = DTYPE_F32, .shape = g->value[n->out[0]].shape };
	for (int i = 0; i < 4; i++)
		in[i] = i < n->n_in ? *g->value[n->in[i]].constant
				    : (struct tensor){ .shape = SHAPE_UNKNOWN };
	for (int i = 0; i < 2 && c->bf16; i++)
		make_small(&in[i]);
	if (c->wild)
		make_wild(&in[0]);
	struct tensor z = filled(g, &out.shape);
	struct tensor x = in[0];
	enum layout blocked = image_layout(c, c->oc, &out.shape);
	if (c->kept)
		make_small(&z);
	if (c->blocked)
		x = copied(g, &in[0], image_layout(c, c->ic, &x.shape));
	struct tensor given[4] = { x, in[1], in[2], in[3] };
	if (c->sum)
		given[3] = copied(g, &z, c->blocked ? blocked : LAYOUT_PLAIN);
	struct packs *packs = packs_new();
	struct prep p = { .graph = g, .node = n, .in = given, .out = &out, .n_in = 4, .n_out = 1,
		.threads = c->threads, .arena = g->arena, .packs = packs, .tmp = g->arena,
		.precision = c->bf16 ? PRECISION_BF16 : PRECISION_FAST, .bf16_wanted = c->kept };
	struct kernel k = { .units = 1 };
	enum err_code rc = prepare(&p, &k, &err);
	ck_assert_msg(rc == ERR_OK, "%s", err.msg);
	/* A chain of convolutions never leaves the layout. */
	if (c->blocked && shape_count_range(&out.shape, 2, 4) > 1)
		ck_assert_int_eq(k.out_layout, blocked);
	if (c->threads > 1 && (c->blocked || c->nhwc))
		ck_assert_int_gt(k.units, 1);
	out.layout = k.out_layout;
	if (inplace && !(c->sum && k.inplace && given[3].layout == k.out_layout))
		goto done;
	out.data = inplace ? given[k.inplace_in].data
			   : arena_alloc_aligned(g->arena, tensor_bytes(&out), 64);
	struct kernel_args a = { .in = given, .out = &out, .n_in = 4, .n_out = 1, .state = k.state,
		.scratch = arena_alloc_aligned(g->arena, k.scratch_bytes + 1, 64) };
	for (int64_t u = 0; u < k.units; u++) /* as other threads would, unit by unit */
		k.run(&a, u, u + 1);

	struct conv_geometry geometry;
	rc = (c->transposed ? conv_transpose_geometry : conv_geometry)(
		n, &in[0].shape, &in[1].shape, &geometry, &err);
	ck_assert_int_eq(rc, ERR_OK);
	struct tensor plain = copied(g, &out, LAYOUT_PLAIN);
	then_equals_definition(c, &geometry, in, c->sum ? z.data : NULL, plain.data);
done:
	packs_free(packs);
	model_free(g);
}

static prepare_fn onednn(const struct conv_case *c)
{
	return c->transposed ? prepare_conv_transpose_onednn
	       : c->nhwc     ? prepare_conv_nhwc
			     : prepare_conv_onednn;
}

START_TEST(equals_the_definition)
{
	check_case(&cases[_i], onednn(&cases[_i]), false);
}
END_TEST

START_TEST(equals_the_definition_in_place)
{
	check_case(&cases[_i], onednn(&cases[_i]), true);
}
END_TEST

START_TEST(equals_the_definition_without_avx512)
{
	cpu_features_limit(CPU_AVX2);
	check_case(&cases[_i], onednn(&cases[_i]), false);
	cpu_features_limit(~0u);
}
END_TEST

/* Our own on all that a processor may have, in place where that can be. */
static void check_own(const struct conv_case *c, prepare_fn prepare)
{
	check_case(c, prepare, false);
	check_case(c, prepare, true);
	cpu_features_limit(CPU_AVX2);
	check_case(c, prepare, false);
	cpu_features_limit(~0u);
}

START_TEST(tiles_equal_the_definition)
{
	check_own(&tiles_cases[_i], prepare_conv_tiles);
}
END_TEST

/* The same cases by products of bfloat16, also without AMX. */
static void check_bf16(const struct conv_case *from, prepare_fn prepare)
{
	struct conv_case c = *from;
	c.bf16 = true;
	for (int i = 0; i < 4; i++) {
		c.kept = i % 2;
		cpu_features_limit(i < 2 ? ~(unsigned)CPU_AMX : ~0u);
		check_case(&c, prepare, false);
		check_case(&c, prepare, true);
	}
}

START_TEST(bf16_tiles_equal_the_definition)
{
	check_bf16(&tiles_cases[_i], prepare_conv_tiles_bf16);
}
END_TEST

/* Odd windows of two pixels a slot: side by side, at every other pixel, with
   pixels between, alone. */
static const struct conv_case half_cases[] = {
	{ 1, 3, 11, 40, 32, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .threads = 1 },
	{ 2, 3, 21, 43, 64, 7, 7, 1, 2, 1, { 3, 3, 3, 3 }, .bias = true, .threads = 2 },
	{ 1, 3, 20, 44, 32, 5, 5, 1, 4, 1, { 0, 1, 2, 2 }, .blocked = true, .sum = true,
		.threads = 1 },
	{ 1, 2, 17, 41, 16, 3, 5, 1, 1, 2, { 2, 4, 2, 4 }, .threads = 1 },
	{ 1, 3, 9, 33, 32, 3, 1, 1, 1, 1, { 1, 0, 1, 0 }, .threads = 1 },
	{ 1, 300, 9, 21, 16, 3, 3, 1, 2, 1, { 1, 1, 1, 1 }, .threads = 1 }, /* sums in pieces */
};

START_TEST(bf16_windows_do_not_feel_what_is_beside_them)
{
	struct conv_case c = half_cases[_i];
	check_bf16(&c, prepare_conv_tiles_bf16);
	c.wild = true;
	check_bf16(&c, prepare_conv_tiles_bf16);
}
END_TEST

START_TEST(bf16_winograd_equals_the_definition)
{
	check_bf16(&winograd_cases[_i], prepare_conv_winograd_bf16);
}
END_TEST

START_TEST(transposed_tiles_equal_the_definition)
{
	check_own(&transposed_cases[_i], prepare_conv_transpose_tiles);
}
END_TEST

START_TEST(winograd_equals_the_definition)
{
	check_own(&winograd_cases[_i], prepare_conv_winograd);
}
END_TEST

START_TEST(rows_equal_the_definition)
{
	check_own(&rows_cases[_i], prepare_conv_rows);
}
END_TEST

START_TEST(strassen_equals_the_definition)
{
	check_own(&strassen_cases[_i], prepare_conv_strassen);
}
END_TEST

/* A tile without taps: its bias, clamped. */
static void check_clamp(const struct conv_vec *vec)
{
	float bias[TILE_VECS * 16] = { -1, NAN, 0.5f, 7, -INFINITY, INFINITY }, got[TILE_VECS * 16];
	struct conv_tile t = { .src = bias, .weights = bias, .ahead = bias, .bias = bias,
		.dst = got, .dst_pixel = vec->floats, .dst_block = vec->floats,
		.block = vec->floats, .last = true, .act = { .low = 0, .high = 6 } };
	vec->tile(&t, 1, TILE_VECS);
	static const float want[] = { 0, NAN, 0.5f, 6, 0, 6 };
	for (int i = 0; i < 6; i++)
		if (isnan(want[i]))
			ck_assert_float_nan(got[i]);
		else
			ck_assert_float_eq(got[i], want[i]);
}

START_TEST(tiles_clamp_and_let_nan_through)
{
#ifdef __x86_64__
	check_clamp(&conv_vec_avx2);
	if (cpu_features() & CPU_AVX512)
		check_clamp(&conv_vec_avx512);
	if (cpu_features() & CPU_BF16)
		check_clamp(&conv_vec_avx512_bf16);
#endif
}
END_TEST

static enum err_code prepare_in(const struct conv_case *c, prepare_fn prepare,
	enum precision precision, struct arena *const *trial, size_t *ret_scratch)
{
	struct err err;
	struct kernel k = { .units = 1 };
	struct graph *g = given_graph(c);
	const struct node *n = &g->node[0];
	ck_assert_int_eq(infer_graph(g, &err), ERR_OK);
	struct tensor in[2] = { *g->value[n->in[0]].constant, *g->value[n->in[1]].constant };
	struct tensor out = { .dtype = DTYPE_F32, .shape = g->value[n->out[0]].shape };
	in[0].layout = trial && !c->blocked ? LAYOUT_PLAIN : conv_layout(c->ic);
	struct packs *packs = packs_new();
	struct prep p = { .graph = g, .node = n, .in = in, .out = &out, .n_in = 2, .n_out = 1,
		.threads = (int)max_i64(c->threads, 1), .arena = g->arena, .packs = packs,
		.tmp = g->arena, .precision = precision, .trial = trial };
	enum err_code rc = prepare(&p, &k, &err);
	if (ret_scratch)
		*ret_scratch = k.scratch_bytes;
	packs_free(packs);
	model_free(g);
	return rc;
}

static enum err_code prepare_with(
	const struct conv_case *c, prepare_fn prepare, enum precision precision)
{
	return prepare_in(c, prepare, precision, NULL, NULL);
}

/* In a contest, as a rival. */
static enum err_code prepare_rival(const struct conv_case *c, prepare_fn prepare)
{
	struct arena *none[TRIAL_ARENAS] = { 0 };
	return prepare_in(c, prepare, PRECISION_FAST, none, NULL);
}

START_TEST(channels_last_compete_where_they_may_win)
{
	struct conv_case c = { 1, 64, 28, 28, 64, 1, 1, 1, 1, 1, { 0 }, .blocked = true };
	if (!(cpu_features() & CPU_AVX512))
		return; /* the row needs it */
	ck_assert_int_eq(prepare_rival(&c, prepare_conv_nhwc), ERR_UNIMPLEMENTED);
	ck_assert_int_eq(prepare_with(&c, prepare_conv_nhwc, PRECISION_FAST), ERR_OK);
	c.oc = 72; /* fills no block */
	ck_assert_int_eq(prepare_rival(&c, prepare_conv_nhwc), ERR_OK);
	c.oc = 64;
	c.blocked = false; /* comes plain */
	ck_assert_int_eq(prepare_rival(&c, prepare_conv_nhwc), ERR_OK);
	c.h = c.w = 4; /* short */
	ck_assert_int_eq(prepare_rival(&c, prepare_conv_nhwc), ERR_UNIMPLEMENTED);
}
END_TEST

/* A matrix product would keep columns in the scratch, several times the image. */
START_TEST(few_channels_need_no_matrix_product)
{
	struct conv_case c = { 1, 8, 12, 264, 8, 3, 39, 1, 1, 1, { 1, 19, 1, 19 }, .threads = 1 };
	size_t scratch = 0, image = 8 * 12 * 264 * sizeof(float);
	if (!(cpu_features() & CPU_AVX512))
		return; /* the library has no other code */
	ck_assert_int_eq(
		prepare_in(&c, prepare_conv_onednn, PRECISION_FAST, NULL, &scratch), ERR_OK);
	ck_assert_uint_lt(scratch, 4 * image);
}
END_TEST

START_TEST(what_rounds_otherwise_is_not_for_exact_results)
{
	struct conv_case c = { 1, 32, 9, 9, 32, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .threads = 1 };
	ck_assert_int_eq(
		prepare_with(&c, prepare_conv_winograd, PRECISION_EXACT), ERR_UNIMPLEMENTED);
	ck_assert_int_eq(prepare_with(&c, prepare_conv_tiles, PRECISION_EXACT), ERR_OK);
	ck_assert_int_eq(prepare_with(&rows_cases[0], prepare_conv_rows, PRECISION_EXACT),
		ERR_UNIMPLEMENTED);
	ck_assert_int_eq(prepare_with(&rows_cases[0], prepare_conv_rows, PRECISION_FAST), ERR_OK);
	ck_assert_int_eq(prepare_with(&strassen_cases[0], prepare_conv_strassen, PRECISION_EXACT),
		ERR_UNIMPLEMENTED);
	ck_assert_int_eq(
		prepare_with(&strassen_cases[0], prepare_conv_strassen, PRECISION_FAST), ERR_OK);
}
END_TEST

START_TEST(one_thread_or_few_weights_are_not_filtered_along_rows)
{
	struct conv_case alone = rows_cases[0], light = rows_cases[0];
	alone.threads = 1;
	light.oc = 48;
	ck_assert_int_eq(
		prepare_with(&alone, prepare_conv_rows, PRECISION_FAST), ERR_UNIMPLEMENTED);
	ck_assert_int_eq(
		prepare_with(&light, prepare_conv_rows, PRECISION_FAST), ERR_UNIMPLEMENTED);
}
END_TEST

START_TEST(bf16_is_for_those_who_ask_on_processors_that_have_it)
{
	struct conv_case c = { 1, 32, 9, 9, 32, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .threads = 1 };
	const prepare_fn rows[] = { prepare_conv_tiles_bf16, prepare_conv_winograd_bf16 };
	for (int i = 0; i < COUNT(rows); i++) {
		ck_assert_int_eq(prepare_with(&c, rows[i], PRECISION_FAST), ERR_UNIMPLEMENTED);
		cpu_features_limit(~(unsigned)CPU_BF16);
		ck_assert_int_eq(prepare_with(&c, rows[i], PRECISION_BF16), ERR_UNIMPLEMENTED);
		cpu_features_limit(~0u);
	}
}
END_TEST

#define CALLERS 4
#define CALLS 200

struct caller {
	pthread_t thread;
	const struct kernel *k;
	struct kernel_args a;
	struct tensor out;
};

static void *call_often(void *ctx)
{
	struct caller *c = ctx;
	for (int i = 0; i < CALLS; i++)
		c->k->run(&c->a, 0, c->k->units);
	return NULL;
}

START_TEST(many_threads_run_one_plan_at_once)
{
	struct conv_case c = { 1, 6, 12, 12, 20, 3, 3, 1, 1, 1, { 1, 1, 1, 1 }, .bias = true,
		.threads = 1 };
	struct err err;
	struct graph *g = given_graph(&c);
	ck_assert_int_eq(infer_graph(g, &err), ERR_OK);
	const struct node *n = &g->node[0];
	struct tensor in[3], out = { .dtype = DTYPE_F32, .shape = g->value[n->out[0]].shape };
	for (int i = 0; i < 3; i++)
		in[i] = *g->value[n->in[i]].constant;
	struct packs *packs = packs_new();
	struct prep p = { .graph = g, .node = n, .in = in, .out = &out, .n_in = 3, .n_out = 1,
		.threads = 1, .arena = g->arena, .packs = packs, .tmp = g->arena };
	struct kernel k = { .units = 1 };
	ck_assert_int_eq(prepare_conv_onednn(&p, &k, &err), ERR_OK);

	/* Inputs differ, so that a handle taken from another call shows. */
	struct caller callers[CALLERS];
	struct tensor x[CALLERS][3];
	for (int i = 0; i < CALLERS; i++) {
		memcpy(x[i], in, sizeof(in));
		x[i][0] = copied(g, &in[0], LAYOUT_PLAIN);
		for (int64_t e = 0; e < tensor_count(&in[0]); e++)
			((float *)x[i][0].data)[e] *= (float)(i + 1);
		callers[i].k = &k;
		callers[i].out = out;
		callers[i].out.data = arena_alloc_aligned(g->arena, tensor_bytes(&out), 64);
		callers[i].a = (struct kernel_args){ .in = x[i], .out = &callers[i].out, .n_in = 3,
			.n_out = 1, .state = k.state, .scratch = arena_alloc_aligned(
				g->arena, k.scratch_bytes + 1, 64) };
	}
	for (int i = 0; i < CALLERS; i++)
		ck_assert_int_eq(
			pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i].thread, NULL);

	struct conv_geometry geometry;
	ck_assert_int_eq(conv_geometry(n, &in[0].shape, &in[1].shape, &geometry, &err), ERR_OK);
	for (int i = 0; i < CALLERS; i++)
		then_equals_definition(&c, &geometry, x[i], NULL, callers[i].out.data);
	packs_free(packs);
	model_free(g);
}
END_TEST

Suite *suite_conv(void);
Suite *suite_conv(void)
{
	Suite *s = suite_create("conv");
	TCase *t = tcase_create("conv");
	if (cpu_features() & CPU_AVX2) {
		tcase_add_test(t, many_threads_run_one_plan_at_once);
		tcase_add_loop_test(t, equals_the_definition, 0, COUNT(cases));
		tcase_add_loop_test(t, equals_the_definition_in_place, 0, COUNT(cases));
		tcase_add_loop_test(t, equals_the_definition_without_avx512, 0, COUNT(cases));
		tcase_add_loop_test(t, tiles_equal_the_definition, 0, COUNT(tiles_cases));
		tcase_add_loop_test(
			t, transposed_tiles_equal_the_definition, 0, COUNT(transposed_cases));
		tcase_add_loop_test(t, winograd_equals_the_definition, 0, COUNT(winograd_cases));
		tcase_add_test(t, channels_last_compete_where_they_may_win);
		tcase_add_loop_test(t, rows_equal_the_definition, 0, COUNT(rows_cases));
		tcase_add_test(t, one_thread_or_few_weights_are_not_filtered_along_rows);
		tcase_add_loop_test(t, strassen_equals_the_definition, 0, COUNT(strassen_cases));
		tcase_add_test(t, few_channels_need_no_matrix_product);
		tcase_add_test(t, what_rounds_otherwise_is_not_for_exact_results);
		tcase_add_test(t, tiles_clamp_and_let_nan_through);
		tcase_add_test(t, bf16_is_for_those_who_ask_on_processors_that_have_it);
	}
	if (cpu_features() & CPU_BF16) {
		tcase_add_loop_test(t, bf16_tiles_equal_the_definition, 0, COUNT(tiles_cases));
		tcase_add_loop_test(
			t, bf16_windows_do_not_feel_what_is_beside_them, 0, COUNT(half_cases));
		tcase_add_loop_test(
			t, bf16_winograd_equals_the_definition, 0, COUNT(winograd_cases));
	}
	suite_add_tcase(s, t);
	return s;
}
