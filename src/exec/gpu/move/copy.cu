/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.cu -- n-dimensional boxes moved between strided views: Transpose, Slice, Expand, Concat, ...
 */
#include "exec/gpu/kernels.cuh"

/* Where element i of a box is, in both. */
static __device__ inline void box_at(
	const struct gpu_box &b, uint32_t i, int32_t *src, int32_t *dst)
{
	*src = *dst = 0;
	for (int d = b.rank - 1; d > 0; d--) {
		uint32_t q = quotient(i, b.dim[d]), r = i - q * b.dim[d].d;
		*src += (int32_t)r * b.src[d];
		*dst += (int32_t)r * b.dst[d];
		i = q;
	}
	*src += (int32_t)i * b.src[0];
	*dst += (int32_t)i * b.dst[0];
}

template <typename T> __device__ void copy_box(const struct gpu_box &b, T *dst, const T *src)
{
	for (int64_t i = thread_index(); i < b.count; i += thread_stride()) {
		int32_t from, to;
		box_at(b, (uint32_t)i, &from, &to);
		dst[to] = src[from];
	}
}

/* A block for a square: rows of the source in, rows of the destination out, P elements in an
   access. */
template <typename T, int P>
__device__ void copy_tiles(const struct gpu_tiles &t, T *dst, const T *src)
{
	constexpr int SIDE = GPU_SQUARE * P;
	__shared__ group<T, P> square[SIDE][GPU_SQUARE + 1];
	for (uint32_t s = blockIdx.x; s < t.squares; s += gridDim.x) {
		uint32_t rest = quotient(s, t.last_squares),
			 x = (s - rest * t.last_squares.d) * SIDE;
		uint32_t place = quotient(rest, t.tile_squares),
			 y = (rest - place * t.tile_squares.d) * SIDE;
		uint32_t column = threadIdx.x * P;
		int32_t from, to;
		box_at(t.outer, place, &from, &to);
		for (uint32_t r = threadIdx.y; r < SIDE; r += GPU_SQUARE_HIGH)
			if (x + r < t.last && y + column < t.tile)
				square[r][threadIdx.x] = load_group<T, P>(
					src + from + (int32_t)(x + r) * t.last_src +
						(int32_t)(y + column),
					true);
		__syncthreads();
		for (uint32_t r = threadIdx.y; r < SIDE; r += GPU_SQUARE_HIGH) {
			if (y + r >= t.tile || x + column >= t.last)
				continue;
			group<T, P> g;
			for (int k = 0; k < P; k++)
				g.v[k] = square[column + k][r / P].v[r % P];
			store_group<T, P>(
				dst + to + (int32_t)(y + r) * t.tile_dst + (int32_t)(x + column),
				g);
		}
		__syncthreads();
	}
}

/* A thread takes a group of each plane, and puts down as many groups of their elements in turn:
   tiles would be all but empty. */
template <typename T, int PLANES>
__device__ void interleave(const struct gpu_interleave &p, T *dst, const T *src)
{
	constexpr int V = wide_of<T>;
	for (int64_t i = thread_index(); i < p.count; i += thread_stride()) {
		uint32_t image = quotient((uint32_t)i, p.groups),
			 at = ((uint32_t)i - image * p.groups.d) * V;
		group<T, V> from[PLANES], to[PLANES];
		for (int c = 0; c < PLANES; c++)
			from[c] = load_group<T, V>(
				src + (int32_t)image * p.src_image + c * p.plane + at, true);
		for (int k = 0; k < V * PLANES; k++)
			to[k / V].v[k % V] = from[k % PLANES].v[k / PLANES];
		for (int c = 0; c < PLANES; c++)
			store_group<T, V>(
				dst + (int32_t)image * p.dst_image + at * PLANES + c * V, to[c]);
	}
}

/* Where coordinate i falls in a dimension of n; below 0: nowhere. */
static __device__ inline int32_t pad_source(int mode, int32_t i, int32_t n)
{
	if (i >= 0 && i < n)
		return i;
	if (n == 0 || mode == GPU_PAD_CONSTANT)
		return -1;
	if (mode == GPU_PAD_EDGE)
		return i < 0 ? 0 : n - 1;
	int32_t period = mode == GPU_PAD_WRAP ? n : n == 1 ? 1 : 2 * (n - 1);
	i %= period;
	i += i < 0 ? period : 0;
	return i < n ? i : period - i;
}

template <typename T>
__device__ void pad(const struct gpu_pad &p, T *dst, const T *src, const T *value)
{
	T constant;
	if (value)
		constant = *value;
	else
		memset(&constant, 0, sizeof(constant));
	for (int64_t i = thread_index(); i < p.count; i += thread_stride()) {
		uint32_t rest = (uint32_t)i;
		int32_t from = 0;
		bool outside = false;
		for (int d = p.rank - 1; d >= 0; d--) {
			uint32_t q = quotient(rest, p.dim[d]);
			int32_t at = pad_source(
				p.mode, (int32_t)(rest - q * p.dim[d].d) - p.begin[d], p.in[d]);
			outside |= at < 0;
			from += at * p.src[d];
			rest = q;
		}
		dst[i] = outside ? constant : src[from];
	}
}

#define COPY(T, size) \
	KERNEL(copy_box_##size, (struct gpu_box b, T *dst, const T *src)) { \
		copy_box(b, dst, src); } \
	KERNEL(copy_tiles_##size, (struct gpu_tiles t, T *dst, const T *src)) \
	{ \
		copy_tiles<T, 1>(t, dst, src); \
	}
#define INTERLEAVE(T, size, planes) \
	KERNEL(interleave_##size##_##planes, (struct gpu_interleave p, T *dst, const T *src)) \
	{ \
		interleave<T, planes>(p, dst, src); \
	}
#define PAD(T, size) \
	KERNEL(pad_##size, (struct gpu_pad p, T *dst, const T *src, const T *value)) \
	{ \
		pad(p, dst, src, value); \
	}
COPY(uint8_t, 1)
COPY(uint16_t, 2)
COPY(uint32_t, 4)
COPY(uint64_t, 8)
COPY(uint4, 16)
KERNEL(copy_tiles_2_pairs, (struct gpu_tiles t, uint16_t *dst, const uint16_t *src))
{
	copy_tiles<uint16_t, 2>(t, dst, src);
}
INTERLEAVE(uint16_t, 2, 2)
INTERLEAVE(uint16_t, 2, 3)
INTERLEAVE(uint16_t, 2, 4)
INTERLEAVE(uint32_t, 4, 2)
INTERLEAVE(uint32_t, 4, 3)
INTERLEAVE(uint32_t, 4, 4)
PAD(uint8_t, 1)
PAD(uint16_t, 2)
PAD(uint32_t, 4)
PAD(uint64_t, 8)
