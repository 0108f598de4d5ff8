/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "exec/cpu/minifloat.h"
#include "exec/half.h"

#define GUARD 64
#define GUARD_BYTE 0xa5

static unsigned char *block_of(const struct tensor *t)
{
	return (unsigned char *)t->data - GUARD;
}

struct tensor tensors_new(enum dtype dtype, struct shape shape)
{
	struct tensor t = { .dtype = dtype, .shape = shape };
	size_t bytes = tensor_bytes(&t), block = round_up(bytes, GUARD) + 2 * GUARD;
	unsigned char *mem = aligned_alloc(GUARD, block);
	if (!mem)
		abort();
	memset(mem, GUARD_BYTE, block);
	t.data = mem + GUARD;
	return t;
}

void tensors_free(struct tensor *t)
{
	for (int64_t i = 0; t->data && t->dtype == DTYPE_TENSOR && i < tensor_count(t); i++)
		tensors_free((struct tensor *)t->data + i);
	if (t->data)
		free(block_of(t));
	t->data = NULL;
}

bool tensors_guards_hold(const struct tensor *t)
{
	const unsigned char *before = block_of(t),
			    *behind = (unsigned char *)t->data + tensor_bytes(t);
	for (int i = 0; i < GUARD; i++)
		if (before[i] != GUARD_BYTE || behind[i] != GUARD_BYTE)
			return false;
	return true;
}

/* "0" ... "99"; a fixed set, so that tensors of strings own nothing. */
static struct slice number_string(int n)
{
	static char text[100][4];
	n = abs(n) % 100;
	snprintf(text[n], sizeof(text[n]), "%d", n);
	return slice_of(text[n]);
}

void tensors_set(struct tensor *t, int64_t i, double v)
{
	switch (t->dtype) {
	case DTYPE_F32: ((float *)t->data)[i] = (float)v; break;
	case DTYPE_F64: ((double *)t->data)[i] = v; break;
	case DTYPE_F16: ((uint16_t *)t->data)[i] = float_to_half((float)v); break;
	case DTYPE_BF16: ((uint16_t *)t->data)[i] = float_to_bfloat((float)v); break;
	case DTYPE_I8: ((int8_t *)t->data)[i] = (int8_t)v; break;
	case DTYPE_I16: ((int16_t *)t->data)[i] = (int16_t)v; break;
	case DTYPE_I32: ((int32_t *)t->data)[i] = (int32_t)v; break;
	case DTYPE_I64: ((int64_t *)t->data)[i] = (int64_t)v; break;
	case DTYPE_U16: ((uint16_t *)t->data)[i] = (uint16_t)v; break;
	case DTYPE_U32: ((uint32_t *)t->data)[i] = (uint32_t)v; break;
	case DTYPE_U64: ((uint64_t *)t->data)[i] = (uint64_t)v; break;
	case DTYPE_STRING: ((struct slice *)t->data)[i] = number_string((int)v); break;
	case DTYPE_C64:
		((float *)t->data)[2 * i] = (float)v;
		((float *)t->data)[2 * i + 1] = (float)(v / 2);
		break;
	case DTYPE_C128:
		((double *)t->data)[2 * i] = v;
		((double *)t->data)[2 * i + 1] = v / 2;
		break;
	case DTYPE_F8E8M0:
		((uint8_t *)t->data)[i] = minifloat_encode_e8m0((float)v, true, MINIFLOAT_UP);
		break;
	default:
		if (dtype_is_minifloat(t->dtype))
			((uint8_t *)t->data)[i] = minifloat_encode(t->dtype, v, true);
		else if (t->dtype == DTYPE_BOOL)
			((uint8_t *)t->data)[i] = v != 0;
		else
			((uint8_t *)t->data)[i] = (uint8_t)(int)v;
	}
}

/* As tensors_set() took it. */
static double get(const struct tensor *t, int64_t i)
{
	if (dtype_is_minifloat(t->dtype))
		return (double)minifloat_decode(t->dtype, ((const uint8_t *)t->data)[i]);
	if (t->dtype == DTYPE_C64)
		return (double)((const float *)t->data)[2 * i];
	if (t->dtype == DTYPE_C128)
		return ((const double *)t->data)[2 * i];
	if (t->dtype == DTYPE_STRING)
		return atof(((const struct slice *)t->data)[i].ptr);
	return tensor_float(t, i);
}

static double special(uint32_t r)
{
	static const double values[] = { NAN, INFINITY, -INFINITY, -0.0, 0.0, 1e-41, 3e38, -3e38,
		1e-30, 0.5, 1.5, 2.5, -0.5 };
	return values[r % (sizeof(values) / sizeof(values[0]))];
}

