/* SPDX-License-Identifier: Apache-2.0 */
/*
 * product_choice.c -- which of cuBLASLt's algorithms computes a product
 *
 * The library proposes some, best first by its own estimate. Where timing is allowed they
 * run on the device, on zeros, and the place of the fastest among the proposals is
 * remembered under all that the proposals depend on: the device, the library's version, the
 * product. So a restart computes with the same algorithms, and spares the timing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/checked.h"
#include "exec/gpu/product.h"

#define PROPOSALS_MAX 8

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
static bool set_preferences(const struct gpu *g, const struct product_spec *s, cublasLtMatmulPreference_t pref)
{
	uint64_t limit = workspace_limit(g);
	uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
	const struct product_matrix *m = s->matrix;
	const struct preference all[] = {
		{ CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit, sizeof(limit) },
		{ CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof(reduction) },
		{ CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &m[PRODUCT_B].align, sizeof(uint32_t) },
		{ CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &m[PRODUCT_A].align, sizeof(uint32_t) },
		{ CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &m[PRODUCT_C].align, sizeof(uint32_t) },
		{ CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &m[PRODUCT_D].align, sizeof(uint32_t) },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (blas.cublasLtMatmulPreferenceSetAttribute(pref, all[i].attr, all[i].value,
			    all[i].bytes) != CUBLAS_STATUS_SUCCESS)
			return false;
	return true;
}

/* Those that the library says it can do, in its order. */
static enum err_code propose(const struct gpu *g, const struct product_spec *s, const struct product *pr,
	struct proposals *ret, struct err *err)
{
	cublasLtMatmulHeuristicResult_t found[PROPOSALS_MAX];
	cublasLtMatmulPreference_t pref;
	int n = 0;
	if (blas.cublasLtMatmulPreferenceCreate(&pref) != CUBLAS_STATUS_SUCCESS)
		return err_oom(err);
	cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE;
	if (set_preferences(g, s, pref))
		status = blas.cublasLtMatmulAlgoGetHeuristic(pr->blas, pr->desc, pr->layout[PRODUCT_B],
			pr->layout[PRODUCT_A], pr->layout[PRODUCT_C], pr->layout[PRODUCT_D], pref,
			PROPOSALS_MAX, found, &n);
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

/* -- remembering -------------------------------------------------------------------------------- */

static bool describe(const struct prep *p, const struct product_spec *s, char ret[CHOICE_KEY_MAX])
{
	const struct gpu *g = gpu_of(p->backend);
	int n = snprintf(ret, CHOICE_KEY_MAX,
		"product %s cuBLASLt %zu %s compute=%d %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64
		" epilogue=%d c=%d",
		g->name, blas.cublasLtGetVersion(), dtype_name(s->dtype),
		(int)product_compute_type(p, s->dtype), s->m, s->n, s->k, s->batch, (int)s->epilogue,
		s->beta != 0);
	for (int i = 0; i < PRODUCT_MATRICES && n < CHOICE_KEY_MAX; i++) {
		const struct product_matrix *m = &s->matrix[i];
		n += snprintf(ret + n, CHOICE_KEY_MAX - (size_t)n, " %" PRId64 "+%" PRId64 "/%u%s", m->ld, m->step,
			m->align, m->transposed ? "T" : "");
	}
	return n < CHOICE_KEY_MAX;
}

/* The place that was remembered; -1: none, or none of these. */
static int recall(const struct prep *p, const char *key, const struct proposals *of)
{
	char name[CHOICE_NAME_MAX], *end;
	if (!choices_find(p->choices, key, name))
		return -1;
	long i = strtol(name, &end, 10);
	return *name && !*end && i >= 0 && i < of->n ? (int)i : -1;
}

static void remember(const struct prep *p, const char *key, int place)
{
	char name[CHOICE_NAME_MAX];
	snprintf(name, sizeof(name), "%d", place);
	if (place >= 0)
		choices_put(p->choices, key, name);
}

/* -- timing --------------------------------------------------------------------------------------- */

/* Each gets about this long; one that is a good deal slower than the best so far, one run. */
#define TRIAL_MS 1.0F
#define TRIAL_RUNS_MAX 20
#define HOPELESS 1.5F

/* Zeros in place of the matrices, on the device. */
struct trial {
	const struct gpu *g;
	CUstream stream;
	CUevent begin, end;
	CUdeviceptr mem;
	struct product_at at;
};

static void trial_done(struct trial *t)
{
	if (t->stream)
		cu.cuStreamSynchronize(t->stream);
	if (t->mem)
		cu.cuMemFree_v2(t->mem);
	if (t->begin)
		cu.cuEventDestroy_v2(t->begin);
	if (t->end)
		cu.cuEventDestroy_v2(t->end);
	if (t->stream)
		cu.cuStreamDestroy_v2(t->stream);
}

/* From the first element of the batch to the end of the last; true: no memory is so large. */
static bool extent_overflows(const struct product_spec *s, int i, size_t *ret)
{
	const struct product_matrix *m = &s->matrix[i];
	int64_t rows = i == PRODUCT_B ? s->k : s->m, cols = i == PRODUCT_A ? s->k : s->n, steps, all;
	if (m->transposed)
		rows = cols;
	return mul_i64_overflows(s->batch - 1, m->step, &steps) || mul_i64_overflows(rows, m->ld, &all) ||
	       add_i64_overflows(all, steps, &all) ||
	       mul_overflows((size_t)all, dtype_bytes(s->dtype), ret) || *ret > (size_t)1 << 40;
}

/* false: there is no room on the device now, so nothing is timed. */
static bool trial_init(struct trial *t, const struct product_spec *s)
{
	size_t at[PRODUCT_MATRICES], bytes = workspace_limit(t->g);
	for (int i = 0; i < PRODUCT_MATRICES; i++) {
		size_t own;
		if (extent_overflows(s, i, &own))
			return false;
		at[i] = bytes;
		bytes += round_up(own, PRODUCT_WORKSPACE_ALIGN);
	}
	if (cu.cuMemAlloc_v2(&t->mem, bytes) != CUDA_SUCCESS ||
		cu.cuStreamCreate(&t->stream, CU_STREAM_NON_BLOCKING) != CUDA_SUCCESS ||
		cu.cuEventCreate(&t->begin, CU_EVENT_DEFAULT) != CUDA_SUCCESS ||
		cu.cuEventCreate(&t->end, CU_EVENT_DEFAULT) != CUDA_SUCCESS ||
		cu.cuMemsetD8Async(t->mem, 0, bytes, t->stream) != CUDA_SUCCESS)
		return false;
	char *mem = (char *)t->mem;
	t->at = (struct product_at){ mem + at[PRODUCT_A], mem + at[PRODUCT_B],
		s->beta != 0 ? mem + at[PRODUCT_C] : NULL, mem + at[PRODUCT_D], mem };
	return true;
}

/* Milliseconds of one run out of several; false: it does not run. */
static bool time_runs(const struct trial *t, const struct product *pr, int runs, float *ret_ms)
{
	bool ok = cu.cuEventRecord(t->begin, t->stream) == CUDA_SUCCESS;
	for (int i = 0; i < runs && ok; i++)
		ok = product_enqueue(pr, &t->at, t->stream) == CUBLAS_STATUS_SUCCESS;
	ok = ok && cu.cuEventRecord(t->end, t->stream) == CUDA_SUCCESS &&
	     cu.cuEventSynchronize(t->end) == CUDA_SUCCESS &&
	     cu.cuEventElapsedTime_v2(ret_ms, t->begin, t->end) == CUDA_SUCCESS;
	*ret_ms /= (float)runs;
	return ok;
}

static int fastest(const struct trial *t, struct product *pr, const struct proposals *of)
{
	float best_ms = 0;
	int best = -1;
	for (int i = 0; i < of->n; i++) {
		float ms = 0;
		take(pr, &of->of[i]);
		if (!time_runs(t, pr, 1, &ms) || !time_runs(t, pr, 1, &ms) ||
			(best >= 0 && ms > HOPELESS * best_ms))
			continue;
		int runs = ms * TRIAL_RUNS_MAX > TRIAL_MS ? (int)(TRIAL_MS / ms) + 1 : TRIAL_RUNS_MAX;
		if (!time_runs(t, pr, runs, &ms) || (best >= 0 && ms >= best_ms))
			continue;
		best = i;
		best_ms = ms;
	}
	return best;
}

/* -1: nothing could be timed. */
static int contest(const struct gpu *g, const struct product_spec *s, struct product *pr,
	const struct proposals *of)
{
	struct trial t = { .g = g };
	int best = trial_init(&t, s) ? fastest(&t, pr, of) : -1;
	trial_done(&t);
	return best;
}

enum err_code product_choose(struct prep *p, const struct product_spec *s, struct product *pr, struct err *err)
{
	struct proposals of = { .n = 0 };
	char key[CHOICE_KEY_MAX];
	int best = 0;
	TRY(propose(gpu_of(p->backend), s, pr, &of, err));
	if (p->choices && of.n > 1 && describe(p, s, key)) {
		best = recall(p, key, &of);
		if (best < 0 && !p->settled) {
			best = contest(gpu_of(p->backend), s, pr, &of);
			remember(p, key, best);
		}
	}
	take(pr, &of.of[best < 0 ? 0 : best]);
	return ERR_OK;
}
