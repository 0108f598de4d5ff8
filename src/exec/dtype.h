/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dtype.h -- element types
 *
 * The numbers are ONNX's TensorProto.DataType, so reading a file needs no map. A string
 * element is a struct slice whose bytes the tensor's owner holds.
 *
 * DTYPE_TENSOR is ours: the element of a sequence. A sequence is a rank 1 tensor whose
 * elements are struct tensor, so that whatever moves elements moves sequences too. A map
 * is a sequence of two tensors, keys and values. See tensor.h.
 *
 * Threads: any; constant tables. Memory: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/slice.h"

enum dtype {
#define DTYPE(id, onnx, bytes, bits, class, name, oip, tf, tf_name) DTYPE_##id = onnx,
#include "exec/dtypes.def"
#undef DTYPE
	DTYPE_TENSOR,
	DTYPE_COUNT_
};

enum dtype_class {
	DTYPE_CLASS_NONE,
	DTYPE_CLASS_FLOAT,
	DTYPE_CLASS_INT,
	DTYPE_CLASS_UINT,
	DTYPE_CLASS_BOOL,
	DTYPE_CLASS_STRING,
	DTYPE_CLASS_COMPLEX,
};

struct dtype_info {
	uint8_t bytes;     /* of one element in memory */
	uint8_t file_bits; /* of one element in raw_data, 0: no raw form */
	enum dtype_class class;
	const char *name;     /* "float32" */
	const char *oip_name; /* "FP32"; NULL: the protocol has none */
	int tf_number;        /* tensorflow.DataType; 0: none */
	const char *tf_name;  /* "DT_FLOAT" */
};

/* Any value of the enum, and DTYPE_UNDEFINED's row for any other number. */
const struct dtype_info *dtype_info(enum dtype dtype);

static inline size_t dtype_bytes(enum dtype dtype)
{
	return dtype_info(dtype)->bytes;
}

static inline const char *dtype_name(enum dtype dtype)
{
	return dtype_info(dtype)->name;
}

/* DTYPE_UNDEFINED when there is no such name. Case matters. */
enum dtype dtype_find(struct slice name);
enum dtype dtype_find_oip(struct slice oip_name);
enum dtype dtype_find_tf(int tf_number);

/* Sets of types, for tables. */
#define T(id) (UINT64_C(1) << DTYPE_##id)
#define T_INT (T(I8) | T(I16) | T(I32) | T(I64))
#define T_UINT (T(U8) | T(U16) | T(U32) | T(U64))
#define T_REAL (T(F32) | T(F64))
#define T_HALF (T(F16) | T(BF16))
#define T_FLOAT (T_REAL | T_HALF)
#define T_F8 (T(F8E4M3FN) | T(F8E4M3FNUZ) | T(F8E5M2) | T(F8E5M2FNUZ))
#define T_NUM (T_INT | T_UINT | T_FLOAT)
#define T_ALL (~UINT64_C(0))

static inline bool dtype_in(enum dtype dtype, uint64_t set)
{
	return set >> dtype & 1;
}
