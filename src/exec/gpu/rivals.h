/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rivals.h -- kernels of the device that can do the same node, timed against each other
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * As cpu/trial.h, with what won in the same choices.
 *
 * Threads: that of prepare. Memory: gone at the end.
 */
#pragma once

#include "exec/gpu/gpu.h"

/* key: all that the times depend on besides device and libraries; it holds no addresses. */
struct rivals {
	const char *const *name;
	int n;
	const void *key;
	size_t key_bytes;
};

/* The one that won before; -1: not known. */
int rivals_known(const struct prep *p, const struct rivals *r);
/* May they be timed now? */
bool rivals_may_be_timed(const struct prep *p);
/* The fastest of these, which is remembered; -1: nothing could be timed. */
int rivals_time(const struct prep *p, const struct rivals *r, const struct kernel *const *kernel);
