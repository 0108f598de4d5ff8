/* SPDX-License-Identifier: Apache-2.0 */
/*
 * axis.cu -- operators that go along one axis slice by slice: ArgMax, ArgMin, CumSum, CumProd, TopK
 *
 * A block takes a slice of ArgMax and TopK; the latter finds the k best one after the other, each
 * the best of those that stand behind the one before it. A thread takes a slice of CumSum.
 */
#include "exec/gpu/rows.cuh"

template <typename T> struct candidate {
	T v;
	uint32_t at; /* UINT32_MAX: none */
};

/* Does a stand before b? NaN is above all numbers; among equals the first, or the last. */
template <typename T>
static __device__ inline bool stands_before(
	const struct gpu_slices &s, const candidate<T> &a, const candidate<T> &b, bool nan_first)
{
	if (a.at == UINT32_MAX || b.at == UINT32_MAX)
		return b.at == UINT32_MAX && a.at != UINT32_MAX;
	bool a_nan = a.v != a.v, b_nan = b.v != b.v, up = s.largest || nan_first;
	if (a_nan != b_nan)
		return a_nan == up;
	if (!a_nan && a.v != b.v)
		return (a.v > b.v) == (s.largest != 0);
	return s.last && !a_nan ? a.at > b.at : a.at < b.at;
}

static __device__ inline size_t slice_at(const struct gpu_slices &s, uint32_t slice, uint32_t n)
{
	uint32_t outer = quotient(slice, s.inner);
	return (size_t)outer * n * s.inner.d + (slice - outer * s.inner.d);
}

/* The best of a slice among those that stand behind `after`. */
template <typename T>
static __device__ candidate<compute<T>> best_of(
	const struct gpu_slices &s, const T *x, const candidate<compute<T>> *after, bool nan_first)
{
	using C = candidate<compute<T>>;
	__shared__ C part[WARPS_MAX];
	C best = { 0, UINT32_MAX };
	for (uint32_t i = threadIdx.x; i < s.n; i += blockDim.x) {
		C c = { widen(x[(size_t)i * s.inner.d]), i };
		if ((!after || stands_before(s, *after, c, nan_first)) &&
			stands_before(s, c, best, nan_first))
			best = c;
	}
	for (int by = WARP / 2; by > 0; by /= 2) {
		C other = { __shfl_xor_sync(ALL_LANES, best.v, by),
			__shfl_xor_sync(ALL_LANES, best.at, by) };
		best = stands_before(s, other, best, nan_first) ? other : best;
	}
	if (threadIdx.x % WARP == 0)
		part[threadIdx.x / WARP] = best;
	__syncthreads();
	best = part[0];
	for (uint32_t i = 1; i < blockDim.x / WARP; i++)
		best = stands_before(s, part[i], best, nan_first) ? part[i] : best;
	__syncthreads(); /* before part is written again */
	return best;
}

template <typename T> __device__ void arg(const struct gpu_slices &s, int64_t *out, const T *in)
{
	for (uint32_t slice = blockIdx.x; slice < s.slices; slice += gridDim.x) {
		candidate<compute<T>> best = best_of(
			s, in + slice_at(s, slice, s.n), (candidate<compute<T>> *)nullptr, true);
		if (threadIdx.x == 0)
			out[slice] = best.at;
	}
}

template <typename T>
__device__ void top_k(const struct gpu_slices &s, T *out, int64_t *places, const T *in)
{
	for (uint32_t slice = blockIdx.x; slice < s.slices; slice += gridDim.x) {
		const T *x = in + slice_at(s, slice, s.n);
		size_t to = slice_at(s, slice, s.k);
		candidate<compute<T>> best;
		for (uint32_t k = 0; k < s.k; k++, to += s.inner.d) {
			candidate<compute<T>> before = best;
			best = best_of(s, x, k ? &before : nullptr, false);
			if (threadIdx.x != 0)
				continue;
			out[to] = x[(size_t)best.at * s.inner.d];
			if (places)
				places[to] = best.at;
		}
	}
}

/* Floats in double, as on the host; integers wrap. */
template <typename T, typename A>
__device__ void cumulate(const struct gpu_slices &s, T *out, const T *in)
{
	for (int64_t slice = thread_index(); slice < s.slices; slice += thread_stride()) {
		size_t at = slice_at(s, (uint32_t)slice, s.n);
		A sum = s.product ? 1 : 0;
		for (uint32_t i = 0; i < s.n; i++) {
			size_t k = at + (size_t)(s.reverse ? s.n - 1 - i : i) * s.inner.d;
			A v = (A)widen(in[k]), next = s.product ? sum * v : sum + v;
			out[k] = narrow<T>((compute<T>)(s.exclusive ? sum : next));
			sum = next;
		}
	}
}

#define AXIS(T, A, name) \
	KERNEL(arg_##name, (struct gpu_slices s, int64_t *out, const T *in)) { arg(s, out, in); } \
	KERNEL(top_k_##name, (struct gpu_slices s, T *out, int64_t *places, const T *in)) \
	{ \
		top_k(s, out, places, in); \
	} \
	KERNEL(cumulate_##name, (struct gpu_slices s, T *out, const T *in)) \
	{ \
		cumulate<T, A>(s, out, in); \
	}
AXIS(float, double, f32)
AXIS(half, double, f16)
AXIS(bfloat, double, bf16)
AXIS(int32_t, uint32_t, i32)
AXIS(int64_t, uint64_t, i64)
