/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_libs.h -- NVIDIA's libraries, opened at run time
 *
 * Every function of theirs that we call is a row; it is called through the table of its
 * library: cu.cuMemAlloc_v2(...). The headers are needed at build time only.
 *
 * Threads: gpu_libs_open() under the module's lock; the tables are read only afterwards.
 */
#pragma once

#include <cublasLt.h>
#include <cuda.h>
#include <cudnn.h>
#include <nvrtc.h>
#include "base/err.h"

#define CUDA_FUNCTIONS(X) \
	X(cuInit) \
	X(cuDriverGetVersion) \
	X(cuGetErrorName) \
	X(cuGetErrorString) \
	X(cuDeviceGetCount) \
	X(cuDeviceGet) \
	X(cuDeviceGetName) \
	X(cuDeviceGetAttribute) \
	X(cuDeviceTotalMem_v2) \
	X(cuDeviceGetPCIBusId) \
	X(cuDeviceGetUuid_v2) \
	X(cuDevicePrimaryCtxRetain) \
	X(cuCtxSetCurrent) \
	X(cuModuleLoadData) \
	X(cuModuleGetFunction) \
	X(cuModuleUnload) \
	X(cuFuncSetAttribute) \
	X(cuLaunchKernel) \
	X(cuMemAlloc_v2) \
	X(cuMemFree_v2) \
	X(cuMemGetInfo_v2) \
	X(cuMemHostAlloc) \
	X(cuMemFreeHost) \
	X(cuMemcpyHtoD_v2) \
	X(cuMemcpyDtoH_v2) \
	X(cuMemcpyHtoDAsync_v2) \
	X(cuMemcpyDtoHAsync_v2) \
	X(cuMemcpyDtoDAsync_v2) \
	X(cuMemsetD8Async) \
	X(cuStreamCreate) \
	X(cuStreamDestroy_v2) \
	X(cuStreamSynchronize) \
	X(cuStreamBeginCapture_v2) \
	X(cuStreamEndCapture) \
	X(cuGraphInstantiateWithFlags) \
	X(cuGraphLaunch) \
	X(cuGraphExecDestroy) \
	X(cuGraphDestroy) \
	X(cuEventCreate) \
	X(cuEventDestroy_v2) \
	X(cuEventRecord) \
	X(cuEventSynchronize) \
	X(cuEventElapsedTime_v2)

#define BLAS_FUNCTIONS(X) \
	X(cublasLtCreate) \
	X(cublasLtGetVersion) \
	X(cublasLtGetStatusString) \
	X(cublasLtMatmul) \
	X(cublasLtMatmulDescCreate) \
	X(cublasLtMatmulDescDestroy) \
	X(cublasLtMatmulDescSetAttribute) \
	X(cublasLtMatmulAlgoCheck) \
	X(cublasLtMatmulAlgoGetHeuristic) \
	X(cublasLtMatmulPreferenceCreate) \
	X(cublasLtMatmulPreferenceDestroy) \
	X(cublasLtMatmulPreferenceSetAttribute) \
	X(cublasLtMatrixLayoutCreate) \
	X(cublasLtMatrixLayoutDestroy) \
	X(cublasLtMatrixLayoutSetAttribute)

#define DNN_FUNCTIONS(X) \
	X(cudnnCreate) \
	X(cudnnDestroy) \
	X(cudnnSetStream) \
	X(cudnnGetVersion) \
	X(cudnnGetErrorString) \
	X(cudnnGetLastErrorString) \
	X(cudnnBackendCreateDescriptor) \
	X(cudnnBackendDestroyDescriptor) \
	X(cudnnBackendFinalize) \
	X(cudnnBackendSetAttribute) \
	X(cudnnBackendGetAttribute) \
	X(cudnnBackendExecute)

#define NVRTC_FUNCTIONS(X) \
	X(nvrtcVersion) \
	X(nvrtcGetErrorString) \
	X(nvrtcCreateProgram) \
	X(nvrtcDestroyProgram) \
	X(nvrtcCompileProgram) \
	X(nvrtcGetCUBINSize) \
	X(nvrtcGetCUBIN) \
	X(nvrtcGetProgramLogSize) \
	X(nvrtcGetProgramLog)

#define X(fn) __typeof__(&fn) fn;
struct cuda_functions {
	CUDA_FUNCTIONS(X)
};
struct blas_functions {
	BLAS_FUNCTIONS(X)
};
struct dnn_functions {
	DNN_FUNCTIONS(X)
};
struct nvrtc_functions {
	NVRTC_FUNCTIONS(X)
};
#undef X

extern struct cuda_functions cu;
extern struct blas_functions blas;
extern struct dnn_functions dnn;
extern struct nvrtc_functions nvrtc; /* nvrtcCreateProgram NULL: the library is not there */

/* Opens all of them, once. UNAVAILABLE: names the library or function that is missing. */
MUST_CHECK enum err_code gpu_libs_open(struct err *err);
