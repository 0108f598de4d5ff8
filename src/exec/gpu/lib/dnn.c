/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/lib/dnn_impl.h"

#include <float.h>

#define ALIGN_BYTES 16

/* -- descriptors ----------------------------------------------------------------------------- */

static bool is_ok(struct dnn_graph *g, cudnnStatus_t s, const char *what)
{
	if (g->status == CUDNN_STATUS_SUCCESS && s != CUDNN_STATUS_SUCCESS) {
		g->status = s;
		g->what = what;
	}
	return g->status == CUDNN_STATUS_SUCCESS;
}

static bool set_all(struct dnn_graph *g, cudnnBackendDescriptor_t d, const char *what,
	const struct dnn_attribute *a, int n)
{
	for (int i = 0; i < n; i++)
		if (a[i].n &&
			!is_ok(g,
				dnn.cudnnBackendSetAttribute(
					d, a[i].name, a[i].type, a[i].n, a[i].value),
				what))
			return false;
	return is_ok(g, dnn.cudnnBackendFinalize(d), what);
}

cudnnBackendDescriptor_t dnn_describe(struct dnn_graph *g, cudnnBackendDescriptorType_t type,
	const char *what, const struct dnn_attribute *a, int n)
{
	cudnnBackendDescriptor_t d = NULL;
	if (g->n_made == DNN_DESCRIPTORS_MAX)
		is_ok(g, CUDNN_STATUS_NOT_SUPPORTED, "more descriptors than there is room for");
	if (!is_ok(g, g->status, what) ||
		!is_ok(g, dnn.cudnnBackendCreateDescriptor(type, &d), what))
		return NULL;
	g->made[g->n_made++] = d;
	return set_all(g, d, what, a, n) ? d : NULL;
}

