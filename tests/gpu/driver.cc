// SPDX-License-Identifier: Apache-2.0
/*
 * driver.cc -- devices, contexts and modules of the stand-in, and what goes wrong with them
 */
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>
#include "driver.h"

namespace stand_in {

settings conf;
std::atomic<int> sticky;
static std::atomic<long> so_far;

CUresult status()
{
	return (CUresult)sticky.load();
}

static thread_local bool inside;

CUresult status_inside()
{
	return inside ? status() : CUDA_ERROR_INVALID_CONTEXT;
}

bool fails_now(const char *what)
{
	return conf.fail == what && ++so_far == conf.fail_at;
}

void broken(CUresult r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("stand-in GPU: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	int none = 0;
	sticky.compare_exchange_strong(none, r);
}

static long number(const char *name, long otherwise)
{
	const char *v = getenv(name);
	return v && *v ? strtol(v, nullptr, 0) : otherwise;
}

static void read_environment()
{
	conf.devices = (int)number("STAND_IN_DEVICES", 1);
	conf.capability = (int)number("STAND_IN_CAPABILITY", 90);
	conf.memory = (size_t)number("STAND_IN_MEMORY", (long)8 << 30);
	conf.strict = number("STAND_IN_STRICT", 0);
	const char *fail = getenv("STAND_IN_FAIL"), *at = fail ? strchr(fail, ':') : nullptr;
	if (at) {
		conf.fail.assign(fail, at);
		conf.fail_at = strtol(at + 1, nullptr, 10);
		so_far = 0;
	}
}

/* Names the kernel that dies, then lets it. */
static void on_fault(int sig, siginfo_t *info, void *)
{
	char text[256];
	const char *name = running();
	int n = snprintf(text, sizeof(text), "stand-in GPU: kernel %s: signal %d, address %p\n",
		name ? name : "(none, host code)", sig, info->si_addr);
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(1);
	signal(sig, SIG_DFL);
}

static void watch(int sig)
{
	struct sigaction old, now = {};
	now.sa_sigaction = on_fault;
	now.sa_flags = SA_SIGINFO;
	if (sigaction(sig, nullptr, &old) == 0 && old.sa_handler == SIG_DFL)
		sigaction(sig, &now, nullptr);
}

/* -- modules -------------------------------------------------------------------------------- */

/* Of a fatbin, as nvcc writes it, and of what nvrtc.cc makes. */
static constexpr unsigned FATBIN_MAGIC = 0xBA55ED50, ELF_MAGIC = 0x464c457f;

struct module {
	void *object; /* NULL: part of this library */
	module_kernels *kernels;
	int fd; /* of the object: open ones have names of their own */
};

/* Where it ends is where its table of sections does, which is its last part. */
static size_t object_bytes(const void *image)
{
	Elf64_Ehdr head;
	memcpy(&head, image, sizeof(head));
	return head.e_shoff + (size_t)head.e_shentsize * head.e_shnum;
}

/* A shared object that lies in memory, as a file of its own. */
static module *open_object(const void *image)
{
	char path[64];
	size_t bytes = object_bytes(image);
	int fd = memfd_create("stand-in", MFD_CLOEXEC);
	module_kernels *kernels = new module_kernels;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	loading = kernels;
	void *object = write(fd, image, bytes) == (ssize_t)bytes ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
	loading = nullptr;
	if (!object) {
		const char *why = dlerror();
		fprintf(stderr, "stand-in GPU: a module does not open: %s\n", why ? why : "no room");
		delete kernels;
		close(fd);
	}
	return object ? new module{ object, kernels, fd } : nullptr;
}

} // namespace stand_in

using namespace stand_in;

extern "C" {

CUresult cuInit(unsigned)
{
	read_environment();
	watch(SIGSEGV);
	watch(SIGFPE);
	return conf.devices ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *ret)
{
	*ret = CUDA_VERSION;
	return CUDA_SUCCESS;
}

#define NAMES(X) \
	X(CUDA_SUCCESS, "no error") \
	X(CUDA_ERROR_INVALID_VALUE, "invalid argument") \
	X(CUDA_ERROR_OUT_OF_MEMORY, "out of memory") \
	X(CUDA_ERROR_INVALID_CONTEXT, "invalid device context") \
	X(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected") \
	X(CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device") \
	X(CUDA_ERROR_NOT_FOUND, "named symbol not found") \
	X(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered") \
	X(CUDA_ERROR_ASSERT, "device-side assert triggered") \
	X(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure")

CUresult cuGetErrorName(CUresult r, const char **ret)
{
#define X(id, text) \
	if (r == id) { \
		*ret = #id; \
		return CUDA_SUCCESS; \
	}
	NAMES(X)
#undef X
	return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult r, const char **ret)
{
#define X(id, text) \
	if (r == id) { \
		*ret = text; \
		return CUDA_SUCCESS; \
	}
	NAMES(X)
#undef X
	return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGetCount(int *ret)
{
	*ret = conf.devices;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *ret, int ordinal)
{
	*ret = ordinal;
	return ordinal < conf.devices ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetName(char *ret, int size, CUdevice)
{
	snprintf(ret, (size_t)size, "stand-in");
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *ret, CUdevice_attribute a, CUdevice)
{
	switch (a) {
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *ret = 4; break;
	case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *ret = 4096; break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *ret = conf.capability / 10; break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *ret = conf.capability % 10; break;
	default: return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *ret, int size, CUdevice d)
{
	snprintf(ret, (size_t)size, "0000:%02x:00.0", d);
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *ret, CUdevice d)
{
	memset(ret, d, sizeof(*ret));
	return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *ret, CUdevice)
{
	*ret = conf.memory;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *ret, CUdevice)
{
	*ret = reinterpret_cast<CUcontext>(&conf);
	return status();
}

/* It works with a context that has failed, as the real one does. */
CUresult cuCtxSetCurrent(CUcontext c)
{
	inside = c != nullptr;
	return CUDA_SUCCESS;
}

/* A fatbin's kernels are those that g++ compiled beforehand; a compiled one's are its own. */
CUresult cuModuleLoadData(CUmodule *ret, const void *image)
{
	unsigned magic;
	memcpy(&magic, image, sizeof(magic));
	module *m = nullptr;
	if (magic == ELF_MAGIC)
		m = open_object(image);
	else if (magic == FATBIN_MAGIC && conf.capability < 80)
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	else if (magic == FATBIN_MAGIC)
		m = new module{ nullptr, &static_kernels(), -1 };
	if (!m)
		return CUDA_ERROR_INVALID_IMAGE;
	*ret = reinterpret_cast<CUmodule>(m);
	return status_inside();
}

CUresult cuModuleUnload(CUmodule which)
{
	module *m = reinterpret_cast<module *>(which);
	if (m->object) {
		delete m->kernels; /* their code goes last */
		dlclose(m->object);
		close(m->fd);
	}
	delete m;
	return status();
}

CUresult cuModuleGetFunction(CUfunction *ret, CUmodule which, const char *name)
{
	module_kernels &all = *reinterpret_cast<module *>(which)->kernels;
	auto at = all.find(name);
	*ret = at == all.end() ? nullptr : reinterpret_cast<CUfunction>(&at->second);
	return *ret ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuFuncSetAttribute(CUfunction fn, CUfunction_attribute a, int v)
{
	if (a != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || v > 227 << 10)
		return CUDA_ERROR_INVALID_VALUE;
	reinterpret_cast<kernel *>(fn)->shared_max = v;
	return CUDA_SUCCESS;
}
}
