/* SPDX-License-Identifier: Apache-2.0 */
/*
 * params.h -- structs that kernels take by value, in C and in CUDA C alike
 */
#pragma once

#include <stdint.h>

#define GPU_RANK_MAX 8 /* of boxes after dimensions are merged */
#define GPU_OPERANDS_MAX 3

/* A box that is copied; strides in elements. */
struct gpu_box {
	int64_t count;
	int32_t rank;
	int64_t dim[GPU_RANK_MAX], src[GPU_RANK_MAX], dst[GPU_RANK_MAX];
};

/* Division by d of numbers below 2^31: a product, a sum, a shift. */
struct gpu_div {
	uint32_t d, mul, shift;
};

/*
 * Operands that are broadcast to a dense result, which is gone through in order. With `wide`
 * elements at a time dimensions and count are of such groups, strides in elements still.
 */
struct gpu_walk {
	uint32_t count;
	int32_t rank; /* at least 1 */
	struct gpu_div dim[GPU_RANK_MAX];
	uint32_t stride[GPU_OPERANDS_MAX][GPU_RANK_MAX];
	uint32_t dense; /* bit k: a group of operand k lies side by side; else it is one element */
};

/* struct device_fault (backend.h). */
struct gpu_fault {
	int32_t code, step;
	int64_t value;
};

/* Where a kernel complains of data, and as what. */
struct gpu_complaint {
	struct gpu_fault *at;
	int32_t step, code;
};

/* A function out of a list, and its parameters. */
struct gpu_call {
	int32_t fn;
	float alpha, beta;
};

/* The functions of two operands: gpu_call.fn. */
enum gpu_binary {
#define BINARY(id, expr) GPU_##id,
#include "exec/gpu/binary.h"
	GPU_BINARY_COUNT
};
