/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stand_in.h -- a GPU that is none: NVIDIA's libraries on the host, for tests
 *
 * libcuda.so.1 here has the functions of the driver that src/exec/gpu calls, with memory of the
 * host's, and runs the same .cu files, which g++ compiled (device.h). The stand-ins of the
 * other libraries enqueue their work through it.
 *
 * Streams run in order, at once; one that captures keeps the work for its graph instead. What is
 * copied from memory that is not pinned arrives when the null stream is waited for. A thread that
 * has not entered the context gets nothing done.
 *
 * The environment, read by cuInit(), says what goes wrong:
 *	STAND_IN_DEVICES=N     how many there are; 1
 *	STAND_IN_MEMORY=BYTES  of each device; 8 GiB
 *	STAND_IN_CAPABILITY=N  90
 *	STAND_IN_STRICT=1      device memory is accessible only while it works
 *	STAND_IN_FAIL=launch:N|sync:N|alloc:N   the N-th of them, counted from 1: a launch or a
 *	                       wait leaves the context unusable, an allocation finds no memory
 * NVRTC's (nvrtc.cc) reads, whenever it compiles:
 *	STAND_IN_NVRTC=broken  it says no to everything
 *	STAND_IN_NVRTC_LOG=FILE a line for each kernel that is asked for
 *
 * Threads: any.
 */
#pragma once

#include <cuda.h>
#include <functional>

namespace stand_in {

using work = std::function<void()>;

/* Runs it now, with the device's memory open, or records it where the stream captures. what: a
   static text for messages. */
CUresult enqueue(CUstream stream, const char *what, work w);

/* Is this the device's memory, all of it within one allocation? */
bool is_device_memory(const void *mem, size_t bytes);

/* Makes the device's memory accessible to this thread while it lives. */
struct opened {
	opened();
	~opened();
};

} // namespace stand_in
