/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/dnn.h"

#include <float.h>
#include <pthread.h>
#include <stdlib.h>

#define ALIGN_BYTES 16
#define PROPOSALS_MAX 64 /* of one heuristic */

/* -- descriptors ----------------------------------------------------------------------------- */

/* One attribute of a descriptor. */
struct attribute {
	cudnnBackendAttributeName_t name;
	cudnnBackendAttributeType_t type;
	int64_t n;
	const void *value;
};

static bool is_ok(struct dnn_graph *g, cudnnStatus_t s, const char *what)
{
	if (g->status == CUDNN_STATUS_SUCCESS && s != CUDNN_STATUS_SUCCESS) {
		g->status = s;
		g->what = what;
	}
	return g->status == CUDNN_STATUS_SUCCESS;
}

static bool set_all(struct dnn_graph *g, cudnnBackendDescriptor_t d, const char *what, const struct attribute *a,
	int n)
{
	for (int i = 0; i < n; i++)
		if (a[i].n && !is_ok(g, dnn.cudnnBackendSetAttribute(d, a[i].name, a[i].type, a[i].n, a[i].value), what))
			return false;
	return is_ok(g, dnn.cudnnBackendFinalize(d), what);
}

/* A finalized descriptor with these attributes (rows of n 0 are left out); NULL after a failure. */
static cudnnBackendDescriptor_t describe(struct dnn_graph *g, cudnnBackendDescriptorType_t type, const char *what,
	const struct attribute *a, int n)
{
	cudnnBackendDescriptor_t d = NULL;
	if (g->n_made == DNN_DESCRIPTORS_MAX)
		is_ok(g, CUDNN_STATUS_NOT_SUPPORTED, "more descriptors than there is room for");
	if (!is_ok(g, g->status, what) || !is_ok(g, dnn.cudnnBackendCreateDescriptor(type, &d), what))
		return NULL;
	g->made[g->n_made++] = d;
	return set_all(g, d, what, a, n) ? d : NULL;
}

#define ROWS(a) (a), (int)(sizeof(a) / sizeof((a)[0]))

static void add_operation(struct dnn_graph *g, cudnnBackendDescriptorType_t type, const char *what,
	const struct attribute *a, int n)
{
	cudnnBackendDescriptor_t d = describe(g, type, what, a, n);
	if (g->n_operation == DNN_OPERATIONS_MAX)
		is_ok(g, CUDNN_STATUS_NOT_SUPPORTED, "more operations than there is room for");
	else if (d)
		g->operation[g->n_operation++] = d;
}

void dnn_init(struct dnn_graph *g, const struct dnn_target *target)
{
	*g = (struct dnn_graph){ .target = *target };
}

void dnn_done(struct dnn_graph *g)
{
	while (g->n_made > 0)
		dnn.cudnnBackendDestroyDescriptor(g->made[--g->n_made]);
}

/* -- tensors ------------------------------------------------------------------------------------ */

static cudnnDataType_t type_of(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F16: return CUDNN_DATA_HALF;
	case DTYPE_BF16: return CUDNN_DATA_BFLOAT16;
	case DTYPE_I8: return CUDNN_DATA_INT8;
	case DTYPE_I32: return CUDNN_DATA_INT32;
	case DTYPE_BOOL: return CUDNN_DATA_BOOLEAN;
	default: return CUDNN_DATA_FLOAT;
	}
}

enum how { BOUND, VIRTUAL, BY_VALUE };

