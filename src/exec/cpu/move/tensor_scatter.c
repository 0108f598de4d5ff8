/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorScatter: a cache with some rows along an axis replaced, from a place on that each
 * sequence of the batch says. An item is all of one index before the axis.
 */
#include "exec/cpu/cpu.h"

#include <string.h>

struct scatter_state {
	struct split split;
	int64_t per_batch; /* items */
	int64_t length, update, row; /* rows of the cache and of the update; bytes of one */
	bool circular;
};

static void run_tensor_scatter(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct scatter_state *s = a->state;
	int64_t from, to, bytes = s->length * s->row;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		char *out = (char *)a->out[0].data + i * bytes;
		const char *past = (const char *)a->in[0].data + i * bytes;
		const char *update = (const char *)a->in[1].data + i * s->update * s->row;
		int64_t at =
			args_has_in(a, 2) ? ((const int64_t *)a->in[2].data)[i / s->per_batch] : 0;
		if (out != past)
			memcpy(out, past, (size_t)bytes);
		if (s->circular)
			at = (at % s->length + s->length) % s->length;
		else if (at < 0 || at > s->length - s->update) {
			kernel_fault(a, FAULT_INDEX, at);
			continue;
		}
		for (int64_t k = 0; k < s->update; k++)
			memcpy(out + (at + k) % s->length * s->row, update + k * s->row,
				(size_t)s->row);
	}
}

enum err_code prepare_tensor_scatter(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *past = &p->in[0].shape;
	struct scatter_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	int axis = node_axis(p->node, "axis", -2, past->rank);
	struct axis_view v = axis_view(past, axis);
	s->length = v.n;
	s->update = p->in[1].shape.dim[axis];
	s->row = v.inner * (int64_t)dtype_bytes(p->in[0].dtype);
	s->per_batch = shape_count_range(past, 1, axis);
	s->circular = slice_is(node_string(p->node, "mode", "linear"), "circular");
	s->split = split_work(
		p, ret, s->length > 0 && s->row > 0 ? v.outer : 0, 20 + (double)(v.n * s->row) / 8);
	ret->run = run_tensor_scatter;
	ret->inplace = true;
	return ERR_OK;
}
