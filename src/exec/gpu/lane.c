/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.c -- what a run has of the device: a stream, its memory, its recorded segments
 *
 * A segment is run twice as it is, so that libraries do what they do at first, is captured into
 * a graph the third time, and replayed from then on. Where capturing fails the segment is
 * run as it is for good: slower, and right.
 */
#include <stdlib.h>
#include <string.h>
#include "exec/gpu/capture.h"

#define RUNS_BEFORE_CAPTURE 2

enum segment_state { SEGMENT_PLAIN, SEGMENT_CAPTURING, SEGMENT_RECORDED, SEGMENT_NOT_RECORDABLE };

struct segment {
	enum segment_state state;
	int runs;
	CUgraphExec graph;
};

struct gpu_lane {
	struct lane lane; /* first */
	struct gpu *gpu;
	cudnnHandle_t dnn; /* NULL: nobody has asked for it */
	int32_t n_segment;
	struct segment segment[];
};

static struct gpu_lane *lane_of(struct lane *l)
{
	return (struct gpu_lane *)l;
}

static const char *sick(const struct backend *b)
{
	const char *name = NULL;
	int r = atomic_load_explicit(&gpu_of(b)->sick, memory_order_relaxed);
	if (r)
		cu.cuGetErrorName((CUresult)r, &name);
	return name;
}

/* -- memory --------------------------------------------------------------------------------- */

static enum err_code device_alloc(
	const struct gpu *g, size_t bytes, CUdeviceptr *ret, struct err *err)
{
	CUresult r = cu.cuMemAlloc_v2(ret, bytes ? bytes : 1);
	if (r != CUDA_ERROR_OUT_OF_MEMORY) {
		GPU_TRY(g, r, "getting memory");
		return ERR_OK;
	}
	size_t left = 0, all = 0;
	cu.cuMemGetInfo_v2(&left, &all);
	return err_set(err, ERR_RESOURCE_EXHAUSTED,
		"gpu:%d: %zu bytes are wanted, %zu of %zu are free", g->ordinal, bytes, left, all);
}

static enum err_code upload(const struct backend *b, const void *src, size_t bytes, void **ret,
	struct err *err)
{
	struct gpu *g = gpu_of(b);
	CUdeviceptr mem;
	TRY(gpu_enter(g, err));
	TRY(device_alloc(g, bytes, &mem, err));
	CUresult r = bytes ? cu.cuMemcpyHtoD_v2(mem, src, bytes) : CUDA_SUCCESS;
	/* It returns when what is not pinned has been read; lanes' streams do not wait for what
	   is then on its way. */
	if (r == CUDA_SUCCESS)
		r = cu.cuStreamSynchronize(NULL);
	if (r != CUDA_SUCCESS) {
		cu.cuMemFree_v2(mem);
		return gpu_error(g, r, "uploading a constant", err);
	}
	*ret = (void *)mem;
	return ERR_OK;
}

/* A sick device takes nothing back, and needs not. */
static void release(const struct backend *b, void *mem)
{
	if (gpu_enter(gpu_of(b), NULL) == ERR_OK)
		cu.cuMemFree_v2((CUdeviceptr)mem);
}

/* -- lanes ---------------------------------------------------------------------------------- */

static void lane_free(struct lane *lane)
{
	struct gpu_lane *l = lane_of(lane);
	if (gpu_enter(l->gpu, NULL) == ERR_OK) {
		for (int32_t i = 0; i < l->n_segment; i++)
			if (l->segment[i].graph)
				cu.cuGraphExecDestroy(l->segment[i].graph);
		if (l->dnn)
			dnn.cudnnDestroy(l->dnn);
		if (lane->stream)
			cu.cuStreamDestroy_v2(lane->stream);
		if (lane->device_mem)
			cu.cuMemFree_v2((CUdeviceptr)lane->device_mem);
		if (lane->fault)
			cu.cuMemFreeHost(lane->fault);
	}
	free(l);
}

/* The fault's word and the host's workspace lie in one piece of pinned memory. */
#define FAULT_BYTES ARENA_ALIGN_TENSOR

static enum err_code fill_lane(
	struct gpu_lane *l, size_t device_bytes, size_t host_bytes, struct err *err)
{
	struct gpu *g = l->gpu;
	CUdeviceptr mem;
	void *pinned;
	CUstream stream;
	TRY(gpu_enter(g, err));
	TRY(device_alloc(g, device_bytes, &mem, err));
	l->lane.device_mem = (char *)mem;
	GPU_TRY(g, cu.cuMemHostAlloc(&pinned, FAULT_BYTES + host_bytes, CU_MEMHOSTALLOC_PORTABLE),
		"getting pinned memory");
	memset(pinned, 0, FAULT_BYTES);
	l->lane.fault = pinned;
	l->lane.host_mem = (char *)pinned + FAULT_BYTES;
	GPU_TRY(g, cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "making a stream");
	l->lane.stream = stream;
	return ERR_OK;
}

