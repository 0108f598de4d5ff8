/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/math/functions.h"

#include "exec/unary.h"

/* Which function, for floats and for integers. */
static const struct {
	bool any;
	enum gpu_binary real, whole;
} functions[OP_COUNT_] = {
	[OP_ADD] = { true, GPU_ADD, GPU_ADD },
	[OP_SUB] = { true, GPU_SUB, GPU_SUB },
	[OP_MUL] = { true, GPU_MUL, GPU_MUL },
	[OP_DIV] = { true, GPU_DIV, GPU_DIV_INT },
	[OP_MAX] = { true, GPU_MAX, GPU_MAX },
	[OP_MIN] = { true, GPU_MIN, GPU_MIN },
	[OP_SUM] = { true, GPU_ADD, GPU_ADD },
	[OP_MEAN] = { true, GPU_ADD, GPU_ADD },
	[OP_PRELU] = { true, GPU_PRELU, GPU_BINARY_COUNT },
	[OP_POW] = { true, GPU_POW, GPU_BINARY_COUNT },
	[OP_MOD] = { true, GPU_FMOD, GPU_MOD_INT },
	[OP_BITWISE_AND] = { true, GPU_BINARY_COUNT, GPU_AND },
	[OP_BITWISE_OR] = { true, GPU_BINARY_COUNT, GPU_OR },
	[OP_BITWISE_XOR] = { true, GPU_BINARY_COUNT, GPU_XOR },
};

enum gpu_binary gpu_binary_of(const struct node *n, enum dtype dtype)
{
	bool real = dtype_in(dtype, T_FLOAT);
	enum gpu_binary fn = real ? functions[n->op].real : functions[n->op].whole;
	return fn == GPU_MOD_INT && node_int(n, "fmod", 0) ? GPU_FMOD_INT : fn;
}

enum gpu_compare gpu_compare_of(enum op_id op)
{
	static const enum gpu_compare functions[OP_COUNT_] = {[OP_EQUAL] = GPU_EQUAL,
		[OP_GREATER] = GPU_GREATER,
		[OP_GREATER_OR_EQUAL] = GPU_GREATER_OR_EQUAL,
		[OP_LESS] = GPU_LESS,
		[OP_LESS_OR_EQUAL] = GPU_LESS_OR_EQUAL,
		[OP_AND] = GPU_BOTH,
		[OP_OR] = GPU_EITHER,
		[OP_XOR] = GPU_ONE_OF,
		[OP_IS_NAN] = GPU_DIFFER };
	return functions[op];
}

const char *gpu_own_suffix(int32_t fn)
{
	switch (fn) {
#define OWN(id, ...) \
	case UNARY_##id: \
		return "_" #id;
		GPU_OWN_FUNCTIONS(OWN, )
#undef OWN
	default:
		return "";
	}
}
