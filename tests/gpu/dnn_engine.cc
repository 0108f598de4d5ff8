// SPDX-License-Identifier: Apache-2.0
/*
 * dnn_engine.cc -- which graphs the stand-in cuDNN computes, as the real one does, and how
 *
 * What it takes was asked of cuDNN 9.19 for an H100: attention of halves in the form that
 * attention_plan.c has, sizes being multiples of 8; any single convolution; compiled engines
 * for conv(x) [+ z] + bias [-> ReLU] in this order with floats between; engines that are
 * compiled at run time, on tensor cores, for other pointwise functions behind a convolution,
 * channels last and multiples of 16 bytes, and behind a product. Of floats tensor cores keep 10 bits.
 *
 * Proposals begin with one that wants too much workspace and one that does not finalize.
 */
#include <cfloat>
#include <cmath>
#include <cstring>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include "gpu/dnn.h"

namespace stand_in_dnn {

/* -- tensors ------------------------------------------------------------------------------------------- */

size_t bytes_of(cudnnDataType_t t)
{
	return t == CUDNN_DATA_FLOAT ? 4 : t == CUDNN_DATA_HALF || t == CUDNN_DATA_BFLOAT16 ? 2 : 0;
}

size_t tensor::count() const
{
	size_t n = 1;
	for (int64_t d : dim)
		n *= (size_t)d;
	return n;
}

size_t tensor::bytes() const
{
	int64_t last = 0;
	for (size_t i = 0; i < dim.size(); i++)
		last += (dim[i] - 1) * stride[i];
	return (size_t)(last + 1) * bytes_of(type);
}

static bool is_dense(const tensor &t, std::vector<size_t> inner_first)
{
	int64_t step = 1;
	for (size_t d : inner_first) {
		if (t.dim[d] != 1 && t.stride[d] != step)
			return false;
		step *= t.dim[d];
	}
	return true;
}

bool tensor::channels_last() const
{
	std::vector<size_t> order = { 1 };
	for (size_t d = dim.size() - 1; d > 1; d--)
		order.push_back(d);
	order.push_back(0);
	return is_dense(*this, order);
}

bool tensor::channels_first() const
{
	std::vector<size_t> order;
	for (size_t d = dim.size(); d > 0; d--)
		order.push_back(d - 1);
	return is_dense(*this, order);
}

/* -- engines ------------------------------------------------------------------------------------------- */

namespace {

bool one_layout(const operation &o)
{
	return (o.x.channels_last() && o.b.channels_last() && o.y.channels_last()) ||
	       (o.x.channels_first() && o.b.channels_first() && o.y.channels_first());
}

bool is_convolution(const operation &o)
{
	return o.what == kind::convolve || o.what == kind::convolve_back;
}

bool is_add(const operation &o)
{
	return o.what == kind::apply && o.f.mode == CUDNN_POINTWISE_ADD;
}

bool is_plain_relu(const operation &o)
{
	return o.what == kind::apply && o.f.mode == CUDNN_POINTWISE_RELU_FWD && o.f.low == 0 && o.f.slope == 0 &&
	       o.f.high >= (double)FLT_MAX;
}

/* Each reads, as its first operand, what the one before made, which are floats. */
bool is_chain(const std::vector<operation> &ops)
{
	for (size_t i = 1; i < ops.size(); i++)
		if (!ops[i - 1].y.is_virtual || ops[i].x.id != ops[i - 1].y.id || ops[i].what != kind::apply ||
			ops[i - 1].y.type != CUDNN_DATA_FLOAT)
			return false;
	return !ops.back().y.is_virtual;
}

bool is_bias(const operation &o)
{
	return is_add(o) && o.b.count() == (size_t)o.y.dim[1] && o.b.dim[1] == o.y.dim[1];
}

bool is_compiled(const std::vector<operation> &ops)
{
	size_t i = 1;
	if (!is_convolution(ops[0]) || !one_layout(ops[0]) || !is_chain(ops))
		return false;
	if (ops.size() == 1)
		return true;
	if (ops[0].what != kind::convolve)
		return false;
	if (i < ops.size() && is_add(ops[i]) && ops[i].b.dim == ops[i].y.dim && !is_bias(ops[i]))
		i++;
	if (i == ops.size() || !is_bias(ops[i++]))
		return false;
	return i == ops.size() || (i + 1 == ops.size() && is_plain_relu(ops[i]));
}

/* Q K' * scale [+ mask], softmax with the logarithm of its sum, times V; in halves. */
bool is_attention(const std::vector<operation> &ops)
{
	using K = kind;
	static const struct {
		K what;
		int mode; /* of a function or a reduction */
	} want[] = { { K::multiply, 0 }, { K::apply, CUDNN_POINTWISE_MUL }, { K::apply, CUDNN_POINTWISE_ADD },
		{ K::reduce, CUDNN_REDUCE_TENSOR_MAX }, { K::apply, CUDNN_POINTWISE_SUB }, { K::apply, CUDNN_POINTWISE_EXP },
		{ K::reduce, CUDNN_REDUCE_TENSOR_ADD }, { K::apply, CUDNN_POINTWISE_LOG }, { K::apply, CUDNN_POINTWISE_ADD },
		{ K::apply, CUDNN_POINTWISE_DIV }, { K::multiply, 0 } };
	size_t n = sizeof(want) / sizeof(want[0]), at = 0;
	if (ops.size() != n && ops.size() != n - 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (i == 2 && ops.size() == n - 1)
			continue;
		const operation &o = ops[at++];
		if (o.what != want[i].what || (o.what == K::apply && o.f.mode != want[i].mode) ||
			(o.what == K::reduce && o.reduction != want[i].mode))
			return false;
	}
	const operation &first = ops[0], &weights = ops[ops.size() - 2];
	cudnnDataType_t type = first.x.type;
	return type != CUDNN_DATA_FLOAT && first.b.type == type && weights.y.type == type && first.y.type == CUDNN_DATA_FLOAT &&
	       ops.back().y.type == type && first.x.dim[3] <= 128 && first.x.dim[3] % 8 == 0 && ops.back().y.dim[3] % 8 == 0;
}

bool is_fusible(const std::vector<operation> &ops)
{
	const operation &c = ops[0];
	if (c.what != kind::convolve || !is_chain(ops) || !c.x.channels_last() || !c.b.channels_last() || c.x.dim[1] != c.b.dim[1])
		return false;
	return c.x.dim[1] * bytes_of(c.x.type) % 16 == 0 && c.y.dim[1] * bytes_of(c.x.type) % 16 == 0;
}

/* A product of halves and pointwise functions behind it, all sizes multiples of 8 but the rows. */
bool is_product(const std::vector<operation> &ops)
{
	const operation &p = ops[0];
	return p.what == kind::multiply && is_chain(ops) && p.x.type != CUDNN_DATA_FLOAT && p.b.type == p.x.type &&
	       ops.back().y.type == p.x.type && p.x.dim[2] % 8 == 0 && p.b.dim[2] % 8 == 0;
}

} // namespace

const cudnnBackendKnobType_t TILE_KNOB = CUDNN_KNOB_TYPE_TILE_SIZE;

std::vector<engine> engines_for(const std::vector<operation> &ops, cudnnBackendHeurMode_t mode)
{
	std::vector<engine> all;
	bool compiled = is_compiled(ops), floats = ops[0].x.type == CUDNN_DATA_FLOAT;
	if (!compiled && !is_fusible(ops) && !is_attention(ops) && !is_product(ops))
		return all;
	std::vector<cudnnBackendNumericalNote_t> tensor_core = { CUDNN_NUMERICAL_NOTE_TENSOR_CORE };
	if (mode == CUDNN_HEUR_MODE_A) {
		all.push_back({ 0, 0, (int64_t)1 << 40, tensor_core, true });
		all.push_back({ 1, 0, 0, tensor_core, false });
		all.push_back({ 2, 0, 0, { CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC }, true });
		for (int64_t tile = 0; tile < TILES; tile++)
			all.push_back({ 3, tile, 1000, tensor_core, true, !compiled });
	}
	if (compiled && (mode == CUDNN_HEUR_MODE_FALLBACK || !floats))
		all.push_back({ 4, 0, 300, {}, true });
	return all;
}

/* -- computing ------------------------------------------------------------------------------------------- */

namespace {

double load(cudnnDataType_t t, const void *from, int64_t i)
{
	switch (t) {
	case CUDNN_DATA_HALF: return __half2float(static_cast<const __half *>(from)[i]);
	case CUDNN_DATA_BFLOAT16: return __bfloat162float(static_cast<const __nv_bfloat16 *>(from)[i]);
	default: return static_cast<const float *>(from)[i];
	}
}

void store(cudnnDataType_t t, void *to, int64_t i, double v)
{
	switch (t) {
	case CUDNN_DATA_HALF: static_cast<__half *>(to)[i] = __float2half((float)v); break;
	case CUDNN_DATA_BFLOAT16: static_cast<__nv_bfloat16 *>(to)[i] = __float2bfloat16((float)v); break;
	default: static_cast<float *>(to)[i] = (float)v;
	}
}

double to_tf32(double v)
{
	float f = (float)v;
	uint32_t bits;
	memcpy(&bits, &f, sizeof(bits));
	bits = (bits + 0x1000u) & ~0x1fffu;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* A tensor's values in the order of its dimensions. */
using values = std::vector<double>;

struct run {
	std::map<int64_t, void *> bound;
	std::map<int64_t, values> made;
	std::map<int64_t, double> numbers; /* given by value */
	bool tensor_core;

	values read(const tensor &t) const
	{
		if (t.is_virtual)
			return made.at(t.id);
		values v(t.count());
		if (t.by_value)
			return values(1, numbers.at(t.id));
		each(t, [&](size_t i, int64_t at) { v[i] = load(t.type, bound.at(t.id), at); });
		return v;
	}

	void write(const tensor &t, values v)
	{
		if (t.is_virtual)
			made[t.id] = std::move(v);
		else
			each(t, [&](size_t i, int64_t at) { store(t.type, bound.at(t.id), at, v[i]); });
	}

	template <typename F> static void each(const tensor &t, F f)
	{
		std::vector<int64_t> index(t.dim.size());
		for (size_t i = 0, n = t.count(); i < n; i++) {
			int64_t at = 0;
			for (size_t d = 0; d < index.size(); d++)
				at += index[d] * t.stride[d];
			f(i, at);
			for (size_t d = index.size(); d-- > 0 && ++index[d] == t.dim[d];)
				index[d] = 0;
		}
	}
};

/* Calls f(small, large, taps, group's channel of the large one, channel of the small one ...) for each pair
   that a tap joins: small is the convolution's result, large what it reads. */
template <typename F> void join(const tensor &large, const tensor &w, const tensor &small, const windows &c, F f)
{
	size_t s = c.stride.size();
	int64_t per = w.dim[1], groups = large.dim[1] / per, kper = small.dim[1] / groups, taps = 1, places = 1, area = 1;
	for (size_t i = 0; i < s; i++) {
		taps *= w.dim[i + 2];
		places *= small.dim[i + 2];
		area *= large.dim[i + 2];
	}
	for (int64_t place = 0; place < places; place++)
		for (int64_t tap = 0; tap < taps; tap++) {
			int64_t p = place, t = tap, at = 0, step = 1;
			bool inside = true;
			for (size_t i = s; i-- > 0;) {
				int64_t o = p % small.dim[i + 2], k = t % w.dim[i + 2];
				int64_t x = o * c.stride[i] + k * c.dilation[i] - c.pad_begin[i];
				p /= small.dim[i + 2];
				t /= w.dim[i + 2];
				inside &= x >= 0 && x < large.dim[i + 2];
				at += x * step;
				step *= large.dim[i + 2];
			}
			if (!inside)
				continue;
			for (int64_t n = 0; n < small.dim[0]; n++)
				for (int64_t k = 0; k < small.dim[1]; k++)
					for (int64_t ch = 0; ch < per; ch++)
						f((n * small.dim[1] + k) * places + place,
							(n * large.dim[1] + k / kper * per + ch) * area + at, (k * per + ch) * taps + tap);
		}
}

void convolve(run &r, const operation &o)
{
	values x = r.read(o.x), w = r.read(o.b), y(o.y.count());
	if (r.tensor_core && o.x.type == CUDNN_DATA_FLOAT)
		for (values *v : { &x, &w })
			for (double &e : *v)
				e = to_tf32(e);
	if (o.what == kind::convolve)
		join(o.x, o.b, o.y, o.w, [&](int64_t small, int64_t large, int64_t tap) { y[small] += x[large] * w[tap]; });
	else
		join(o.y, o.b, o.x, o.w, [&](int64_t small, int64_t large, int64_t tap) { y[large] += x[small] * w[tap]; });
	for (double &e : y)
		e *= o.alpha;
	r.write(o.y, y);
}

/* In floats, of which the exponentials may be infinite. */
double quotient_tanh(double x)
{
	float up = expf((float)x), down = expf(-(float)x);
	return (up - down) / (up + down);
}

double apply(const function &f, double x, double b)
{
	switch (f.mode) {
	case CUDNN_POINTWISE_ADD: return x + b;
	case CUDNN_POINTWISE_MUL: return x * b;
	case CUDNN_POINTWISE_SUB: return x - b;
	case CUDNN_POINTWISE_DIV: return x / b;
	case CUDNN_POINTWISE_EXP: return exp(x);
	case CUDNN_POINTWISE_LOG: return log(x);
	case CUDNN_POINTWISE_RELU_FWD: return x < f.low ? f.low + f.slope * (x - f.low) : x > f.high ? f.high : x;
	case CUDNN_POINTWISE_SIGMOID_FWD: return 1 / (1 + exp(-x));
	case CUDNN_POINTWISE_TANH_FWD: return quotient_tanh(x);
	case CUDNN_POINTWISE_SWISH_FWD: return x / (1 + exp(-f.beta * x));
	case CUDNN_POINTWISE_GELU_FWD: return 0.5 * x * erfc(-x * 0.70710678118654752440);
	case CUDNN_POINTWISE_GELU_APPROX_TANH_FWD:
		return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
	default: return NAN;
	}
}

/* Where element i of `of` reads a tensor that is broadcast to it. */
size_t place_in(const tensor &t, const tensor &of, size_t i)
{
	size_t at = 0, step = 1;
	for (size_t d = of.dim.size(); d-- > 0;) {
		size_t index = i % (size_t)of.dim[d];
		i /= (size_t)of.dim[d];
		at += t.dim[d] == 1 ? 0 : index * step;
		step *= (size_t)t.dim[d];
	}
	return at;
}

void apply_all(run &r, const operation &o)
{
	values x = r.read(o.x), b = o.has_b ? r.read(o.b) : values(), y(o.y.count());
	for (size_t i = 0; i < y.size(); i++)
		y[i] = apply(o.f, x[place_in(o.x, o.y, i)], o.has_b ? b[place_in(o.b, o.y, i)] : 0);
	r.write(o.y, y);
}

/* Matrices of the last two dimensions; a head of b serves as many of a as there are for each. */
void multiply_all(run &r, const operation &o)
{
	values a = r.read(o.x), b = r.read(o.b), y(o.y.count());
	size_t last = o.y.dim.size() - 1; /* of rank 3: without heads */
	int64_t heads = last > 2 ? o.y.dim[1] : 1, b_heads = last > 2 ? o.b.dim[1] : 1, share = heads / b_heads;
	int64_t m = o.y.dim[last - 1], n = o.y.dim[last], k = o.x.dim[last];
	for (int64_t i = 0; i < o.y.dim[0] * heads; i++) {
		const double *left = &a[(size_t)(i * m * k)];
		const double *right = &b[(size_t)((i / heads * b_heads + i % heads / share) * k * n)];
		for (int64_t row = 0; row < m; row++)
			for (int64_t col = 0; col < n; col++)
				for (int64_t t = 0; t < k; t++)
					y[(size_t)((i * m + row) * n + col)] += left[row * k + t] * right[t * n + col];
	}
	r.write(o.y, y);
}

void reduce_all(run &r, const operation &o)
{
	bool max = o.reduction == CUDNN_REDUCE_TENSOR_MAX;
	values x = r.read(o.x), y(o.y.count(), max ? -INFINITY : 0);
	for (size_t i = 0; i < x.size(); i++) {
		double &to = y[place_in(o.y, o.x, i)];
		to = max ? std::max(to, x[i]) : to + x[i];
	}
	r.write(o.y, y);
}

void compute(run &r, const operation &o)
{
	switch (o.what) {
	case kind::convolve:
	case kind::convolve_back: convolve(r, o); break;
	case kind::apply: apply_all(r, o); break;
	case kind::multiply: multiply_all(r, o); break;
	case kind::reduce: reduce_all(r, o); break;
	}
}

cudnnStatus_t check_bound(const std::vector<operation> &ops, const run &r)
{
	for (const operation &o : ops)
		for (const tensor *t : { &o.x, &o.b, &o.y }) {
			if (t->is_virtual || (t == &o.b && !o.has_b))
				continue;
			auto at = r.bound.find(t->id);
			if (at == r.bound.end() || !at->second)
				return refuse(CUDNN_STATUS_BAD_PARAM, "tensor %ld is not brought", (long)t->id);
			if (!t->by_value && (uintptr_t)at->second % (size_t)t->align)
				return refuse(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "tensor %ld is not aligned by %ld", (long)t->id,
					(long)t->align);
			if (!t->by_value && !stand_in::is_device_memory(at->second, t->bytes()))
				return refuse(CUDNN_STATUS_BAD_PARAM, "tensor %ld: %zu bytes are not the device's memory", (long)t->id,
					t->bytes());
		}
	return CUDNN_STATUS_SUCCESS;
}

} // namespace

cudnnStatus_t execute(const descriptor &plan, const descriptor &pack, CUstream stream)
{
	run r;
	r.tensor_core = false;
	for (cudnnBackendNumericalNote_t n : plan.e.notes)
		r.tensor_core |= n == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
	for (size_t i = 0; i < pack.ids.size(); i++)
		r.bound[pack.ids[i]] = pack.at[i];
	for (const operation &o : plan.ops)
		if (o.has_b && o.b.by_value && r.bound[o.b.id])
			r.numbers[o.b.id] = load(o.b.type, r.bound[o.b.id], 0);
	cudnnStatus_t s = check_bound(plan.ops, r);
	if (s != CUDNN_STATUS_SUCCESS)
		return s;
	size_t workspace = (size_t)plan.e.workspace;
	void *mem = pack.workspace;
	if (workspace && ((uintptr_t)mem % 16 || !stand_in::is_device_memory(mem, workspace)))
		return refuse(CUDNN_STATUS_BAD_PARAM, "the workspace is misaligned, or not the device's memory");
	CUresult e = stand_in::enqueue(stream, "cudnnBackendExecute", [r, ops = plan.ops, mem, workspace]() mutable {
		if (workspace)
			memset(mem, 0xa5, workspace);
		for (const operation &o : ops)
			compute(r, o);
	});
	return e == CUDA_SUCCESS ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

} // namespace stand_in_dnn