static enum err_code lane_new(const struct backend *b, size_t device_bytes, size_t host_bytes,
	int32_t segments, struct lane **ret, struct err *err)
{
	struct gpu_lane *l = calloc(1, sizeof(*l) + (size_t)segments * sizeof(l->segment[0]));
	if (!l)
		return err_oom(err);
	l->lane.backend = b;
	l->gpu = gpu_of(b);
	l->n_segment = segments;
	enum err_code rc = fill_lane(l, device_bytes, host_bytes, err);
	if (rc != ERR_OK) {
		lane_free(&l->lane);
		return rc;
	}
	*ret = &l->lane;
	return ERR_OK;
}

/* A segment's first runs are not recorded, so that is when this happens. */
cudnnHandle_t gpu_lane_dnn(struct lane *lane)
{
	struct gpu_lane *l = lane_of(lane);
	if (!l->dnn && dnn.cudnnCreate(&l->dnn) != CUDNN_STATUS_SUCCESS)
		l->dnn = NULL;
	else if (dnn.cudnnSetStream(l->dnn, lane->stream) != CUDNN_STATUS_SUCCESS)
		return NULL;
	return l->dnn;
}

/* -- segments ------------------------------------------------------------------------------- */

static enum err_code begin(struct lane *lane, int32_t i, bool *ret_enqueue, struct err *err)
{
	struct gpu_lane *l = lane_of(lane);
	const char *why = sick(lane->backend);
	if (why)
		return err_set(err, ERR_UNAVAILABLE,
			"gpu:%d has failed: %s; the daemon must be restarted", l->gpu->ordinal,
			why);
	TRY(gpu_enter(l->gpu, err));
	*ret_enqueue = true;
	if (i == SEGMENT_NONE)
		return ERR_OK;
	struct segment *s = &l->segment[i];
	*ret_enqueue = s->state != SEGMENT_RECORDED;
	if (s->state == SEGMENT_RECORDED)
		GPU_TRY(l->gpu, cu.cuGraphLaunch(s->graph, lane->stream), "replaying a graph");
	if (s->state == SEGMENT_PLAIN && s->runs++ >= RUNS_BEFORE_CAPTURE)
		s->state = capture_begin(lane->stream) ? SEGMENT_CAPTURING : SEGMENT_NOT_RECORDABLE;
	return ERR_OK;
}

static enum err_code end(struct lane *lane, int32_t i, struct err *err)
{
	struct gpu_lane *l = lane_of(lane);
	struct segment *s = &l->segment[i];
	if (s->state != SEGMENT_CAPTURING)
		return ERR_OK;
	s->graph = capture_end(lane->stream);
	s->state = s->graph ? SEGMENT_RECORDED : SEGMENT_NOT_RECORDABLE;
	if (!s->graph)
		return err_set(err, ERR_INTERNAL, "gpu:%d: a segment's work could not be recorded",
			l->gpu->ordinal);
	GPU_TRY(l->gpu, cu.cuGraphLaunch(s->graph, lane->stream), "replaying a graph");
	return ERR_OK;
}

static enum err_code wait(struct lane *lane, struct err *err)
{
	struct gpu *g = lane_of(lane)->gpu;
	GPU_TRY(g, cu.cuStreamSynchronize(lane->stream), "computing");
	return ERR_OK;
}

/* -- crossing ------------------------------------------------------------------------------- */

struct cross_state {
	size_t bytes;
};

static void run_up(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct cross_state *s = a->state;
	CUresult r = cu.cuMemcpyHtoDAsync_v2((CUdeviceptr)a->out[0].data, a->in[0].data, s->bytes,
		a->device->stream);
	if (r != CUDA_SUCCESS)
		kernel_fault(a, FAULT_DEVICE, (int64_t)r);
}

static void run_down(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct cross_state *s = a->state;
	CUresult r = cu.cuMemcpyDtoHAsync_v2(a->out[0].data, (CUdeviceptr)a->in[0].data, s->bytes,
		a->device->stream);
	if (r != CUDA_SUCCESS)
		kernel_fault(a, FAULT_DEVICE, (int64_t)r);
}

static enum err_code prepare_cross(
	struct prep *p, enum crossing way, struct kernel *ret, struct err *err)
{
	struct cross_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->bytes = tensor_bytes(&p->in[0]);
	ret->name = way == TO_DEVICE ? "to_device" : "to_host";
	ret->run = way == TO_DEVICE ? run_up : run_down;
	return ERR_OK;
}

const struct device_ops gpu_device_ops = {
	.sick = sick,
	.gauges = gpu_gauges,
	.upload = upload,
	.release = release,
	.prepare_cross = prepare_cross,
	.lane_new = lane_new,
	.lane_free = lane_free,
	.begin = begin,
	.end = end,
	.wait = wait,
};
