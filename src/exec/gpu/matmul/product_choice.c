/* SPDX-License-Identifier: Apache-2.0 */
/*
 * product_choice.c -- which of cuBLASLt's algorithms computes a product
 *
 * The library proposes some, best first by its own estimate. Where timing is allowed they
 * run on the device, with a right side that no cache holds, as weights are when their turn
 * comes, and the fastest is remembered under all that it depends on: the device,
 * the library's version, the product. So a restart computes with the same algorithms, and
 * neither asks nor times.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "exec/gpu/matmul/product.h"
#include "exec/gpu/timing.h"

#define PROPOSALS_MAX 24
#define COPIES_MAX 64

/* What the library may have beside the matrices; newer chips' best algorithms want more. */
static size_t workspace_limit(const struct gpu *g)
{
	return (size_t)(g->capability >= 90 ? 32 : 8) << 20;
}

struct proposals {
	cublasLtMatmulHeuristicResult_t of[PROPOSALS_MAX];
	int n;
};

/* -- asking ----------------------------------------------------------------------------------- */

struct preference {
	cublasLtMatmulPreferenceAttributes_t attr;
	const void *value;
	size_t bytes;
};

/* Sums of halves that are cut to pieces are put together as floats. */
static bool set_preferences(
	const struct gpu *g, const struct product_spec *s, cublasLtMatmulPreference_t pref)
{
	uint64_t limit = workspace_limit(g);
	uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
	const struct product_matrix *m = s->matrix;
	const struct preference all[] = {
		{ CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit, sizeof(limit) },
		{ CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof(reduction) },
		{ CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &m[PRODUCT_B].align,
			sizeof(uint32_t) },
		{ CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &m[PRODUCT_A].align,
			sizeof(uint32_t) },
		{ CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &m[PRODUCT_C].align,
			sizeof(uint32_t) },
		{ CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &m[PRODUCT_D].align,
			sizeof(uint32_t) },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (blas.cublasLtMatmulPreferenceSetAttribute(pref, all[i].attr, all[i].value,
			    all[i].bytes) != CUBLAS_STATUS_SUCCESS)
			return false;
	return true;
}

/* Those that the library says it can do, in its order. */
static enum err_code propose(const struct gpu *g, const struct product_spec *s,
	const struct product *pr, struct proposals *ret, struct err *err)
{
	cublasLtMatmulHeuristicResult_t found[PROPOSALS_MAX];
	cublasLtMatmulPreference_t pref;
	int n = 0;
	if (blas.cublasLtMatmulPreferenceCreate(&pref) != CUBLAS_STATUS_SUCCESS)
		return err_oom(err);
	cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE;
	if (set_preferences(g, s, pref))
		status = blas.cublasLtMatmulAlgoGetHeuristic(pr->blas, pr->desc,
			pr->layout[PRODUCT_B], pr->layout[PRODUCT_A], pr->layout[PRODUCT_C],
			pr->layout[PRODUCT_D], pref, PROPOSALS_MAX, found, &n);
	blas.cublasLtMatmulPreferenceDestroy(pref);
	ret->n = 0;
	for (int i = 0; i < n && status == CUBLAS_STATUS_SUCCESS; i++)
		if (found[i].state == CUBLAS_STATUS_SUCCESS)
			ret->of[ret->n++] = found[i];
	return ret->n ? ERR_OK
		      : err_set(err, ERR_UNIMPLEMENTED, "cuBLASLt has no algorithm for it: %s",
				blas.cublasLtGetStatusString(status));
}

static void take(struct product *pr, const cublasLtMatmulHeuristicResult_t *h)
{
	pr->algo = h->algo;
	pr->workspace_bytes = h->workspaceSize;
}

/* -- remembering ------------------------------------------------------------------------------- */

static bool describe(const struct prep *p, const struct product_spec *s, char ret[CHOICE_KEY_MAX])
{
	const struct gpu *g = gpu_of(p->backend);
	int n = snprintf(ret, CHOICE_KEY_MAX,
		"product %s cuBLASLt %zu %s compute=%d %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64
		" epilogue=%d c=%d",
		g->name, blas.cublasLtGetVersion(), dtype_name(s->dtype),
		(int)product_compute_type(p, s->dtype), s->m, s->n, s->k, s->batch,
		(int)s->epilogue, s->beta != 0);
	for (int i = 0; i < PRODUCT_MATRICES && n < CHOICE_KEY_MAX; i++) {
		const struct product_matrix *m = &s->matrix[i];
		n += snprintf(ret + n, CHOICE_KEY_MAX - (size_t)n, " %" PRId64 "+%" PRId64 "/%u%s",
			m->ld, m->step, m->align, m->transposed ? "T" : "");
	}
	return n < CHOICE_KEY_MAX;
}

/* An algorithm is plain data, which the library lets one keep. */
static void remember(
	const struct prep *p, const char *key, const cublasLtMatmulHeuristicResult_t *h)
{
	const unsigned char *bytes = (const unsigned char *)&h->algo;
	char name[CHOICE_NAME_MAX];
	for (size_t i = 0; i < sizeof(h->algo); i++)
		snprintf(name + 2 * i, sizeof(name) - 2 * i, "%02x", bytes[i]);
	choices_put(p->choices, key, name);
}

static bool read_algorithm(const char *name, cublasLtMatmulAlgo_t *ret)
{
	unsigned char *bytes = (unsigned char *)ret;
	unsigned byte;
	if (strlen(name) != 2 * sizeof(*ret) || name[strspn(name, "0123456789abcdef")])
		return false;
	for (size_t i = 0; i < sizeof(*ret); i++) {
		sscanf(name + 2 * i, "%2x", &byte);
		bytes[i] = (unsigned char)byte;
	}
	return true;
}

/* What was remembered, if the library takes it still: a line may be damaged. */
static bool recall(const struct prep *p, const char *key, const struct product *pr,
	cublasLtMatmulHeuristicResult_t *ret)
{
	char name[CHOICE_NAME_MAX];
	cublasLtMatmulAlgo_t algo;
	memset(ret, 0, sizeof(*ret));
	if (!choices_find(p->choices, key, name) || !read_algorithm(name, &algo) ||
		blas.cublasLtMatmulAlgoCheck(pr->blas, pr->desc, pr->layout[PRODUCT_B],
			pr->layout[PRODUCT_A], pr->layout[PRODUCT_C], pr->layout[PRODUCT_D], &algo,
			ret) != CUBLAS_STATUS_SUCCESS)
		return false;
	ret->algo = algo;
	return ret->workspaceSize <= workspace_limit(gpu_of(p->backend));
}

/* -- timing ------------------------------------------------------------------------------------ */

/* From the first element of the batch to the end of the last; true: no memory is so large. */
static bool extent_overflows(const struct product_spec *s, int i, size_t *ret)
{
	const struct product_matrix *m = &s->matrix[i];
	int64_t rows = i == PRODUCT_B ? s->k : s->m, cols = i == PRODUCT_A ? s->k : s->n, steps,
		all;
	if (m->transposed)
		rows = cols;
	return mul_i64_overflows(s->batch - 1, m->step, &steps) ||
		mul_i64_overflows(rows, m->ld, &all) || add_i64_overflows(all, steps, &all) ||
		mul_overflows((size_t)all, dtype_bytes(product_dtype(s, i)), ret) ||
		*ret > (size_t)1 << 40;
}

struct contest {
	struct product *pr;
	const struct proposals *of;
	struct product_at at;
	size_t b_bytes; /* from one copy of the right side to the next */
	int copies;
};

static bool enqueue(const struct timing *t, void *ctx, int i, int run)
{
	const struct contest *c = ctx;
	struct product_at at = c->at;
	at.b = (const char *)at.b + c->b_bytes * (size_t)(run % c->copies);
	take(c->pr, &c->of->of[i]);
	return product_enqueue(c->pr, &at, t->stream) == CUBLAS_STATUS_SUCCESS;
}

/* What is swept between runs, so that none of it is in a cache; its first half has the copies of
   the right side. Of a batch of products that is no weight, but was computed just before. */
static size_t swept_bytes(const struct gpu *g, const struct product_spec *s)
{
	int l2 = 0;
	if (s->batch > 1 || cu.cuDeviceGetAttribute(&l2, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE,
				    g->device) != CUDA_SUCCESS)
		return 0;
	return 2 * (size_t)l2;
}

static int copies_in(size_t swept, size_t each)
{
	size_t n = each ? swept / 2 / each : 1;
	return n > COPIES_MAX ? COPIES_MAX : n > 1 ? (int)n : 1;
}

/* The place of the fastest; -1: nothing could be timed. */
static int contest(const struct gpu *g, const struct product_spec *s, struct product *pr,
	const struct proposals *of)
{
	/* The right side last, for it has copies behind it. */
	static const int order[] = { PRODUCT_A, PRODUCT_C, PRODUCT_D, PRODUCT_B };
	size_t at[PRODUCT_MATRICES], own = 0, bytes = workspace_limit(g), swept = swept_bytes(g, s);
	for (int i = 0; i < PRODUCT_MATRICES; i++) {
		if (extent_overflows(s, order[i], &own))
			return -1;
		own = round_up(own, PRODUCT_WORKSPACE_ALIGN);
		at[order[i]] = bytes;
		bytes += own;
	}
	struct timing t;
	bool room = timing_init(&t, g, bytes + swept);
	char *mem = (char *)t.mem;
	struct contest c = { pr, of, { mem + at[PRODUCT_A], mem + at[PRODUCT_B],
		s->beta != 0 ? mem + at[PRODUCT_C] : NULL, mem + at[PRODUCT_D], mem },
		own, copies_in(swept, own) };
	t.swept = t.mem + at[PRODUCT_B];
	t.swept_bytes = swept ? own + swept : 0;
	int best = room ? timing_fastest(&t, of->n, enqueue, &c) : -1;
	timing_done(&t);
	return best;
}

enum err_code product_choose(
	struct prep *p, const struct product_spec *s, struct product *pr, struct err *err)
{
	struct proposals of = { .n = 0 };
	cublasLtMatmulHeuristicResult_t known;
	char key[CHOICE_KEY_MAX];
	bool remembers = p->choices && describe(p, s, key);
	if (remembers && recall(p, key, pr, &known)) {
		take(pr, &known);
		return ERR_OK;
	}
	TRY(propose(gpu_of(p->backend), s, pr, &of, err));
	int best = remembers && !p->settled ? of.n > 1 ? contest(gpu_of(p->backend), s, pr, &of) : 0
					    : -1;
	if (best >= 0)
		remember(p, key, &of.of[best]);
	take(pr, &of.of[best < 0 ? 0 : best]);
	return ERR_OK;
}
