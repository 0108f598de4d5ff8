/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/nn/attend.h"

#include <stdio.h>
#include "exec/gpu/walk.h"

#define HEAD_MAX 8192 /* a query lies in shared memory */

void attend_strides(int64_t ret[3], bool packed, int64_t heads, int64_t len, int64_t size)
{
	ret[0] = heads * len * size;
	ret[1] = packed ? size : len * size;
	ret[2] = packed ? heads * size : size;
}

/* Every row of keys begins at a multiple of 16 bytes, and is one long. */
static bool reads_wide(const struct gpu_attend *a, size_t elem)
{
	int64_t all = a->head;
	for (int i = 0; i < 3; i++)
		all |= a->k[0][i] | a->k[1][i];
	return (all * (int64_t)elem) % 16 == 0;
}

enum err_code attend_prepare(struct attend *s, const struct prep *p, int64_t batch, struct err *err)
{
	struct gpu_attend *a = &s->a;
	int64_t rows = batch * a->heads.d * a->q_len.d;
	char name[16];
	if (rows > INT32_MAX || a->head > HEAD_MAX ||
		a->v_head > GPU_ATTEND_THREADS * GPU_ATTEND_VALUES)
		return prep_refuse(err, "so many queries, or heads so large");
	a->rows = (uint32_t)rows;
	a->wide = reads_wide(a, dtype_bytes(p->in[0].dtype));
	snprintf(name, sizeof(name), "attend_%s", gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, rows, 1, &s->launch, err));
	s->launch.block[0] = GPU_ATTEND_THREADS;
	s->launch.shared_bytes = (unsigned)((size_t)(a->head + GPU_ATTEND_THREADS) * sizeof(float));
	return ERR_OK;
}

void attend_run(const struct attend *s, const struct kernel_args *a, const struct gpu_attend_at *at)
{
	struct gpu_complaint f = gpu_complaint(a, FAULT_VALUE);
	void *params[] = { (void *)&s->a, (void *)at, &f };
	gpu_launch(a, &s->launch, params);
}
