/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, for every type and granularity:
 * one scale, one per index of an axis, one per block along an axis.
 *
 * Elements go through double one by one; what models quantize most, float32 to bytes and
 * back, has vectors in quantize_bytes.c.
 */
#include "exec/cpu/cpu.h"

#include <math.h>
#include "exec/cpu/minifloat.h"
#include "exec/half.h"

struct quantize_state {
	struct split split; /* of elements */
	struct axis_view v; /* n is 1 and inner is all where there is one scale */
	int64_t block, blocks;
	bool saturate;
	enum dtype compute; /* whose precision the quotient has */
};

/* Which scale element i takes. */
static int64_t scale_at(const struct quantize_state *s, int64_t i)
{
	int64_t row = i / s->v.inner, k = row % s->v.n;
	if (!s->block)
		return k;
	return (row / s->v.n * s->blocks + k / s->block) * s->v.inner + i % s->v.inner;
}

static double read_number(const struct tensor *t, int64_t i)
{
	if (dtype_is_minifloat(t->dtype))
		return (double)minifloat_decode(t->dtype, ((const uint8_t *)t->data)[i]);
	return tensor_float(t, i);
}

/* v as a number of this precision. */
static double rounded(enum dtype dtype, double v)
{
	switch (dtype) {
	case DTYPE_F16: return (double)half_to_float(float_to_half((float)v));
	case DTYPE_BF16: return (double)bfloat_to_float(float_to_bfloat((float)v));
	case DTYPE_F32: return (double)(float)v;
	default: return v;
	}
}

/* v, which is whole, cut to the range of an integer type of up to 16 bits. */
static void write_integer(const struct tensor *t, int64_t i, double v)
{
	const struct dtype_info *d = dtype_info(t->dtype);
	bool is_signed = d->class == DTYPE_CLASS_INT;
	double low = is_signed ? -(double)(1 << (d->file_bits - 1)) : 0;
	double high = (double)(1 << (d->file_bits - is_signed)) - 1;
	int32_t n = (int32_t)(v >= high ? high : v > low ? v : low); /* NaN: the lowest */
	if (d->bytes == 2)
		((uint16_t *)t->data)[i] = (uint16_t)n;
	else
		((uint8_t *)t->data)[i] = (uint8_t)n;
}

static void write_float(const struct tensor *t, int64_t i, double v)
{
	switch (t->dtype) {
	case DTYPE_F16: ((uint16_t *)t->data)[i] = float_to_half((float)v); break;
	case DTYPE_BF16: ((uint16_t *)t->data)[i] = float_to_bfloat((float)v); break;
	default: ((float *)t->data)[i] = (float)v;
	}
}

static void run_quantize(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct quantize_state *s = a->state;
	const struct tensor *o = &a->out[0];
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t at = scale_at(s, i);
		double zero = args_has_in(a, 2) ? read_number(&a->in[2], at) : 0;
		double v =
			rounded(s->compute, read_number(&a->in[0], i) / read_number(&a->in[1], at));
		if (dtype_is_minifloat(o->dtype))
			((uint8_t *)o->data)[i] = minifloat_encode(o->dtype, v + zero, s->saturate);
		else
			write_integer(o, i, rint(v) + zero);
	}
}

static void run_dequantize(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct quantize_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t at = scale_at(s, i);
		double zero = args_has_in(a, 2) ? read_number(&a->in[2], at) : 0;
		write_float(&a->out[0], i,
			(read_number(&a->in[0], i) - zero) * read_number(&a->in[1], at));
	}
}

static struct quantize_state *quantize_state(struct prep *p, struct kernel *ret, run_fn run)
{
	struct quantize_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	const struct shape *x = &p->in[0].shape, *scale = &p->in[1].shape;
	s->block = node_int(p->node, "block_size", 0);
	s->v = (struct axis_view){ 1, 1, max_i64(tensor_count(&p->in[0]), 1) };
	if (s->block || (scale->rank == 1 && scale->dim[0] != 1)) {
		int axis = node_axis(p->node, "axis", x->rank > 1 ? 1 : 0, x->rank);
		s->v = axis_view(x, axis);
		s->blocks = s->block ? scale->dim[axis] : 0;
	}
	s->split = split_work(p, ret, tensor_count(&p->in[0]), 20);
	ret->run = run;
	return s;
}

enum err_code prepare_quantize(struct prep *p, struct kernel *ret, struct err *err)
{
	struct quantize_state *s = quantize_state(p, ret, run_quantize);
	if (!s)
		return err_oom(err);
	/* The quotient has the scale's precision, unless the node says another. */
	int64_t precision = node_int(p->node, "precision", 0);
	s->saturate = node_int(p->node, "saturate", 1) != 0;
	s->compute = precision				? (enum dtype)precision
		     : p->in[0].dtype == DTYPE_I32	? DTYPE_F64
		     : dtype_in(p->in[1].dtype, T_HALF) ? p->in[1].dtype
							: DTYPE_F32;
	return ERR_OK;
}

enum err_code prepare_dequantize(struct prep *p, struct kernel *ret, struct err *err)
{
	return quantize_state(p, ret, run_dequantize) ? ERR_OK : err_oom(err);
}

/* -- DynamicQuantizeLinear: the range, 0 always in it, becomes 0 ... 255 ----------------------- */

static void run_dynamic_quantize(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const float *x = a->in[0].data;
	uint8_t *o = a->out[0].data;
	int64_t n = tensor_count(&a->in[0]);
	float low = 0, high = 0;
	(void)begin, (void)end;
	for (int64_t i = 0; i < n; i++) {
		low = x[i] < low ? x[i] : low;
		high = x[i] > high ? x[i] : high;
	}
	float scale = (high - low) / 255;
	scale = scale > 0 ? scale : 1; /* all zeros */
	float zero = rintf(0 - low / scale);
	for (int64_t i = 0; i < n; i++) {
		float v = rintf(x[i] / scale) + zero;
		o[i] = (uint8_t)(v >= 255 ? 255 : v > 0 ? v : 0);
	}
	if (args_has_out(a, 1))
		*(float *)a->out[1].data = scale;
	if (args_has_out(a, 2))
		*(uint8_t *)a->out[2].data = (uint8_t)(zero >= 255 ? 255 : zero > 0 ? zero : 0);
}

enum err_code prepare_dynamic_quantize(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	ret->run = run_dynamic_quantize;
	return ERR_OK;
}