static void add_operation(struct dnn_graph *g, cudnnBackendDescriptorType_t type, const char *what,
	const struct dnn_attribute *a, int n)
{
	cudnnBackendDescriptor_t d = dnn_describe(g, type, what, a, n);
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

/* -- tensors ----------------------------------------------------------------------------------- */

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
	const struct dnn_attribute a[] = {
		{ CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type },
		{ CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, s->rank, s->dim },
		{ CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, s->rank, s->stride },
		{ CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id },
		{ CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align },
		{ CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, how == VIRTUAL, &yes },
		{ CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, how == BY_VALUE, &yes },
	};
	return dnn_describe(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor", DNN_ROWS(a));
}

/* Notes what a run brings. */
static void bind(struct dnn_graph *g, int64_t id, const struct dnn_shape *s)
{
	int64_t last = 0;
	for (int i = 0; s && i < s->rank; i++)
		last += (s->dim[i] - 1) * s->stride[i];
	if (g->n_bound == DNN_BOUND_MAX)
		is_ok(g, CUDNN_STATUS_NOT_SUPPORTED, "more operands than there is room for");
	else
		g->bound[g->n_bound++] = (struct dnn_bound){ id,
			s ? (size_t)(last + 1) * dtype_bytes(s->dtype) : 0 };
}

dnn_tensor dnn_bound(struct dnn_graph *g, int64_t id, const struct dnn_shape *s)
{
	bind(g, id, s);
	return tensor(g, id, s, BOUND);
}

dnn_tensor dnn_virtual(struct dnn_graph *g, const struct dnn_shape *s)
{
	return tensor(g, --g->last_virtual, s, VIRTUAL);
}

dnn_tensor dnn_number(struct dnn_graph *g, int64_t id, int rank)
{
	struct dnn_shape s = { DTYPE_F32, rank, { 1, 1, 1, 1, 1 }, { 1, 1, 1, 1, 1 } };
	bind(g, id, NULL);
	return tensor(g, id, &s, BY_VALUE);
}

/* -- operations -------------------------------------------------------------------------------- */

static const cudnnDataType_t in_floats = CUDNN_DATA_FLOAT;

static cudnnBackendDescriptor_t windows(struct dnn_graph *g, const struct dnn_windows *c)
{
	int64_t spatial = c->spatial;
	cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
	const struct dnn_attribute a[] = {
		{ CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &in_floats },
		{ CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode },
		{ CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &spatial },
		{ CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, spatial, c->stride },
		{ CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, spatial, c->dilation },
		{ CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, spatial, c->pad_begin },
		{ CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, spatial, c->pad_end },
	};
	return dnn_describe(
		g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "a convolution's windows", DNN_ROWS(a));
}

#define TENSOR(name, t) { CUDNN_ATTR_OPERATION_##name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &(t) }

/* What the two kinds of convolutions call their parts. */
struct convolution {
	cudnnBackendDescriptorType_t type;
	const char *what;
	cudnnBackendAttributeName_t windows, from, filters, to, alpha, beta;
};

void dnn_convolve(struct dnn_graph *g, const struct dnn_windows *c, bool back, dnn_tensor x,
	dnn_tensor w, dnn_tensor y)
{
	static const struct convolution kind[] = {
		{ CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, "a convolution",
			CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
			CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
			CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
			CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
			CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
			CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA },
		{ CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
			"a transposed convolution",
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
			CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA },
	};
	const struct convolution *k = &kind[back];
	float one = 1, zero = 0;
	cudnnBackendDescriptor_t conv = windows(g, c);
	const struct dnn_attribute a[] = {
		{ k->windows, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &conv },
		{ k->from, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x },
		{ k->filters, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w },
		{ k->to, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y },
		{ k->alpha, CUDNN_TYPE_FLOAT, 1, &one },
		{ k->beta, CUDNN_TYPE_FLOAT, 1, &zero },
	};
	add_operation(g, k->type, k->what, DNN_ROWS(a));
}

void dnn_apply(
	struct dnn_graph *g, const struct dnn_function *f, dnn_tensor x, dnn_tensor b, dnn_tensor y)
{
	bool relu = f->mode == CUDNN_POINTWISE_RELU_FWD,
	     swish = f->mode == CUDNN_POINTWISE_SWISH_FWD;
	double high = f->high > (double)FLT_MAX ? (double)FLT_MAX : f->high;
	const struct dnn_attribute of_function[] = {
		{ CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &f->mode },
		{ CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &in_floats },
		{ CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, CUDNN_TYPE_DOUBLE, relu, &f->low },
		{ CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, relu, &high },
		{ CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, relu, &f->slope },
		{ CUDNN_ATTR_POINTWISE_SWISH_BETA, CUDNN_TYPE_DOUBLE, swish, &f->beta },
	};
	cudnnBackendDescriptor_t function = dnn_describe(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR,
		"a pointwise function", DNN_ROWS(of_function));
	const struct dnn_attribute a[] = {
		TENSOR(POINTWISE_PW_DESCRIPTOR, function),
		TENSOR(POINTWISE_XDESC, x),
		{ CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, b != NULL,
			&b },
		TENSOR(POINTWISE_YDESC, y),
	};
	add_operation(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "a pointwise operation",
		DNN_ROWS(a));
}

bool dnn_activation(enum activation act, float alpha, float beta, struct dnn_function *ret)
{
	*ret = (struct dnn_function){ .high = (double)FLT_MAX };
	switch (act) {
	case ACT_RELU: ret->mode = CUDNN_POINTWISE_RELU_FWD; return true;
	case ACT_LEAKY_RELU:
		ret->mode = CUDNN_POINTWISE_RELU_FWD;
		ret->slope = (double)alpha;
		return true;
	case ACT_CLIP:
		ret->mode = CUDNN_POINTWISE_RELU_FWD;
		ret->low = (double)alpha;
		ret->high = (double)beta;
		return alpha <= beta;
	case ACT_SIGMOID: ret->mode = CUDNN_POINTWISE_SIGMOID_FWD; return true;
	case ACT_SWISH:
		ret->mode = CUDNN_POINTWISE_SWISH_FWD;
		ret->beta = (double)alpha;
		return true;
	case ACT_GELU: ret->mode = CUDNN_POINTWISE_GELU_FWD; return true;
	case ACT_GELU_TANH: ret->mode = CUDNN_POINTWISE_GELU_APPROX_TANH_FWD; return true;
	default: return false; /* its tanh is NaN where exp() overflows */
	}
}

void dnn_multiply(struct dnn_graph *g, dnn_tensor a, dnn_tensor b, dnn_tensor c)
{
	const struct dnn_attribute of_matmul[] = {
		{ CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &in_floats },
	};
	cudnnBackendDescriptor_t matmul =
		dnn_describe(g, CUDNN_BACKEND_MATMUL_DESCRIPTOR, "a product", DNN_ROWS(of_matmul));
	const struct dnn_attribute rows[] = {
		TENSOR(MATMUL_DESC, matmul),
		TENSOR(MATMUL_ADESC, a),
		TENSOR(MATMUL_BDESC, b),
		TENSOR(MATMUL_CDESC, c),
	};
	add_operation(g, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, "a product", DNN_ROWS(rows));
}

void dnn_reduce(struct dnn_graph *g, cudnnReduceTensorOp_t how, dnn_tensor x, dnn_tensor y)
{
	const struct dnn_attribute of_reduction[] = {
		{ CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &in_floats },
		{ CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &how },
	};
	cudnnBackendDescriptor_t reduction = dnn_describe(
		g, CUDNN_BACKEND_REDUCTION_DESCRIPTOR, "a reduction", DNN_ROWS(of_reduction));
	const struct dnn_attribute a[] = {
		TENSOR(REDUCTION_DESC, reduction),
		TENSOR(REDUCTION_XDESC, x),
		TENSOR(REDUCTION_YDESC, y),
	};
	add_operation(g, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, "a reduction", DNN_ROWS(a));
}

/* -- run --------------------------------------------------------------------------------------- */

cudnnStatus_t dnn_execute(
	const struct dnn_plan *p, cudnnHandle_t handle, const struct dnn_binding *b)
{
	struct dnn_graph of_pack = { .status = CUDNN_STATUS_SUCCESS };
	const struct dnn_attribute a[] = {
		{ CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, b->n, b->id },
		{ CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, b->n, b->at },
		{ CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &b->workspace },
	};
	cudnnBackendDescriptor_t pack = dnn_describe(
		&of_pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "the operands", DNN_ROWS(a));
	if (pack)
		of_pack.status = dnn.cudnnBackendExecute(handle, p->plan, pack);
	dnn_done(&of_pack);
	return of_pack.status;
}

void dnn_run(struct dnn_plan *p, const struct kernel_args *args, cudnnHandle_t handle,
	const struct dnn_binding *b)
{
	cudnnStatus_t s = CUDNN_STATUS_NOT_INITIALIZED;
	pthread_mutex_lock(&p->lock);
	if (handle)
		s = dnn_execute(p, handle, b);
	pthread_mutex_unlock(&p->lock);
	if (s != CUDNN_STATUS_SUCCESS)
		kernel_fault(args, FAULT_DEVICE, (int64_t)s);
}
