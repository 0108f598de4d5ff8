/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/move/relayout.h"

#include "base/checked.h"

#define ALIGN 256

/* Channels first and channels last are one where there is one channel or one place. */
static bool is_same(const struct tensor *t, enum layout to)
{
	int rank = t->shape.rank;
	return t->layout == to || rank < 3 || t->shape.dim[1] == 1 ||
		shape_count_range(&t->shape, 2, rank) == 1;
}

enum err_code relayout_prepare(struct prep *p, const struct tensor *t, enum layout to,
	struct relayout *ret, size_t *scratch_bytes, struct err *err)
{
	*ret = (struct relayout){ .at = *scratch_bytes };
	if (is_same(t, to))
		return ERR_OK;
	struct gpu_view v = { .rank = t->shape.rank, .elem = dtype_bytes(t->dtype) };
	struct tensor moved = *t;
	moved.layout = to;
	for (int d = 0; d < v.rank; d++)
		v.dim[d] = t->shape.dim[d];
	gpu_strides(t, v.src);
	gpu_strides(&moved, v.dst);
	*scratch_bytes += round_up(tensor_bytes(t), ALIGN);
	ret->needed = true;
	return gpu_copy_init(&ret->copy, p, &v, err);
}

void *relayout_run(const struct relayout *r, const struct kernel_args *a, char *scratch, void *mem)
{
	if (!r->needed)
		return mem;
	gpu_copy_run(a, &r->copy, scratch + r->at, mem);
	return scratch + r->at;
}
