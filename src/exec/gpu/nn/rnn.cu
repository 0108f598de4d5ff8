/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rnn.cu -- RNN, GRU and LSTM
 *
 * First all steps' inputs are multiplied with W, a warp for each number. Then a block takes one
 * direction of one sequence through its steps: its warps multiply the state, which lies in shared
 * memory, with rows of R, and its threads apply the cell.
 */
#include "exec/gpu/rows.cuh"
#include "exec/gpu/math/unary.cuh"

/* The sum over k of a[k] * b[k], in every lane. */
template <typename A, typename T>
static __device__ inline float dot(const A *a, const T *b, uint32_t n)
{
	float sum = 0;
	for (uint32_t k = threadIdx.x % WARP; k < n; k += WARP)
		sum += widen(a[k]) * widen(b[k]);
	return over_warp(sum, plus);
}

/* gates[direction][batch][time][gate * hidden] = x W + biases of W and, but for what the reset gate
   has to go before, of R. */
template <typename T>
__device__ void rnn_project(
	const struct gpu_rnn &r, float *gates, const T *x, const T *w, const T *b)
{
	uint32_t width = r.gates * r.hidden, warp = (uint32_t)(thread_index() / WARP);
	uint32_t late = r.gates == 3 && r.reset_after ? width - r.hidden : width;
	uint64_t all = (uint64_t)r.directions * r.batch * r.steps * width;
	for (uint64_t i = warp; i < all; i += (uint64_t)thread_stride() / WARP) {
		uint32_t j = (uint32_t)(i % width), t = (uint32_t)(i / width % r.steps);
		uint32_t n = (uint32_t)(i / width / r.steps % r.batch),
			 d = (uint32_t)(i / width / r.steps / r.batch);
		const T *row =
			x + (r.batch_first ? (size_t)n * r.steps + t : (size_t)t * r.batch + n) *
				    r.input;
		float sum = dot(row, w + ((size_t)d * width + j) * r.input, r.input);
		const T *bias = b ? b + (size_t)d * 2 * width : nullptr;
		if (threadIdx.x % WARP == 0)
			gates[i] = sum +
				   (bias ? widen(bias[j]) + (j < late ? widen(bias[width + j]) : 0)
					 : 0);
	}
}

/* One copy of the switch: nothing here waits for it. */
static __device__ __noinline__ float call(struct gpu_call c, float v) { return apply(c, v); }

static __device__ inline float activate(const struct gpu_rnn &r, uint32_t d, int which, float v)
{
	v = r.clip > 0 ? (v < -r.clip ? -r.clip : v > r.clip ? r.clip : v) : v;
	return call(r.function[d][which], v);
}

/* sum[j] = gates[j] + row j of R times v, for rows [from, to). */
template <typename T>
static __device__ void recur(float *sum, const float *gates, const T *rows, const float *v,
	uint32_t from, uint32_t to, uint32_t hidden)
{
	for (uint32_t j = from + threadIdx.x / WARP; j < to; j += blockDim.x / WARP) {
		float s = dot(v, rows + (size_t)j * hidden, hidden);
		if (threadIdx.x % WARP == 0)
			sum[j] = s + gates[j];
	}
	__syncthreads();
}

/* One step's cell of unit k, all its sums being there. Gates of LSTM: input, output, forget, cell;
   of GRU: update, reset, hidden. */
static __device__ inline float lstm_cell(const struct gpu_rnn &r, uint32_t d, const float *sum,
	uint32_t k, float pi, float po, float pf, float *c)
{
	uint32_t n = r.hidden;
	float i = activate(r, d, 0, sum[k] + pi * *c);
	float f = r.coupled ? 1 - i : activate(r, d, 0, sum[2 * n + k] + pf * *c);
	*c = f * *c + i * activate(r, d, 1, sum[3 * n + k]);
	return activate(r, d, 0, sum[n + k] + po * *c) * call(r.function[d][2], *c);
}

