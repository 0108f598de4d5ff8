/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and FusedConv of single pixels by Strassen's products, on conv_vec.h
 *
 * DESIGN
 *
 * Each pixel and its neighbour, the lower and the upper half of the source's channels, a panel of
 * weights and the next one: that makes of the products matrices of two by two blocks, A times B. In
 * Winograd's form of Strassen's algorithm they take seven products of blocks instead of eight, of
 *
 *   S1 = A21 + A22    T1 = B12 - B11    and sums of products: U2 = P1 + P6    U3 = U2 + P7
 *   S2 = S1 - A11     T2 = B22 - T1       C11 = P1 + A12 B21    C12 = U2 + P5 + S4 B22
 *   S3 = A11 - A21    T3 = B22 - B12      C21 = U3 - A22 T4     C22 = U3 + P5
 *   S4 = A12 - S2     T4 = T2 - B21     where P1 = A11 B11, P5 = S1 T1, P6 = S2 T2, P7 = S3 T3.
 *
 * Sums of weights are made when they are packed, sums of pixels once per unit, and those of
 * products, tile by tile, go on from sums that rest in the nearest cache. So they cost 2 to 4 %
 * of what an eighth of the products does. Pairs are the same however the work is cut.
 *
 * Errors are a part of the largest element, as Winograd's filtering has them, not of each.
 *
 * A unit of work is some pairs of one image times a slice of the pairs of panels.
 *
 * NOT DONE: odd numbers of pixels and strides, which want a copy of the source. Product by product
 * over all tiles of a unit: weights then stay in the nearest cache, but sums do not, which costs
 * more.
 */
#include "exec/cpu/conv/conv_job.h"

#define FLOPS_PER_NS 230.0 /* as if of all products */
/* Of the source that a unit reads and of its sums, so that they stay near; or as many as of
   weights, which go by once for each unit. */
#define SRC_BYTES (256 << 10)
#define SRC_BYTES_MAX (1 << 20)
#define CHANNELS_MIN 128 /* with fewer on either side sums cost as much as they save */
#define PRODUCTS 7

/* -- the algorithm -------------------------------------------------------------------------- */

/* Sums of products that are wanted again. */
enum { NONE, P1, U2, U3, P5, RESTING };

/* clang-format off */
/* What a product is added to, where that rests, or which quarter of the result it is: of even or
   odd pixels, of the first or second panel. That of what rests is fetched. */
static const struct step {
	int from, also, rest;
	int odd, panel;
	bool of_sums; /* of pixels, on the left */
} steps[PRODUCTS + 1] = {
	{ NONE, NONE, P1,   0, 0, false }, /* A11 B11 */
	{ P1,   NONE, NONE, 0, 0, false }, /* A12 B21 */
	{ P1,   NONE, U2,   1, 0, true },  /* S2 T2 */
	{ U2,   NONE, U3,   0, 1, true },  /* S3 T3 */
	{ U3,   NONE, NONE, 1, 0, false }, /* A22 -T4 */
	{ NONE, NONE, P5,   1, 1, true },  /* S1 T1 */
	{ P5,   U2,   NONE, 0, 1, true },  /* S4 B22 */
	{ U3,   P5,   NONE, 1, 1, false }, /* no product */
};
/* clang-format on */

/* The right sides of the products. */
static void add_weights(double b11, double b12, double b21, double b22, double ret[PRODUCTS])
{
	double t1 = b12 - b11, t2 = b22 - t1, t3 = b22 - b12;
	const double right[PRODUCTS] = {b11, b21, t2, t3, b21 - t2, t1, b22};
	memcpy(ret, right, sizeof(right));
}

struct strassen_state {
	struct conv_job j;
	const struct strassen_vec *vec;
	int64_t area, pairs, parts,
		part_pairs;	/* of an image; it is cut into so many, the largest */
	int64_t blocks;		/* of half of the channels */
	int64_t panels, slices; /* pairs of panels, what they are cut into */
	int64_t panel_floats;	/* of weights, of a pair of panels */
	const float *packed, *bias;
	int64_t tap[]; /* of each block: in the image, then in sums */
};

/* -- run -------------------------------------------------------------------------------------- */

/* The left side of a product, from the unit's first pair on. */
struct operand {
	const float *first;
	int64_t pair; /* floats to the next one */
	const int64_t *tap;
};

struct unit {
	struct operand left[PRODUCTS];
	int64_t pair[2], panel[2]; /* from, to */
	float *dst;
	const float *sum;
};

/* Sums of pixels, and where all operands are. */
static void make_operands(
	const struct strassen_state *s, const float *src, float *sums, struct unit *u)
{
	int64_t v = s->j.vec->floats, next = s->blocks * s->part_pairs * v;
	const float *high = src + s->blocks * s->area * v;
	for (int64_t b = 0; b < s->blocks; b++)
		s->vec->add(&(struct strassen_pairs){.first = src + s->tap[b],
			.n = u->pair[1] - u->pair[0],
			.to_high = high - src,
			.to = sums + s->tap[s->blocks + b],
			.to_next = next});
	const float *const first[PRODUCTS] = {
		src, high, sums, sums + next, high + v, sums + 2 * next, sums + 3 * next};
	for (int i = 0; i < PRODUCTS; i++) {
		bool sum = steps[i].of_sums;
		u->left[i] =
			(struct operand){first[i], sum ? v : 2 * v, s->tap + (sum ? s->blocks : 0)};
	}
}

