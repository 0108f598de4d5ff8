/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gauges.c -- what the device says of itself: memory by the driver, load and power by NVML
 *
 * NVML comes with the driver but its header not with every toolkit, so what we call is declared
 * here (NVIDIA's NVML API reference: device queries). Without it the two stay unknown.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include "exec/gpu/gpu.h"

struct nvml_utilization {
	unsigned gpu, memory; /* percent */
};

static struct {
	int (*init)(void);
	int (*by_bus_id)(const char *bus_id, void **ret);
	int (*utilization)(void *device, struct nvml_utilization *ret);
	int (*power)(void *device, unsigned *ret_milliwatts);
	bool usable;
} nvml;

static void open_nvml(void)
{
	void *handle = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return;
	*(void **)&nvml.init = dlsym(handle, "nvmlInit_v2");
	*(void **)&nvml.by_bus_id = dlsym(handle, "nvmlDeviceGetHandleByPciBusId_v2");
	*(void **)&nvml.utilization = dlsym(handle, "nvmlDeviceGetUtilizationRates");
	*(void **)&nvml.power = dlsym(handle, "nvmlDeviceGetPowerUsage");
	nvml.usable =
		nvml.init && nvml.by_bus_id && nvml.utilization && nvml.power && nvml.init() == 0;
}

static void ask_nvml(const struct gpu *g, struct device_gauges *ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct nvml_utilization u;
	unsigned milliwatts;
	char bus_id[32];
	void *device;
	pthread_once(&once, open_nvml);
	if (!nvml.usable ||
		cu.cuDeviceGetPCIBusId(bus_id, sizeof(bus_id), g->device) != CUDA_SUCCESS ||
		nvml.by_bus_id(bus_id, &device) != 0)
		return;
	if (nvml.utilization(device, &u) == 0)
		ret->utilization = u.gpu / 100.0;
	if (nvml.power(device, &milliwatts) == 0)
		ret->power = milliwatts / 1000.0;
}

/* "GPU-xxxxxxxx-xxxx-...", as nvidia-smi writes it. */
static void write_uuid(const struct gpu *g, struct device_gauges *ret)
{
	CUuuid u;
	if (cu.cuDeviceGetUuid_v2(&u, g->device) != CUDA_SUCCESS)
		return;
	size_t at = (size_t)snprintf(ret->uuid, sizeof(ret->uuid), "GPU");
	for (int i = 0; i < 16; i++)
		at += (size_t)snprintf(ret->uuid + at, sizeof(ret->uuid) - at, "%s%02x",
			i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			(unsigned char)u.bytes[i]);
}

void gpu_gauges(const struct backend *b, struct device_gauges *ret)
{
	const struct gpu *g = gpu_of(b);
	size_t left, all;
	*ret = (struct device_gauges){ .memory_used = -1, .memory_total = -1, .utilization = -1,
		.power = -1 };
	snprintf(ret->name, sizeof(ret->name), "%s", g->name);
	write_uuid(g, ret);
	ret->memory_total = (double)g->memory_bytes;
	if (gpu_enter(g, NULL) == ERR_OK && cu.cuMemGetInfo_v2(&left, &all) == CUDA_SUCCESS)
		ret->memory_used = (double)(all - left);
	ask_nvml(g, ret);
}
