/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_fold.c -- nodes whose inputs are known are computed while planning
 */
#include "exec/plan/planner.h"

/* Values up to this size are worth knowing while planning: shapes, axes, indices. */
#define KNOWN_BYTES_MAX 4096

/* Not where strings come of it: their bytes would lie in the plan, and whoever has got them may
   outlive it. */
bool planner_is_known(const struct planner *pl, const struct node *n)
{
	const struct op_info *op = op_info(n->op);
	if (op->flags & (OP_RANDOM | OP_CONTROL | OP_DATA_DEPENDENT))
		return false;
	for (int32_t i = 0; i < n->n_out; i++) {
		size_t bytes;
		if (n->out[i] == VALUE_NONE)
			continue;
		const struct ivalue *v = &pl->iv[n->out[i]];
		if (v->type.dtype == DTYPE_STRING ||
			tensor_bytes_overflow(v->type.dtype, &v->shape, &bytes) ||
			bytes > KNOWN_BYTES_MAX)
			return false;
	}
	if (op->flags & OP_SHAPE_ONLY)
		return true;
	for (int32_t i = 0; i < n->n_in; i++)
		if (n->in[i] != VALUE_NONE && !pl->iv[n->in[i]].data)
			return false;
	return true;
}

enum err_code planner_fold(struct planner *pl, const struct node *n, bool *ret_done)
{
	struct plan *p = pl->p;
	struct prep prep;
	struct kernel k = { .units = 1 };
	bool want_plain;
	const struct backend *host = backend_host(pl->rq->conf->backend);
	TRY(planner_node_prep(pl, host, n, &prep));
	prep.arena = pl->tmp;
	prep.threads = 1;
	prep.choices = NULL; /* it runs once */
	TRY(host->prepare(&prep, &k, &want_plain, pl->err));
	*ret_done = k.out_layout == LAYOUT_PLAIN;
	if (!*ret_done)
		return ERR_OK;
	struct tensor *out = ARENA_ARRAY(p->arena, struct tensor, (size_t)n->n_out + 1);
	void *scratch = arena_alloc_aligned(pl->tmp, k.scratch_bytes + 1, ARENA_ALIGN_TENSOR);
	if (!out || !scratch ||
		!planner_grow(
			pl, (void **)&p->folded, p->n_folded, &pl->cap_folded, sizeof(*p->folded)))
		return err_oom(pl->err);
	for (int32_t i = 0; i < n->n_out; i++) {
		out[i] = prep.out[i];
		if (n->out[i] == VALUE_NONE)
			continue;
		size_t bytes = tensor_bytes(&out[i]);
		out[i].data = arena_alloc_aligned(p->arena, bytes + 1, ARENA_ALIGN_TENSOR);
		if (!out[i].data)
			return err_oom(pl->err);
		pl->iv[n->out[i]].data = &out[i];
	}
	struct fault fault = { 0 };
	struct kernel_args args = { .in = prep.in, .out = out, .n_in = n->n_in, .n_out = n->n_out,
		.state = k.state, .scratch = scratch, .fault = &fault, .arena = p->arena };
	k.run(&args, 0, k.units);
	if (atomic_load(&fault.code) != FAULT_NONE)
		return fault_error(&fault, LABEL(pl, n), pl->err);
	p->folded[p->n_folded++] = n;
	return ERR_OK;
}