/* So many pairs and two panels: t says what they begin with. */
static void run_tile(const struct strassen_state *s, const struct unit *u,
	const struct conv_tile *t, int64_t pair, int pixels)
{
	_Alignas(64) __attribute__((uninitialized)) float rest[RESTING][TILE_FLOATS_MAX];
	int64_t v = s->j.vec->floats, width = job_panel(&s->j);
	struct conv_tile x = *t;
	for (int i = 0; i <= PRODUCTS; i++) {
		const struct step *step = &steps[i];
		int64_t at = step->odd * v + step->panel * TILE_VECS * t->dst_block;
		x.taps = i < PRODUCTS ? t->taps : 0;
		if (x.taps) {
			x.src = u->left[i].first + pair * u->left[i].pair;
			x.src_pixel = u->left[i].pair;
			x.tap = u->left[i].tap;
		}
		x.bias = t->bias + step->panel * width;
		x.from = step->from ? rest[step->from] : NULL;
		x.also = step->also ? rest[step->also] : NULL;
		x.rest = step->rest ? rest[step->rest] : NULL;
		x.dst = t->dst + at;
		x.sum = t->sum ? t->sum + at : NULL;
		s->j.vec->tile(&x, pixels, TILE_VECS);
		x.weights += x.taps * x.run * width;
		x.ahead += x.taps * x.run * x.ahead_step;
	}
}

static void run_panels(const struct strassen_state *s, const struct unit *u, int64_t panel)
{
	const struct conv_job *j = &s->j;
	int64_t v = j->vec->floats, n = u->pair[1] - u->pair[0], channel = 2 * panel * job_panel(j);
	int64_t tiles = (n + j->vec->pixels - 1) / j->vec->pixels, from, to;
	struct conv_tile t = {.taps = s->blocks,
		.run = v,
		.weights = s->packed + panel * s->panel_floats,
		.bias = s->bias + channel,
		.sum = u->sum ? u->sum + channel * s->area : NULL,
		.dst = u->dst + channel * s->area,
		.dst_pixel = 2 * v,
		.dst_block = s->area * v,
		.block = (int)v,
		.blocks = TILE_VECS,
		.last = true,
		.act = j->act};
	const float *next = panel + 1 < u->panel[1] ? t.weights + s->panel_floats : t.weights;
	job_fetch_ahead(j, &t, next, 1, n, job_panel(j));
	for (int64_t i = 0; i < tiles; i++) {
		deal_out(n, tiles, i, &from, &to);
		run_tile(s, u, &t, from, (int)(to - from));
		t.ahead += PRODUCTS * t.taps * t.run * t.ahead_step;
		t.dst += (to - from) * t.dst_pixel;
		t.sum = t.sum ? t.sum + (to - from) * t.dst_pixel : NULL;
	}
}

static void run_unit(const struct kernel_args *a, const struct strassen_state *s, int64_t index)
{
	const struct conv_job *j = &s->j;
	struct job_unit i = job_unit_of(index, s->parts, s->slices, s->panels);
	struct unit u = {.panel = {i.panel[0], i.panel[1]}};
	deal_out(s->pairs, s->parts, i.part, &u.pair[0], &u.pair[1]);
	int64_t first = u.pair[0] * 2 * j->vec->floats, at = i.image * j->oc * s->area + first;
	u.dst = (float *)a->out[0].data + at;
	if (j->sum)
		u.sum = (const float *)a->in[3].data + at;
	make_operands(s, (const float *)a->in[0].data + i.image * j->ic * s->area + first,
		a->scratch, &u);
	for (int64_t panel = u.panel[0]; panel < u.panel[1]; panel++)
		run_panels(s, &u, panel);
}

static void run_strassen(const struct kernel_args *a, int64_t begin, int64_t end)
{
	for (int64_t i = begin; i < end; i++)
		run_unit(a, a->state, i);
}

/* -- prepare ---------------------------------------------------------------------------------- */

static bool suits(const struct prep *p, const struct conv_job *j)
{
	int64_t v = j->vec->floats;
	bool suits = p->precision == PRECISION_FAST && j->out[0] * j->out[1] % 2 == 0 &&
		     !j->act.fn && j->src_run == v && j->block == v && j->ic % (2 * v) == 0 &&
		     j->oc % (2 * job_panel(j)) == 0 && min_i64(j->ic, j->oc) >= CHANNELS_MIN;
	for (int i = 0; i < 2; i++)
		suits &= j->kernel[i] == 1 && j->stride[i] == 1 && j->pad[i] == 0 &&
			 j->in[i] == j->out[i];
	return suits;
}

