/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cast, every type to every type.
 *
 * DESIGN. Between C's own types each pair has its loop. Half types go through float where that
 * rounds nothing, a block at a time. All other pairs go likewise through double (floats) or int64
 * (integers, uint64 as its bits): one reader per source, one writer per destination. Strings are in
 * cast_string.c.
 *
 * Floats out of an integer's range: cut to the range for int32 and wider, then wrapped for
 * the narrow ones. Integers wrap. Floats are rounded to nearest even, once.
 */
#include "exec/cpu/math/cast.h"

#include <math.h>
#include "exec/cpu/minifloat.h"
#include "exec/cpu/types.h"
#include "exec/cpu/widen.h"
#include "exec/half.h"

#define BLOCK 256

struct cast_state {
	struct split split; /* of elements */
	cast_fn direct;     /* NULL: by blocks, */
	cast_fn widen, narrow; /* to float and from it, or NULL */
	enum dtype from, to;
	bool saturate;
	enum minifloat_round round;
	int64_t in_bytes, out_bytes;
	float decoded[256]; /* of a minifloat source */
};

/* -- the rest, by blocks ----------------------------------------------------------------------- */

static bool is_float(enum dtype d)
{
	return dtype_info(d)->class == DTYPE_CLASS_FLOAT;
}

/* double to float so that a further rounding is right: cut off, the last bit set where
   anything was lost (round to odd). */
static float to_odd(double v)
{
	float f = (float)v;
	if ((double)f == v || isnan(v) || isinf(f))
		return f;
	uint32_t u = float_bits(f);
	if (fabs((double)f) > fabs(v))
		u--;
	return bits_float(u | 1);
}

/* Elements of float types as double. */
static void read_floats(const struct cast_state *s, const void *in, int64_t n, double *wide)
{
	for (int64_t i = 0; i < n; i++)
		switch (s->from) {
		case DTYPE_F32: wide[i] = (double)((const float *)in)[i]; break;
		case DTYPE_F64: wide[i] = ((const double *)in)[i]; break;
		case DTYPE_F16: wide[i] = (double)half_to_float(((const uint16_t *)in)[i]); break;
		case DTYPE_BF16:
			wide[i] = (double)bfloat_to_float(((const uint16_t *)in)[i]);
			break;
		default: wide[i] = (double)s->decoded[((const uint8_t *)in)[i]];
		}
}

static int64_t wrap_bits(int64_t v, int bits, bool is_signed)
{
	uint64_t u = (uint64_t)v << (64 - bits);
	return is_signed ? (int64_t)u >> (64 - bits) : (int64_t)(u >> (64 - bits));
}

void cast_write_int(enum dtype to, void *out, int64_t i, int64_t v)
{
	switch (to) {
	case DTYPE_BOOL: ((uint8_t *)out)[i] = v != 0; break;
	case DTYPE_I64:
	case DTYPE_U64: ((int64_t *)out)[i] = v; break;
	case DTYPE_I32:
	case DTYPE_U32: ((uint32_t *)out)[i] = (uint32_t)v; break;
	case DTYPE_I16:
	case DTYPE_U16: ((uint16_t *)out)[i] = (uint16_t)v; break;
	case DTYPE_I4: ((int8_t *)out)[i] = (int8_t)wrap_bits(v, 4, true); break;
	case DTYPE_I2: ((int8_t *)out)[i] = (int8_t)wrap_bits(v, 2, true); break;
	case DTYPE_U4: ((uint8_t *)out)[i] = (uint8_t)wrap_bits(v, 4, false); break;
	case DTYPE_U2: ((uint8_t *)out)[i] = (uint8_t)wrap_bits(v, 2, false); break;
	default: ((uint8_t *)out)[i] = (uint8_t)v;
	}
}

static void write_float(const struct cast_state *s, void *out, int64_t i, double v)
{
	switch (s->to) {
	case DTYPE_F32: ((float *)out)[i] = (float)v; break;
	case DTYPE_F64: ((double *)out)[i] = v; break;
	case DTYPE_F16: ((uint16_t *)out)[i] = float_to_half(to_odd(v)); break;
	case DTYPE_BF16: ((uint16_t *)out)[i] = float_to_bfloat(to_odd(v)); break;
	case DTYPE_F8E8M0:
		((uint8_t *)out)[i] = minifloat_encode_e8m0((float)v, s->saturate, s->round);
		break;
	default: ((uint8_t *)out)[i] = minifloat_encode(s->to, v, s->saturate);
	}
}

static void write_double(const struct cast_state *s, void *out, int64_t i, double v)
{
	if (is_float(s->to))
		write_float(s, out, i, v);
	else if (s->to == DTYPE_BOOL)
		((uint8_t *)out)[i] = v != 0;
	else
		cast_write_int(s->to, out, i,
			s->to == DTYPE_U64 ? (int64_t)cast_cut_u64(v) : cast_cut_i64(v));
}

