/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizeLinear of floats to bytes and back with one scale. Compiled once per instruction
 * set: ISA is avx2 or avx512.
 */
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
	run_fn run = to == DTYPE_U8 ? run_quantize_uint8_t : to == DTYPE_I8 ? run_quantize_int8_t : NULL;
	return prepare_bytes(p, ret, run, err);
}

enum err_code VEC_NAME(prepare_dequantize_bytes)(struct prep *p, struct kernel *ret, struct err *err)
{
	bool is_signed = p->in[0].dtype == DTYPE_I8, floats = p->out[0].dtype == DTYPE_F32;
	run_fn run = is_signed ? run_dequantize_int8_t : run_dequantize_uint8_t;
	return prepare_bytes(p, ret, floats ? run : NULL, err);
}