static void cut(const struct prep *p, struct strassen_state *s, struct kernel *ret)
{
	const struct conv_job *j = &s->j;
	int64_t weights = j->oc * j->ic * (int64_t)sizeof(float);
	int64_t tile = j->vec->pixels, tiles = (s->pairs + tile - 1) / tile;
	int64_t bytes = max_i64(SRC_BYTES, min_i64(weights, SRC_BYTES_MAX));
	int64_t most = max_i64(bytes / (2 * tile * j->ic * (int64_t)sizeof(float)), 1);
	double ns = 2.0 * (double)(j->images * j->oc * s->area) * (double)j->ic / FLOPS_PER_NS;
	/* Threads had better make their own sums than all of them the same. */
	int64_t least = ns < 2 * CUT_MIN_NS ? 1 : max_i64(p->threads, 1);
	s->parts = min_i64(max_i64(job_units(p, (tiles + most - 1) / most), least), s->pairs);
	s->part_pairs = (s->pairs + s->parts - 1) / s->parts;
	s->slices = min_i64(job_slices(p, j, j->images * s->parts, ns), s->panels);
	ret->units = j->images * s->parts * s->slices;
	ret->unit_cost_ns = (int64_t)(ns / (double)ret->units) + 1;
}

/* The second of two panels gets its bias by what it adds to the first one's, which all sums have.
 */
static enum err_code make_bias(struct prep *p, struct strassen_state *s, struct err *err)
{
	const struct conv_job *j = &s->j;
	float *bias = prep_alloc(p, (size_t)j->oc * sizeof(*bias));
	if (!bias)
		return err_oom(err);
	for (int64_t o = 0; o < j->oc; o++)
		bias[o] = j->bias[o] - (o / job_panel(j) % 2 ? j->bias[o - job_panel(j)] : 0);
	s->bias = bias;
	return ERR_OK;
}

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const void *source;
	int64_t oc, ic, floats, products;
};

static void pack(void *to, void *ctx)
{
	const struct strassen_state *s = ctx;
	const struct conv_job *j = &s->j;
	int64_t width = job_panel(j), half = j->ic / 2;
	float *w = to;
	for (int64_t panel = 0; panel < s->panels; panel++, w += s->panel_floats)
		for (int64_t o = 0; o < width; o++) {
			const float *b1 = j->weights + (2 * panel * width + o) * j->ic,
				    *b2 = b1 + width * j->ic;
			for (int64_t c = 0; c < half; c++) {
				double right[PRODUCTS];
				add_weights((double)b1[c], (double)b2[c], (double)b1[half + c],
					(double)b2[half + c], right);
				for (int i = 0; i < PRODUCTS; i++)
					w[(i * half + c) * width + o] = (float)right[i];
			}
		}
}

static enum err_code pack_weights(struct prep *p, struct strassen_state *s, struct err *err)
{
	const struct conv_job *j = &s->j;
	const struct pack_key key = {j->weights, j->oc, j->ic, j->vec->floats, PRODUCTS};
	const void *packed;
	size_t bytes = (size_t)(s->panels * s->panel_floats) * sizeof(float);
	TRY(packs_get(p->packs, &key, sizeof(key), bytes, pack, s, &packed, err));
	s->packed = packed;
	return ERR_OK;
}

static struct strassen_state *new_state(
	struct prep *p, const struct conv_job *j, struct kernel *ret)
{
	int64_t v = j->vec->floats, blocks = j->ic / v / 2;
	struct strassen_state *s =
		kernel_state(p, ret, sizeof(*s) + 2 * (size_t)blocks * sizeof(s->tap[0]));
	if (!s)
		return NULL;
	s->j = *j;
#ifdef __x86_64__
	s->vec = v == 16 ? &strassen_vec_avx512 : &strassen_vec_avx2;
#endif
	s->area = j->out[0] * j->out[1];
	s->pairs = s->area / 2;
	s->blocks = blocks;
	s->panels = j->oc / job_panel(j) / 2;
	s->panel_floats = PRODUCTS * j->ic / 2 * job_panel(j);
	cut(p, s, ret);
	for (int64_t b = 0; b < blocks; b++) {
		s->tap[b] = b * s->area * v;
		s->tap[blocks + b] = b * s->part_pairs * v;
	}
	return s;
}

enum err_code prepare_conv_strassen(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_job j;
	TRY(conv_job_init(p, false, &j, err));
	if (!suits(p, &j))
		return prep_refuse(err, "no single pixels in pairs and whole panels, or its "
					"rounding is not wanted");
	struct strassen_state *s = new_state(p, &j, ret);
	if (!s)
		return err_oom(err);
	TRY(make_bias(p, s, err));
	TRY(pack_weights(p, s, err));
	ret->packed = ret->unread = 1u << 1;
	ret->run = run_strassen;
	ret->scratch_bytes =
		(size_t)(STRASSEN_SUMS * s->blocks * s->part_pairs * j.vec->floats) * sizeof(float);
	ret->out_layout = j.out_layout;
	ret->inplace = j.sum;
	ret->inplace_in = 3;
	return ERR_OK;
}
