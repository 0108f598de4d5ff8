/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h -- what our control group, and every one above it, leaves us of the machine
 *
 * Version 2 has one tree of folders, version 1 a tree for each controller.
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CGROUP_PROC "/proc/self/cgroup"
#define CGROUP_ROOT "/sys/fs/cgroup"

struct cgroup_limit {
	const char *controller; /* of version 1 */
	/* what one folder allows; unlimited where it does not say */
	int64_t (*of)(const char *dir);
	int64_t unlimited;
};

/* The least that any folder allows, by a file like CGROUP_PROC and where the trees are. */
int64_t cgroup_least(const struct cgroup_limit *limit, const char *proc_cgroup, const char *root);

/* For limit->of: the one line of a file; "" where there is none. */
void cgroup_read_line(const char *dir, const char *name, char *ret, int size);

/* Bytes of memory: what groups allow; INT64_MAX where they allow all there is. */
int64_t cgroup_memory_bytes(const char *proc_cgroup, const char *root);

/* Bytes of memory that this process can have at all: the machine's, or what its groups allow. */
size_t cgroup_machine_bytes(void);
