/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IntegerMatMul: the reference, and on qproduct.h
 *
 * DESIGN
 *
 * (a - za) (b - zb) is a b, less za times the sums of b's columns, which go into the bias as soon as
 * za is there, less zb times what a's rows add up to beyond za, which is a number per row and
 * seldom needed: weights mostly have no zero point. A unit of work is a block of rows.
 */
#include "exec/cpu/nn/qproduct.h"

#include <string.h>
#include "base/checked.h"

#define PRODUCTS_PER_NS 200.0

enum { IN_A, IN_B, IN_A_ZERO, IN_B_ZERO };

struct sums_state {
	struct split split; /* of rows */
	const struct qproduct *product;
	int64_t k, n;
	uint8_t a_flip, b_flip; /* 0x80 for what has to change its sign: a is uint8 then, b int8 */
	const void *weights;
	int32_t *column;  /* sums of b, flipped */
	int32_t *b_zero;  /* of flipped numbers; NULL: all are zero */
	int64_t slots, pitch;
	bool copy_a;
	size_t scratch_a; /* where in the scratch a's rows are */
};

static int32_t byte_at(const struct tensor *t, int64_t i)
{
	return t->dtype == DTYPE_I8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

/* The zero point of index i; one may be for all. */
static int32_t zero_at(const struct tensor *t, int64_t i)
{
	return byte_at(t, tensor_count(t) == 1 ? 0 : i);
}

/* -- on qproduct.h ---------------------------------------------------------------------------- */

static void copy_rows(const struct sums_state *s, uint8_t *to, const uint8_t *a, int64_t rows)
{
	for (int64_t i = 0; i < rows; i++, to += s->pitch, a += s->k)
		for (int64_t k = 0; k < s->k; k++)
			to[k] = a[k] ^ s->a_flip;
}

static void fill_bias(const struct sums_state *s, int32_t a_zero, int32_t *bias)
{
	uint32_t zero = (uint32_t)a_zero, depth = (uint32_t)s->k;
	for (int64_t j = 0; j < s->n; j++) {
		uint32_t beyond = s->b_zero ? (uint32_t)s->b_zero[j] * depth : 0;
		bias[j] = (int32_t)(zero * (beyond - (uint32_t)s->column[j]));
	}
}

static void take_b_zero(const struct sums_state *s, const uint8_t *a, int32_t *y, int64_t rows)
{
	for (int64_t i = 0; i < rows; i++, a += s->pitch, y += s->n) {
		uint32_t sum = 0;
		for (int64_t k = 0; k < s->k; k++)
			sum += a[k];
		for (int64_t j = 0; j < s->n; j++)
			y[j] = (int32_t)((uint32_t)y[j] - sum * (uint32_t)s->b_zero[j]);
	}
}

static void run_sums(const struct kernel_args *args, int64_t begin, int64_t end)
{
	const struct sums_state *s = args->state;
	static const int64_t run_at[1] = { 0 };
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	const uint8_t *a = (const uint8_t *)args->in[IN_A].data + from * s->k;
	int32_t *y = (int32_t *)args->out[0].data + from * s->n, *bias = args->scratch;
	int32_t zero = args_has_in(args, IN_A_ZERO) ? zero_at(&args->in[IN_A_ZERO], 0) : 0;
	fill_bias(s, zero + s->a_flip, bias);
	for (int64_t row = from; row < to; row += s->split.per_unit) {
		int64_t rows = min_i64(s->split.per_unit, to - row);
		uint8_t *copy = (uint8_t *)args->scratch + s->scratch_a;
		if (s->copy_a)
			copy_rows(s, copy, a, rows);
		struct qproduct_job j = { .x = s->copy_a ? copy : a, .rows = 1, .pixels = rows,
			.x_pixel = s->pitch, .y_pixel = s->n, .run_at = run_at, .runs = 1,
			.slots = s->slots, .w = s->weights, .bias = bias, .channels = s->n, .sums = y };
		s->product->run(&j);
		if (s->b_zero)
			take_b_zero(s, j.x, y, rows);
		a += rows * s->k;
		y += rows * s->n;
	}
}

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const uint8_t *b;
	int64_t k, n, flip;
};

static void pack(void *dst, void *ctx)
{
	const struct pack_key *x = ctx;
	int64_t slots = (x->k + QPRODUCT_SLOT - 1) / QPRODUCT_SLOT;
	int64_t panels = (x->n + QPRODUCT_PANEL - 1) / QPRODUCT_PANEL;
	memset(dst, 0, (size_t)(panels * slots * QPRODUCT_PANEL * QPRODUCT_SLOT));
	for (int64_t k = 0; k < x->k; k++)
		for (int64_t j = 0; j < x->n; j++) {
			int64_t slot = j / QPRODUCT_PANEL * slots + k / QPRODUCT_SLOT;
			int64_t lane = slot * QPRODUCT_PANEL + j % QPRODUCT_PANEL;
			((uint8_t *)dst)[lane * QPRODUCT_SLOT + k % QPRODUCT_SLOT] =
				x->b[k * x->n + j] ^ (uint8_t)x->flip;
		}
}

