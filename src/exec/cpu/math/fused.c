/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fused.c -- FusedElementwise: the kernels of its body's operators, one after the other
 *
 * The definition of right for devices, and what computes such a node while planning.
 *
 * NOT DONE: block by block, so that what lies between stays in the cache. No pass makes such nodes
 * for the host yet.
 */
#include <string.h>
#include "base/checked.h"
#include "exec/cpu/cpu.h"
#include "exec/infer/infer_fused.h"

struct inner {
	struct kernel kernel;
	const struct node *node;
};

/* The scratch begins with the tensors of all values and of one call, then the data of what lies
   between, then the inner kernels'. */
struct fused_state {
	const struct graph *body;
	struct tensor value[FUSED_VALUES_MAX]; /* types and shapes */
	size_t at[FUSED_VALUES_MAX]; /* of the data in scratch, of those that nodes make */
	size_t scratch;
	struct inner inner[];
};

#define HEADER_BYTES                                                                               \
	round_up((FUSED_VALUES_MAX + FUSED_INPUTS_MAX) * sizeof(struct tensor), ARENA_ALIGN_TENSOR)

static int gather_inputs(const struct node *n, const struct tensor *value, struct tensor *ret)
{
	for (int32_t k = 0; k < n->n_in; k++)
		ret[k] = n->in[k] == VALUE_NONE ? tensor_absent() : value[n->in[k]];
	return n->n_in;
}

static void run_fused(const struct kernel_args *a, int64_t begin, int64_t end)
{
	(void)begin, (void)end;
	const struct fused_state *s = a->state;
	const struct graph *body = s->body;
	struct tensor *value = a->scratch, *in = value + FUSED_VALUES_MAX;
	memcpy(value, s->value, sizeof(s->value));
	for (int32_t i = 0; i < body->n_input; i++)
		value[body->input[i]] = a->in[i];
	for (int32_t i = 0; i < body->n_node; i++) {
		const struct inner *n = &s->inner[i];
		struct tensor *out = &value[n->node->out[0]];
		struct kernel_args args = *a;
		args.n_in = gather_inputs(n->node, value, in);
		args.in = in;
		args.out = out;
		args.state = n->kernel.state;
		args.scratch = (char *)a->scratch + s->scratch;
		out->data = n->node->out[0] == body->output[0]
				    ? a->out[0].data
				    : (char *)a->scratch + s->at[n->node->out[0]];
		n->kernel.run(&args, 0, n->kernel.units);
	}
}

static enum err_code infer_values(const struct prep *p, struct fused_state *s, struct err *err)
{
	struct ivalue in[FUSED_INPUTS_MAX], v[FUSED_VALUES_MAX];
	const struct ivalue *present[FUSED_INPUTS_MAX];
	for (int k = 0; k < p->n_in; k++) {
		in[k] = (struct ivalue){ .type.dtype = p->in[k].dtype, .shape = p->in[k].shape };
		present[k] = &in[k];
	}
	struct infer x = { .graph = p->graph, .node = p->node, .n_in = p->n_in, .n_out = 1,
		.in = present };
	TRY(infer_fused_body(&x, v, err));
	for (int32_t i = 0; i < s->body->n_value; i++)
		s->value[i] = (struct tensor){ .dtype = v[i].type.dtype, .shape = v[i].shape };
	for (int32_t i = 0; i < s->body->n_input; i++)
		s->value[s->body->input[i]] = p->in[i];
	return ERR_OK;
}

/* A place for each value that is made. */
static enum err_code lay_out(const struct prep *p, struct fused_state *s, struct err *err)
{
	size_t at = HEADER_BYTES;
	for (int32_t i = 0; i < s->body->n_node; i++) {
		int32_t v = s->body->node[i].out[0];
		size_t bytes;
		s->at[v] = at;
		if (tensor_bytes_overflow(s->value[v].dtype, &s->value[v].shape, &bytes) ||
			add_overflows(at, round_up(bytes, ARENA_ALIGN_TENSOR), &at))
			return prep_fail(p, err, ERR_RESOURCE_EXHAUSTED,
				"what lies between its operators is too large");
	}
	s->scratch = at;
	return ERR_OK;
}

static enum err_code prepare_inner(
	struct prep *p, const struct fused_state *s, struct inner *n, struct err *err)
{
	struct tensor in[FUSED_INPUTS_MAX], out = s->value[n->node->out[0]];
	struct prep q = *p;
	bool want_plain;
	q.graph = s->body;
	q.node = n->node;
	q.in = in;
	q.out = &out;
	q.n_in = gather_inputs(n->node, s->value, in);
	q.threads = 1;
	q.choices = NULL;
	n->kernel.units = 1;
	TRY(cpu_prepare(&q, &n->kernel, &want_plain, err));
	return n->kernel.out_layout == LAYOUT_PLAIN
		       ? ERR_OK
		       : prep_refuse(err, "an operator leaves a blocked result");
}

enum err_code prepare_fused(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct graph *body = fused_body(p->node);
	size_t most = 0;
	struct fused_state *s =
		kernel_state(p, ret, sizeof(*s) + (size_t)body->n_node * sizeof(s->inner[0]));
	if (!s)
		return err_oom(err);
	s->body = body;
	TRY(infer_values(p, s, err));
	TRY(lay_out(p, s, err));
	for (int32_t i = 0; i < body->n_node; i++) {
		s->inner[i].node = &body->node[i];
		TRY(prepare_inner(p, s, &s->inner[i], err));
		if (s->inner[i].kernel.scratch_bytes > most)
			most = s->inner[i].kernel.scratch_bytes;
	}
	if (add_overflows(s->scratch, most, &ret->scratch_bytes))
		return prep_fail(p, err, ERR_RESOURCE_EXHAUSTED,
			"what lies between its operators is too large");
	ret->run = run_fused;
	return ERR_OK;
}
