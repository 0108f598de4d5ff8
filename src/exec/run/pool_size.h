/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_size.h -- what cgroups leave us of the machine (for pool_size.c and its tests)
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stdint.h>

#define CPUS_UNLIMITED INT64_C(1000000000)

/* Thousandths of a CPU: the least that our cgroups allow, by a file like /proc/self/cgroup and
   the folder where cgroups are mounted. CPUS_UNLIMITED: no quota. */
int64_t pool_quota_milli_cpus(const char *proc_cgroup, const char *root);