/* The columns' sums, and zero points if there are any. */
static enum err_code read_columns(struct prep *p, struct sums_state *s, struct err *err)
{
	const struct tensor *b = &p->in[IN_B], *zero = &p->in[IN_B_ZERO];
	int32_t *b_zero = prep_alloc(p, (size_t)s->n * sizeof(*b_zero));
	s->column = prep_alloc(p, (size_t)s->n * sizeof(*s->column));
	if (!b_zero || !s->column)
		return err_oom(err);
	for (int64_t k = 0; k < s->k; k++)
		for (int64_t j = 0; j < s->n; j++)
			s->column[j] += byte_at(b, k * s->n + j) - s->b_flip;
	for (int64_t j = 0; j < s->n; j++) {
		b_zero[j] = (prep_has_in(p, IN_B_ZERO) ? zero_at(zero, j) : 0) - s->b_flip;
		if (b_zero[j])
			s->b_zero = b_zero;
	}
	return ERR_OK;
}

static void set_sizes(const struct prep *p, struct sums_state *s)
{
	s->k = p->in[IN_B].shape.dim[0];
	s->n = p->in[IN_B].shape.dim[1];
}

enum err_code prepare_integer_matmul(struct prep *p, struct kernel *ret, struct err *err)
{
	struct sums_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (!p->in[IN_B].data || (prep_has_in(p, IN_B_ZERO) && !p->in[IN_B_ZERO].data) ||
		tensor_count(&p->out[0]) == 0 || tensor_count(&p->in[IN_A]) == 0)
		return prep_refuse(err, "unknown weights or nothing to do");
	set_sizes(p, s);
	s->product = qproduct_best();
	s->a_flip = p->in[IN_A].dtype == DTYPE_I8 ? 0x80 : 0;
	s->b_flip = p->in[IN_B].dtype == DTYPE_U8 ? 0x80 : 0;
	s->slots = (s->k + QPRODUCT_SLOT - 1) / QPRODUCT_SLOT;
	s->copy_a = s->a_flip || s->k % QPRODUCT_SLOT;
	s->pitch = s->copy_a ? s->slots * QPRODUCT_SLOT : s->k;
	TRY(read_columns(p, s, err));
	struct pack_key key = { p->in[IN_B].data, s->k, s->n, s->b_flip };
	int64_t filled = (s->n + QPRODUCT_PANEL - 1) / QPRODUCT_PANEL * QPRODUCT_PANEL;
	TRY(packs_get(p->packs, &key, sizeof(key), (size_t)(filled * s->slots * QPRODUCT_SLOT), pack,
		&key, &s->weights, err));
	int64_t rows = tensor_count(&p->in[IN_A]) / s->k;
	s->split = split_work(p, ret, rows, (double)(s->k * s->n) / PRODUCTS_PER_NS);
	s->scratch_a = round_up((size_t)filled * sizeof(int32_t), ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->scratch_a;
	if (s->copy_a)
		ret->scratch_bytes += (size_t)(s->split.per_unit * s->pitch);
	ret->run = run_sums;
	return ERR_OK;
}

/* -- the reference ---------------------------------------------------------------------------- */

static void run_ref(const struct kernel_args *args, int64_t begin, int64_t end)
{
	const struct sums_state *s = args->state;
	const struct tensor *a = &args->in[IN_A], *b = &args->in[IN_B];
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	int32_t a_zero = args_has_in(args, IN_A_ZERO) ? zero_at(&args->in[IN_A_ZERO], 0) : 0;
	for (int64_t i = from; i < to; i++)
		for (int64_t j = 0; j < s->n; j++) {
			int32_t b_zero = args_has_in(args, IN_B_ZERO) ? zero_at(&args->in[IN_B_ZERO], j) : 0;
			uint32_t sum = 0;
			for (int64_t k = 0; k < s->k; k++)
				sum += (uint32_t)((byte_at(a, i * s->k + k) - a_zero) *
						  (byte_at(b, k * s->n + j) - b_zero));
			((int32_t *)args->out[0].data)[i * s->n + j] = (int32_t)sum;
		}
}

enum err_code prepare_integer_matmul_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *a = &p->in[IN_A].shape;
	struct sums_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	set_sizes(p, s);
	s->split = split_work(p, ret, shape_count_range(a, 0, a->rank - 1), 20 + (double)(s->k * s->n));
	ret->run = run_ref;
	return ERR_OK;
}
