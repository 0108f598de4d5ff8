/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/matmul/gemm.h"

const struct gemm *gemm_for(enum precision precision)
{
#ifdef __x86_64__
	if (precision == PRECISION_BF16 && cpu_features() & CPU_AMX)
		return &gemm_avx512_amx;
	if (precision == PRECISION_BF16 && cpu_features() & CPU_BF16)
		return &gemm_avx512_bf16;
#else
	(void)precision;
#endif
	return gemm_best();
}

const struct gemm *gemm_best(void)
{
	return CPU_BEST(&gemm);
}

/* Without holes: it is compared byte by byte. */
struct pack_key {
	const void *source;
	int64_t b_k, b_col, k, n, cols, per_slot, step;
};

struct pack {
	const struct gemm *gemm;
	const struct gemm_source *source;
};

static void fill(void *dst, void *ctx)
{
	const struct pack *x = ctx;
	const struct gemm_source *b = x->source;
	x->gemm->pack(dst, b->b, b->b_k, b->b_col, b->k, b->n);
}

enum err_code gemm_pack_constant(struct prep *p, const struct gemm *g, const struct gemm_source *b,
	const float **ret, struct err *err)
{
	struct pack_key key = { b->b, b->b_k, b->b_col, b->k, b->n, g->cols, g->per_slot,
		g->step };
	struct pack x = { g, b };
	const void *packed;
	size_t bytes = (size_t)gemm_packed_floats(g, b->k, b->n) * sizeof(float);
	enum err_code rc = packs_get(p->packs, &key, sizeof(key), bytes, fill, &x, &packed, err);
	if (rc == ERR_OK)
		*ret = packed;
	return rc;
}
