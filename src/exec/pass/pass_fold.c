/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass_fold.c -- what can be computed now: nodes whose inputs are constants, integers of
 * shapes that inference knows
 */
#include "exec/infer/infer.h"
#include "exec/packs.h"
#include "exec/pass/pass.h"

#include <string.h>

/* A larger result is left to the planner, unless it is no larger than what it is made of. */
#define FOLD_BYTES_MAX ((size_t)16 << 20)

static bool may_fold(const struct pass_ctx *c, const struct node *n)
{
	unsigned flags = op_info(n->op)->flags;
	if (flags & (OP_DATA_DEPENDENT | OP_RANDOM | OP_CONTROL) || n->n_out != 1 || n->n_in == 0)
		return false;
	size_t in_bytes = 0, out_bytes;
	for (int k = 0; k < n->n_in; k++) {
		int32_t v = pass_in(c, n, k);
		const struct tensor *t = v == VALUE_NONE ? NULL : c->graph->value[v].constant;
		if (v != VALUE_NONE && (!t || t->dtype == DTYPE_TENSOR || t->dtype == DTYPE_STRING))
			return false;
		in_bytes += t ? tensor_bytes(t) : 0;
	}
	const struct gvalue *out = &c->graph->value[n->out[0]];
	return shape_is_static(&out->shape) &&
		!tensor_bytes_overflow(out->type.dtype, &out->shape, &out_bytes) &&
		(out_bytes <= FOLD_BYTES_MAX || out_bytes <= in_bytes);
}

static void gather_inputs(const struct pass_ctx *c, const struct node *n, struct tensor *in)
{
	for (int k = 0; k < n->n_in; k++) {
		int32_t v = pass_in(c, n, k);
		in[k] = v == VALUE_NONE ? (struct tensor){ .shape = SHAPE_UNKNOWN }
					: *c->graph->value[v].constant;
	}
}

/* Prepares and runs the node's kernel. *ret_ok false: no kernel, the node stays. */
static enum err_code compute(struct pass_ctx *c, struct node *n, const struct tensor *in,
	struct tensor *out, struct arena *tmp, bool *ret_ok, struct err *err)
{
	struct packs *packs = packs_new();
	const struct backend *host = backend_host(c->backend);
	struct prep prep = { .backend = host, .graph = c->graph, .node = n, .in = in, .out = out,
		.n_in = n->n_in, .n_out = 1, .threads = 1, .arena = tmp, .packs = packs,
		.tmp = tmp };
	struct kernel k = { .units = 1 };
	bool want_plain;
	*ret_ok = false;
	enum err_code rc = packs ? host->prepare(&prep, &k, &want_plain, err) : err_oom(err);
	if (rc != ERR_OK || k.out_layout != LAYOUT_PLAIN)
		goto out;
	void *scratch = arena_alloc_aligned(tmp, k.scratch_bytes + 1, ARENA_ALIGN_TENSOR);
	if (!scratch) {
		rc = err_oom(err);
		goto out;
	}
	struct fault fault = { 0 };
	struct kernel_args args = { .in = in, .out = out, .n_in = n->n_in, .n_out = 1,
		.state = k.state, .scratch = scratch, .fault = &fault, .arena = c->graph->arena };
	k.run(&args, 0, k.units);
	/* Data that is wrong is the plan's to complain of, with the node's name. */
	*ret_ok = atomic_load(&fault.code) == FAULT_NONE;
out:
	packs_free(packs);
	return rc == ERR_UNIMPLEMENTED ? ERR_OK : rc;
}

static enum err_code fold_node(struct pass_ctx *c, struct node *n, struct err *err)
{
	bool ok = false;
	if (!may_fold(c, n))
		return ERR_OK;
	const struct gvalue *v = &c->graph->value[n->out[0]];
	struct arena *tmp = arena_new(4096, 0);
	struct tensor *in = tmp ? ARENA_ARRAY(tmp, struct tensor, (size_t)n->n_in) : NULL;
	enum err_code rc = in ? ERR_OK : err_oom(err);
	if (rc != ERR_OK)
		goto out;
	gather_inputs(c, n, in);
	if (op_info(n->op)->flags & OP_VIEW) {
		struct tensor *t = ARENA_NEW(c->graph->arena, struct tensor);
		if (!t) {
			rc = err_oom(err);
			goto out;
		}
		*t = in[0];
		t->shape = v->shape;
		pass_become_constant(c, n, t);
		goto out;
	}
	struct tensor *t = graph_new_tensor(c->graph, v->type.dtype, &v->shape);
	rc = t ? compute(c, n, in, t, tmp, &ok, err) : err_oom(err);
	if (rc == ERR_OK && ok)
		pass_become_constant(c, n, t);
out:
	arena_free(tmp);
	return rc;
}

enum err_code pass_fold_constants(struct pass_ctx *c, struct err *err)
{
	return c->backend ? pass_each(c, fold_node, err) : ERR_OK;
}

/* -- shapes ------------------------------------------------------------------------------- */

/* Integers that inference knows need no computing. */
static enum err_code fold_known_ints(struct pass_ctx *c, struct node *n, struct err *err)
{
	const struct gvalue *v = &c->graph->value[n->out[0]];
	const struct infer_ints *ints = v->ints;
	if (!ints || n->n_out != 1 || ints->literal != (1u << ints->n) - 1 ||
		(v->type.dtype != DTYPE_I64 && v->type.dtype != DTYPE_I32))
		return ERR_OK;
	struct shape s = { .rank = ints->rank, .dim = { ints->n } };
	struct tensor *t = graph_new_tensor(c->graph, v->type.dtype, &s);
	if (!t)
		return err_oom(err);
	for (int i = 0; i < ints->n; i++) {
		if (v->type.dtype == DTYPE_I64)
			((int64_t *)t->data)[i] = ints->v[i];
		else
			((int32_t *)t->data)[i] = (int32_t)ints->v[i];
	}
	pass_become_constant(c, n, t);
	return ERR_OK;
}

/* A Reshape whose target is known but for one entry, or but for entries that repeat the
   input's: -1 and 0 say the same without computing the list. */
static enum err_code fold_reshape(struct pass_ctx *c, struct node *n, struct err *err)
{
	const struct gvalue *x = pass_value(c, pass_in(c, n, 0)),
			    *want = pass_value(c, pass_in(c, n, 1));
	const struct infer_ints *ints = want->ints;
	if (!ints || want->constant || node_int(n, "allowzero", 0))
		return ERR_OK;
	int64_t list[RANK_MAX];
	bool minus_one = false;
	for (int i = 0; i < ints->n; i++) {
		bool literal = ints->literal >> i & 1;
		bool copy = !literal && ints->v[i] != DIM_UNKNOWN && x->shape.rank > i &&
			x->shape.dim[i] == ints->v[i];
		list[i] = literal ? ints->v[i] : copy ? 0 : -1;
		if (list[i] == -1 && minus_one)
			return ERR_OK;
		minus_one |= list[i] == -1;
	}
	int32_t in[2] = { pass_in(c, n, 0) };
	TRY(pass_add_ints(c, ints->n, list, &in[1], err));
	return pass_rewrite(c, n, OP_RESHAPE, in, 2, n->attr, n->n_attr, err);
}

static enum err_code fold_shape_node(struct pass_ctx *c, struct node *n, struct err *err)
{
	return n->op == OP_RESHAPE ? fold_reshape(c, n, err) : fold_known_ints(c, n, err);
}

enum err_code pass_fold_shapes(struct pass_ctx *c, struct err *err)
{
	return pass_each(c, fold_shape_node, err);
}