void tensors_fill(struct tensor *t, enum tensors_fill how, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + 1;
	bool is_float = dtype_info(t->dtype)->class == DTYPE_CLASS_FLOAT ||
			dtype_info(t->dtype)->class == DTYPE_CLASS_COMPLEX;
	bool is_signed = is_float || dtype_info(t->dtype)->class == DTYPE_CLASS_INT;
	for (int64_t i = 0; i < tensor_count(t); i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		double v = is_float ? (double)(x >> 8) / (1 << 22) : (double)((x >> 8) % 10);
		if (how == TENSORS_POSITIVE)
			v = is_float ? v + 0.125 : v == 0 ? 10 : v;
		else if (is_signed && x & 1)
			v = -v;
		if (how == TENSORS_SPECIAL && is_float && x % 5 == 0)
			v = special(x >> 4);
		tensors_set(t, i, v);
	}
}

static bool element_close(
	const struct tensor *got, const struct tensor *want, int64_t i, double rtol, double atol)
{
	if (dtype_info(want->dtype)->class != DTYPE_CLASS_FLOAT) {
		size_t n = dtype_bytes(want->dtype);
		if (want->dtype == DTYPE_STRING)
			return slice_eq(((const struct slice *)got->data)[i],
				((const struct slice *)want->data)[i]);
		return memcmp((char *)got->data + (size_t)i * n, (char *)want->data + (size_t)i * n,
			       n) == 0;
	}
	double g = get(got, i), w = get(want, i);
	return g == w || (isnan(g) && isnan(w)) || fabs(g - w) <= atol + rtol * fabs(w);
}

bool tensors_close(const struct tensor *got, const struct tensor *want, double rtol, double atol,
	char *why, size_t size)
{
	if (tensor_is_absent(want) && tensor_is_absent(got))
		return true;
	if (got->dtype != want->dtype || !shape_equal(&got->shape, &want->shape)) {
		snprintf(why, size, "is %s%s, want %s%s", dtype_name(got->dtype),
			SHAPE_TEXT(&got->shape), dtype_name(want->dtype), SHAPE_TEXT(&want->shape));
		return false;
	}
	for (int64_t i = 0; i < tensor_count(want) && want->dtype == DTYPE_TENSOR; i++)
		if (!tensors_close((struct tensor *)got->data + i, (struct tensor *)want->data + i,
			    rtol, atol, why, size))
			return false;
	for (int64_t i = 0; i < tensor_count(want) && want->dtype != DTYPE_TENSOR; i++)
		if (!element_close(got, want, i, rtol, atol)) {
			snprintf(why, size, "element %lld is %.9g, want %.9g", (long long)i,
				get(got, i), get(want, i));
			return false;
		}
	return true;
}

static int64_t block_size(enum layout layout)
{
	static const int64_t sizes[LAYOUT_COUNT_] = { 1, 8, 16, 1, 16 };
	return sizes[layout];
}

bool tensors_can_have(const struct tensor *t, enum layout layout)
{
	return t->data && layout != LAYOUT_COLUMNS && t->shape.rank >= 4 &&
	       t->shape.dim[1] % block_size(layout) == 0 &&
	       (!layout_is_bf16(layout) || t->dtype == DTYPE_F32);
}

/* Where the element lies that is number i in the plain order. */
static int64_t place(const struct shape *s, enum layout layout, int64_t i)
{
	int64_t pixels = shape_count_range(s, 2, s->rank), pixel = i % pixels;
	int64_t c = i / pixels % s->dim[1], n = i / pixels / s->dim[1], b = block_size(layout);
	if (layout == LAYOUT_NHWC)
		return (n * pixels + pixel) * s->dim[1] + c;
	return ((n * (s->dim[1] / b) + c / b) * pixels + pixel) * b + c % b;
}

/* With the type that its elements have in a layout. */
static struct tensor as_stored(const struct tensor *t, enum layout layout)
{
	struct tensor s = *t;
	s.dtype = layout_is_bf16(layout) ? DTYPE_BF16 : t->dtype;
	return s;
}

struct tensor tensors_relayout(const struct tensor *t, enum layout layout)
{
	struct tensor r = tensors_new(t->dtype, t->shape);
	struct tensor to = as_stored(&r, layout), from = as_stored(t, t->layout);
	size_t n = dtype_bytes(to.dtype);
	r.layout = layout;
	for (int64_t i = 0; i < tensor_count(t); i++) {
		int64_t dst = place(&t->shape, layout, i), src = place(&t->shape, t->layout, i);
		if (to.dtype != from.dtype)
			tensors_set(&to, dst, tensor_float(&from, src));
		else
			memcpy((char *)r.data + (size_t)dst * n,
				(const char *)t->data + (size_t)src * n, n);
	}
	return r;
}
