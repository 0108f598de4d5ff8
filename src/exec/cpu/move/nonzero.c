/* SPDX-License-Identifier: Apache-2.0 */
/* NonZero: its output's size is known only when the input is, so it allocates it. */
#include "exec/cpu/cpu.h"

/* Is element i something else than zero, false or ""? The half types' zeros are 0 and 0x8000. */
static bool is_set(const struct tensor *t, int64_t i)
{
	switch (t->dtype) {
	case DTYPE_STRING: return ((const struct slice *)t->data)[i].len != 0;
	case DTYPE_F16:
	case DTYPE_BF16: return (((const uint16_t *)t->data)[i] & 0x7fff) != 0;
	case DTYPE_F32: return ((const float *)t->data)[i] != 0;
	case DTYPE_F64: return ((const double *)t->data)[i] != 0;
	default: return tensor_int(t, i) != 0;
	}
}

static void run_non_zero(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct tensor *x = &a->in[0];
	int rank = x->shape.rank;
	int64_t count = tensor_count(x), found = 0, at = 0;
	(void)begin, (void)end;
	for (int64_t i = 0; i < count; i++)
		found += is_set(x, i);
	struct shape shape = shape_of(rank, found);
	int64_t *o = kernel_output(a, 0, DTYPE_I64, &shape);
	if (!o)
		return;
	for (int64_t i = 0; i < count; i++) {
		if (!is_set(x, i))
			continue;
		int64_t rest = i;
		for (int d = rank - 1; d >= 0; d--) {
			o[d * found + at] = rest % x->shape.dim[d];
			rest /= x->shape.dim[d];
		}
		at++;
	}
}

enum err_code prepare_non_zero(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	ret->run = run_non_zero;
	return ERR_OK;
}
