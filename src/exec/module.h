/* SPDX-License-Identifier: Apache-2.0 */
/*
 * module.h -- backends that are opened only when asked for
 *
 * Life of a version: watch -> load -> check -> [COMPILE] -> ...
 *
 * A device's backend is a module, signet-NAME.so, in the folder that SIGNET_LIBDIR names or
 * else in the one that configure was told. It is built with this tree and uses the
 * program's own functions; one from another build is refused. Modules and devices stay
 * open until the process ends.
 *
 * Threads: any; opening takes a lock.
 */
#pragma once

#include "exec/backend.h"

/* "cpu", "gpu" (device 0) or "gpu:N". UNAVAILABLE, with what is missing and what to do: no
   such module, driver, library or device. */
MUST_CHECK enum err_code backend_open(
	const char *device, const struct backend **ret, struct err *err);

/* Calls fn for each device that is open, "gpu:0" and so on; the cpu is none. */
void backend_each_device(
	void (*fn)(void *ctx, const char *device, const struct backend *b), void *ctx);

/* A device that is open has failed for good, and cannot compute until the process is another. */
bool backend_any_sick(void);

/* A directory where devices keep what they compile (gpu/keep.h), borrowed until it is another; -1:
   none, as at the beginning. */
void backend_keep_in(int dirfd);
int backend_keep_dir(void);

/* Is it a name that backend_open() takes? */
bool backend_is_device_name(const char *device);

/* What a module exports as `signet_module`. */
struct backend_module {
	const char *version; /* PACKAGE_VERSION */
	uint64_t layout;     /* BACKEND_MODULE_LAYOUT, of its own compilation as the version */
	enum err_code (*open)(int ordinal, const struct backend *host, const struct backend **ret,
		struct err *err);
};

/* Differs where a struct that both sides use has another size. */
#define BACKEND_MODULE_LAYOUT \
	(sizeof(struct prep) * UINT64_C(31) + sizeof(struct kernel) * UINT64_C(1009) + \
		sizeof(struct kernel_args) * UINT64_C(65537) + \
		sizeof(struct backend) * UINT64_C(1000003) + \
		sizeof(struct device_ops) * UINT64_C(16777259) + \
		sizeof(struct tensor) * UINT64_C(4294967311) + \
		sizeof(struct node) * UINT64_C(68719476767) + \
		sizeof(struct graph) * UINT64_C(1099511627791))

#define BACKEND_DEVICES_MAX 16
