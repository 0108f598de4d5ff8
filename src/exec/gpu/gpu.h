/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.h -- what the files of this folder share: the opened device, and how kernels reach it
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...   prepare functions, one per row
 * Life of a request: ... -> plan -> [KERNELS] -> ...    the run functions that they choose
 *
 * This folder is a module, signet-gpu.so (exec/module.h). The driver, cuBLASLt, cuDNN and
 * NVRTC are opened at run time (gpu_libs.c), so that it can say what is missing.
 *
 * run enqueues on args->device->stream and returns; pointers in tensors are the device's.
 * It may be recorded into a graph, so it depends on nothing but its arguments and state, does not
 * allocate, and does not synchronise. A refused launch is a FAULT_DEVICE of the step.
 *
 * Threads: prepare one at a time per plan, with the device's context current on the calling
 *          thread (gpu_enter()); run any number, on streams of their own.
 */
#pragma once

#include <cuda.h>
#include <pthread.h>
#include <stdatomic.h>
#include "exec/backend.h"
#include "exec/gpu/lib/gpu_libs.h"
#include "exec/packs.h"

enum {
#define FATBIN(folder, name) GPU_FATBIN_##name,
#include "exec/gpu/fatbins.def"
#undef FATBIN
	GPU_FATBINS
};

struct gpu {
	struct backend backend; /* first: a const struct backend * of ours is one of these */
	int ordinal;
	CUdevice device;
	CUcontext context; /* the primary one */
	char name[96], without[ERR_MSG_MAX + 64]; /* backend.without */
	int capability; /* 90: compute capability 9.0 */
	int sms;        /* multiprocessors */
	size_t memory_bytes;
	CUmodule kernels[GPU_FATBINS]; /* the static ones, a .cu file each */
	cublasLtHandle_t blas;
	cudnnHandle_t dnn; /* for planning only, under dnn_lock; lanes have their own */
	pthread_mutex_t dnn_lock;
	pthread_mutex_t trial_lock; /* of contests (timing.h); taken after dnn_lock, if both are */
	struct lane *trial;         /* theirs, under trial_lock; NULL: there was none yet */
	atomic_int sick; /* the first CUresult that does not go away; 0: none */
};

static inline struct gpu *gpu_of(const struct backend *b)
{
	return (struct gpu *)b;
}

/* Makes the device's context current on this thread. */
MUST_CHECK enum err_code gpu_enter(const struct gpu *g, struct err *err);

/* A CUresult as an error, "what: CUDA_ERROR_NAME: text"; OUT_OF_MEMORY as RESOURCE_EXHAUSTED.
   One that does not go away makes the device sick, and is UNAVAILABLE. */
enum err_code gpu_error(const struct gpu *g, CUresult r, const char *what, struct err *err);
#define GPU_TRY(g, call, what) \
	do { \
		CUresult gpu_r_ = (call); \
		if (gpu_r_ != CUDA_SUCCESS) \
			return gpu_error((g), gpu_r_, (what), err); \
	} while (0)

/* -- static kernels ------------------------------------------------------------------------ */

/* extern "C" __global__ name in a .cu file here; INTERNAL: there is none. */
MUST_CHECK enum err_code gpu_function(
	const struct gpu *g, const char *name, CUfunction *ret, struct err *err);

/* A launch, prepared once; of no blocks where there is nothing to do. */
struct gpu_launch {
	CUfunction fn;
	unsigned grid[3], block[3];
	unsigned shared_bytes;
};

/* Enqueues it with the addresses of its parameters, in order. */
void gpu_launch(const struct kernel_args *a, const struct gpu_launch *l, void **params);

/* -- weights -------------------------------------------------------------------------------- */

/*
 * A weight in a form of its own on the device, one for all plans of the version: fill(dst, ctx)
 * writes `bytes` bytes on the host, which are then uploaded. key begins with the source's
 * data pointer, as for packs_get(), and is completed with the device.
 */
MUST_CHECK enum err_code gpu_pack(struct prep *p, const void *key, size_t key_bytes, size_t bytes,
	pack_fn fill, void *ctx, void **ret, struct err *err);

/* Input i, a constant, on the device as it lies: the copy that other steps have too. */
MUST_CHECK enum err_code gpu_constant(struct prep *p, int i, void **ret, struct err *err);

/* -- rows ------------------------------------------------------------------------------------- */

#define GPU_KERNEL(op, types, layout, prepare) \
	MUST_CHECK enum err_code prepare(struct prep *p, struct kernel *ret, struct err *err);
#include "exec/gpu/kernels_gpu.def"
#undef GPU_KERNEL

/* One row as the tests walk it. */
struct gpu_row {
	enum op_id op;
	uint64_t types; /* of input 0 */
	uint32_t layouts; /* bit i: it takes layout i besides the plain one */
	prepare_fn prepare;
	const char *name;
};
extern const struct gpu_row gpu_rows[];
extern const int gpu_rows_count;

MUST_CHECK enum err_code gpu_prepare(
	struct prep *p, struct kernel *ret, bool *ret_want_plain, struct err *err);
/* Between layouts, on the device. */
MUST_CHECK enum err_code gpu_prepare_copy(struct prep *p, struct kernel *ret, struct err *err);

/* Zeroed memory of the plan for what prepare leaves to run; NULL: none left. */
static inline void *gpu_state(struct prep *p, struct kernel *ret, size_t bytes)
{
	void *s = prep_alloc(p, bytes);
	ret->state = s;
	return s;
}

static inline bool gpu_has_in(const struct prep *p, int i)
{
	return i < p->n_in && p->in[i].shape.rank != RANK_UNKNOWN;
}

/* gauges.c */
void gpu_gauges(const struct backend *b, struct device_gauges *ret);

/* lane.c */
/* cuDNN on the lane's stream, made when first asked for; NULL: it cannot be made. */
cudnnHandle_t gpu_lane_dnn(struct lane *l);
extern const struct device_ops gpu_device_ops;
