/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizeLinear of floats to bytes and back with one scale, and DynamicQuantizeLinear, which
 * finds it. Compiled once per instruction set: ISA is avx2 or avx512.
 */
#include <math.h>
#include "exec/cpu/types.h"
#include "exec/cpu/vec_isa.h"

struct bytes_state {
	struct split split;
};

static int32_t zero_point(const struct kernel_args *a)
{
	return args_has_in(a, 2) ? (int32_t)tensor_int(&a->in[2], 0) : 0;
}

/* To the nearest, halves to the even one, by what a sum of this size keeps; NaN: the lowest. */
#define LOOPS(T, lowest, highest) \
	static void run_quantize_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct bytes_state *s = a->state; \
		const float *x = a->in[0].data, scale = *(const float *)a->in[1].data; \
		T *y = a->out[0].data; \
		int32_t zero = zero_point(a); \
		float low = (float)(lowest - zero), high = (float)(highest - zero); \
		int64_t from, to; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t i = from; i < to; i++) { \
			float v = x[i] / scale; \
			v = v > low ? v : low; \
			v = v < high ? v : high; \
			y[i] = (T)((int32_t)(v + 0x1.8p23f - 0x1.8p23f) + zero); \
		} \
	} \
	static void run_dequantize_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct bytes_state *s = a->state; \
		const T *x = a->in[0].data; \
		float *y = a->out[0].data, scale = *(const float *)a->in[1].data; \
		int32_t zero = zero_point(a); \
		int64_t from, to; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t i = from; i < to; i++) \
			y[i] = (float)(x[i] - zero) * scale; \
	}
LOOPS(uint8_t, 0, UINT8_MAX)
LOOPS(int8_t, INT8_MIN, INT8_MAX)

/* -- a scale of the numbers' range ------------------------------------------------------------- */

/* Of the numbers and zero; what is no number does not count. */
static void find_range(const float *x, int64_t n, float *low, float *high)
{
	vec least = vec_all(0), most = vec_all(0);
	int64_t i = 0;
	for (; i + VEC_FLOATS <= n; i += VEC_FLOATS) {
		vec v = *(const vec *)(x + i);
		least = vec_select(v < least, v, least);
		most = vec_select(v > most, v, most);
	}
	*low = *high = 0;
	for (int k = 0; k < VEC_FLOATS; k++) {
		*low = least[k] < *low ? least[k] : *low;
		*high = most[k] > *high ? most[k] : *high;
	}
	for (; i < n; i++) {
		*low = x[i] < *low ? x[i] : *low;
		*high = x[i] > *high ? x[i] : *high;
	}
}

static void quantize_range(const float *x, int64_t n, float scale, float zero, uint8_t *y)
{
	for (int64_t i = 0; i < n; i++) {
		float v = x[i] / scale;
		v = v + 0x1.8p23f - 0x1.8p23f + zero;
		v = v > 0 ? v : 0;
		v = v < UINT8_MAX ? v : UINT8_MAX;
		y[i] = (uint8_t)(int32_t)v;
	}
}

/* What is no number is 0. */
static uint8_t byte_of(float v)
{
	if (v >= UINT8_MAX)
		return UINT8_MAX;
	return v > 0 ? (uint8_t)v : 0;
}

static void run_dynamic(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const float *x = a->in[0].data;
	int64_t n = tensor_count(&a->in[0]);
	float low, high;
	(void)begin, (void)end;
	find_range(x, n, &low, &high);
	float scale = (high - low) / UINT8_MAX;
	scale = scale > 0 ? scale : 1; /* all zeros */
	float zero = rintf(0 - low / scale);
	quantize_range(x, n, scale, zero, a->out[0].data);
	if (args_has_out(a, 1))
		*(float *)a->out[1].data = scale;
	if (args_has_out(a, 2))
		*(uint8_t *)a->out[2].data = byte_of(zero);
}

enum err_code VEC_NAME(prepare_dynamic_quantize_bytes)(
	struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	ret->run = run_dynamic;
	return ERR_OK;
}

/* -- prepare ----------------------------------------------------------------------------------- */

static enum err_code prepare_bytes(struct prep *p, struct kernel *ret, run_fn run, struct err *err)
{
	const struct shape *scale = &p->in[1].shape;
	bool one = scale->rank == 0 || (scale->rank == 1 && scale->dim[0] == 1);
	int64_t precision = node_int(p->node, "precision", 0);
	if (!run || !one || node_int(p->node, "block_size", 0) || p->in[1].dtype != DTYPE_F32 ||
		(precision && precision != DTYPE_F32))
		return prep_refuse(err, "types, or more than one scale");
	struct bytes_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->split = split_work(p, ret, tensor_count(&p->in[0]), 0.3);
	ret->run = run;
	return ERR_OK;
}

enum err_code VEC_NAME(prepare_quantize_bytes)(struct prep *p, struct kernel *ret, struct err *err)
{
	enum dtype to = p->out[0].dtype;
	run_fn run = to == DTYPE_U8   ? run_quantize_uint8_t
		     : to == DTYPE_I8 ? run_quantize_int8_t
				      : NULL;
	return prepare_bytes(p, ret, run, err);
}

enum err_code VEC_NAME(prepare_dequantize_bytes)(
	struct prep *p, struct kernel *ret, struct err *err)
{
	bool is_signed = p->in[0].dtype == DTYPE_I8, floats = p->out[0].dtype == DTYPE_F32;
	run_fn run = is_signed ? run_dequantize_int8_t : run_dequantize_uint8_t;
	return prepare_bytes(p, ret, floats ? run : NULL, err);
}
