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

/* Plain floats in blocks of channels; NULL: no memory. Few rows ask for it: no haste. */
static const float *
blocked(const struct tensor *t, const float *x, enum layout layout, struct arena *tmp)
{
	int64_t block = layout_block(layout), channels = t->shape.dim[1];
	int64_t pixels = shape_count_range(&t->shape, 2, t->shape.rank);
	float *to = arena_alloc_aligned(tmp, tensor_bytes(t) + 1, ARENA_ALIGN_TENSOR);
	for (int64_t c = 0; to && c < t->shape.dim[0] * channels; c++) {
		float *at = to + c / block * block * pixels + c % block;
		for (int64_t i = 0; i < pixels; i++)
			at[i * block] = *x++;
	}
	return to;
}

bool contest_agree(const struct tensor *a, const struct tensor *trusted, float tolerance,
	struct arena *tmp)
{
	enum layout layout;
	const float *x = floats_of(a, tmp, &layout), *y = trusted->data;
	int64_t n = tensor_count(a), at = 0;
	struct extent e = { 0, 0 };
	if (x && layout == LAYOUT_PLAIN && layout_block(trusted->layout) > 1) {
		layout = trusted->layout;
		x = blocked(a, x, layout, tmp);
	}
	if (!x || layout != trusted->layout)
		return false;
	for (; at + EXTENT_BLOCK <= n; at += EXTENT_BLOCK)
		e = extent_of(x + at, y + at, EXTENT_BLOCK, e);
	e = extent_of(x + at, y + at, n - at, e);
	return e.apart < float_bits(INFINITY) &&
	       bits_float(e.apart) <= tolerance * bits_float(e.largest);
}