template <typename T>
__device__ void rnn_steps(const struct gpu_rnn &r, const struct gpu_rnn_pointers &p,
	const float *gates, const struct gpu_complaint &fault)
{
	DYNAMIC_SHARED(float, shared);
	uint32_t n = r.hidden, width = r.gates * n, d = blockIdx.x % r.directions,
		 b = blockIdx.x / r.directions;
	float *h = shared, *c = h + n, *extra = c + n, *sum = extra + n;
	const T *R = static_cast<const T *>(p.r) + (size_t)d * width * n;
	const T *bias = p.b ? static_cast<const T *>(p.b) + (size_t)d * 2 * width + width : nullptr;
	const T *peep =
		p.peepholes ? static_cast<const T *>(p.peepholes) + (size_t)d * 3 * n : nullptr;
	size_t state = (size_t)(r.batch_first ? b * r.directions + d : d * r.batch + b) * n;
	int64_t length = p.lengths ? p.lengths[b] : r.steps;
	if (length < 0 || length > r.steps) {
		if (threadIdx.x == 0)
			complain(fault, length);
		length = length < 0 ? 0 : r.steps;
	}
	for (uint32_t k = threadIdx.x; k < n; k += blockDim.x) {
		h[k] = p.initial_h ? widen(static_cast<const T *>(p.initial_h)[state + k]) : 0;
		c[k] = p.initial_c ? widen(static_cast<const T *>(p.initial_c)[state + k]) : 0;
	}
	__syncthreads();
	for (uint32_t step = 0; step < length; step++) {
		uint32_t t = d == 1 || r.reverse ? (uint32_t)length - 1 - step : step;
		const float *g = gates + (((size_t)d * r.batch + b) * r.steps + t) * width;
		recur(sum, g, R, h, 0, r.gates == 3 ? 2 * n : width, n);
		if (r.gates == 3) {
			for (uint32_t k = threadIdx.x; k < n; k += blockDim.x)
				extra[k] =
					activate(r, d, 0, sum[n + k]) * (r.reset_after ? 1 : h[k]);
			__syncthreads();
			/* After: the reset gate goes over the product; before: over the state. */
			for (uint32_t j = threadIdx.x / WARP; j < n; j += blockDim.x / WARP) {
				float s = dot(
					r.reset_after ? h : extra, R + (size_t)(2 * n + j) * n, n);
				s = r.reset_after
					    ? extra[j] * (s + (bias ? widen(bias[2 * n + j]) : 0))
					    : s;
				if (threadIdx.x % WARP == 0)
					sum[2 * n + j] = s + g[2 * n + j];
			}
			__syncthreads();
		}
		for (uint32_t k = threadIdx.x; k < n; k += blockDim.x) {
			if (r.gates == 1) {
				h[k] = activate(r, d, 0, sum[k]);
			} else if (r.gates == 3) {
				float z = activate(r, d, 0, sum[k]);
				h[k] = (1 - z) * activate(r, d, 1, sum[2 * n + k]) + z * h[k];
			} else {
				h[k] = lstm_cell(r, d, sum, k, peep ? widen(peep[k]) : 0,
					peep ? widen(peep[n + k]) : 0,
					peep ? widen(peep[2 * n + k]) : 0, &c[k]);
			}
			size_t at = r.batch_first
					    ? (((size_t)b * r.steps + t) * r.directions + d) * n
					    : (((size_t)t * r.directions + d) * r.batch + b) * n;
			if (p.y)
				static_cast<T *>(p.y)[at + k] = narrow<T>(h[k]);
		}
		__syncthreads();
	}
	/* Of a sequence of no steps the last state is 0, and so is what lies behind a sequence. */
	bool none = length == 0 && p.lengths;
	for (uint32_t k = threadIdx.x; k < n; k += blockDim.x) {
		if (p.y_h)
			static_cast<T *>(p.y_h)[state + k] = narrow<T>(none ? 0 : h[k]);
		if (p.y_c)
			static_cast<T *>(p.y_c)[state + k] = narrow<T>(none ? 0 : c[k]);
		for (uint32_t t = (uint32_t)length; p.y && t < r.steps; t++) {
			size_t at = r.batch_first
					    ? (((size_t)b * r.steps + t) * r.directions + d) * n
					    : (((size_t)t * r.directions + d) * r.batch + b) * n;
			static_cast<T *>(p.y)[at + k] = narrow<T>(0.0f);
		}
	}
}

#define RNN(T, name) \
	KERNEL(rnn_project_##name, \
		(struct gpu_rnn r, float *gates, const T *x, const T *w, const T *b)) \
	{ \
		rnn_project(r, gates, x, w, b); \
	} \
	KERNEL(rnn_steps_##name, \
		(struct gpu_rnn r, struct gpu_rnn_pointers p, const float *gates, \
			struct gpu_complaint fault)) \
	{ \
		rnn_steps<T>(r, p, gates, fault); \
	}
RNN(float, f32)
RNN(half, f16)
RNN(bfloat, bf16)
