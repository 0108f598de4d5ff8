/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnn.h -- cuDNN's backend graph API: a few operations become one plan
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...   a graph, then its plan
 * Life of a request: ... -> plan -> [KERNELS] -> ...    dnn_run()
 *
 * A graph is described operation by operation; nothing has to be checked on the way, for the
 * first thing that the library refuses is what dnn_plans() says. Tensors that only pass from one
 * operation to the next are virtual. dnn_plans() takes engines that the library proposes which
 * keep to the limits and can be finalized; what they are can be written down, and made again.
 *
 * Ownership: a graph owns its descriptors until dnn_done(); a plan owns its own.
 * Threads:   graphs are one thread's. Plans are run by any, one at a time (a lock inside, since
 *            the library does not say that executing one is safe from several threads); a run
 *            that is replayed takes no lock.
 * Memory:    a run makes a small descriptor of the library's on the host.
 */
#pragma once

#include "exec/attrs.h"
#include "exec/gpu/lib/gpu_libs.h"
#include "exec/kernel.h"

#define DNN_RANK_MAX 5
#define DNN_OPERATIONS_MAX 12
#define DNN_DESCRIPTORS_MAX 96
#define DNN_BOUND_MAX 8 /* tensors that a run brings */

/* What plans are made for: a device, or what one is known by where there is none. */
struct dnn_target {
	cudnnHandle_t handle;
	cudnnBackendDescriptor_t properties; /* with handle NULL */
};

/* What a run brings. */
struct dnn_bound {
	int64_t id;
	size_t bytes; /* 0: it is a number */
};

struct dnn_graph {
	struct dnn_target target;
	cudnnBackendDescriptor_t made[DNN_DESCRIPTORS_MAX], operation[DNN_OPERATIONS_MAX];
	int n_made, n_operation;
	struct dnn_bound bound[DNN_BOUND_MAX];
	int n_bound;
	int64_t last_virtual; /* their ids count downwards */
	cudnnStatus_t status; /* the first failure, which stays */
	const char *what;     /* what was being described then */
};

typedef cudnnBackendDescriptor_t dnn_tensor;

/* Shape as the operation wants it (N, C, spatial...); strides in elements say how it lies. */
struct dnn_shape {
	enum dtype dtype;
	int rank;
	int64_t dim[DNN_RANK_MAX], stride[DNN_RANK_MAX];
};

void dnn_init(struct dnn_graph *g, const struct dnn_target *target);
void dnn_done(struct dnn_graph *g);

/* id: of what a run brings, above 0. The address will be a multiple of 16. */
dnn_tensor dnn_bound(struct dnn_graph *g, int64_t id, const struct dnn_shape *s);
dnn_tensor dnn_virtual(struct dnn_graph *g, const struct dnn_shape *s);
/* One float that is given with the run, by value. */
dnn_tensor dnn_number(struct dnn_graph *g, int64_t id, int rank);

struct dnn_windows {
	int spatial;
	int64_t stride[DNN_RANK_MAX], dilation[DNN_RANK_MAX];
	int64_t pad_begin[DNN_RANK_MAX], pad_end[DNN_RANK_MAX];
};
/* back: y is the gradient of what a convolution read, x that of its result: a transposed
   convolution. */
void dnn_convolve(struct dnn_graph *g, const struct dnn_windows *c, bool back, dnn_tensor x,
	dnn_tensor w, dnn_tensor y);

/* A function of one or two tensors (b NULL: of one), computed in floats. */
struct dnn_function {
	cudnnPointwiseMode_t mode;
	double low, high, slope; /* RELU: clipped at both, times slope below low */
	double beta;             /* SWISH */
};
/* The library's function that an activation is; false: it has none. */
bool dnn_activation(enum activation act, float alpha, float beta, struct dnn_function *ret);
void dnn_apply(struct dnn_graph *g, const struct dnn_function *f, dnn_tensor x, dnn_tensor b,
	dnn_tensor y);
void dnn_multiply(struct dnn_graph *g, dnn_tensor a, dnn_tensor b, dnn_tensor c);
void dnn_reduce(struct dnn_graph *g, cudnnReduceTensorOp_t how, dnn_tensor x, dnn_tensor y);

struct dnn_limits {
	size_t workspace_bytes;
	uint32_t forbidden; /* bit i: cudnnBackendNumericalNote_t i */
};

/* An engine of the library's, and how its knobs stand: what a plan can be made of again. */
#define DNN_KNOBS_MAX 24
struct dnn_config {
	int64_t engine; /* below 0: the library does not say */
	int n_knob;
	int64_t type[DNN_KNOBS_MAX], value[DNN_KNOBS_MAX];
};
/* "engine type=value type=value"; "": it does not say, or not in so few characters. */
void dnn_config_write(const struct dnn_config *c, char *ret, size_t size);
MUST_CHECK bool dnn_config_read(const char *text, struct dnn_config *ret);

struct dnn_plan;
/* At most `most` of the engines that the library proposes for it, best first. UNIMPLEMENTED: none
   does this graph within the limits, or the library does not take it. */
MUST_CHECK enum err_code dnn_plans(struct dnn_graph *g, const struct dnn_limits *l, int most,
	struct dnn_plan **ret, int *ret_n, struct err *err);
/* By that very engine. UNIMPLEMENTED as above. */
MUST_CHECK enum err_code dnn_plan_as(struct dnn_graph *g, const struct dnn_limits *l,
	const struct dnn_config *c, struct dnn_plan **ret, struct err *err);
void dnn_plan_free(struct dnn_plan *p);
size_t dnn_workspace_bytes(const struct dnn_plan *p);
const struct dnn_config *dnn_plan_config(const struct dnn_plan *p);

/* What a run brings: ids and where they lie (of a number: on the host). */
struct dnn_binding {
	int n;
	int64_t id[DNN_BOUND_MAX];
	void *at[DNN_BOUND_MAX];
	void *workspace;
};
/* Enqueues it on the handle's stream. One at a time. */
MUST_CHECK cudnnStatus_t dnn_execute(
	const struct dnn_plan *p, cudnnHandle_t handle, const struct dnn_binding *b);
/* The same with the plan's lock held. */
void dnn_run(struct dnn_plan *p, const struct kernel_args *args, cudnnHandle_t handle,
	const struct dnn_binding *b);
