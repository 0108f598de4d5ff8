/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnn_impl.h -- between dnn.c, which describes graphs, and dnn_plan.c, which has plans made of them
 *
 * Ownership, threads: as dnn.h says.
 */
#pragma once

#include <pthread.h>
#include "exec/gpu/lib/dnn.h"

/* One attribute of a descriptor. */
struct dnn_attribute {
	cudnnBackendAttributeName_t name;
	cudnnBackendAttributeType_t type;
	int64_t n;
	const void *value;
};
#define DNN_ROWS(a) (a), (int)(sizeof(a) / sizeof((a)[0]))

/* A finalized descriptor of the graph's with these attributes (rows of n 0 are left out); NULL
   after a failure. */
cudnnBackendDescriptor_t dnn_describe(struct dnn_graph *g, cudnnBackendDescriptorType_t type,
	const char *what, const struct dnn_attribute *a, int n);

struct dnn_plan {
	cudnnBackendDescriptor_t plan;
	int64_t workspace_bytes;
	struct dnn_config config;
	pthread_mutex_t lock; /* see dnn.h */
};
