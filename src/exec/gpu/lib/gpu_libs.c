/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/lib/gpu_libs.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct cuda_functions cu;
struct blas_functions blas;
struct dnn_functions dnn;
struct nvrtc_functions nvrtc;

/* The versions of a library that do: of the toolkit that the headers are of, and older. */
struct library {
	const char *what, *names[4], *advice;
	const char *const *symbols;
	void *table;
	size_t n;
	bool optional;
};

/* A name that cuda.h gave to a newer function by a macro is that function's. */
#define NAME_OF(fn) #fn
#define X(fn) NAME_OF(fn),
static const char *const cuda_symbols[] = { CUDA_FUNCTIONS(X) };
static const char *const blas_symbols[] = { BLAS_FUNCTIONS(X) };
static const char *const dnn_symbols[] = { DNN_FUNCTIONS(X) };
static const char *const nvrtc_symbols[] = { NVRTC_FUNCTIONS(X) };
#undef X

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct library libraries[] = {
	{ "the CUDA driver", { "libcuda.so.1" }, "install NVIDIA's driver", cuda_symbols, &cu,
		COUNT(cuda_symbols), false },
	{ "cuBLASLt", { "libcublasLt.so.13", "libcublasLt.so.12" },
		"install it from the CUDA toolkit", blas_symbols, &blas, COUNT(blas_symbols),
		false },
	{ "cuDNN 9", { "libcudnn_graph.so.9" }, "install NVIDIA's cudnn9 packages", dnn_symbols,
		&dnn, COUNT(dnn_symbols), false },
	{ "NVRTC", { "libnvrtc.so.13", "libnvrtc.so.12" }, "", nvrtc_symbols, &nvrtc,
		COUNT(nvrtc_symbols), true },
};

static void *open_first(const struct library *l)
{
	void *handle = NULL;
	for (int i = 0; l->names[i] && !handle; i++)
		handle = dlopen(l->names[i], RTLD_NOW | RTLD_LOCAL);
	return handle;
}

static enum err_code open_library(const struct library *l, struct err *err)
{
	void *handle = open_first(l);
	if (!handle && l->optional)
		return ERR_OK;
	if (!handle)
		return err_set(err, ERR_UNAVAILABLE, "device 'gpu' needs %s: %s; %s", l->what,
			dlerror(), l->advice);
	for (size_t i = 0; i < l->n; i++) {
		void *fn = dlsym(handle, l->symbols[i]);
		if (!fn)
			return err_set(err, ERR_UNAVAILABLE,
				"device 'gpu': %s (%s) has no function %s", l->what, l->names[0],
				l->symbols[i]);
		memcpy((char *)l->table + i * sizeof(fn), &fn, sizeof(fn));
	}
	return ERR_OK;
}

enum err_code gpu_libs_open(struct err *err)
{
	for (size_t i = 0; i < COUNT(libraries); i++)
		TRY(open_library(&libraries[i], err));
	return ERR_OK;
}
