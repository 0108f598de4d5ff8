/* SPDX-License-Identifier: Apache-2.0 */
/* Compress: the entries along an axis that a list of conditions picks. */
#include "exec/cpu/cpu.h"

#include <string.h>

struct compress_state {
	int axis;
	bool flat; /* of the elements, as if the input were a list */
};

static void run_compress(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct compress_state *s = a->state;
	const struct tensor *x = &a->in[0];
	const uint8_t *pick = a->in[1].data;
	struct shape shape = s->flat ? shape_of(tensor_count(x)) : x->shape;
	struct axis_view v = axis_view(&shape, s->axis);
	size_t bytes = (size_t)v.inner * dtype_bytes(x->dtype);
	int64_t n = min_i64(tensor_count(&a->in[1]), v.n), picked = 0;
	(void)begin, (void)end;
	for (int64_t i = 0; i < n; i++)
		picked += pick[i] != 0;
	shape.dim[s->axis] = picked;
	char *dst = kernel_output(a, 0, x->dtype, &shape);
	for (int64_t o = 0; dst && bytes && o < v.outer; o++)
		for (int64_t i = 0; i < n; i++) {
			if (!pick[i])
				continue;
			memcpy(dst, (const char *)x->data + (size_t)(o * v.n + i) * bytes, bytes);
			dst += bytes;
		}
}

enum err_code prepare_compress(struct prep *p, struct kernel *ret, struct err *err)
{
	struct compress_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->flat = !node_attr(p->node, "axis");
	s->axis = s->flat ? 0 : node_axis(p->node, "axis", 0, p->in[0].shape.rank);
	ret->run = run_compress;
	return ERR_OK;
}
