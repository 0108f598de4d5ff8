/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvrtc_headers.cuh -- what kernels.cuh has from headers of the toolkit, for machines without one
 *
 * Generated kernels are compiled where nothing but NVRTC's library is. It gets this file by the
 * names of those headers: <stdint.h>, <cuda_fp16.h>, <cuda_bf16.h>.
 */
#ifndef NVRTC_HEADERS_CUH
#define NVRTC_HEADERS_CUH

typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;

struct __half {
	uint16_t bits;
};
struct __nv_bfloat16 {
	uint16_t bits;
};

static __device__ inline float __half2float(__half v)
{
	float f;
	asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v.bits));
	return f;
}

static __device__ inline __half __float2half_rn(float f)
{
	__half v;
	asm("cvt.rn.f16.f32 %0, %1;" : "=h"(v.bits) : "f"(f));
	return v;
}

static __device__ inline float __bfloat162float(__nv_bfloat16 v)
{
	return __uint_as_float((uint32_t)v.bits << 16);
}

static __device__ inline __nv_bfloat16 __float2bfloat16_rn(float f)
{
	__nv_bfloat16 v;
	asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(v.bits) : "f"(f));
	return v;
}

#endif
