/* SPDX-License-Identifier: Apache-2.0 */
/* ReverseSequence: the first steps of each row turned around, as many as the row is long. */
#include "exec/cpu/cpu.h"

#include <string.h>

struct reverse_state {
	struct split split; /* of (row, step) places in the output */
	bool time_first;
	int64_t rows, steps;
	size_t bytes; /* of one place */
};

static void run_reverse(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct reverse_state *s = a->state;
	const int64_t *lens = a->in[1].data;
	int64_t from, to, minor = s->time_first ? s->rows : s->steps;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t row = s->time_first ? i % minor : i / minor;
		int64_t step = s->time_first ? i / minor : i % minor, len = lens[row];
		if (len < 0 || len > s->steps) {
			kernel_fault(a, FAULT_VALUE, len);
			return;
		}
		int64_t at = step < len ? len - 1 - step : step;
		int64_t src = s->time_first ? at * minor + row : row * minor + at;
		memcpy((char *)a->out[0].data + (size_t)i * s->bytes,
			(const char *)a->in[0].data + (size_t)src * s->bytes, s->bytes);
	}
}

enum err_code prepare_reverse_sequence(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct reverse_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->time_first = node_int(p->node, "time_axis", 0) == 0;
	s->steps = x->dim[s->time_first ? 0 : 1];
	s->rows = x->dim[s->time_first ? 1 : 0];
	s->bytes = (size_t)shape_count_range(x, 2, x->rank) * dtype_bytes(p->in[0].dtype);
	s->split = split_work(p, ret, s->bytes ? s->rows * s->steps : 0, 5 + (double)s->bytes / 8);
	ret->run = run_reverse;
	return ERR_OK;
}
