// SPDX-License-Identifier: Apache-2.0
/*
 * stream.cc -- streams, what they record, launches, events
 */
#include <chrono>
#include <mutex>
#include "driver.h"

using namespace stand_in;

struct recorded {
	const char *what;
	work w;
};

struct CUgraph_st {
	std::vector<recorded> all;
};

struct CUgraphExec_st {
	std::vector<recorded> all;
};

struct CUstream_st {
	CUgraph capture = nullptr;
	bool spoiled = false;
};

struct CUevent_st {
	std::chrono::steady_clock::time_point at;
};

namespace stand_in {

/* The stream that this thread captures. */
static thread_local CUstream capturing;

bool forbidden_now()
{
	if (capturing)
		capturing->spoiled = true;
	return capturing != nullptr;
}

CUresult enqueue(CUstream s, const char *what, work w)
{
	if (status_inside() != CUDA_SUCCESS)
		return status_inside();
	if (s && s->capture) {
		s->capture->all.push_back({ what, std::move(w) });
		return CUDA_SUCCESS;
	}
	opened now;
	w();
	return CUDA_SUCCESS; /* what went wrong is said by the next call */
}

static bool launchable(const kernel *k, const launch &l)
{
	size_t threads = (size_t)l.threads.x * l.threads.y * l.threads.z;
	return threads >= 1 && threads <= 1024 && l.threads.z <= 64 && l.blocks.x >= 1 && l.blocks.y >= 1 &&
	       l.blocks.z >= 1 && l.blocks.x <= INT32_MAX && l.blocks.y <= 65535 && l.blocks.z <= 65535 &&
	       l.shared <= (size_t)k->shared_max;
}

} // namespace stand_in

extern "C" {

CUresult cuStreamCreate(CUstream *ret, unsigned)
{
	if (status_inside() == CUDA_SUCCESS)
		*ret = new CUstream_st;
	return status_inside();
}

CUresult cuStreamDestroy_v2(CUstream s)
{
	delete s;
	return status();
}

CUresult cuStreamSynchronize(CUstream s)
{
	if (s && s->capture) {
		s->spoiled = true;
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	if (s && status() == CUDA_SUCCESS && fails_now("sync"))
		broken(CUDA_ERROR_ILLEGAL_ADDRESS, "cuStreamSynchronize: fails because STAND_IN_FAIL says so");
	if (!s && status() == CUDA_SUCCESS)
		arrive();
	return status();
}

CUresult cuStreamBeginCapture_v2(CUstream s, CUstreamCaptureMode)
{
	if (status() != CUDA_SUCCESS)
		return status();
	if (!s || s->capture || capturing)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	s->capture = new CUgraph_st;
	s->spoiled = false;
	capturing = s;
	return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream s, CUgraph *ret)
{
	*ret = nullptr;
	if (!s || !s->capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	if (capturing != s)
		return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	capturing = nullptr;
	CUgraph g = s->capture;
	s->capture = nullptr;
	if (s->spoiled || status() != CUDA_SUCCESS) {
		delete g;
		return s->spoiled ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : status();
	}
	*ret = g;
	return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *ret, CUgraph g, unsigned long long)
{
	if (status() == CUDA_SUCCESS)
		*ret = new CUgraphExec_st{ g->all };
	return status();
}

CUresult cuGraphLaunch(CUgraphExec g, CUstream s)
{
	for (const recorded &r : g->all) {
		CUresult rc = enqueue(s, r.what, r.w);
		if (rc != CUDA_SUCCESS)
			return rc;
	}
	return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec g)
{
	delete g;
	return status();
}

CUresult cuGraphDestroy(CUgraph g)
{
	delete g;
	return status();
}

CUresult cuLaunchKernel(CUfunction fn, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
	unsigned bz, unsigned shared, CUstream s, void **params, void **)
{
	kernel *k = reinterpret_cast<kernel *>(fn);
	launch l = { k, dim3(gx, gy, gz), dim3(bx, by, bz), shared, nullptr };
	if (!launchable(k, l))
		return CUDA_ERROR_INVALID_VALUE;
	l.call = k->bind(params);
	return enqueue(s, k->name, [l] { run_launch(l); });
}

CUresult cuEventCreate(CUevent *ret, unsigned)
{
	if (status() == CUDA_SUCCESS)
		*ret = new CUevent_st;
	return status();
}

CUresult cuEventDestroy_v2(CUevent e)
{
	delete e;
	return status();
}

CUresult cuEventRecord(CUevent e, CUstream s)
{
	return enqueue(s, "cuEventRecord", [e] { e->at = std::chrono::steady_clock::now(); });
}

CUresult cuEventSynchronize(CUevent)
{
	return status();
}

CUresult cuEventElapsedTime_v2(float *ret, CUevent a, CUevent b)
{
	*ret = std::chrono::duration<float, std::milli>(b->at - a->at).count();
	return status();
}
}
