/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce.cu -- the Reduce operators over any axes
 *
 * Where the innermost axis is reduced, warps or blocks go along each output's elements; where it is
 * kept, neighbouring threads have neighbouring outputs, and those above each other share the
 * elements. Groups of 16 bytes are read where they lie side by side. Where outputs alone are too
 * few for the device, several blocks have a part of the elements each, and what they come to is
 * joined by a second kernel, in an order that is always the same.
 *
 * Sums of floats are double, those of short floats are float: a thread adds few of them in a row.
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
template <typename A> struct accumulates_as {
	using type = A;
	static __device__ inline type lowest() { return -INFINITY; }
	static __device__ inline type highest() { return INFINITY; }
};
template <> struct accumulates_in<float> : accumulates_as<double> {};
template <> struct accumulates_in<half> : accumulates_as<float> {};
template <> struct accumulates_in<bfloat> : accumulates_as<float> {};
template <typename T> using sum_of = typename accumulates_in<T>::type;

template <int STEP, typename T> static __device__ inline sum_of<T> start_of()
{
	using limits = accumulates_in<T>;
	return STEP == GPU_PRODUCT   ? 1
	       : STEP == GPU_LARGEST ? limits::lowest()
	       : STEP == GPU_LEAST   ? limits::highest()
				     : 0;
}

/* Integers wrap. */
template <typename A> static __device__ inline A added(A a, A b)
{
	return a + b;
}

static __device__ inline int64_t added(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

template <typename A> static __device__ inline A multiplied(A a, A b)
{
	return a * b;
}

static __device__ inline int64_t multiplied(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a * (uint64_t)b);
}

/* Two accumulators as one. */
template <int STEP, typename A> static __device__ inline A joined(A a, A b)
{
	switch (STEP) {
	case GPU_PRODUCT:
		return multiplied(a, b);
	case GPU_LARGEST:
		return a > b || a != a ? a : b;
	case GPU_LEAST:
		return a < b || a != a ? a : b;
	default:
		return added(a, b);
	}
}

template <int STEP, typename A> static __device__ inline A as_term(A x)
{
	if (STEP == GPU_L1)
		return x < 0 ? multiplied(x, (A)-1) : x;
	return STEP == GPU_SQUARES ? multiplied(x, x) : x;
}

template <int N> struct constant {
	static constexpr int value = N;
};

/* f of the step as a constant: nothing is looked up for an element. */
template <typename F> static __device__ inline void by_step(int step, F f)
{
	switch (step) {
	case GPU_SUM:
		return f(constant<GPU_SUM>());
	case GPU_L1:
		return f(constant<GPU_L1>());
	case GPU_SQUARES:
		return f(constant<GPU_SQUARES>());
	case GPU_PRODUCT:
		return f(constant<GPU_PRODUCT>());
	case GPU_LARGEST:
		return f(constant<GPU_LARGEST>());
	case GPU_LEAST:
		return f(constant<GPU_LEAST>());
	}
}

static __device__ inline uint32_t dims_at(const struct gpu_dims &d, uint32_t i)
{
	uint32_t at = 0;
#pragma unroll 1
	for (int k = d.rank - 1; k >= 0; k--) {
		uint32_t q = quotient(i, d.dim[k]);
		at += (i - q * d.dim[k].d) * d.stride[k];
		i = q;
	}
	return at;
}

static __device__ inline double from_real(double x, double) { return x; }
static __device__ inline float from_real(double x, float) { return (float)x; }
static __device__ inline int64_t from_real(double x, int64_t)
{
	return x >= 9223372036854775808.0 ? INT64_MAX
	       : x > -9223372036854775808.0 ? (int64_t)x
					    : INT64_MIN;
}
static __device__ inline double mean_of(double sum, uint32_t n) { return sum / n; }
static __device__ inline float mean_of(float sum, uint32_t n) { return sum / (float)n; }
static __device__ inline int64_t mean_of(int64_t sum, uint32_t n)
{
	return n ? sum / (int64_t)n : 0;
}

/* No part of each kernel and step: there are many of those. */
template <typename A>
static __noinline__ __device__ A finished_by(int finish, uint32_t elements, A acc, A top)
{
	switch (finish) {
	case GPU_MEAN_OF:
		return mean_of(acc, elements);
	case GPU_ROOT:
		return from_real(sqrt((double)acc), acc);
	case GPU_LOG:
		return from_real(log((double)acc), acc);
	case GPU_LOG_SUM_EXP:
		return from_real(log((double)acc) + (double)top, acc);
	}
	return acc;
}

