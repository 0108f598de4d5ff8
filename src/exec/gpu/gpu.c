/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.c -- one device: opening it, its rows, its static kernels, what goes wrong with it
 */
#include "exec/gpu/gpu.h"

#include <config.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/gpu/lib/nvrtc.h"
#include "exec/module.h"

/* What nvcc made of each .cu file (fatbin.S). */
#define FATBIN(folder, name) extern const char gpu_fatbin_##name[];
#include "exec/gpu/fatbins.def"
#undef FATBIN

static const char *const fatbins[GPU_FATBINS] = {
#define FATBIN(folder, name) gpu_fatbin_##name,
#include "exec/gpu/fatbins.def"
#undef FATBIN
};

/* -- errors --------------------------------------------------------------------------------- */

/* Those that later calls will not see again; all others leave the context unusable. */
static bool passes(CUresult r)
{
	return r == CUDA_ERROR_OUT_OF_MEMORY || r == CUDA_ERROR_INVALID_VALUE ||
	       r == CUDA_ERROR_INVALID_HANDLE || r == CUDA_ERROR_NOT_FOUND ||
	       r == CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES || r == CUDA_ERROR_INVALID_IMAGE ||
	       r == CUDA_ERROR_NO_BINARY_FOR_GPU ||
	       (r >= CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED &&
		       r <= CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
}

enum err_code gpu_error(const struct gpu *g, CUresult r, const char *what, struct err *err)
{
	const char *name = "unknown error", *text = "";
	cu.cuGetErrorName(r, &name);
	cu.cuGetErrorString(r, &text);
	if (r == CUDA_ERROR_OUT_OF_MEMORY)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"gpu:%d: %s: the device is out of memory", g->ordinal, what);
	if (!passes(r)) {
		int none = 0;
		atomic_compare_exchange_strong((atomic_int *)&g->sick, &none, (int)r);
	}
	return err_set(err, passes(r) ? ERR_INTERNAL : ERR_UNAVAILABLE, "gpu:%d: %s: %s: %s",
		g->ordinal, what, name, text);
}

enum err_code gpu_enter(const struct gpu *g, struct err *err)
{
	GPU_TRY(g, cu.cuCtxSetCurrent(g->context), "entering the context");
	return ERR_OK;
}

/* -- rows ----------------------------------------------------------------------------------- */

enum { TAKES_PLAIN = 0, TAKES_BLOCKED = 1 << LAYOUT_NHWC, TAKES_COLUMNS = 1 << LAYOUT_COLUMNS };

/* The tests look for them in the module. */
#define FOR_TESTS __attribute__((visibility("default")))

