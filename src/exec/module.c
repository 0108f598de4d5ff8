/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/module.h"

#include <config.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	pthread_mutex_t lock;
	const struct backend_module *gpu;
	const struct backend *opened[BACKEND_DEVICES_MAX];
} modules = { .lock = PTHREAD_MUTEX_INITIALIZER };
static atomic_int keep_dir = -1;

/* The environment's folder only where no privilege is lent by the file. */
static const char *library_dir(void)
{
	const char *dir = secure_getenv("SIGNET_LIBDIR");
	return dir && *dir ? dir : SIGNET_LIBDIR;
}

static enum err_code load_module(
	const char *name, const struct backend_module **ret, struct err *err)
{
	char path[4096];
	if (snprintf(path, sizeof(path), "%s/signet-%s.so", library_dir(), name) >=
		(int)sizeof(path))
		return err_set(err, ERR_UNAVAILABLE,
			"the path of the module for device '%s' is too long", name);
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return err_set(err, ERR_UNAVAILABLE,
			"device '%s' needs a module that does not load: %s (built only "
			"--with-cuda; SIGNET_LIBDIR names its folder)",
			name, dlerror());
	const struct backend_module *m = dlsym(handle, "signet_module");
	if (!m || strcmp(m->version, PACKAGE_VERSION) != 0 || m->layout != BACKEND_MODULE_LAYOUT) {
		enum err_code rc = err_set(err, ERR_UNAVAILABLE,
			"module %s is of another build (version %s, this is %s)", path,
			m ? m->version : "none", PACKAGE_VERSION);
		dlclose(handle);
		return rc;
	}
	*ret = m;
	return ERR_OK;
}

static enum err_code open_gpu(int ordinal, const struct backend **ret, struct err *err)
{
	if (modules.opened[ordinal]) {
		*ret = modules.opened[ordinal];
		return ERR_OK;
	}
	if (!modules.gpu)
		TRY(load_module("gpu", &modules.gpu, err));
	TRY(modules.gpu->open(ordinal, &cpu_backend, ret, err));
	modules.opened[ordinal] = *ret;
	return ERR_OK;
}

/* The N of "gpu:N", 0 for "gpu"; -1: neither. */
static int gpu_ordinal(const char *device)
{
	char *end;
	if (strcmp(device, "gpu") == 0)
		return 0;
	if (strncmp(device, "gpu:", 4) != 0 || device[4] < '0' || device[4] > '9')
		return -1;
	long n = strtol(device + 4, &end, 10);
	return *end || n >= BACKEND_DEVICES_MAX ? -1 : (int)n;
}

bool backend_is_device_name(const char *device)
{
	return strcmp(device, "cpu") == 0 || gpu_ordinal(device) >= 0;
}

void backend_each_device(
	void (*fn)(void *ctx, const char *device, const struct backend *b), void *ctx)
{
	for (int i = 0; i < BACKEND_DEVICES_MAX; i++) {
		pthread_mutex_lock(&modules.lock);
		const struct backend *b = modules.opened[i];
		pthread_mutex_unlock(&modules.lock);
		char device[16];
		snprintf(device, sizeof(device), "gpu:%d", i);
		if (b)
			fn(ctx, device, b);
	}
}

static void look_whether_sick(void *ctx, const char *device, const struct backend *b)
{
	(void)device;
	*(bool *)ctx |= b->device->sick(b) != NULL;
}

void backend_keep_in(int dirfd)
{
	atomic_store(&keep_dir, dirfd);
}

int backend_keep_dir(void)
{
	return atomic_load(&keep_dir);
}

bool backend_any_sick(void)
{
	bool sick = false;
	backend_each_device(look_whether_sick, &sick);
	return sick;
}

enum err_code backend_open(const char *device, const struct backend **ret, struct err *err)
{
	if (strcmp(device, "cpu") == 0) {
		*ret = &cpu_backend;
		return ERR_OK;
	}
	int ordinal = gpu_ordinal(device);
	if (ordinal < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"device '%.40s' is none of cpu, gpu, gpu:N (N below %d)", device,
			BACKEND_DEVICES_MAX);
	pthread_mutex_lock(&modules.lock);
	enum err_code rc = open_gpu(ordinal, ret, err);
	pthread_mutex_unlock(&modules.lock);
	return rc;
}
