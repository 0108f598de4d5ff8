/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather.cu -- elements by index: Gather, GatherElements, GatherND, and the other way round
 *
 * A negative index counts from the end. One that is out of range is complained of; what it was to
 * fetch is 0, what it was to place is left out.
 */
#include "exec/gpu/kernels.cuh"

static __device__ inline int64_t index_at(const void *p, bool wide, int64_t i)
{
	return wide ? static_cast<const int64_t *>(p)[i] : static_cast<const int32_t *>(p)[i];
}

/* true: within n, and from the front. */
static __device__ inline bool take_index(const struct gpu_complaint &f, int64_t *index, int64_t n)
{
	int64_t i = *index < 0 ? *index + n : *index;
	if (i < 0 || i >= n) {
		complain(f, *index);
		return false;
	}
	*index = i;
	return true;
}

template <typename T> static __device__ inline T zero_of()
{
	T v;
	memset(&v, 0, sizeof(v));
	return v;
}

template <typename T>
__device__ void gather(const struct gpu_gather &g, T *out, const T *data, const void *indices,
	const struct gpu_complaint &f)
{
	for (int64_t i = thread_index(); i < g.count; i += thread_stride()) {
		uint32_t row = quotient((uint32_t)i, g.row), at = (uint32_t)i - row * g.row.d;
		uint32_t outer = quotient(row, g.indices);
		int64_t index = index_at(indices, g.wide, row - outer * g.indices.d);
		out[i] = take_index(f, &index, g.n) ? data[(outer * g.n + index) * g.row.d + at]
						    : zero_of<T>();
	}
}

/* Where element i of the indices' shape is in the data; below 0: nowhere. */
static __device__ inline int64_t element_place(
	const struct gpu_gather &g, uint32_t i, const void *indices, const struct gpu_complaint &f)
{
	int64_t index = index_at(indices, g.wide, i), at = 0;
	if (!take_index(f, &index, g.dim[g.axis]))
		return -1;
	for (int d = g.depth - 1; d >= 0; d--) {
		uint32_t q = quotient(i, g.place[d]);
		at += d == g.axis ? index * g.stride[d]
				  : (int64_t)(i - q * g.place[d].d) * g.stride[d];
		i = q;
	}
	return at;
}

/* Where the row of a tuple begins. */
static __device__ inline int64_t tuple_place(const struct gpu_gather &g, uint32_t tuple,
	const void *indices, const struct gpu_complaint &f)
{
	int64_t at = (int64_t)quotient(tuple, g.indices) * g.batch;
	bool inside = true;
	for (int d = 0; d < g.depth; d++) {
		int64_t index = index_at(indices, g.wide, (int64_t)tuple * g.depth + d);
		inside &= take_index(f, &index, g.dim[d]);
		at += inside ? index * g.stride[d] : 0;
	}
	return inside ? at : -1;
}

#define GATHER(T, size) \
	KERNEL(gather_##size, \
		(struct gpu_gather g, T *out, const T *data, const void *indices, \
			struct gpu_complaint f)) \
	{ \
		gather(g, out, data, indices, f); \
	} \
	KERNEL(gather_elements_##size, \
		(struct gpu_gather g, T *out, const T *data, const void *indices, \
			struct gpu_complaint f)) \
	{ \
		for (int64_t i = thread_index(); i < g.count; i += thread_stride()) { \
			int64_t at = element_place(g, (uint32_t)i, indices, f); \
			out[i] = at < 0 ? zero_of<T>() : data[at]; \
		} \
	} \
	KERNEL(scatter_elements_##size, \
		(struct gpu_gather g, T *out, const T *updates, const void *indices, \
			struct gpu_complaint f)) \
	{ \
		for (int64_t i = thread_index(); i < g.count; i += thread_stride()) { \
			int64_t at = element_place(g, (uint32_t)i, indices, f); \
			if (at >= 0) \
				out[at] = updates[i]; \
		} \
	} \
	KERNEL(gather_nd_##size, \
		(struct gpu_gather g, T *out, const T *data, const void *indices, \
			struct gpu_complaint f)) \
	{ \
		for (int64_t i = thread_index(); i < g.count; i += thread_stride()) { \
			uint32_t tuple = quotient((uint32_t)i, g.row); \
			int64_t at = tuple_place(g, tuple, indices, f); \
			out[i] = at < 0 ? zero_of<T>() : data[at + (uint32_t)i - tuple * g.row.d]; \
		} \
	} \
	KERNEL(scatter_nd_##size, \
		(struct gpu_gather g, T *out, const T *updates, const void *indices, \
			struct gpu_complaint f)) \
	{ \
		for (int64_t i = thread_index(); i < g.count; i += thread_stride()) { \
			uint32_t tuple = quotient((uint32_t)i, g.row); \
			int64_t at = tuple_place(g, tuple, indices, f); \
			if (at >= 0) \
				out[at + (uint32_t)i - tuple * g.row.d] = updates[i]; \
		} \
	}
GATHER(uint8_t, 1)
GATHER(uint16_t, 2)
GATHER(uint32_t, 4)
GATHER(uint64_t, 8)
GATHER(uint4, 16)
