/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/contest_agree.h"

#include <math.h>
#include "exec/cpu/widen.h"
#include "exec/half.h"

#define EXTENT_BLOCK 256 /* a number that the compiler knows, so that it goes by vectors */

/* As bits, which are in the order of the numbers, for none is negative: NaN is more than
   infinity, which is more than all others. */
struct extent {
	uint32_t apart, largest;
};

static inline struct extent extent_of(const float *x, const float *y, int64_t n, struct extent e)
{
	for (int64_t i = 0; i < n; i++) {
		uint32_t apart = float_bits(fabsf(x[i] - y[i])), size = float_bits(fabsf(y[i]));
		e.apart = apart > e.apart ? apart : e.apart;
		e.largest = size > e.largest ? size : e.largest;
	}
	return e;
}

/* Its elements as floats, and the layout in which those lie; NULL: no memory. */
static const float *floats_of(const struct tensor *t, struct arena *tmp, enum layout *ret_layout)
{
	*ret_layout = t->layout;
	if (!layout_is_bf16(t->layout))
		return t->data;
	float *wide = arena_alloc_aligned(tmp, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
	if (wide)
		widen_array(wide, t->data, tensor_count(t), DTYPE_BF16);
	*ret_layout = LAYOUT_NCHW16C;
	return wide;
}

bool contest_agree(const struct tensor *a, const struct tensor *trusted, float tolerance,
	struct arena *tmp)
{
	enum layout layout;
	const float *x = floats_of(a, tmp, &layout), *y = trusted->data;
	int64_t n = tensor_count(a), at = 0;
	struct extent e = { 0, 0 };
	if (!x || layout != trusted->layout)
		return false;
	for (; at + EXTENT_BLOCK <= n; at += EXTENT_BLOCK)
		e = extent_of(x + at, y + at, EXTENT_BLOCK, e);
	e = extent_of(x + at, y + at, n - at, e);
	return e.apart < float_bits(INFINITY) &&
	       bits_float(e.apart) <= tolerance * bits_float(e.largest);
}
