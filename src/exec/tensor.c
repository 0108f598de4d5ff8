/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/tensor.h"

#include <assert.h>
#include "base/checked.h"
#include "exec/half.h"

bool tensor_bytes_overflow(enum dtype dtype, const struct shape *s, size_t *ret)
{
	int64_t n;
	if (shape_count_overflows(s, &n))
		return true;
	return mul_overflows((size_t)n, dtype_bytes(dtype), ret);
}

size_t tensor_bytes(const struct tensor *t)
{
	size_t n = 0;
	bool overflow = tensor_bytes_overflow(t->dtype, &t->shape, &n);
	assert(!overflow);
	(void)overflow;
	return n;
}

int64_t tensor_int(const struct tensor *t, int64_t i)
{
	switch (t->dtype) {
	case DTYPE_BOOL:
	case DTYPE_U4:
	case DTYPE_U2:
	case DTYPE_U8: return ((const uint8_t *)t->data)[i];
	case DTYPE_I4:
	case DTYPE_I2:
	case DTYPE_I8: return ((const int8_t *)t->data)[i];
	case DTYPE_U16: return ((const uint16_t *)t->data)[i];
	case DTYPE_I16: return ((const int16_t *)t->data)[i];
	case DTYPE_U32: return ((const uint32_t *)t->data)[i];
	case DTYPE_I32: return ((const int32_t *)t->data)[i];
	case DTYPE_U64: return (int64_t)((const uint64_t *)t->data)[i];
	case DTYPE_I64: return ((const int64_t *)t->data)[i];
	default: assert(!"tensor_int of a type that is no integer"); return 0;
	}
}

void tensor_set(const struct tensor *t, int64_t i, double v)
{
	switch (t->dtype) {
	case DTYPE_F32: ((float *)t->data)[i] = (float)v; break;
	case DTYPE_F64: ((double *)t->data)[i] = v; break;
	case DTYPE_F16: ((uint16_t *)t->data)[i] = float_to_half((float)v); break;
	case DTYPE_BF16: ((uint16_t *)t->data)[i] = float_to_bfloat((float)v); break;
	case DTYPE_BOOL: ((uint8_t *)t->data)[i] = v != 0; break;
	case DTYPE_U8: ((uint8_t *)t->data)[i] = (uint8_t)v; break;
	case DTYPE_I8: ((int8_t *)t->data)[i] = (int8_t)v; break;
	case DTYPE_U16: ((uint16_t *)t->data)[i] = (uint16_t)v; break;
	case DTYPE_I16: ((int16_t *)t->data)[i] = (int16_t)v; break;
	case DTYPE_U32: ((uint32_t *)t->data)[i] = (uint32_t)v; break;
	case DTYPE_I32: ((int32_t *)t->data)[i] = (int32_t)v; break;
	case DTYPE_U64: ((uint64_t *)t->data)[i] = (uint64_t)v; break;
	case DTYPE_I64: ((int64_t *)t->data)[i] = (int64_t)v; break;
	default: assert(!"tensor_set of a type that is no number");
	}
}

double tensor_float(const struct tensor *t, int64_t i)
{
	switch (t->dtype) {
	case DTYPE_F32: return ((const float *)t->data)[i];
	case DTYPE_F64: return ((const double *)t->data)[i];
	case DTYPE_F16: return half_to_float(((const uint16_t *)t->data)[i]);
	case DTYPE_BF16: return bfloat_to_float(((const uint16_t *)t->data)[i]);
	default: return (double)tensor_int(t, i);
	}
}
