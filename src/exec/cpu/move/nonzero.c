/* SPDX-License-Identifier: Apache-2.0 */
/* NonZero: its output's size is known only when the input is, so it allocates it. */
#include "exec/cpu/cpu.h"

#include <string.h>

#define BLOCK 1024 /* elements; a multiple of 8 */

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

#define FIND(T, expr) \
	for (int64_t i = 0; i < n; i++) { \
		T x = ((const T *)t->data)[at + i]; \
		set[i] = (expr) != 0; \
	}

/* Which of elements [at, at + n) are. */
static void find_set(const struct tensor *t, int64_t at, int64_t n, uint8_t *set)
{
	bool whole = dtype_in(t->dtype, T_INT | T_UINT | T(BOOL));
	size_t bytes = dtype_bytes(t->dtype);
	if (t->dtype == DTYPE_F32)
		FIND(float, x)
	else if (t->dtype == DTYPE_F64)
		FIND(double, x)
	else if (whole && bytes == 1)
		FIND(uint8_t, x)
	else if (whole && bytes == 4)
		FIND(uint32_t, x)
	else if (whole && bytes == 8)
		FIND(uint64_t, x)
	else
		for (int64_t i = 0; i < n; i++)
			set[i] = is_set(t, at + i);
}

/* So many elements further. */
static void advance(const struct shape *s, int64_t *index, int64_t by)
{
	for (int d = s->rank - 1; d >= 0 && by; d--) {
		index[d] += by;
		by = 0;
		if (index[d] >= s->dim[d]) {
			by = index[d] / s->dim[d];
			index[d] %= s->dim[d];
		}
	}
}

static int64_t count_set(const struct tensor *x)
{
	uint8_t set[BLOCK];
	int64_t count = tensor_count(x), found = 0;
	for (int64_t at = 0; at < count; at += BLOCK) {
		int64_t n = min_i64(BLOCK, count - at);
		find_set(x, at, n, set);
		for (int64_t i = 0; i < n; i++)
			found += set[i];
	}
	return found;
}

static void run_non_zero(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct tensor *x = &a->in[0];
	int rank = x->shape.rank;
	int64_t count = tensor_count(x), found = count_set(x), put = 0, last = 0,
		index[RANK_MAX] = { 0 };
	uint8_t set[BLOCK] = { 0 };
	(void)begin, (void)end;
	struct shape shape = shape_of(rank, found);
	int64_t *o = kernel_output(a, 0, DTYPE_I64, &shape);
	for (int64_t at = 0; o && at < count; at += BLOCK) {
		int64_t n = min_i64(BLOCK, count - at);
		find_set(x, at, n, set);
		for (int64_t i = 0; i < n; i++) {
			static const uint8_t none[8];
			if (i % 8 == 0 && i + 8 <= n && memcmp(set + i, none, sizeof(none)) == 0)
				i += 7;
			if (!set[i])
				continue;
			advance(&x->shape, index, at + i - last);
			last = at + i;
			for (int d = 0; d < rank; d++)
				o[d * found + put] = index[d];
			put++;
		}
	}
}

enum err_code prepare_non_zero(struct prep *p, struct kernel *ret, struct err *err)
{
	(void)p, (void)err;
	ret->run = run_non_zero;
	return ERR_OK;
}
