/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h -- what can run steps of a plan
 *
 * The planner asks the model's backend for every step, and its host for what that backend
 * refuses. A slot marked (optional) may be NULL.
 *
 * A backend with a device has memory of its own. Its kernels take and leave pointers into
 * that memory and only enqueue work; the planner puts a copy step where a value crosses
 * (plan/place.c). What one run at a time needs of a device is a lane: a stream, memory at
 * places that stay, and the recorded work of each segment, which is a row of steps
 * between two waits (run/device_run.c).
 */
#pragma once

#include "exec/kernel.h"

struct device_ops;

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

	/* (optional) Will a kernel for the node take this input in LAYOUT_NCHW16C_BF16? Asked at
	   precision bf16, where what only such nodes read may be left so. */
	bool (*takes_bf16)(const struct graph *g, const struct node *n, int input);

	/* What timings of its kernels are true for: processor, features, libraries. One line
	   without tabs. */
	void (*machine)(char *ret, size_t size);

	/* (optional) What it lacks to compute with this precision, in words; NULL: nothing. */
	const char *(*lacks)(enum precision precision);

	/* (optional) Called on every thread before it first runs a kernel. */
	void (*thread_init)(void);

	/* A FusedElementwise (fused.h) is one kernel, and quicker than its operators one by one. */
	bool fuses;

	/* Its copies, and kernels where that pays, take LAYOUT_COLUMNS: with device only. */
	bool columns;

	/* (optional) What it was opened without and how it manages, in words; NULL: nothing. */
	const char *without;

	/* (optional) Memory of its own; NULL: its kernels read and write the host's. */
	const struct device_ops *device;
	/* With device: what runs the steps that it refuses. */
	const struct backend *host;
};

/* One run's share of a device. The backend's own struct begins with it. */
struct lane {
	const struct backend *backend;
	char *device_mem; /* 256-byte aligned, where device kernels find workspace and scratch */
	char *host_mem;   /* 64-byte aligned, what host steps of the same plan use; pinned */
	void *stream;
	struct device_fault *fault;
};

/* Sticky complaint about data that a kernel on the device found. It writes code last. */
struct device_fault {
	int32_t code; /* enum fault_code */
	int32_t step;
	int64_t value;
};

#define SEGMENT_NONE (-1)

enum crossing { TO_DEVICE, TO_HOST };

/* What a device says of itself now; below 0: it does not. */
struct device_gauges {
	char name[96], uuid[48];
	double memory_used, memory_total; /* bytes */
	double utilization;               /* 0 to 1, of the last moments */
	double power;                     /* watts */
};

struct device_ops {
	/* What the device says is wrong with it; NULL: nothing. Threads: any. */
	const char *(*sick)(const struct backend *b);

	/* Threads: any. Takes up to some milliseconds. */
	void (*gauges)(const struct backend *b, struct device_gauges *ret);

	/* Memory that outlives runs, filled from the host. RESOURCE_EXHAUSTED: the device has
	   no such room. Done when it returns. */
	enum err_code (*upload)(const struct backend *b, const void *src, size_t bytes, void **ret,
		struct err *err);
	void (*release)(const struct backend *b, void *mem);

	/* A kernel that copies in[0] to out[0], plain and of one shape, one of them on the host. */
	enum err_code (*prepare_cross)(struct prep *p, enum crossing way, struct kernel *ret,
		struct err *err);

	enum err_code (*lane_new)(const struct backend *b, size_t device_bytes, size_t host_bytes,
		int32_t segments, struct lane **ret, struct err *err);
	void (*lane_free)(struct lane *l);

	/* Around the steps of segment i: where begin says *ret_enqueue, the caller runs their
	   kernels on the lane's stream and then calls end; otherwise the recorded work is on
	   its way already. Of SEGMENT_NONE nothing is recorded, and there is no end. */
	enum err_code (*begin)(struct lane *l, int32_t segment, bool *ret_enqueue, struct err *err);
	enum err_code (*end)(struct lane *l, int32_t segment, struct err *err);
	/* Waits for all that was enqueued. UNAVAILABLE: the device failed, and is sick
	   from now on. */
	enum err_code (*wait)(struct lane *l, struct err *err);
};

/* Who runs a model's steps that the backend itself does not take. */
static inline const struct backend *backend_host(const struct backend *b)
{
	return b->device ? b->host : b;
}

/* exec/cpu: always there. */
extern const struct backend cpu_backend;