static dnn_tensor tensor(struct dnn_graph *g, int64_t id, const struct dnn_shape *s, enum how how)
{
	cudnnDataType_t type = type_of(s->dtype);
	int64_t align = ALIGN_BYTES;
	bool yes = true;
	const struct attribute a[] = {
		{ CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type },
		{ CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, s->rank, s->dim },
		{ CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, s->rank, s->stride },
		{ CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id },
		{ CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align },
		{ CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, how == VIRTUAL, &yes },
		{ CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, how == BY_VALUE, &yes },
	};
	return describe(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor", ROWS(a));
}

dnn_tensor dnn_bound(struct dnn_graph *g, int64_t id, const struct dnn_shape *s)
{
	return tensor(g, id, s, BOUND);
}

dnn_tensor dnn_virtual(struct dnn_graph *g, const struct dnn_shape *s)
{
	return tensor(g, --g->last_virtual, s, VIRTUAL);
}

dnn_tensor dnn_number(struct dnn_graph *g, int64_t id, int rank)
{
	struct dnn_shape s = { DTYPE_F32, rank, { 1, 1, 1, 1, 1 }, { 1, 1, 1, 1, 1 } };
	return tensor(g, id, &s, BY_VALUE);
}

/* -- operations --------------------------------------------------------------------------------- */

static const cudnnDataType_t in_floats = CUDNN_DATA_FLOAT;

static cudnnBackendDescriptor_t windows(struct dnn_graph *g, const struct dnn_windows *c)
{
	int64_t spatial = c->spatial;
	cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
	const struct attribute a[] = {
		{ CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &in_floats },
		{ CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode },
		{ CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &spatial },
		{ CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, spatial, c->stride },
		{ CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, spatial, c->dilation },
		{ CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, spatial, c->pad_begin },
		{ CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, spatial, c->pad_end },
	};
	return describe(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "a convolution's windows", ROWS(a));
}

#define TENSOR(name, t) { CUDNN_ATTR_OPERATION_##name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &(t) }

void dnn_convolve(struct dnn_graph *g, const struct dnn_windows *c, dnn_tensor x, dnn_tensor w, dnn_tensor y)
{
	float one = 1, zero = 0;
	cudnnBackendDescriptor_t conv = windows(g, c);
	const struct attribute a[] = {
		TENSOR(CONVOLUTION_FORWARD_CONV_DESC, conv),
		TENSOR(CONVOLUTION_FORWARD_X, x),
		TENSOR(CONVOLUTION_FORWARD_W, w),
		TENSOR(CONVOLUTION_FORWARD_Y, y),
		{ CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one },
		{ CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero },
	};
	add_operation(g, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, "a convolution", ROWS(a));
}

void dnn_convolve_back(struct dnn_graph *g, const struct dnn_windows *c, dnn_tensor dy, dnn_tensor w, dnn_tensor dx)
{
	float one = 1, zero = 0;
	cudnnBackendDescriptor_t conv = windows(g, c);
	const struct attribute a[] = {
		TENSOR(CONVOLUTION_BWD_DATA_CONV_DESC, conv),
		TENSOR(CONVOLUTION_BWD_DATA_DY, dy),
		TENSOR(CONVOLUTION_BWD_DATA_W, w),
		TENSOR(CONVOLUTION_BWD_DATA_DX, dx),
		{ CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT, 1, &one },
		{ CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT, 1, &zero },
	};
	add_operation(g, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, "a transposed convolution", ROWS(a));
}

void dnn_apply(struct dnn_graph *g, const struct dnn_function *f, dnn_tensor x, dnn_tensor b, dnn_tensor y)
{
	bool relu = f->mode == CUDNN_POINTWISE_RELU_FWD, swish = f->mode == CUDNN_POINTWISE_SWISH_FWD;
	double high = f->high > (double)FLT_MAX ? (double)FLT_MAX : f->high;
	const struct attribute of_function[] = {
		{ CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &f->mode },
		{ CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &in_floats },
		{ CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, CUDNN_TYPE_DOUBLE, relu, &f->low },
		{ CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, relu, &high },
		{ CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, relu, &f->slope },
		{ CUDNN_ATTR_POINTWISE_SWISH_BETA, CUDNN_TYPE_DOUBLE, swish, &f->beta },
	};
	cudnnBackendDescriptor_t function =
		describe(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "a pointwise function", ROWS(of_function));
	const struct attribute a[] = {
		TENSOR(POINTWISE_PW_DESCRIPTOR, function),
		TENSOR(POINTWISE_XDESC, x),
		{ CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, b != NULL, &b },
		TENSOR(POINTWISE_YDESC, y),
	};
	add_operation(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "a pointwise operation", ROWS(a));
}

void dnn_multiply(struct dnn_graph *g, dnn_tensor a, dnn_tensor b, dnn_tensor c)
{
	const struct attribute of_matmul[] = {
		{ CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &in_floats },
	};
	cudnnBackendDescriptor_t matmul = describe(g, CUDNN_BACKEND_MATMUL_DESCRIPTOR, "a product", ROWS(of_matmul));
	const struct attribute rows[] = {
		TENSOR(MATMUL_DESC, matmul),
		TENSOR(MATMUL_ADESC, a),
		TENSOR(MATMUL_BDESC, b),
		TENSOR(MATMUL_CDESC, c),
	};
	add_operation(g, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, "a product", ROWS(rows));
}

void dnn_reduce(struct dnn_graph *g, cudnnReduceTensorOp_t how, dnn_tensor x, dnn_tensor y)
{
	const struct attribute of_reduction[] = {
		{ CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &in_floats },
		{ CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &how },
	};
	cudnnBackendDescriptor_t reduction =
		describe(g, CUDNN_BACKEND_REDUCTION_DESCRIPTOR, "a reduction", ROWS(of_reduction));
	const struct attribute a[] = {
		TENSOR(REDUCTION_DESC, reduction),
		TENSOR(REDUCTION_XDESC, x),
		TENSOR(REDUCTION_YDESC, y),
	};
	add_operation(g, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, "a reduction", ROWS(a));
}

/* -- choosing an engine --------------------------------------------------------------------------- */

struct dnn_plan {
	cudnnBackendDescriptor_t plan;
	int64_t workspace_bytes;
	pthread_mutex_t lock; /* see dnn.h */
};

/* What the engine of a configuration says of its arithmetic; all bits: it does not say. */
static uint32_t notes_of(cudnnBackendDescriptor_t config)
{
	cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
	cudnnBackendDescriptor_t engine;
	int64_t n = 0;
	uint32_t bits = UINT32_MAX;
	if (dnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) != CUDNN_STATUS_SUCCESS)
		return bits;
	if (dnn.cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n,
		    &engine) == CUDNN_STATUS_SUCCESS &&
		dnn.cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
			CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, note) == CUDNN_STATUS_SUCCESS)
		for (bits = 0; n > 0; n--)
			bits |= 1U << note[n - 1];
	dnn.cudnnBackendDestroyDescriptor(engine);
	return bits;
}

