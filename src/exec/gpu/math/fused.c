/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fused.c -- FusedElementwise: a kernel made for its body
 */
#include <string.h>
#include "exec/gpu/lib/compiled.h"
#include "exec/gpu/math/fused_source.h"
#include "exec/gpu/walk.h"

#define BLOCK 256

_Static_assert(FUSED_INPUTS_MAX <= GPU_OPERANDS_MAX, "a walk has room for all operands");

struct fused_state {
	struct gpu_launch launch;
	struct gpu_walk walk;
};

static void run_fused(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct fused_state *s = a->state;
	struct gpu_complaint f = gpu_complaint(a, FAULT_DIVIDE);
	void *params[3 + FUSED_INPUTS_MAX] = { (void *)&s->walk, &f, (void *)&a->out[0].data };
	for (int k = 0; k < a->n_in; k++)
		params[3 + k] = (void *)&a->in[k].data;
	gpu_launch(a, &s->launch, params);
}

/* -- how the operands lie ---------------------------------------------------------------------- */

static enum fused_reach reach_of(const struct gpu_walk *w, int k, int wide)
{
	uint32_t any = 0, dense = (uint32_t)wide;
	bool as_result = true;
	for (int d = w->rank - 1; d >= 0; d--) {
		any |= w->stride[k][d];
		as_result &= w->stride[k][d] == dense || w->dim[d].d == 1;
		dense *= w->dim[d].d;
	}
	bool side_by_side = w->dense >> k & 1;
	if (any && as_result && (side_by_side || wide == 1))
		return REACH_DENSE;
	if (!any && !side_by_side)
		return REACH_ONE;
	return side_by_side ? REACH_WALK_DENSE : REACH_WALK;
}

/* The widest groups that all operands allow, then a walk over those alone that need one. */
static bool reach(
	const struct prep *p, const struct tensor *out, struct gpu_walk *ret, struct fused_shape *s)
{
	const struct tensor *in[FUSED_INPUTS_MAX];
	struct gpu_walk all;
	size_t most = dtype_bytes(out->dtype);
	bool grouped = false;
	int n = 0;
	for (int k = 0; k < p->n_in; k++) {
		in[k] = &p->in[k];
		most = dtype_bytes(in[k]->dtype) > most ? dtype_bytes(in[k]->dtype) : most;
	}
	for (s->wide = 16 / (int)most; !grouped; s->wide /= 2) {
		if (!gpu_walk_init(&all, out, p->n_in, in, s->wide, &grouped))
			return false;
		if (s->wide == 1 || grouped)
			break;
	}
	*ret = all;
	for (int k = 0; k < p->n_in; k++) {
		s->reach[k] = reach_of(&all, k, s->wide);
		if (fused_is_walked(s->reach[k]))
			memcpy(ret->stride[n++], all.stride[k], sizeof(all.stride[k]));
	}
	s->rank = n ? all.rank : 0;
	return true;
}

/* The result may lie on an operand that is gone through as it is. */
static void allow_in_place(const struct prep *p, const struct fused_shape *s, struct kernel *ret)
{
	for (int k = 0; k < p->n_in && !ret->inplace; k++) {
		ret->inplace = s->reach[k] == REACH_DENSE && p->in[k].layout == ret->out_layout &&
			       dtype_bytes(p->in[k].dtype) == dtype_bytes(p->out[0].dtype);
		ret->inplace_in = k;
	}
}

enum err_code gpu_prepare_fused(struct prep *p, struct kernel *ret, struct err *err)
{
	struct fused_state *s = gpu_state(p, ret, sizeof(*s));
	char *name = prep_alloc(p, FUSED_NAME_MAX);
	struct fused_shape shape;
	struct tensor out = p->out[0];
	struct slice text;
	CUfunction fn;
	if (!s || !name)
		return err_oom(err);
	ret->out_layout = out.layout = gpu_common_layout(p);
	if (!gpu_of(p->backend)->backend.fuses || !reach(p, &out, &s->walk, &shape))
		return prep_refuse(err, "no NVRTC, or so many elements or dimensions");
	TRY(fused_source(fused_body(p->node), &shape, p->tmp, name, &text, err));
	TRY(compiled_kernel(p, name, text, &fn, err));
	allow_in_place(p, &shape, ret);
	ret->name = name;
	ret->run = run_fused;
	s->launch = gpu_launch_of(p, fn, s->walk.count, BLOCK);
	return ERR_OK;
}
