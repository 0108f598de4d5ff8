/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel of every operator that computes with float16 or bfloat16: the inputs of
 * those types are widened to float32 in scratch, the float32 kernel runs, its outputs
 * are rounded. So a family of kernels has no loops for these types, and computes in
 * float, which is what the specification asks for where it asks for anything.
 *
 * NOT DONE: block by block for elementwise operators, which would need no scratch. Half
 * models on the CPU are rare, and their products go to kernels that take them directly.
 */
#include "exec/cpu/widen.h"

#include <string.h>
#include "base/checked.h"

struct widen_state {
	struct kernel kernel; /* for the widened tensors */
	int n_in, n_out;
	const struct tensor *in, *out; /* widened: shapes and types, no data */
	size_t scratch;                /* where the inner kernel's begins */
};

void widen_array(float *dst, const uint16_t *src, int64_t n, enum dtype src_dtype)
{
	CPU_BEST(&half_loops)->widen[src_dtype == DTYPE_BF16](dst, src, n);
}

void narrow_array(uint16_t *dst, const float *src, int64_t n, enum dtype dst_dtype)
{
	CPU_BEST(&half_loops)->narrow[dst_dtype == DTYPE_BF16](dst, src, n);
}

static bool is_half(const struct tensor *t)
{
	return t->shape.rank != RANK_UNKNOWN && dtype_in(t->dtype, T_HALF);
}

/* The scratch begins with the tensors of the inner call, then the widened data. */
static size_t header_bytes(const struct widen_state *s)
{
	return round_up((size_t)(s->n_in + s->n_out) * sizeof(struct tensor), ARENA_ALIGN_TENSOR);
}

static void run_widened(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct widen_state *s = a->state;
	struct tensor *in = a->scratch, *out = in + s->n_in;
	char *at = (char *)a->scratch + header_bytes(s);
	(void)begin, (void)end;
	for (int i = 0; i < s->n_in; i++) {
		in[i] = a->in[i];
		if (!is_half(&a->in[i]) || !a->in[i].data)
			continue;
		in[i] = s->in[i];
		in[i].data = at;
		widen_array(in[i].data, a->in[i].data, tensor_count(&in[i]), a->in[i].dtype);
		at += round_up(tensor_bytes(&in[i]), ARENA_ALIGN_TENSOR);
	}
	for (int i = 0; i < s->n_out; i++) {
		out[i] = a->out[i];
		if (!is_half(&a->out[i]) || !a->out[i].data)
			continue;
		out[i] = s->out[i];
		out[i].data = at;
		at += round_up(tensor_bytes(&out[i]), ARENA_ALIGN_TENSOR);
	}
	struct kernel_args inner = *a;
	inner.in = in;
	inner.out = out;
	inner.state = s->kernel.state;
	inner.scratch = (char *)a->scratch + s->scratch;
	s->kernel.run(&inner, 0, s->kernel.units);
	for (int i = 0; i < s->n_out; i++)
		if (out[i].data && out[i].data != a->out[i].data)
			narrow_array(a->out[i].data, out[i].data, tensor_count(&out[i]),
				a->out[i].dtype);
}

/* A copy of the tensors with float32 for the half types; adds up the bytes of those. */
static struct tensor *widened(struct prep *p, const struct tensor *t, int n, size_t *bytes)
{
	struct tensor *w = prep_alloc(p, (size_t)n * sizeof(*w) + 1);
	if (!w)
		return NULL;
	for (int i = 0; i < n; i++) {
		w[i] = t[i];
		if (!is_half(&t[i]))
			continue;
		w[i].dtype = DTYPE_F32;
		w[i].data = NULL; /* a known value has the narrow type */
		*bytes += round_up(tensor_bytes(&w[i]), ARENA_ALIGN_TENSOR);
	}
	return w;
}

static bool any_half(const struct tensor *t, int n)
{
	for (int i = 0; i < n; i++)
		if (is_half(&t[i]))
			return true;
	return false;
}

enum err_code prepare_widened(struct prep *p, struct kernel *ret, struct err *err)
{
	/* Else the row would find itself again. */
	if (!any_half(p->in, p->n_in) && !any_half(p->out, p->n_out))
		return prep_refuse(err, "nothing is float16 or bfloat16");
	struct widen_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	size_t bytes = 0;
	s->n_in = p->n_in;
	s->n_out = p->n_out;
	s->in = widened(p, p->in, p->n_in, &bytes);
	s->out = widened(p, p->out, p->n_out, &bytes);
	if (!s->in || !s->out)
		return err_oom(err);

	struct prep q = *p;
	bool want_plain;
	q.in = s->in;
	q.out = s->out;
	q.threads = 1;
	enum err_code rc = cpu_prepare(&q, &s->kernel, &want_plain, err);
	if (rc != ERR_OK)
		return rc;
	if (s->kernel.out_layout != LAYOUT_PLAIN)
		return prep_refuse(err, "the float32 kernel wants a blocked output");
	s->scratch = header_bytes(s) + bytes;
	ret->run = run_widened;
	ret->scratch_bytes = s->scratch + s->kernel.scratch_bytes;
	ret->unit_cost_ns = s->kernel.units * s->kernel.unit_cost_ns + (int64_t)bytes / 4;
	return ERR_OK;
}
