/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce.cu -- the Reduce operators over any axes
 *
 * Sums of floats are double, which costs nothing beside the memory they wait for. Where the
 * innermost axis is reduced a block goes along each output's elements; where it is kept
 * neighbouring threads have neighbouring outputs.
 */
#include "exec/gpu/rows.cuh"

template <typename T> struct accumulates_in {
	using type = int64_t;
	static __device__ inline type lowest() { return INT64_MIN; }
	static __device__ inline type highest() { return INT64_MAX; }
};
template <> struct accumulates_in<int32_t> {
	using type = int64_t;
	static __device__ inline type lowest() { return INT32_MIN; }
	static __device__ inline type highest() { return INT32_MAX; }
};
template <> struct accumulates_in<float> {
	using type = double;
	static __device__ inline type lowest() { return -INFINITY; }
	static __device__ inline type highest() { return INFINITY; }
};

template <typename A> static __device__ inline A start_of(int step, A lowest, A highest)
{
	return step == GPU_PRODUCT ? 1 : step == GPU_LARGEST ? lowest : step == GPU_LEAST ? highest : 0;
}

/* Two accumulators as one. */
template <typename A> static __device__ inline A joined(int step, A a, A b)
{
	switch (step) {
	case GPU_PRODUCT:
		return a * b;
	case GPU_LARGEST:
		return a > b || a != a ? a : b;
	case GPU_LEAST:
		return a < b || a != a ? a : b;
	default:
		return a + b;
	}
}

template <typename A> static __device__ inline A as_term(int step, A x)
{
	return step == GPU_L1 ? (x < 0 ? -x : x) : step == GPU_SQUARES ? x * x : x;
}

static __device__ inline uint32_t dims_at(const struct gpu_dims &d, uint32_t i)
{
	uint32_t at = 0;
	for (int k = d.rank - 1; k >= 0; k--) {
		uint32_t q = quotient(i, d.dim[k]);
		at += (i - q * d.dim[k].d) * d.stride[k];
		i = q;
	}
	return at;
}

/* What the elements [first, count) in steps come to; top: is subtracted before exp(). */
template <typename T, typename A>
static __device__ A gathered(
	const struct gpu_reduce &r, const T *x, int step, bool exps, A top, uint32_t first, uint32_t by)
{
	using limits = accumulates_in<compute<T>>;
	A acc = start_of<A>(step, limits::lowest(), limits::highest());
	for (uint32_t i = first; i < r.count; i += by) {
		A v = (A)widen(x[dims_at(r.reduced, i)]);
		acc = joined(step, acc, exps ? (A)exp((double)(v - top)) : as_term(step, v));
	}
	return acc;
}

static __device__ inline double from_real(double x, double) { return x; }
static __device__ inline int64_t from_real(double x, int64_t)
{
	return x >= 9223372036854775808.0 ? INT64_MAX : x > -9223372036854775808.0 ? (int64_t)x : INT64_MIN;
}
static __device__ inline double mean_of(double sum, uint32_t n) { return sum / n; }
static __device__ inline int64_t mean_of(int64_t sum, uint32_t n) { return n ? sum / (int64_t)n : 0; }

template <typename A> static __device__ inline A finished(const struct gpu_reduce &r, A acc, A top)
{
	switch (r.finish) {
	case GPU_MEAN_OF:
		return mean_of(acc, r.count);
	case GPU_ROOT:
		return from_real(sqrt((double)acc), acc);
	case GPU_LOG:
		return from_real(log((double)acc), acc);
	case GPU_LOG_SUM_EXP:
		return from_real(log((double)acc) + (double)top, acc);
	}
	return acc;
}

static __device__ inline bool is_finite(double x) { return x - x == 0; }
static __device__ inline bool is_finite(int64_t) { return true; }

template <typename T> __device__ void reduce_rows(const struct gpu_reduce &r, T *out, const T *in)
{
	using A = typename accumulates_in<compute<T>>::type;
	bool exps = r.finish == GPU_LOG_SUM_EXP;
	int step = r.step;
	for (uint32_t o = blockIdx.x; o < r.outputs; o += gridDim.x) {
		const T *x = in + dims_at(r.kept, o);
		A top = 0;
		if (exps) {
			top = gathered<T, A>(r, x, GPU_LARGEST, false, 0, threadIdx.x, blockDim.x);
			top = over_block(top, [](A a, A b) { return joined<A>(GPU_LARGEST, a, b); });
			top = is_finite(top) ? top : 0;
		}
		A acc = gathered<T, A>(r, x, step, exps, top, threadIdx.x, blockDim.x);
		acc = over_block(acc, [step](A a, A b) { return joined<A>(step, a, b); });
		if (threadIdx.x == 0)
			out[o] = narrow<T>((compute<T>)finished(r, acc, top));
	}
}

template <typename T> __device__ void reduce_columns(const struct gpu_reduce &r, T *out, const T *in)
{
	using A = typename accumulates_in<compute<T>>::type;
	bool exps = r.finish == GPU_LOG_SUM_EXP;
	for (int64_t o = thread_index(); o < r.outputs; o += thread_stride()) {
		const T *x = in + dims_at(r.kept, (uint32_t)o);
		A top = exps ? gathered<T, A>(r, x, GPU_LARGEST, false, 0, 0, 1) : 0;
		top = is_finite(top) ? top : 0;
		A acc = gathered<T, A>(r, x, r.step, exps, top, 0, 1);
		out[o] = narrow<T>((compute<T>)finished(r, acc, top));
	}
}

#define REDUCE(T, name) \
	KERNEL(reduce_rows_##name, (struct gpu_reduce r, T *out, const T *in)) { reduce_rows(r, out, in); } \
	KERNEL(reduce_columns_##name, (struct gpu_reduce r, T *out, const T *in)) \
	{ \
		reduce_columns(r, out, in); \
	}
REDUCE(float, f32)
REDUCE(half, f16)
REDUCE(bfloat, bf16)
REDUCE(int32_t, i32)
REDUCE(int64_t, i64)
