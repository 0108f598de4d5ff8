/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elementwise operators of several operands with broadcasting: arithmetic, comparisons,
 * logic, Pow, Where, and the variadic Max, Min, Sum, Mean, which fold their inputs into
 * the output block by block.
 */
#include "exec/cpu/math/binary.h"

#include <string.h>
#include "exec/cpu/walk.h"

#define BLOCK 2048 /* elements that stay in the first-level cache between two folds */

struct binary_state {
	struct split split; /* of output elements */
	struct walk walk;
	binary_fn fn;
	int64_t a_bytes, b_bytes, out_bytes;
};

static void run_binary(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct binary_state *s = a->state;
	struct walk_iter it;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	walk_begin(&it, &s->walk, from, to);
	while (walk_next(&it))
		s->fn(a, (char *)a->out[0].data + it.at * s->out_bytes,
			(const char *)a->in[0].data + it.off[0] * s->a_bytes,
			(const char *)a->in[1].data + it.off[1] * s->b_bytes, it.n,
			s->walk.step[0], s->walk.step[1]);
}

/* Blocked operands must match each other; the walk then sees flat memory. */
static enum err_code take_layouts(struct prep *p, struct kernel *ret, struct err *err)
{
	enum layout layout = p->in[0].layout;
	for (int i = 1; i < p->n_in; i++)
		if (p->in[i].layout != layout ||
			(layout != LAYOUT_PLAIN && !shape_equal(&p->in[i].shape, &p->in[0].shape)))
			return prep_refuse(
				err, "operands differ in layout, or broadcast a blocked one");
	ret->out_layout = layout;
	return ERR_OK;
}

static struct binary_state *
binary_state(struct prep *p, struct kernel *ret, binary_fn fn, double ns)
{
	struct binary_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	walk_init(&s->walk, &p->out[0].shape, 2,
		(const struct shape *const[]){ &p->in[0].shape, &p->in[1].shape });
	s->fn = fn;
	s->a_bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	s->b_bytes = (int64_t)dtype_bytes(p->in[1].dtype);
	s->out_bytes = (int64_t)dtype_bytes(p->out[0].dtype);
	s->split = split_work(p, ret, s->walk.count, ns + 4.0 / (double)s->walk.run);
	ret->run = run_binary;
	ret->inplace = s->a_bytes == s->out_bytes &&
		       shape_equal(&p->in[0].shape, &p->out[0].shape);
	return s;
}

static enum err_code
prepare_with(struct prep *p, struct kernel *ret, binary_fn fn, double ns, struct err *err)
{
	enum err_code rc = take_layouts(p, ret, err);
	if (rc != ERR_OK)
		return rc;
	if (!fn)
		return prep_refuse(err, "no loop for this type");
	return binary_state(p, ret, fn, ns) ? ERR_OK : err_oom(err);
}

enum err_code prepare_binary(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_with(p, ret, binary_find(p->node->op, p->in[0].dtype), 0.5, err);
}

enum err_code prepare_mod(struct prep *p, struct kernel *ret, struct err *err)
{
	bool truncated = node_int(p->node, "fmod", 0) != 0;
	binary_fn fn = truncated ? truncated_mod_find(p->in[0].dtype)
				 : binary_find(OP_MOD, p->in[0].dtype);
	return prepare_with(p, ret, fn, 4, err);
}

enum err_code prepare_mod_vec(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_with(p, ret, fmod_f32_base, 3, err);
}

enum err_code prepare_bit_shift(struct prep *p, struct kernel *ret, struct err *err)
{
	bool right = slice_is(node_string(p->node, "direction", ""), "RIGHT");
	binary_fn fn = right ? right_shift_find(p->in[0].dtype)
			     : binary_find(OP_BIT_SHIFT, p->in[0].dtype);
	return prepare_with(p, ret, fn, 1, err);
}

enum err_code prepare_compare(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_with(p, ret, compare_find(p->node->op, p->in[0].dtype), 0.5, err);
}

/* -- Pow: exponents of any type, widened to double a block at a time ---------------------- */

