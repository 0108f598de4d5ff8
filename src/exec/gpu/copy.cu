/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.cu -- n-dimensional boxes moved between strided views: Transpose, Slice, Expand, Concat, ...
 */
#include "exec/gpu/kernels.cuh"

/* Element i of the destination's order comes from the place that its coordinates name. */
template <typename T> __device__ void copy_box(const struct gpu_box &b, T *dst, const T *src)
{
	for (int64_t i = thread_index(); i < b.count; i += thread_stride()) {
		int64_t rest = i, from = 0, to = 0;
		for (int d = b.rank - 1; d >= 0; d--) {
			int64_t at = rest % b.dim[d];
			rest /= b.dim[d];
			from += at * b.src[d];
			to += at * b.dst[d];
		}
		dst[to] = src[from];
	}
}

KERNEL(copy_box_1, (struct gpu_box b, uint8_t *dst, const uint8_t *src)) { copy_box(b, dst, src); }
KERNEL(copy_box_2, (struct gpu_box b, uint16_t *dst, const uint16_t *src)) { copy_box(b, dst, src); }
KERNEL(copy_box_4, (struct gpu_box b, uint32_t *dst, const uint32_t *src)) { copy_box(b, dst, src); }
KERNEL(copy_box_8, (struct gpu_box b, uint64_t *dst, const uint64_t *src)) { copy_box(b, dst, src); }