/* Finalizes a plan of the configuration; false: it cannot be, or wants too much. */
static bool try_config(const struct dnn_target *t, cudnnBackendDescriptor_t config, const struct dnn_limits *l,
	struct dnn_plan *ret)
{
	int64_t n;
	if (notes_of(config) & l->forbidden ||
		dnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &ret->plan) !=
			CUDNN_STATUS_SUCCESS)
		return false;
	bool ok = t->handle ? dnn.cudnnBackendSetAttribute(ret->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE,
				      CUDNN_TYPE_HANDLE, 1, &t->handle) == CUDNN_STATUS_SUCCESS
			    : dnn.cudnnBackendSetAttribute(ret->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
				      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &t->properties) == CUDNN_STATUS_SUCCESS;
	ok = ok &&
	     dnn.cudnnBackendSetAttribute(ret->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
		     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config) == CUDNN_STATUS_SUCCESS &&
	     dnn.cudnnBackendFinalize(ret->plan) == CUDNN_STATUS_SUCCESS &&
	     dnn.cudnnBackendGetAttribute(ret->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
		     &n, &ret->workspace_bytes) == CUDNN_STATUS_SUCCESS &&
	     ret->workspace_bytes >= 0 && (uint64_t)ret->workspace_bytes <= l->workspace_bytes;
	if (!ok) {
		dnn.cudnnBackendDestroyDescriptor(ret->plan);
		ret->plan = NULL;
	}
	return ok;
}