static void exponents(const struct tensor *t, int64_t at, int64_t n, double *ret)
{
	const float *x = t->data;
	if (t->dtype == DTYPE_F32) {
		for (int64_t k = 0; k < n; k++)
			ret[k] = (double)x[at + k];
		return;
	}
	for (int64_t k = 0; k < n; k++)
		ret[k] = tensor_float(t, at + k);
}

static void run_pow(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct binary_state *s = a->state;
	double exponent[256];
	struct walk_iter it;
	int64_t from, to, step = s->walk.step[1];
	split_range(&s->split, begin, end, &from, &to);
	walk_begin(&it, &s->walk, from, to);
	while (walk_next(&it)) {
		for (int64_t i = 0; i < it.n; i += 256) {
			int64_t n = min_i64(256, it.n - i);
			exponents(&a->in[1], it.off[1] + i * step, step ? n : 1, exponent);
			s->fn(a, (char *)a->out[0].data + (it.at + i) * s->out_bytes,
				(const char *)a->in[0].data +
					(it.off[0] + i * s->walk.step[0]) * s->a_bytes,
				exponent, n, s->walk.step[0], step);
		}
	}
}

static enum err_code prepare_pow_with(
	struct prep *p, struct kernel *ret, binary_fn fn, double ns, struct err *err)
{
	enum err_code rc = prepare_with(p, ret, fn, ns, err);
	ret->run = run_pow;
	return rc;
}

enum err_code prepare_pow(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_pow_with(p, ret, power_find(p->in[0].dtype), 10, err);
}

enum err_code prepare_pow_vec(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_pow_with(p, ret, pow_f32_base, 4, err);
}

#ifdef __x86_64__
enum err_code prepare_pow_avx2(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_pow_with(p, ret, pow_f32_avx2, 2, err);
}

enum err_code prepare_pow_avx512(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_pow_with(p, ret, pow_f32_avx512, 1, err);
}

enum err_code prepare_mod_avx2(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_with(p, ret, fmod_f32_avx2, 1.5, err);
}

enum err_code prepare_mod_avx512(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_with(p, ret, fmod_f32_avx512, 1, err);
}
#endif

/* -- Max, Min, Sum, Mean ------------------------------------------------------------------ */

struct fold_state {
	struct split split;
	binary_fn fn, scale; /* scale: NULL unless Mean */
	int64_t bytes;
	double divisor[2]; /* 1 / inputs as the element type, for scale */
	int n, begun; /* begun: of the inputs fold_first() takes */
	struct walk first;
	struct walk walk[]; /* of each input alone */
};

/* Output elements [at, at + n) get what the fold goes on from: input 0, or of the first two. */
static void fold_first(
	const struct kernel_args *a, const struct fold_state *s, int64_t at, int64_t n)
{
	struct walk_iter it;
	walk_begin(&it, &s->first, at, at + n);
	while (walk_next(&it)) {
		char *dst = (char *)a->out[0].data + it.at * s->bytes;
		const char *src = (const char *)a->in[0].data + it.off[0] * s->bytes;
		if (s->begun == 2)
			s->fn(a, dst, src, (const char *)a->in[1].data + it.off[1] * s->bytes, it.n,
				s->first.step[0], s->first.step[1]);
		else if (s->first.step[0])
			memmove(dst, src, (size_t)(it.n * s->bytes));
		else
			for (int64_t i = 0; i < it.n; i++)
				memmove(dst + i * s->bytes, src, (size_t)s->bytes);
	}
}

static void fold_next(const struct kernel_args *a, const struct fold_state *s, int in, int64_t at,
	int64_t n)
{
	struct walk_iter it;
	walk_begin(&it, &s->walk[in], at, at + n);
	while (walk_next(&it)) {
		char *dst = (char *)a->out[0].data + it.at * s->bytes;
		const char *src = (const char *)a->in[in].data + it.off[0] * s->bytes;
		s->fn(a, dst, dst, src, it.n, 1, s->walk[in].step[0]);
	}
}

