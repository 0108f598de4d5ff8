/* SPDX-License-Identifier: Apache-2.0 */
#include "support/gpu_device.h"

#include <check.h>
#include <dlfcn.h>
#include <stdlib.h>
#include "exec/module.h"

/* A GPU that the machine's driver, or one that LD_LIBRARY_PATH names, can use. */
static bool has_gpu(void)
{
	CUresult (*init)(unsigned), (*count)(int *);
	void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	int n = 0;
	if (!driver)
		return false;
	*(void **)&init = dlsym(driver, "cuInit");
	*(void **)&count = dlsym(driver, "cuDeviceGetCount");
	if (init && count && init(0) == CUDA_SUCCESS && count(&n) == CUDA_SUCCESS && n > 0)
		return true;
	dlclose(driver);
	return false;
}

/* A library that is there already is what a name without a folder means. */
static void load_stand_in(const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/tests/gpu/stand-in/%s", BUILD_DIR, name);
	ck_assert_msg(dlopen(path, RTLD_NOW | RTLD_LOCAL) != NULL, "%s", dlerror());
}

bool gpu_driver(void)
{
	static bool asked, real;
	if (asked)
		return real;
	asked = true;
	setenv("SIGNET_LIBDIR", BUILD_DIR, 1);
	real = has_gpu();
	if (real)
		return true;
	setenv("STAND_IN_STRICT", "1", 0);
	load_stand_in("libcuda.so.1");
	load_stand_in("libcublasLt.so.13");
	load_stand_in("libcudnn_graph.so.9");
	load_stand_in("libnvrtc.so.13");
	return false;
}

const struct backend *gpu_device(void)
{
	const struct backend *b;
	struct err err = { 0 };
	gpu_driver();
	enum err_code rc = backend_open("gpu", &b, &err);
	ck_assert_msg(rc == ERR_OK, "%s", err.msg);
	return b;
}

const struct gpu_row *gpu_device_rows(int *ret_n)
{
	gpu_device();
	void *module = dlopen(BUILD_DIR "/signet-gpu.so", RTLD_NOW | RTLD_NOLOAD);
	ck_assert_msg(module != NULL, "%s", dlerror());
	*ret_n = *(const int *)dlsym(module, "gpu_rows_count");
	return dlsym(module, "gpu_rows");
}
