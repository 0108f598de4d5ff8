// SPDX-License-Identifier: Apache-2.0
/*
 * memory.cc -- the device's memory: a part of the address space that the host must not touch
 *
 * Each allocation ends at a page that nobody can access, but for what its alignment needs, and
 * begins filled with a pattern that is a NaN in every float type. Places are never used again.
 * With STAND_IN_STRICT nobody can access it but while a launch or a copy runs: host code that
 * follows a pointer of the device dies of it.
 */
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <utility>
#include <vector>
#include "driver.h"

namespace stand_in {

static constexpr size_t PAGE = 4096, ALIGN = 256, SPACE = (size_t)1 << 36;

struct piece {
	size_t bytes;
	char *pages;
	size_t page_bytes;
};

static std::mutex lock;
static std::map<char *, piece> device, pinned;
static char *space, *next_place;
static size_t used;

static std::mutex open_lock; /* before `lock` */
static int open_now;

static void set_access(int access)
{
	std::lock_guard<std::mutex> hold(lock);
	for (auto &at : device)
		mprotect(at.second.pages, at.second.page_bytes, access);
}

opened::opened()
{
	std::lock_guard<std::mutex> hold(open_lock);
	if (conf.strict && open_now++ == 0)
		set_access(PROT_READ | PROT_WRITE);
}

opened::~opened()
{
	std::lock_guard<std::mutex> hold(open_lock);
	if (conf.strict && --open_now == 0)
		set_access(PROT_NONE);
}

static bool within(const std::map<char *, piece> &all, const void *mem, size_t bytes)
{
	char *p = const_cast<char *>(static_cast<const char *>(mem));
	std::lock_guard<std::mutex> hold(lock);
	auto at = all.upper_bound(p);
	if (at == all.begin())
		return false;
	--at;
	return (size_t)(p - at->first) <= at->second.bytes && bytes <= at->second.bytes - (size_t)(p - at->first);
}

bool is_device_memory(const void *mem, size_t bytes)
{
	return within(device, mem, bytes);
}

static bool reserve()
{
	if (space)
		return true;
	void *mem = mmap(nullptr, SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return false;
	space = next_place = static_cast<char *>(mem);
	return true;
}

static char *place_for(size_t bytes, piece *p)
{
	p->bytes = bytes;
	p->page_bytes = (bytes + PAGE - 1) / PAGE * PAGE;
	p->pages = next_place;
	if (next_place + p->page_bytes + PAGE > space + SPACE)
		return nullptr;
	if (mprotect(p->pages, p->page_bytes, PROT_READ | PROT_WRITE) != 0)
		return nullptr;
	next_place += p->page_bytes + PAGE;
	memset(p->pages, 0xff, p->page_bytes);
	return p->pages + (p->page_bytes - (bytes + ALIGN - 1) / ALIGN * ALIGN);
}

/* What lies between the end of a piece and the guard page is still as it was. */
static bool edge_holds(const char *mem, const piece &p)
{
	for (const char *c = mem + p.bytes; c < p.pages + p.page_bytes; c++)
		if ((unsigned char)*c != 0xff)
			return false;
	return true;
}

static bool known(const char *what, const void *mem, size_t bytes, bool in_device)
{
	if (within(in_device ? device : pinned, mem, bytes))
		return true;
	broken(CUDA_ERROR_ILLEGAL_ADDRESS, "%s: %zu bytes at %p are not %s", what, bytes, mem,
		in_device ? "one piece of device memory" : "pinned memory");
	return false;
}

/* Sources are read at once, as into the driver's own pinned memory. */
static std::vector<std::pair<char *, std::vector<char>>> on_the_way; /* under `lock` */

void arrive()
{
	opened now;
	std::lock_guard<std::mutex> hold(lock);
	for (auto &c : on_the_way)
		memcpy(c.first, c.second.data(), c.second.size());
	on_the_way.clear();
}

static CUresult copy(const char *what, CUstream s, void *dst, const void *src, size_t bytes)
{
	return enqueue(s, what, [dst, src, bytes] { memmove(dst, src, bytes); });
}

} // namespace stand_in

using namespace stand_in;

extern "C" {

CUresult cuMemAlloc_v2(CUdeviceptr *ret, size_t bytes)
{
	if (status_inside() != CUDA_SUCCESS)
		return status_inside();
	if (forbidden_now())
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (bytes == 0)
		return CUDA_ERROR_INVALID_VALUE;
	std::lock_guard<std::mutex> hold_open(open_lock), hold(lock);
	if (fails_now("alloc") || bytes > conf.memory - used || !reserve())
		return CUDA_ERROR_OUT_OF_MEMORY;
	piece p;
	char *mem = place_for(bytes, &p);
	if (!mem)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (conf.strict && !open_now)
		mprotect(p.pages, p.page_bytes, PROT_NONE);
	used += bytes;
	device[mem] = p;
	*ret = (CUdeviceptr)mem;
	return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr mem)
{
	if (status_inside() != CUDA_SUCCESS)
		return status_inside();
	arrive();
	opened now;
	std::lock_guard<std::mutex> hold(lock);
	auto at = device.find((char *)mem);
	if (at == device.end())
		return CUDA_ERROR_INVALID_VALUE;
	if (!edge_holds(at->first, at->second))
		broken(CUDA_ERROR_ILLEGAL_ADDRESS, "memory behind an allocation of %zu bytes was written", at->second.bytes);
	used -= at->second.bytes;
	madvise(at->second.pages, at->second.page_bytes, MADV_DONTNEED);
	mprotect(at->second.pages, at->second.page_bytes, PROT_NONE);
	device.erase(at);
	return CUDA_SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t *left, size_t *all)
{
	std::lock_guard<std::mutex> hold(lock);
	*all = conf.memory;
	*left = conf.memory - used;
	return status();
}

CUresult cuMemHostAlloc(void **ret, size_t bytes, unsigned)
{
	if (status() != CUDA_SUCCESS)
		return status();
	if (posix_memalign(ret, PAGE, bytes ? bytes : 1) != 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	std::lock_guard<std::mutex> hold(lock);
	pinned[(char *)*ret] = { bytes, nullptr, 0 };
	return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *mem)
{
	std::lock_guard<std::mutex> hold(lock);
	if (!pinned.erase((char *)mem))
		return CUDA_ERROR_INVALID_VALUE;
	free(mem);
	return status();
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr dst, const void *src, size_t bytes)
{
	if (status() == CUDA_SUCCESS && forbidden_now())
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	const char *from = static_cast<const char *>(src);
	if (status_inside() == CUDA_SUCCESS && known("cuMemcpyHtoD", (void *)dst, bytes, true)) {
		arrive();
		std::lock_guard<std::mutex> hold(lock);
		on_the_way.push_back({ (char *)dst, std::vector<char>(from, from + bytes) });
	}
	return status_inside();
}

CUresult cuMemcpyDtoH_v2(void *dst, CUdeviceptr src, size_t bytes)
{
	if (status() == CUDA_SUCCESS && forbidden_now())
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (status() == CUDA_SUCCESS && known("cuMemcpyDtoH", (void *)src, bytes, true)) {
		arrive();
		opened now;
		memcpy(dst, (void *)src, bytes);
	}
	return status();
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t bytes, CUstream s)
{
	const char *what = "cuMemcpyHtoDAsync";
	if (!known(what, (void *)dst, bytes, true) || !known(what, src, bytes, false))
		return status();
	return copy(what, s, (void *)dst, src, bytes);
}

CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t bytes, CUstream s)
{
	const char *what = "cuMemcpyDtoHAsync";
	if (!known(what, (void *)src, bytes, true) || !known(what, dst, bytes, false))
		return status();
	return copy(what, s, dst, (void *)src, bytes);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream s)
{
	const char *what = "cuMemcpyDtoDAsync";
	if (!known(what, (void *)src, bytes, true) || !known(what, (void *)dst, bytes, true))
		return status();
	return copy(what, s, (void *)dst, (void *)src, bytes);
}

CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char v, size_t bytes, CUstream s)
{
	if (!known("cuMemsetD8Async", (void *)dst, bytes, true))
		return status();
	return enqueue(s, "cuMemsetD8Async", [=] { memset((void *)dst, v, bytes); });
}
}
