// SPDX-License-Identifier: Apache-2.0
/*
 * dnn_check.cc -- what may be set on descriptors of the stand-in cuDNN, and what they are then
 */
#include <cstring>
#include <set>
#include "gpu/dnn.h"

namespace stand_in_dnn {

namespace {

using D = cudnnBackendDescriptorType_t;
using T = cudnnBackendAttributeType_t;

/* An attribute; of: what kind of descriptor it names. */
struct row {
	D on;
	int name;
	T type;
	int64_t most;
	bool needed;
	D of = CUDNN_BACKEND_TENSOR_DESCRIPTOR;
};

constexpr D TENSOR = CUDNN_BACKEND_TENSOR_DESCRIPTOR, CONV = CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR;
constexpr D FORWARD = CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
constexpr D BACK = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
constexpr D FUNCTION = CUDNN_BACKEND_POINTWISE_DESCRIPTOR, APPLY = CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR;
constexpr D MATMUL = CUDNN_BACKEND_MATMUL_DESCRIPTOR, MULTIPLY = CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR;
constexpr D REDUCTION = CUDNN_BACKEND_REDUCTION_DESCRIPTOR, REDUCE = CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR;
constexpr D GRAPH = CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, HEUR = CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR;
constexpr D CONFIG = CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, PLAN = CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR;
constexpr D ENGINE = CUDNN_BACKEND_ENGINE_DESCRIPTOR, KNOB = CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR;
constexpr D PACK = CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR;
constexpr D ANY = D(63); // no descriptor's, in the range of the type
constexpr T TYPE = CUDNN_TYPE_DATA_TYPE, INT = CUDNN_TYPE_INT64, BOOL = CUDNN_TYPE_BOOLEAN;
constexpr T REAL = CUDNN_TYPE_DOUBLE, OTHER = CUDNN_TYPE_BACKEND_DESCRIPTOR;

const row rows[] = {
	{ TENSOR, CUDNN_ATTR_TENSOR_DATA_TYPE, TYPE, 1, true },
	{ TENSOR, CUDNN_ATTR_TENSOR_DIMENSIONS, INT, CUDNN_DIM_MAX, true },
	{ TENSOR, CUDNN_ATTR_TENSOR_STRIDES, INT, CUDNN_DIM_MAX, true },
	{ TENSOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, INT, 1, true },
	{ TENSOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, INT, 1, true },
	{ TENSOR, CUDNN_ATTR_TENSOR_IS_VIRTUAL, BOOL, 1, false },
	{ TENSOR, CUDNN_ATTR_TENSOR_IS_BY_VALUE, BOOL, 1, false },
	{ CONV, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, TYPE, 1, true },
	{ CONV, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, true },
	{ CONV, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, INT, 1, true },
	{ CONV, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, INT, 3, true },
	{ CONV, CUDNN_ATTR_CONVOLUTION_DILATIONS, INT, 3, true },
	{ CONV, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, INT, 3, true },
	{ CONV, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, INT, 3, true },
	{ FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, OTHER, 1, true, CONV },
	{ FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, OTHER, 1, true },
	{ FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, OTHER, 1, true },
	{ FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, OTHER, 1, true },
	{ FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, true },
	{ FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, true },
	{ BACK, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, OTHER, 1, true, CONV },
	{ BACK, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, OTHER, 1, true },
	{ BACK, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, OTHER, 1, true },
	{ BACK, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, OTHER, 1, true },
	{ BACK, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT, 1, true },
	{ BACK, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT, 1, true },
	{ FUNCTION, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, true },
	{ FUNCTION, CUDNN_ATTR_POINTWISE_MATH_PREC, TYPE, 1, true },
	{ FUNCTION, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, REAL, 1, false },
	{ FUNCTION, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, REAL, 1, false },
	{ FUNCTION, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, REAL, 1, false },
	{ FUNCTION, CUDNN_ATTR_POINTWISE_SWISH_BETA, REAL, 1, false },
	{ APPLY, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, OTHER, 1, true, FUNCTION },
	{ APPLY, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, OTHER, 1, true },
	{ APPLY, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, OTHER, 1, false },
	{ APPLY, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, OTHER, 1, true },
	{ MATMUL, CUDNN_ATTR_MATMUL_COMP_TYPE, TYPE, 1, true },
	{ MULTIPLY, CUDNN_ATTR_OPERATION_MATMUL_DESC, OTHER, 1, true, MATMUL },
	{ MULTIPLY, CUDNN_ATTR_OPERATION_MATMUL_ADESC, OTHER, 1, true },
	{ MULTIPLY, CUDNN_ATTR_OPERATION_MATMUL_BDESC, OTHER, 1, true },
	{ MULTIPLY, CUDNN_ATTR_OPERATION_MATMUL_CDESC, OTHER, 1, true },
	{ REDUCTION, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, true },
	{ REDUCTION, CUDNN_ATTR_REDUCTION_COMP_TYPE, TYPE, 1, true },
	{ REDUCE, CUDNN_ATTR_OPERATION_REDUCTION_DESC, OTHER, 1, true, REDUCTION },
	{ REDUCE, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, OTHER, 1, true },
	{ REDUCE, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, OTHER, 1, true },
	{ GRAPH, CUDNN_ATTR_OPERATIONGRAPH_OPS, OTHER, 64, true, ANY },
	{ GRAPH, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, true },
	{ HEUR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, OTHER, 1, true, GRAPH },
	{ HEUR, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, true },
	{ ENGINE, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, OTHER, 1, true, GRAPH },
	{ ENGINE, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, INT, 1, true },
	{ KNOB, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, true },
	{ KNOB, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, INT, 1, true },
	{ CONFIG, CUDNN_ATTR_ENGINECFG_ENGINE, OTHER, 1, true, ENGINE },
	{ CONFIG, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, OTHER, CUDNN_KNOB_TYPE_COUNTS, false, KNOB },
	{ PLAN, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, true },
	{ PLAN, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, OTHER, 1, true, CONFIG },
	{ PACK, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, INT, 64, true },
	{ PACK, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 64, true },
	{ PACK, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, false },
};

#define BAD(...) refuse(CUDNN_STATUS_BAD_PARAM, __VA_ARGS__)

/* -- reading what was set ------------------------------------------------------------------------------ */

template <typename V> std::vector<V> all(const descriptor &d, int name)
{
	auto i = d.set.find(name);
	std::vector<V> v;
	if (i == d.set.end())
		return v;
	v.resize(i->second.bytes.size() / sizeof(V));
	memcpy(static_cast<void *>(v.data()), i->second.bytes.data(), v.size() * sizeof(V));
	return v;
}

template <typename V> V one(const descriptor &d, int name, V otherwise = V())
{
	std::vector<V> v = all<V>(d, name);
	return v.empty() ? otherwise : v[0];
}

const descriptor &other(const descriptor &d, int name)
{
	return *static_cast<const descriptor *>(one<void *>(d, name));
}

bool is_float(const descriptor &d, int name)
{
	return one<cudnnDataType_t>(d, name) == CUDNN_DATA_FLOAT;
}

/* -- freezing ------------------------------------------------------------------------------------------- */

cudnnStatus_t freeze_tensor(descriptor &d)
{
	tensor &t = d.t;
	t.id = one<int64_t>(d, CUDNN_ATTR_TENSOR_UNIQUE_ID);
	t.align = one<int64_t>(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
	t.type = one<cudnnDataType_t>(d, CUDNN_ATTR_TENSOR_DATA_TYPE);
	t.dim = all<int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS);
	t.stride = all<int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES);
	t.is_virtual = one<char>(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
	t.by_value = one<char>(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE);
	if (t.dim.size() != t.stride.size() || t.dim.size() < 3)
		return BAD("tensor %ld: %zu dimensions, %zu strides; 3 or more are wanted", (long)t.id, t.dim.size(),
			t.stride.size());
	for (size_t i = 0; i < t.dim.size(); i++)
		if (t.dim[i] < 1 || t.stride[i] < 0)
			return BAD("tensor %ld: dimension %zu is %ld, its stride %ld", (long)t.id, i, (long)t.dim[i],
				(long)t.stride[i]);
	if (!bytes_of(t.type) || t.align < 1 || (t.align & (t.align - 1)))
		return BAD("tensor %ld: type %d, alignment %ld", (long)t.id, t.type, (long)t.align);
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t freeze_windows(descriptor &d)
{
	d.w = { all<int64_t>(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), all<int64_t>(d, CUDNN_ATTR_CONVOLUTION_DILATIONS),
		all<int64_t>(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), all<int64_t>(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS) };
	size_t n = (size_t)one<int64_t>(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
	if (n < 2 || n > 3 || d.w.stride.size() != n || d.w.dilation.size() != n || d.w.pad_begin.size() != n ||
		d.w.pad_end.size() != n)
		return BAD("%zu dimensions of space, and not as many strides, dilations and pads", n);
	for (size_t i = 0; i < n; i++)
		if (d.w.stride[i] < 1 || d.w.dilation[i] < 1 || d.w.pad_begin[i] < 0 || d.w.pad_end[i] < 0)
			return BAD("stride %ld, dilation %ld, pads %ld and %ld", (long)d.w.stride[i], (long)d.w.dilation[i],
				(long)d.w.pad_begin[i], (long)d.w.pad_end[i]);
	return is_float(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE) ? CUDNN_STATUS_SUCCESS : BAD("convolutions are summed as floats");
}

cudnnStatus_t freeze_function(descriptor &d)
{
	d.f.mode = one<cudnnPointwiseMode_t>(d, CUDNN_ATTR_POINTWISE_MODE);
	d.f.low = one<double>(d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, 0);
	d.f.high = one<double>(d, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, 1e300);
	d.f.slope = one<double>(d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0);
	d.f.beta = one<double>(d, CUDNN_ATTR_POINTWISE_SWISH_BETA, 1);
	return CUDNN_STATUS_SUCCESS;
}

/* [N, C, in...] and [K, C / group, taps...] give [N, K, out...]. */
cudnnStatus_t check_convolution(const tensor &x, const tensor &w, const tensor &y, const windows &c)
{
	size_t rank = c.stride.size() + 2;
	if (x.dim.size() != rank || w.dim.size() != rank || y.dim.size() != rank || x.dim[0] != y.dim[0] ||
		w.dim[0] != y.dim[1] || x.dim[1] % w.dim[1] || y.dim[1] % (x.dim[1] / w.dim[1]))
		return BAD("a convolution of tensors %ld, %ld, %ld: their dimensions do not fit", (long)x.id, (long)w.id, (long)y.id);
	for (size_t i = 0; i < rank - 2; i++) {
		int64_t extent = (w.dim[i + 2] - 1) * c.dilation[i] + 1, room = x.dim[i + 2] + c.pad_begin[i] + c.pad_end[i];
		if (room < extent || (room - extent) / c.stride[i] + 1 != y.dim[i + 2])
			return BAD("a convolution: %ld places give %ld, not %ld", (long)x.dim[i + 2],
				(long)((room - extent) / c.stride[i] + 1), (long)y.dim[i + 2]);
	}
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t freeze_forward(descriptor &d)
{
	operation o = { kind::convolve, other(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X).t,
		other(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W).t, other(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y).t, true,
		other(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC).w };
	o.alpha = one<float>(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA);
	o.beta = one<float>(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA);
	d.ops = { o };
	return o.beta ? BAD("beta is not 0") : check_convolution(o.x, o.b, o.y, o.w);
}

cudnnStatus_t freeze_back(descriptor &d)
{
	operation o = { kind::convolve_back, other(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY).t,
		other(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W).t, other(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX).t, true,
		other(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC).w };
	o.alpha = one<float>(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA);
	d.ops = { o };
	return check_convolution(o.y, o.b, o.x, o.w);
}

bool takes_two(cudnnPointwiseMode_t m)
{
	return m < CUDNN_POINTWISE_ABS && m != CUDNN_POINTWISE_SQRT;
}

/* Both are y's shape, or 1 where they are not. */
cudnnStatus_t freeze_apply(descriptor &d)
{
	operation o = { kind::apply, other(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC).t, {},
		other(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC).t };
	o.f = other(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR).f;
	o.has_b = d.set.count(CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
	if (o.has_b)
		o.b = other(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC).t;
	d.ops = { o };
	if (o.has_b != takes_two(o.f.mode))
		return BAD("function %d has %s operand", o.f.mode, o.has_b ? "no second" : "a second");
	for (const tensor *t : { &o.x, &o.b })
		for (size_t i = 0; i < (t == &o.b && !o.has_b ? 0 : o.y.dim.size()); i++)
			if (t->dim.size() != o.y.dim.size() || (t->dim[i] != o.y.dim[i] && t->dim[i] != 1))
				return BAD("tensor %ld cannot be broadcast to tensor %ld", (long)t->id, (long)o.y.id);
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t freeze_multiply(descriptor &d)
{
	operation o = { kind::multiply, other(d, CUDNN_ATTR_OPERATION_MATMUL_ADESC).t, other(d, CUDNN_ATTR_OPERATION_MATMUL_BDESC).t,
		other(d, CUDNN_ATTR_OPERATION_MATMUL_CDESC).t, true };
	d.ops = { o };
	size_t r = o.y.dim.size();
	if (o.x.dim.size() != r || o.b.dim.size() != r || o.x.dim[r - 2] != o.y.dim[r - 2] ||
		o.b.dim[r - 1] != o.y.dim[r - 1] || o.x.dim[r - 1] != o.b.dim[r - 2])
		return BAD("a product of tensors %ld, %ld, %ld: their dimensions do not fit", (long)o.x.id, (long)o.b.id, (long)o.y.id);
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t freeze_reduce(descriptor &d)
{
	operation o = { kind::reduce, other(d, CUDNN_ATTR_OPERATION_REDUCTION_XDESC).t, {},
		other(d, CUDNN_ATTR_OPERATION_REDUCTION_YDESC).t };
	o.reduction = one<cudnnReduceTensorOp_t>(other(d, CUDNN_ATTR_OPERATION_REDUCTION_DESC), CUDNN_ATTR_REDUCTION_OPERATOR);
	d.ops = { o };
	for (size_t i = 0; i < o.y.dim.size(); i++)
		if (o.x.dim.size() != o.y.dim.size() || (o.y.dim[i] != o.x.dim[i] && o.y.dim[i] != 1))
			return BAD("tensor %ld is no reduction of tensor %ld", (long)o.y.id, (long)o.x.id);
	return CUDNN_STATUS_SUCCESS;
}

/* Ids are one tensor's; what is virtual is made before it is read, and made once. */
cudnnStatus_t freeze_graph(descriptor &d)
{
	std::map<int64_t, tensor> seen;
	std::set<int64_t> made;
	for (void *p : all<void *>(d, CUDNN_ATTR_OPERATIONGRAPH_OPS)) {
		const descriptor &op = *static_cast<const descriptor *>(p);
		if (!op.final || op.ops.size() != 1)
			return BAD("an operation of the graph is none, or not finalized");
		const operation &o = op.ops[0];
		for (const tensor *t : { &o.x, &o.b, &o.y }) {
			if (t == &o.b && !o.has_b)
				continue;
			auto known = seen.find(t->id);
			if (known != seen.end() && (known->second.dim != t->dim || known->second.stride != t->stride ||
							   known->second.type != t->type || known->second.is_virtual != t->is_virtual))
				return BAD("two tensors have the id %ld", (long)t->id);
			if (t->is_virtual && t != &o.y && !made.count(t->id))
				return BAD("tensor %ld is virtual, and read before it is made", (long)t->id);
			seen[t->id] = *t;
		}
		if (!made.insert(o.y.id).second)
			return BAD("tensor %ld is made twice", (long)o.y.id);
		d.ops.push_back(o);
	}
	return CUDNN_STATUS_SUCCESS;
}

/* An engine that is named, not proposed: it must be one for that graph. */
cudnnStatus_t freeze_engine(descriptor &d)
{
	int64_t index = one<int64_t>(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
	d.ops = other(d, CUDNN_ATTR_ENGINE_OPERATION_GRAPH).ops;
	for (cudnnBackendHeurMode_t mode : { CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK })
		for (const engine &e : engines_for(d.ops, mode))
			if (e.index == index) {
				d.e = e;
				return CUDNN_STATUS_SUCCESS;
			}
	return refuse(CUDNN_STATUS_NOT_SUPPORTED, "engine %ld does not do this graph", (long)index);
}

cudnnStatus_t freeze_knob(descriptor &d)
{
	d.knob = one<int64_t>(d, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE);
	if (one<cudnnBackendKnobType_t>(d, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE) != TILE_KNOB || d.knob < 0 || d.knob >= TILES)
		return refuse(CUDNN_STATUS_NOT_SUPPORTED, "no engine has such a knob, or it does not go to %ld", (long)d.knob);
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t freeze_config(descriptor &d)
{
	const descriptor &engine = other(d, CUDNN_ATTR_ENGINECFG_ENGINE);
	d.ops = engine.ops;
	d.e = engine.e;
	for (void *knob : all<void *>(d, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES))
		d.e.tile = static_cast<const descriptor *>(knob)->knob;
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t freeze_plan(descriptor &d)
{
	const descriptor &config = other(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
	d.ops = config.ops;
	d.e = config.e;
	return d.e.finalizes ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t freeze_pack(descriptor &d)
{
	d.ids = all<int64_t>(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
	d.at = all<void *>(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
	d.workspace = one<void *>(d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
	return d.ids.size() == d.at.size() ? CUDNN_STATUS_SUCCESS : BAD("%zu ids, %zu pointers", d.ids.size(), d.at.size());
}

} // namespace

/* -- attributes ------------------------------------------------------------------------------------------ */

cudnnStatus_t check_attribute(const descriptor &d, int name, cudnnBackendAttributeType_t type, int64_t n, const void *v)
{
	const row *r = nullptr;
	for (const row &i : rows)
		if (i.on == d.type && i.name == name)
			r = &i;
	if (!r)
		return BAD("a descriptor of type %d has no attribute %d", d.type, name);
	if (d.final || d.set.count(name))
		return BAD("attribute %d is set %s", name, d.final ? "after finalizing" : "twice");
	if (type != r->type || n < 1 || n > r->most || !v)
		return BAD("attribute %d has type %d, at most %ld elements; not type %d, %ld", name, r->type, (long)r->most, type,
			(long)n);
	for (int64_t i = 0; type == OTHER && i < n; i++) {
		const descriptor *o = static_cast<descriptor *const *>(v)[i];
		if (!o || !o->final || (r->of != ANY && o->type != r->of))
			return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "attribute %d names what is not finalized, or of another type",
				name);
	}
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t freeze(descriptor &d)
{
	for (const row &r : rows)
		if (r.on == d.type && r.needed && !d.set.count(r.name))
			return BAD("a descriptor of type %d needs attribute %d", d.type, r.name);
	switch (d.type) {
	case TENSOR: return freeze_tensor(d);
	case CONV: return freeze_windows(d);
	case FUNCTION: return freeze_function(d);
	case FORWARD: return freeze_forward(d);
	case BACK: return freeze_back(d);
	case APPLY: return freeze_apply(d);
	case MULTIPLY: return freeze_multiply(d);
	case REDUCE: return freeze_reduce(d);
	case GRAPH: return freeze_graph(d);
	case ENGINE: return freeze_engine(d);
	case KNOB: return freeze_knob(d);
	case CONFIG: return freeze_config(d);
	case PLAN: return freeze_plan(d);
	case PACK: return freeze_pack(d);
	case MATMUL:
	case REDUCTION: return CUDNN_STATUS_SUCCESS;
	case HEUR:
		d.ops = other(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).ops;
		d.mode = one<cudnnBackendHeurMode_t>(d, CUDNN_ATTR_ENGINEHEUR_MODE);
		return CUDNN_STATUS_SUCCESS;
	default: return BAD("a descriptor of type %d is not known here", d.type);
	}
}

} // namespace stand_in_dnn