FOR_TESTS const struct gpu_row gpu_rows[] = {
#define GPU_KERNEL(op, types, layout, prepare) \
	{ OP_##op, types, TAKES_##layout, prepare, #prepare },
#include "exec/gpu/kernels_gpu.def"
#undef GPU_KERNEL
	{ OP_COUNT_, 0, 0, NULL, NULL },
};
FOR_TESTS const int gpu_rows_count = sizeof(gpu_rows) / sizeof(gpu_rows[0]) - 1;

/* By the type of the input that carries the data where input 0 is a condition. */
static enum dtype key_dtype(const struct prep *p)
{
	if (p->n_in == 0)
		return p->out[0].dtype;
	return p->in[p->node->op == OP_WHERE].dtype;
}

/* Bit i: an input comes in layout i, which is not the plain one. */
static uint32_t layouts_of(const struct prep *p)
{
	uint32_t bits = 0;
	for (int i = 0; i < p->n_in; i++)
		if (gpu_has_in(p, i) && p->in[i].layout != LAYOUT_PLAIN)
			bits |= 1U << p->in[i].layout;
	return bits;
}

static enum err_code ask_rows(struct prep *p, struct kernel *ret, struct err *err)
{
	uint32_t layouts = layouts_of(p);
	for (int i = 0; i < gpu_rows_count; i++) {
		const struct gpu_row *row = &gpu_rows[i];
		if (row->op != p->node->op || !dtype_in(key_dtype(p), row->types) ||
			(layouts & ~row->layouts))
			continue;
		*ret = (struct kernel){ .name = row->name, .units = 1 };
		enum err_code rc = row->prepare(p, ret, err);
		if (rc != ERR_UNIMPLEMENTED)
			return rc;
	}
	return ERR_UNIMPLEMENTED;
}

enum err_code gpu_prepare(struct prep *p, struct kernel *ret, bool *ret_want_plain, struct err *err)
{
	TRY(gpu_enter(gpu_of(p->backend), err));
	bool turned;
	struct prep q;
	TRY(prep_with_plain(p, &q, &turned, err));
	*ret_want_plain = false;
	enum err_code rc = turned ? ask_rows(p, ret, err) : ERR_UNIMPLEMENTED;
	if (rc != ERR_UNIMPLEMENTED)
		return rc;
	*ret_want_plain = turned;
	rc = ask_rows(&q, ret, err);
	return rc == ERR_UNIMPLEMENTED ? prep_refuse(err, "the device has no kernel for it") : rc;
}

/* -- static kernels ------------------------------------------------------------------------- */

enum err_code gpu_function(const struct gpu *g, const char *name, CUfunction *ret, struct err *err)
{
	CUresult r = CUDA_ERROR_NOT_FOUND;
	for (int i = 0; i < GPU_FATBINS && r == CUDA_ERROR_NOT_FOUND; i++)
		r = cu.cuModuleGetFunction(ret, g->kernels[i], name);
	GPU_TRY(g, r, name);
	return ERR_OK;
}

void gpu_launch(const struct kernel_args *a, const struct gpu_launch *l, void **params)
{
	if (l->grid[0] == 0)
		return;
	CUresult r = cu.cuLaunchKernel(l->fn, l->grid[0], l->grid[1], l->grid[2], l->block[0],
		l->block[1], l->block[2], l->shared_bytes, a->device->stream, params, NULL);
	if (r != CUDA_SUCCESS)
		kernel_fault(a, FAULT_DEVICE, (int64_t)r);
}

/* -- opening -------------------------------------------------------------------------------- */

static void machine(char *ret, size_t size)
{
	snprintf(ret, size, "gpu"); /* timings of the device are kept beside its plans */
}

static const char *lacks(enum precision precision)
{
	(void)precision; /* all kernels are for capability 8.0, which has them all */
	return NULL;
}

static const struct backend backend_of_gpu = {
	.name = "gpu",
	.prepare = gpu_prepare,
	.prepare_copy = gpu_prepare_copy,
	.machine = machine,
	.lacks = lacks,
	.device = &gpu_device_ops,
	.columns = true,
};

static enum err_code describe(struct gpu *g, struct err *err)
{
	int major, minor;
	GPU_TRY(g, cu.cuDeviceGetName(g->name, sizeof(g->name), g->device), "the device's name");
	GPU_TRY(g, cu.cuDeviceTotalMem_v2(&g->memory_bytes, g->device), "the device's memory");
	GPU_TRY(g,
		cu.cuDeviceGetAttribute(
			&g->sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, g->device),
		"the device's attributes");
	GPU_TRY(g,
		cu.cuDeviceGetAttribute(
			&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, g->device),
		"the device's attributes");
	GPU_TRY(g,
		cu.cuDeviceGetAttribute(
			&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, g->device),
		"the device's attributes");
	g->capability = 10 * major + minor;
	return ERR_OK;
}

/* The driver is there, but may see no device, or one that is lost or locked. */
static enum err_code find_device(struct gpu *g, struct err *err)
{
	int n = 0;
	CUresult r = cu.cuInit(0);
	if (r == CUDA_SUCCESS)
		r = cu.cuDeviceGetCount(&n);
	if (r == CUDA_ERROR_NO_DEVICE || (r == CUDA_SUCCESS && n == 0))
		return err_set(err, ERR_UNAVAILABLE,
			"device 'gpu': the driver sees no GPU (nvidia-smi shows more)");
	GPU_TRY(g, r, "starting the driver");
	if (g->ordinal >= n)
		return err_set(err, ERR_UNAVAILABLE,
			"device 'gpu:%d': there are %d GPUs, numbered from 0", g->ordinal, n);
	GPU_TRY(g, cu.cuDeviceGet(&g->device, g->ordinal), "opening the device");
	return ERR_OK;
}

static enum err_code open_libraries(struct gpu *g, struct err *err)
{
	cublasStatus_t b = blas.cublasLtCreate(&g->blas);
	if (b != CUBLAS_STATUS_SUCCESS)
		return err_set(err, ERR_UNAVAILABLE, "gpu:%d: cuBLASLt does not start: %s",
			g->ordinal, blas.cublasLtGetStatusString(b));
	cudnnStatus_t d = dnn.cudnnCreate(&g->dnn);
	if (d != CUDNN_STATUS_SUCCESS)
		return err_set(err, ERR_UNAVAILABLE, "gpu:%d: cuDNN does not start: %s", g->ordinal,
			dnn.cudnnGetErrorString(d));
	return ERR_OK;
}

static enum err_code load_kernels(struct gpu *g, struct err *err)
{
	for (int i = 0; i < GPU_FATBINS; i++) {
		CUresult r = cu.cuModuleLoadData(&g->kernels[i], fatbins[i]);
		if (r == CUDA_ERROR_NO_BINARY_FOR_GPU)
			return err_set(err, ERR_UNAVAILABLE,
				"gpu:%d: %s has compute capability %d.%d; this build has kernels "
				"for 8.0 and later",
				g->ordinal, g->name, g->capability / 10, g->capability % 10);
		GPU_TRY(g, r, "loading the kernels");
	}
	return ERR_OK;
}

/* What can do without it says so in words. */
static void try_compiler(struct gpu *g)
{
	struct err why;
	g->backend.fuses = nvrtc_try(g->capability, &why) == ERR_OK;
	if (g->backend.fuses)
		return;
	snprintf(g->without, sizeof(g->without), "elementwise operators run one by one: %s",
		why.msg);
	g->backend.without = g->without;
}

static enum err_code open_device(struct gpu *g, struct err *err)
{
	TRY(gpu_libs_open(err));
	TRY(find_device(g, err));
	TRY(describe(g, err));
	GPU_TRY(g, cu.cuDevicePrimaryCtxRetain(&g->context, g->device), "making the context");
	TRY(gpu_enter(g, err));
	TRY(load_kernels(g, err));
	try_compiler(g);
	return open_libraries(g, err);
}

static enum err_code module_open(
	int ordinal, const struct backend *host, const struct backend **ret, struct err *err)
{
	struct gpu *g = calloc(1, sizeof(*g));
	if (!g)
		return err_oom(err);
	g->backend = backend_of_gpu;
	g->backend.host = host;
	g->ordinal = ordinal;
	pthread_mutex_init(&g->dnn_lock, NULL);
	pthread_mutex_init(&g->trial_lock, NULL);
	enum err_code rc = open_device(g, err);
	if (rc != ERR_OK) {
		pthread_mutex_destroy(&g->dnn_lock);
		pthread_mutex_destroy(&g->trial_lock);
		free(g); /* what the libraries hold goes with the process, as it would otherwise */
		return rc;
	}
	*ret = &g->backend;
	return ERR_OK;
}

extern const struct backend_module signet_module;
__attribute__((visibility("default"))) const struct backend_module signet_module = {
	.version = PACKAGE_VERSION,
	.layout = BACKEND_MODULE_LAYOUT,
	.open = module_open,
};
