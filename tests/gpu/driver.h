/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.h -- what the files of the stand-in driver share
 */
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <vector>
#include "device.h"
#include "stand_in.h"

namespace stand_in {

/* As the environment has it. */
struct settings {
	int devices = 1, capability = 90;
	size_t memory = (size_t)8 << 30;
	bool strict = false;
	std::string fail; /* "launch", "sync", "alloc"; "": nothing */
	long fail_at = 0;
};
extern settings conf;

/* What later calls answer: the first error that does not go away. */
extern std::atomic<int> sticky;
CUresult status();
/* The same of a thread that needs the context: it has entered it. */
CUresult status_inside();
/* Is it the turn of this one to fail? */
bool fails_now(const char *what);
/* Says what is wrong on stderr and leaves the context unusable. */
void broken(CUresult r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* launch.cc */
struct kernel {
	const char *name;
	std::function<bound(void **)> bind;
	int shared_max = 48 << 10;
};
using module_kernels = std::map<std::string, kernel>;
module_kernels &static_kernels();
/* Where add_kernel() puts them; NULL: the static ones. */
extern thread_local module_kernels *loading;
struct launch {
	const kernel *fn;
	dim3 blocks, threads;
	size_t shared;
	bound call;
};
void run_launch(const launch &l);
/* The kernel that this thread runs, for messages; NULL: none. */
const char *running();

/* memory.cc: what is on its way arrives. */
void arrive();

/* stream.cc: on the thread that captures, what real CUDA forbids there spoils the capture. */
bool forbidden_now();

} // namespace stand_in