/* The first that does, of those that the library proposes in this mode, best first. */
static bool try_mode(struct dnn_graph *g, cudnnBackendDescriptor_t operations, cudnnBackendHeurMode_t mode,
	const struct dnn_limits *l, struct dnn_plan *ret)
{
	const struct attribute a[] = {
		{ CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operations },
		{ CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode },
		{ CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->target.properties != NULL,
			&g->target.properties },
	};
	cudnnBackendDescriptor_t config[PROPOSALS_MAX];
	int64_t room = 0, n = 0;
	cudnnBackendDescriptor_t heuristic =
		describe(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "a question for engines", ROWS(a));
	if (!heuristic)
		return false;
	while (room < PROPOSALS_MAX && dnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
					       &config[room]) == CUDNN_STATUS_SUCCESS)
		room++;
	bool found = false;
	if (dnn.cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
		    room, &n, config) == CUDNN_STATUS_SUCCESS)
		for (int64_t i = 0; i < n && i < room && !found; i++)
			found = try_config(&g->target, config[i], l, ret);
	while (room > 0)
		dnn.cudnnBackendDestroyDescriptor(config[--room]);
	return found;
}

static cudnnBackendDescriptor_t operation_graph(struct dnn_graph *g)
{
	const struct attribute a[] = {
		{ CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->n_operation, g->operation },
		{ CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, g->target.handle != NULL, &g->target.handle },
	};
	return describe(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "the operations together", ROWS(a));
}

static enum err_code refused(const struct dnn_graph *g, struct err *err)
{
	char text[160] = "";
	dnn.cudnnGetLastErrorString(text, sizeof(text));
	return err_set(err, ERR_UNIMPLEMENTED, "cuDNN refuses %s: %s %s", g->what,
		dnn.cudnnGetErrorString(g->status), text);
}

enum err_code dnn_plan(struct dnn_graph *g, const struct dnn_limits *l, struct dnn_plan **ret, struct err *err)
{
	cudnnBackendDescriptor_t operations = operation_graph(g);
	if (!operations)
		return refused(g, err);
	struct dnn_plan *p = calloc(1, sizeof(*p));
	if (!p)
		return err_oom(err);
	if (!try_mode(g, operations, CUDNN_HEUR_MODE_A, l, p)) {
		g->status = CUDNN_STATUS_SUCCESS; /* what the one mode cannot, the other may */
		if (!try_mode(g, operations, CUDNN_HEUR_MODE_FALLBACK, l, p)) {
			free(p);
			return err_set(err, ERR_UNIMPLEMENTED, "cuDNN has no engine for it");
		}
	}
	pthread_mutex_init(&p->lock, NULL);
	*ret = p;
	return ERR_OK;
}

void dnn_plan_free(struct dnn_plan *p)
{
	if (!p)
		return;
	dnn.cudnnBackendDestroyDescriptor(p->plan);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

size_t dnn_workspace_bytes(const struct dnn_plan *p)
{
	return (size_t)p->workspace_bytes;
}

/* -- run -------------------------------------------------------------------------------------------- */

static cudnnStatus_t execute(struct dnn_plan *p, cudnnHandle_t handle, const struct dnn_binding *b)
{
	struct dnn_graph of_pack = { .status = CUDNN_STATUS_SUCCESS };
	const struct attribute a[] = {
		{ CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, b->n, b->id },
		{ CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, b->n, b->at },
		{ CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &b->workspace },
	};
	cudnnBackendDescriptor_t pack =
		describe(&of_pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "the operands", ROWS(a));
	if (pack)
		of_pack.status = dnn.cudnnBackendExecute(handle, p->plan, pack);
	dnn_done(&of_pack);
	return of_pack.status;
}

void dnn_run(struct dnn_plan *p, const struct kernel_args *args, cudnnHandle_t handle, const struct dnn_binding *b)
{
	cudnnStatus_t s = CUDNN_STATUS_NOT_INITIALIZED;
	pthread_mutex_lock(&p->lock);
	if (handle)
		s = execute(p, handle, b);
	pthread_mutex_unlock(&p->lock);
	if (s != CUDNN_STATUS_SUCCESS)
		kernel_fault(args, FAULT_DEVICE, (int64_t)s);
}