static void run_fold(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct fold_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t at = from; at < to; at += BLOCK) {
		int64_t n = min_i64(BLOCK, to - at);
		char *out = (char *)a->out[0].data + at * s->bytes;
		fold_first(a, s, at, n);
		for (int i = s->begun; i < s->n; i++)
			fold_next(a, s, i, at, n);
		if (s->scale)
			s->scale(a, out, out, s->divisor, n, 1, 0);
	}
}

static void set_mean(struct fold_state *s, enum dtype dtype)
{
	float divisor = (float)s->n;
	s->scale = binary_find(OP_DIV, dtype);
	if (dtype == DTYPE_F64)
		s->divisor[0] = s->n;
	else
		memcpy(s->divisor, &divisor, sizeof(divisor));
}

/* The first two are taken in one go, unless both are broadcast to a run. */
static void begin_fold(struct fold_state *s, const struct prep *p)
{
	s->begun = min_i64(p->n_in, 2);
	walk_init(&s->first, &p->out[0].shape, s->begun,
		(const struct shape *const[]){ &p->in[0].shape, &p->in[s->begun - 1].shape });
	if (s->begun == 2 && (s->first.step[0] || s->first.step[1] || s->first.run == 1))
		return;
	s->begun = 1;
	s->first = s->walk[0];
}

enum err_code prepare_fold(struct prep *p, struct kernel *ret, struct err *err)
{
	enum err_code rc = take_layouts(p, ret, err);
	if (rc != ERR_OK)
		return rc;
	struct fold_state *s =
		kernel_state(p, ret, sizeof(*s) + (size_t)p->n_in * sizeof(s->walk[0]));
	if (!s)
		return err_oom(err);
	s->fn = binary_find(p->node->op, p->in[0].dtype);
	if (!s->fn)
		return prep_refuse(err, "no loop for this type");
	s->n = p->n_in;
	s->bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	for (int i = 0; i < p->n_in; i++)
		walk_init(&s->walk[i], &p->out[0].shape, 1,
			(const struct shape *const[]){ &p->in[i].shape });
	begin_fold(s, p);
	if (p->node->op == OP_MEAN)
		set_mean(s, p->in[0].dtype);
	s->split = split_work(p, ret, s->walk[0].count, 0.5 * p->n_in);
	ret->run = run_fold;
	ret->inplace = shape_equal(&p->in[0].shape, &p->out[0].shape);
	return ERR_OK;
}

/* -- Where --------------------------------------------------------------------------------- */

#define WHERE(N) \
	static void where_##N(char *o, const uint8_t *c, const char *x, const char *y, int64_t n, \
		const int64_t *step) \
	{ \
		for (int64_t i = 0; i < n; i++) \
			memcpy(o + i * N, \
				c[i * step[0]] ? x + i * step[1] * N : y + i * step[2] * N, N); \
	}
WHERE(1)
WHERE(2)
WHERE(4)
WHERE(8)
WHERE(16)

struct where_state {
	struct split split;
	struct walk walk;
	void (*fn)(char *o, const uint8_t *c, const char *x, const char *y, int64_t n,
		const int64_t *step);
	int64_t bytes;
};

static void run_where(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct where_state *s = a->state;
	struct walk_iter it;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	walk_begin(&it, &s->walk, from, to);
	while (walk_next(&it))
		s->fn((char *)a->out[0].data + it.at * s->bytes,
			(const uint8_t *)a->in[0].data + it.off[0],
			(const char *)a->in[1].data + it.off[1] * s->bytes,
			(const char *)a->in[2].data + it.off[2] * s->bytes, it.n, s->walk.step);
}

enum err_code prepare_where(struct prep *p, struct kernel *ret, struct err *err)
{
	struct where_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->bytes = (int64_t)dtype_bytes(p->out[0].dtype);
	s->fn = s->bytes == 1 ? where_1
		: s->bytes == 2 ? where_2
		: s->bytes == 4 ? where_4
		: s->bytes == 8 ? where_8
				: where_16;
	walk_init(&s->walk, &p->out[0].shape, 3,
		(const struct shape *const[]){
			&p->in[0].shape, &p->in[1].shape, &p->in[2].shape });
	s->split = split_work(p, ret, s->walk.count, 1);
	ret->run = run_where;
	return ERR_OK;
}
