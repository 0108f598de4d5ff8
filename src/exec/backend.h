/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h -- a device that can run steps of a plan
 *
 * The planner asks the model's backend for every step, and the CPU for what that backend
 * refuses. A slot marked (optional) may be NULL.
 */
#pragma once

#include "exec/kernel.h"

struct backend {
	const char *name; /* "cpu", "gpu" */

	/* Chooses the best kernel for a node: fills ret. UNIMPLEMENTED with a message
	   naming node, operator and types when there is none. Inputs may come in a blocked
	   layout; *ret_want_plain is set when the kernel chosen needs them plain (ret is
	   then for plain inputs, and the planner inserts reorders). */
	enum err_code (*prepare)(struct prep *p, struct kernel *ret, bool *ret_want_plain,
		struct err *err);

	/* A kernel that copies one tensor to another of the same type and shape, between
	   any two layouts that the backend uses. */
	enum err_code (*prepare_copy)(struct prep *p, struct kernel *ret, struct err *err);

	/* What timings of its kernels are true for: processor, features, libraries. One line
	   without tabs. */
	void (*machine)(char *ret, size_t size);

	/* (optional) What it lacks to compute with this precision, in words; NULL: nothing. */
	const char *(*lacks)(enum precision precision);

	/* (optional) Called on every thread before it first runs a kernel. */
	void (*thread_init)(void);

	/* (optional, devices with memory of their own) */
	enum err_code (*alloc)(size_t bytes, void **ret, struct err *err);
	void (*free)(void *mem);
	void (*upload)(void *dst, const void *src, size_t bytes, void *stream);
	void (*download)(void *dst, const void *src, size_t bytes, void *stream);
	enum err_code (*sync)(void *stream, struct err *err);
};

/* exec/cpu: always there. */
extern const struct backend cpu_backend;