/* int64 to double without a second rounding to come: the last bit sticks. */
static double int_to_double(int64_t v, bool is_unsigned)
{
	uint64_t a = v < 0 && !is_unsigned ? 0 - (uint64_t)v : (uint64_t)v;
	if (a >> 53)
		a = (a & ~(uint64_t)0xfff) | ((a & 0xfff) != 0) << 12;
	return v < 0 && !is_unsigned ? -(double)a : (double)a;
}

static void cast_block(
	const struct cast_state *s, void *out, const struct tensor *in, int64_t at, int64_t n)
{
	double wide[BLOCK];
	if (is_float(s->from)) {
		read_floats(s, (const char *)in->data + at * s->in_bytes, n, wide);
		for (int64_t i = 0; i < n; i++)
			write_double(s, out, i, wide[i]);
		return;
	}
	for (int64_t i = 0; i < n; i++) {
		int64_t v = tensor_int(in, at + i);
		if (is_float(s->to))
			write_float(s, out, i, int_to_double(v, s->from == DTYPE_U64));
		else
			cast_write_int(s->to, out, i, v);
	}
}

static void run_cast(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct cast_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	char *out = a->out[0].data;
	if (s->direct) {
		s->direct(out + from * s->out_bytes,
			(const char *)a->in[0].data + from * s->in_bytes, to - from);
		return;
	}
	for (int64_t at = from; at < to; at += BLOCK) {
		int64_t n = min_i64(BLOCK, to - at);
		float wide[BLOCK];
		if (!s->widen) {
			cast_block(s, out + at * s->out_bytes, &a->in[0], at, n);
			continue;
		}
		s->widen(wide, (const char *)a->in[0].data + at * s->in_bytes, n);
		s->narrow(out + at * s->out_bytes, wide, n);
	}
}

static void half_to_f32(void *out, const void *in, int64_t n)
{
	widen_array(out, in, n, DTYPE_F16);
}

static void bfloat_to_f32(void *out, const void *in, int64_t n)
{
	widen_array(out, in, n, DTYPE_BF16);
}

static void f32_to_half(void *out, const void *in, int64_t n)
{
	narrow_array(out, in, n, DTYPE_F16);
}

static void f32_to_bfloat(void *out, const void *in, int64_t n)
{
	narrow_array(out, in, n, DTYPE_BF16);
}

static cast_fn find_direct(enum dtype from, enum dtype to)
{
	if (to == DTYPE_F32 && dtype_in(from, T_HALF))
		return from == DTYPE_F16 ? half_to_f32 : bfloat_to_f32;
	if (from == DTYPE_F32 && dtype_in(to, T_HALF))
		return to == DTYPE_F16 ? f32_to_half : f32_to_bfloat;
	const cast_fn *const *loops = CPU_BEST(cast_loops);
	return loops[to] ? loops[to][from] : NULL;
}

/* By way of float, if that holds what comes as it is. What it does not hold of integers is beyond
   float16. */
static void find_by_float(struct cast_state *s)
{
	bool held = dtype_in(s->from, T_HALF) ||
		    (s->from != DTYPE_F64 && (s->to == DTYPE_F16 || s->in_bytes <= 2));
	cast_fn widen = find_direct(s->from, DTYPE_F32), narrow = find_direct(DTYPE_F32, s->to);
	if (!held || !widen || !narrow)
		return;
	s->widen = widen;
	s->narrow = narrow;
}

static bool is_castable(enum dtype d)
{
	return d != DTYPE_STRING && d != DTYPE_C64 && d != DTYPE_C128 && d != DTYPE_TENSOR;
}

enum err_code prepare_cast(struct prep *p, struct kernel *ret, struct err *err)
{
	enum dtype from = p->in[0].dtype, to = p->out[0].dtype;
	if (from != to && (!is_castable(from) || !is_castable(to)))
		return prep_refuse(err, "no cast between these types");
	if (from == to)
		return prepare_view(p, ret, err);
	struct cast_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	struct slice round = node_string(p->node, "round_mode", "up");
	s->from = from;
	s->to = to;
	s->saturate = node_int(p->node, "saturate", 1) != 0;
	s->round = slice_is(round, "down")	? MINIFLOAT_DOWN
		   : slice_is(round, "nearest") ? MINIFLOAT_NEAREST
						: MINIFLOAT_UP;
	s->direct = find_direct(from, to);
	s->in_bytes = (int64_t)dtype_bytes(from);
	s->out_bytes = (int64_t)dtype_bytes(to);
	if (!s->direct)
		find_by_float(s);
	for (int i = 0; i < 256 && dtype_is_minifloat(from); i++)
		s->decoded[i] = minifloat_decode(from, (uint8_t)i);
	s->split = split_work(p, ret, tensor_count(&p->in[0]), s->direct || s->widen ? 1 : 10);
	ret->run = run_cast;
	ret->inplace = s->in_bytes == s->out_bytes;
	return ERR_OK;
}
