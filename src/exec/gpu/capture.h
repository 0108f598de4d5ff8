/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture.h -- what a stream is given, recorded to be replayed
 *
 * Threads: the one that enqueues. Memory: the driver's, until cuGraphExecDestroy().
 */
#pragma once

#include "exec/gpu/gpu.h"

/* From here on the stream's work is recorded and not done. */
static inline bool capture_begin(CUstream stream)
{
	return cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) ==
		CUDA_SUCCESS;
}

/* NULL: it could not be recorded, and nothing of it was done. */
static inline CUgraphExec capture_end(CUstream stream)
{
	CUgraph graph = NULL;
	CUgraphExec exec = NULL;
	if (cu.cuStreamEndCapture(stream, &graph) != CUDA_SUCCESS || !graph)
		return NULL;
	if (cu.cuGraphInstantiateWithFlags(&exec, graph, 0) != CUDA_SUCCESS)
		exec = NULL;
	cu.cuGraphDestroy(graph);
	return exec;
}
