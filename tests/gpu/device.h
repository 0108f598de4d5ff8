/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h -- CUDA C for g++: included before each .cu file that the stand-in runs
 *
 * The threads of a block take turns on one thread of the host (launch.cc): each runs until it
 * waits for others, so that barriers and exchanges within a warp are exact.
 */
#pragma once

#include <algorithm>
#include <math.h>
#include <cstdint>
#include <cstring>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <functional>
#include <tuple>
#include <utility>

/* Ours alone; the host's headers know nothing of them. */
#undef __global__
#undef __device__
#undef __shared__
#undef __constant__
#undef __forceinline__
#undef __launch_bounds__
#define __global__
#define __device__
#define __shared__ static thread_local
#define __constant__ static const
#define __forceinline__ inline
#define __launch_bounds__(...)
#undef __noinline__
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict

#pragma GCC diagnostic ignored "-Wunknown-pragmas" /* unroll */

namespace stand_in {

/* Where a thread stands. */
struct place {
	uint3 thread, block;
	dim3 threads, blocks;
};
const place &here();
void *shared_bytes();
void barrier();
void trap(const char *what);

/* Gives each lane what lane `from` of its warp came with. */
uint64_t exchange(unsigned mask, uint64_t v, int from);
/* A bit for each lane that came with one. */
unsigned ballot(unsigned mask, bool v);
unsigned lane();

/* Gives each lane what all of its warp came with, until the second time from then. */
const uint64_t *gather(unsigned mask, uint64_t v);

/* A kernel's call, its parameters copied. */
using bound = std::function<void()>;
void add_kernel(const char *name, std::function<bound(void **)> bind);

template <typename... P, size_t... I>
bound bind_params(void (*fn)(P...), void **params, std::index_sequence<I...>)
{
	std::tuple<P...> copy(*static_cast<std::remove_const_t<P> *>(params[I])...);
	return [fn, copy] { std::apply(fn, copy); };
}

struct registrar {
	template <typename... P> registrar(const char *name, void (*fn)(P...))
	{
		add_kernel(name, [fn](void **params) {
			return bind_params(fn, params, std::index_sequence_for<P...>{});
		});
	}
};

template <typename T> T exchange_of(unsigned mask, T v, int from)
{
	static_assert(sizeof(T) <= sizeof(uint64_t), "no such exchange");
	uint64_t bits = 0;
	memcpy(&bits, &v, sizeof(v));
	bits = exchange(mask, bits, from);
	memcpy(&v, &bits, sizeof(v));
	return v;
}

} // namespace stand_in

#define KERNEL(name, params) \
	extern "C" void name params; \
	static const stand_in::registrar register_##name(#name, &name); \
	extern "C" void name params
#define DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(stand_in::shared_bytes())

#define threadIdx (stand_in::here().thread)
#define blockIdx (stand_in::here().block)
#define blockDim (stand_in::here().threads)
#define gridDim (stand_in::here().blocks)

static inline void __syncthreads() { stand_in::barrier(); }
static inline void __syncwarp() { stand_in::ballot(~0u, true); }
static inline void __trap() { stand_in::trap("__trap()"); }

template <typename T> T __shfl_sync(unsigned mask, T v, int from)
{
	return stand_in::exchange_of(mask, v, from & 31);
}
template <typename T> T __shfl_xor_sync(unsigned mask, T v, int bits)
{
	return stand_in::exchange_of(mask, v, (int)stand_in::lane() ^ bits);
}
template <typename T> T __shfl_down_sync(unsigned mask, T v, unsigned by)
{
	unsigned from = stand_in::lane() + by;
	return stand_in::exchange_of(mask, v, (int)(from < 32 ? from : stand_in::lane()));
}
template <typename T> T __shfl_up_sync(unsigned mask, T v, unsigned by)
{
	unsigned lane = stand_in::lane();
	return stand_in::exchange_of(mask, v, (int)(lane >= by ? lane - by : lane));
}
static inline unsigned __ballot_sync(unsigned mask, int v)
{
	return stand_in::ballot(mask, v != 0);
}
static inline int __any_sync(unsigned mask, int v) { return stand_in::ballot(mask, v != 0) != 0; }
static inline int __all_sync(unsigned mask, int v) { return stand_in::ballot(mask, v != 0) == ~0u; }

template <typename T> T atomicCAS(T *at, T expected, T v)
{
	__atomic_compare_exchange_n(at, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return expected;
}
template <typename T> T atomicAdd(T *at, T v)
{
	return __atomic_fetch_add(at, v, __ATOMIC_SEQ_CST);
}
template <typename T> T atomicOr(T *at, T v) { return __atomic_fetch_or(at, v, __ATOMIC_SEQ_CST); }

/* Tensor cores: src/exec/gpu/mma.cuh. */
#define MMA
static inline double short_float(__half v) { return __half2float(v); }
static inline double short_float(__nv_bfloat16 v) { return __bfloat162float(v); }
template <typename T> struct mma {
	/* The numbers that a word, or two, of a lane hold. */
	static void unpack(uint64_t words, double (&to)[4])
	{
		T v[4];
		memcpy((void *)v, &words, sizeof(v));
		for (int i = 0; i < 4; i++)
			to[i] = short_float(v[i]);
	}

	static void add(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
	{
		unsigned g = stand_in::lane() / 4, t = stand_in::lane() % 4;
		double rows[2][16], columns[2][16], v[4];
		for (unsigned h = 0; h < 2; h++) { /* depths 2t, 2t + 1 and 8 further */
			const uint64_t *all =
				stand_in::gather(~0u, a[h * 2] | (uint64_t)a[h * 2 + 1] << 32);
			for (unsigned k = 0; k < 4; k++) {
				unpack(all[g * 4 + k], v);
				for (unsigned i = 0; i < 4; i++)
					rows[i / 2][h * 8 + k * 2 + i % 2] = v[i];
			}
		}
		const uint64_t *all = stand_in::gather(~0u, b0 | (uint64_t)b1 << 32);
		for (unsigned c = 0; c < 2; c++)
			for (unsigned k = 0; k < 4; k++) {
				unpack(all[(t * 2 + c) * 4 + k], v);
				for (unsigned i = 0; i < 4; i++)
					columns[c][i / 2 * 8 + k * 2 + i % 2] = v[i];
			}
		for (unsigned i = 0; i < 4; i++) {
			double sum = d[i];
			for (unsigned k = 0; k < 16; k++)
				sum += rows[i / 2][k] * columns[i % 2][k];
			d[i] = (float)sum;
		}
	}
};

template <typename T> T __ldg(const T *p) { return *p; }
static inline unsigned __umulhi(unsigned a, unsigned b)
{
	return (unsigned)((uint64_t)a * b >> 32);
}
static inline float __uint_as_float(unsigned v)
{
	float f;
	memcpy(&f, &v, sizeof(f));
	return f;
}
#undef __expf /* the host's math.h has one */
#define __expf(v) expf(v)
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __ffs(unsigned v) { return __builtin_ffs((int)v); }
static inline float rsqrtf(float v) { return 1 / sqrtf(v); }
static inline double rsqrt(double v) { return 1 / sqrt(v); }
using std::max;
using std::min;