template <typename T>
static __device__ inline T finished(const struct gpu_reduce &r, sum_of<T> acc, sum_of<T> top)
{
	acc = r.finish == GPU_AS_IS ? acc : finished_by(r.finish, r.elements, acc, top);
	return narrow<T>((compute<T>)acc);
}

/* -- accumulators to results ------------------------------------------------------------------- */

/* Of output o: the result, or what this block's part of its elements comes to. */
template <typename T>
static __device__ inline void put(
	const struct gpu_reduce &r, T *out, sum_of<T> *parts, uint32_t o, sum_of<T> acc)
{
	if (gridDim.y > 1)
		parts[(size_t)o * gridDim.y + blockIdx.y] = acc;
	else
		out[o] = finished<T>(r, acc, 0);
}

/* A warp for each output. */
template <int STEP, typename T>
__device__ inline void join_parts(
	const struct gpu_reduce &r, uint32_t n, T *out, const sum_of<T> *parts)
{
	using A = sum_of<T>;
	uint32_t warps = gridDim.x * blockDim.y;
	for (uint32_t o = blockIdx.x * blockDim.y + threadIdx.y; o < r.outputs; o += warps) {
		A acc = start_of<STEP, T>();
		for (uint32_t i = threadIdx.x; i < n; i += WARP)
			acc = joined<STEP>(acc, parts[(size_t)o * n + i]);
		acc = over_warp(acc, [](A a, A b) { return joined<STEP>(a, b); });
		if (threadIdx.x == 0)
			out[o] = finished<T>(r, acc, 0);
	}
}

/* -- along rows and along columns -------------------------------------------------------------- */

/* Each of V accumulators takes the elements at its place of the groups first, first + by, ... */
template <int STEP, typename T, int V>
static __device__ inline void gather_groups(
	const struct gpu_reduce &r, const T *x, uint32_t first, uint32_t by, sum_of<T> (&acc)[V])
{
	for (int k = 0; k < V; k++)
		acc[k] = start_of<STEP, T>();
#pragma unroll 4
	for (uint32_t i = first; i < r.count; i += by) {
		group<T, V> g = load_group<T, V>(x + dims_at(r.reduced, i), true);
		for (int k = 0; k < V; k++)
			acc[k] = joined<STEP>(acc[k], as_term<STEP>((sum_of<T>)widen(g.v[k])));
	}
}

/* As many rows in a block as it is high; its height is 1 where rows are wider than a warp. */
template <int STEP, typename T, int V>
__device__ inline void reduce_rows(
	const struct gpu_reduce &r, T *out, sum_of<T> *parts, const T *in)
{
	using A = sum_of<T>;
	uint32_t rows = gridDim.x * blockDim.y;
	for (uint32_t o = blockIdx.x * blockDim.y + threadIdx.y; o < r.outputs; o += rows) {
		A acc[V] = {};
		gather_groups<STEP>(r, in + dims_at(r.kept, o),
			blockIdx.y * blockDim.x + threadIdx.x, gridDim.y * blockDim.x, acc);
		for (int k = 1; k < V; k++)
			acc[0] = joined<STEP>(acc[0], acc[k]);
		A all = over_block(acc[0], [](A a, A b) { return joined<STEP>(a, b); });
		if (threadIdx.x == 0)
			put(r, out, parts, o, all);
	}
}

/* Of a block that is more than one high; one for all steps. */
template <typename T, int V> struct columns {
	sum_of<T> at[GPU_REDUCE_HIGH][GPU_REDUCE_WIDE][V];
};
template <typename T, int V> static __device__ inline struct columns<T, V> *shared_columns()
{
	__shared__ struct columns<T, V> c;
	return &c;
}

template <int STEP, typename T, int V>
__device__ inline void reduce_columns(
	const struct gpu_reduce &r, T *out, sum_of<T> *parts, const T *in)
{
	struct columns<T, V> *shared = shared_columns<T, V>();
	uint32_t x = threadIdx.x, y = threadIdx.y, groups = r.outputs / V;
	/* All of a block go on together: they meet below. */
	for (uint32_t at = blockIdx.x * blockDim.x; at < groups; at += gridDim.x * blockDim.x) {
		bool mine = at + x < groups;
		sum_of<T> acc[V] = {};
		if (mine)
			gather_groups<STEP>(r, in + dims_at(r.kept, at + x),
				blockIdx.y * blockDim.y + y, gridDim.y * blockDim.y, acc);
		if (blockDim.y > 1) {
			for (int k = 0; k < V && mine; k++)
				shared->at[y][x][k] = acc[k];
			__syncthreads();
			for (uint32_t i = 1; i < blockDim.y && mine && y == 0; i++)
				for (int k = 0; k < V; k++)
					acc[k] = joined<STEP>(acc[k], shared->at[i][x][k]);
			__syncthreads();
		}
		for (int k = 0; k < V && mine && y == 0; k++)
			put(r, out, parts, (at + x) * V + k, acc[k]);
	}
}

