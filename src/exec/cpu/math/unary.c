/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators of one operand: the reference loops for every type, and the kernels over
 * them. Clip is here too: its bounds are scalars, read when it runs.
 */
#include "exec/cpu/math/unary.h"

#include <math.h>
#include <string.h>
#include "exec/cpu/minifloat.h"
#include "exec/cpu/types.h"

static inline float unitf(float x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

static inline double unit(double x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

static inline float softplusf(float x)
{
	return (x < 0 ? 0 : x) + log1pf(expf(-fabsf(x)));
}

static inline double softplus(double x)
{
	return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

static inline float sigmoidf(float x)
{
	return 1 / (1 + expf(-x));
}

static inline double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static inline float geluf(float x)
{
	return 0.5f * x * erfcf(x * -0.70710678118654752440f);
}

static inline double gelu(double x)
{
	return 0.5 * x * erfc(x * -0.70710678118654752440);
}

#define LOOP1(name, TO, TI, expr) \
	static void name(void *out, const void *in, int64_t n, const double *param) \
	{ \
		TO *o = out; \
		const TI *v = in; \
		(void)param; \
		IVDEP for (int64_t i = 0; i < n; i++) { \
			TI x = v[i]; \
			o[i] = (TO)(expr); \
		} \
	}
#define alpha ((REAL)param[0])
#define beta ((REAL)param[1])

#define F(name) name##f
#define REAL float
#define UNARY(id, T, expr) LOOP1(f32_##id, T, T, expr)
#include "exec/unary_reals.h"
#undef F
#undef REAL

#define F(name) name
#define REAL double
#define UNARY(id, T, expr) LOOP1(f64_##id, T, T, expr)
#include "exec/unary_reals.h"
#undef F
#undef REAL
#undef alpha
#undef beta

static const unary_fn reals[2][UNARY_COUNT_] = {
#define UNARY(id, T, expr) [0][UNARY_##id] = f32_##id, [1][UNARY_##id] = f64_##id,
#include "exec/unary_reals.h"
};

/* -- the other types ------------------------------------------------------------------- */

#define ABS_S(id, T, U) LOOP1(abs_##T, T, T, x < 0 ? (T)(0 - (U)x) : x)
#define NEG_S(id, T, U) LOOP1(neg_##T, T, T, 0 - (U)x)
#define SIGN_S(id, T, U) LOOP1(sign_##T, T, T, (x > 0) - (x < 0))
#define RELU_S(id, T, U) LOOP1(relu_##T, T, T, x > 0 ? x : 0)
FOR_SIGNED(ABS_S)
FOR_SIGNED(NEG_S)
FOR_SIGNED(SIGN_S)
FOR_SIGNED(RELU_S)
#define COPY_U(id, T, U) LOOP1(abs_##T, T, T, x)
#define SIGN_U(id, T, U) LOOP1(sign_##T, T, T, x > 0)
FOR_UNSIGNED(COPY_U)
FOR_UNSIGNED(SIGN_U)
#define ERF_I(id, T, U) LOOP1(erf_##T, T, T, erf((double)x))
FOR_INTS(ERF_I)
#define IS_NAN_F(id, T, U) LOOP1(is_nan_##T, uint8_t, T, x != x)
FOR_REAL(IS_NAN_F)
/* What is looked for, or NaN, which nothing equals. */
#define IS_INF_F(id, T, U) \
	LOOP1(is_inf_##T, uint8_t, T, (x == (T)param[0]) | (x == (T)param[1]))
FOR_REAL(IS_INF_F)
LOOP1(not_bool, uint8_t, uint8_t, !x)
#define BITWISE_NOT_I(id, T, U) LOOP1(bitwise_not_##T, T, T, ~(U)x)
FOR_INTS(BITWISE_NOT_I)

#define FOR_F8(X, ...) \
	X(F8E4M3FN, f8e4m3fn, ##__VA_ARGS__) \
	X(F8E4M3FNUZ, f8e4m3fnuz, ##__VA_ARGS__) \
	X(F8E5M2, f8e5m2, ##__VA_ARGS__) \
	X(F8E5M2FNUZ, f8e5m2fnuz, ##__VA_ARGS__)
#define IS_NAN_F8(id, T) LOOP1(is_nan_##T, uint8_t, uint8_t, isnan(minifloat_decode(DTYPE_##id, x)))
#define IS_INF_F8(id, T) \
	LOOP1(is_inf_##T, uint8_t, uint8_t, \
		(double)minifloat_decode(DTYPE_##id, x) == param[x >> 7])
FOR_F8(IS_NAN_F8)
FOR_F8(IS_INF_F8)

/* Shrink, of integers too: by numbers that need not be whole. Bias and threshold. */
static inline double shrunk(double x, const double *param)
{
	return x < -param[1] ? x + param[0] : x > param[1] ? x - param[0] : 0;
}

/* v, or 0 where the type has no such number. */
static inline double within(double v, double low, double high)
{
	return v > low && v < high ? v : 0;
}
#define SHRINK_F(id, T, U) LOOP1(shrink_##T, T, T, shrunk((double)x, param))
#define SHRINK_S(id, T, U) \
	LOOP1(shrink_##T, T, T, (int64_t)within(shrunk((double)x, param), -0x1p63, 0x1p63))
#define SHRINK_U(id, T, U) \
	LOOP1(shrink_##T, T, T, (uint64_t)within(shrunk((double)x, param), -1, 0x1p64))
FOR_REAL(SHRINK_F)
FOR_SIGNED(SHRINK_S)
FOR_UNSIGNED(SHRINK_U)

#define ROW(id, T, U, fn) [DTYPE_##id] = fn##_##T,
#define ROW8(id, T, fn) [DTYPE_##id] = fn##_##T,
static const unary_fn others[OP_COUNT_][DTYPE_COUNT_] = {
	[OP_ABS] = { FOR_INTS(ROW, abs) },
	[OP_NEG] = { FOR_SIGNED(ROW, neg) },
	[OP_SIGN] = { FOR_INTS(ROW, sign) },
	[OP_RELU] = { FOR_SIGNED(ROW, relu) },
	[OP_ERF] = { FOR_INTS(ROW, erf) },
	[OP_IS_NAN] = { FOR_REAL(ROW, is_nan) FOR_F8(ROW8, is_nan) },
	[OP_IS_INF] = { FOR_REAL(ROW, is_inf) FOR_F8(ROW8, is_inf) },
	[OP_BITWISE_NOT] = { FOR_INTS(ROW, bitwise_not) },
	[OP_SHRINK] = { FOR_NUM(ROW, shrink) },
	[OP_NOT] = { [DTYPE_BOOL] = not_bool },
};

/* -- from operator to function ------------------------------------------------------------ */

struct unary_state {
	struct split split; /* of elements */
	unary_fn fn;
	double param[2];
	int64_t in_bytes, out_bytes;
};

static void run_unary(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct unary_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	s->fn((char *)a->out[0].data + from * s->out_bytes,
		(const char *)a->in[0].data + from * s->in_bytes, to - from, s->param);
}

static struct unary_state *unary_state(struct prep *p, struct kernel *ret, unary_fn fn, double ns)
{
	struct unary_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	s->fn = fn;
	s->in_bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	s->out_bytes = (int64_t)dtype_bytes(p->out[0].dtype);
	s->split = split_work(p, ret, tensor_count(&p->in[0]), ns);
	ret->run = run_unary;
	ret->inplace = s->in_bytes == s->out_bytes;
	ret->out_layout = p->in[0].layout;
	return s;
}

/* The node's function of floats from a table of them. */
static enum err_code
prepare_real(struct prep *p, struct kernel *ret, const unary_fn *table, double ns, struct err *err)
{
	struct unary_call call;
	if (!unary_of(p->node, &call))
		return prep_refuse(err, "no loop for this type");
	struct unary_state *s = unary_state(p, ret, table[call.id], ns);
	if (!s)
		return err_oom(err);
	s->param[0] = (double)call.alpha;
	s->param[1] = (double)call.beta;
	return ERR_OK;
}

enum err_code prepare_unary(struct prep *p, struct kernel *ret, struct err *err)
{
	enum dtype dtype = p->in[0].dtype;
	struct unary_call call;
	if (unary_of(p->node, &call) && dtype_in(dtype, T_REAL))
		return prepare_real(p, ret, reals[dtype == DTYPE_F64], 8, err);
	unary_fn fn = others[p->node->op][dtype];
	if (!fn)
		return prep_refuse(err, "no loop for this type");
	return unary_state(p, ret, fn, 1) ? ERR_OK : err_oom(err);
}

enum err_code prepare_is_inf(struct prep *p, struct kernel *ret, struct err *err)
{
	struct unary_state *s = unary_state(p, ret, others[OP_IS_INF][p->in[0].dtype], 1);
	if (!s)
		return err_oom(err);
	s->param[0] = node_int(p->node, "detect_positive", 1) ? INFINITY : NAN;
	s->param[1] = node_int(p->node, "detect_negative", 1) ? -INFINITY : NAN;
	return ERR_OK;
}

enum err_code prepare_shrink(struct prep *p, struct kernel *ret, struct err *err)
{
	struct unary_state *s = unary_state(p, ret, others[OP_SHRINK][p->in[0].dtype], 2);
	if (!s)
		return err_oom(err);
	s->param[0] = (double)node_float(p->node, "bias", 0);
	s->param[1] = (double)node_float(p->node, "lambd", 0.5f);
	return ERR_OK;
}

enum err_code prepare_unary_vec(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_real(p, ret, unary_f32_base, 1.5, err);
}

#ifdef __x86_64__
enum err_code prepare_unary_avx2(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_real(p, ret, unary_f32_avx2, 0.6, err);
}

enum err_code prepare_unary_avx512(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_real(p, ret, unary_f32_avx512, 0.4, err);
}
#endif

unary_fn unary_best(enum unary_id id, enum dtype dtype)
{
	if (dtype == DTYPE_F64)
		return reals[1][id];
	return CPU_BEST(unary_f32)[id];
}

bool activation_find(const struct node *n, enum dtype dtype, struct activation_loop *ret)
{
	struct unary_call call;
	*ret = (struct activation_loop){ 0 };
	if (!unary_of_activation(n, &call))
		return false;
	ret->fn = unary_best(call.id, dtype);
	ret->param[0] = (double)call.alpha;
	ret->param[1] = (double)call.beta;
	return true;
}

/* -- Clip ------------------------------------------------------------------------------------ */

/* min(max(x, low), high), so that crossed bounds give high; NaN stays. */
#define CLIP_(id, T, U) \
	static void clip_##T(void *out, const void *in, int64_t n, const void *low, \
		const void *high) \
	{ \
		T *o = out; \
		const T *v = in; \
		T a = low ? *(const T *)low : 0, b = high ? *(const T *)high : 0; \
		if (low && high) \
			IVDEP for (int64_t i = 0; i < n; i++) { \
				T x = v[i] < a ? a : v[i]; \
				o[i] = x > b ? b : x; \
			} \
		else if (low) \
			IVDEP for (int64_t i = 0; i < n; i++) o[i] = v[i] < a ? a : v[i]; \
		else if (high) \
			IVDEP for (int64_t i = 0; i < n; i++) o[i] = v[i] > b ? b : v[i]; \
		else if (v != o) \
			memcpy(o, v, (size_t)n * sizeof(T)); \
	}
FOR_NUM(CLIP_)

typedef void (*clip_fn)(void *out, const void *in, int64_t n, const void *low, const void *high);
static const clip_fn clips[DTYPE_COUNT_] = { FOR_NUM(ROW, clip) };

struct clip_state {
	struct split split;
	clip_fn fn;
	int64_t bytes;
};

static void run_clip(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct clip_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	s->fn((char *)a->out[0].data + from * s->bytes,
		(const char *)a->in[0].data + from * s->bytes, to - from,
		args_has_in(a, 1) ? a->in[1].data : NULL,
		args_has_in(a, 2) ? a->in[2].data : NULL);
}

enum err_code prepare_clip(struct prep *p, struct kernel *ret, struct err *err)
{
	struct clip_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->fn = clips[p->in[0].dtype];
	if (!s->fn)
		return prep_refuse(err, "no loop for this type");
	s->bytes = (int64_t)dtype_bytes(p->in[0].dtype);
	s->split = split_work(p, ret, tensor_count(&p->in[0]), 1);
	ret->run = run_clip;
	ret->inplace = true;
	ret->out_layout = p->in[0].layout;
	return ERR_OK;
}