/* -- LogSumExp: around the largest one --------------------------------------------------------- */

static __device__ inline bool is_finite(double x) { return x - x == 0; }
static __device__ inline bool is_finite(int64_t) { return true; }

template <typename T>
static __device__ inline sum_of<T> largest_of(
	const struct gpu_reduce &r, const T *x, uint32_t first, uint32_t by)
{
	sum_of<T> acc[1] = {};
	gather_groups<GPU_LARGEST>(r, x, first, by, acc);
	return acc[0];
}

template <typename T>
static __device__ inline sum_of<T> exps_of(
	const struct gpu_reduce &r, const T *x, sum_of<T> top, uint32_t first, uint32_t by)
{
	sum_of<T> sum = 0;
	for (uint32_t i = first; i < r.count; i += by)
		sum += (sum_of<T>)exp((double)((sum_of<T>)widen(x[dims_at(r.reduced, i)]) - top));
	return sum;
}

template <typename T>
__device__ void log_sum_exp_rows(const struct gpu_reduce &r, T *out, const T *in)
{
	using A = sum_of<T>;
	for (uint32_t o = blockIdx.x; o < r.outputs; o += gridDim.x) {
		const T *x = in + dims_at(r.kept, o);
		A top = over_block(largest_of(r, x, threadIdx.x, blockDim.x),
			[](A a, A b) { return joined<GPU_LARGEST>(a, b); });
		top = is_finite(top) ? top : 0;
		A sum = over_block(exps_of(r, x, top, threadIdx.x, blockDim.x),
			[](A a, A b) { return a + b; });
		if (threadIdx.x == 0)
			out[o] = finished<T>(r, sum, top);
	}
}

template <typename T>
__device__ void log_sum_exp_columns(const struct gpu_reduce &r, T *out, const T *in)
{
	for (int64_t o = thread_index(); o < r.outputs; o += thread_stride()) {
		const T *x = in + dims_at(r.kept, (uint32_t)o);
		sum_of<T> top = largest_of(r, x, 0, 1);
		top = is_finite(top) ? top : 0;
		out[o] = finished<T>(r, exps_of(r, x, top, 0, 1), top);
	}
}

/* -- kernels ----------------------------------------------------------------------------------- */

#define REDUCE(T, name, V) \
	KERNEL(reduce_rows_##name, (struct gpu_reduce r, T *out, sum_of<T> *parts, const T *in)) \
	{ \
		by_step(r.step, [&](auto s) { \
			reduce_rows<decltype(s)::value, T, V>(r, out, parts, in); \
		}); \
	} \
	KERNEL(reduce_columns_##name, \
		(struct gpu_reduce r, T *out, sum_of<T> *parts, const T *in)) \
	{ \
		by_step(r.step, [&](auto s) { \
			reduce_columns<decltype(s)::value, T, V>(r, out, parts, in); \
		}); \
	}
#define REDUCE_ALL(T, name) \
	REDUCE(T, name, 1) \
	REDUCE(T, name##_wide, wide_of<T>) \
	KERNEL(reduce_join_##name, \
		(struct gpu_reduce r, uint32_t n, T *out, const sum_of<T> *parts)) \
	{ \
		by_step(r.step, [&](auto s) { \
			join_parts<decltype(s)::value, T>(r, n, out, parts); \
		}); \
	} \
	KERNEL(log_sum_exp_rows_##name, (struct gpu_reduce r, T *out, const T *in)) \
	{ \
		log_sum_exp_rows(r, out, in); \
	} \
	KERNEL(log_sum_exp_columns_##name, (struct gpu_reduce r, T *out, const T *in)) \
	{ \
		log_sum_exp_columns(r, out, in); \
	}
REDUCE_ALL(float, f32)
REDUCE_ALL(half, f16)
REDUCE_ALL(bfloat, bf16)
REDUCE_ALL(int32_t, i32)
REDUCE_ALL(int64_t, i64)
