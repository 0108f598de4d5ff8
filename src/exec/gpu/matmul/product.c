/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/matmul/product.h"

/* Library failures that are about the description, not about the device. */
static enum err_code blas_error(
	const struct gpu *g, cublasStatus_t s, const char *what, struct err *err)
{
	if (s == CUBLAS_STATUS_NOT_SUPPORTED)
		return err_set(err, ERR_UNIMPLEMENTED, "cuBLASLt does not support it");
	return err_set(err, s == CUBLAS_STATUS_ALLOC_FAILED ? ERR_RESOURCE_EXHAUSTED : ERR_INTERNAL,
		"gpu:%d: cuBLASLt, %s: %s", g->ordinal, what, blas.cublasLtGetStatusString(s));
}

#define BLAS_TRY(g, call, what) \
	do { \
		cublasStatus_t blas_s_ = (call); \
		if (blas_s_ != CUBLAS_STATUS_SUCCESS) \
			return blas_error((g), blas_s_, (what), err); \
	} while (0)

static cudaDataType_t blas_type(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F16: return CUDA_R_16F;
	case DTYPE_BF16: return CUDA_R_16BF;
	case DTYPE_I8: return CUDA_R_8I;
	case DTYPE_I32: return CUDA_R_32I;
	default: return CUDA_R_32F;
	}
}

cublasComputeType_t product_compute_type(const struct prep *p, enum dtype dtype)
{
	static const cublasComputeType_t of_floats[PRECISION_COUNT_] = {
		[PRECISION_FAST] = CUBLAS_COMPUTE_32F,
		[PRECISION_EXACT] = CUBLAS_COMPUTE_32F,
		[PRECISION_BF16] = CUBLAS_COMPUTE_32F_FAST_16BF,
		[PRECISION_TF32] = CUBLAS_COMPUTE_32F_FAST_TF32,
		[PRECISION_FP16] = CUBLAS_COMPUTE_32F_FAST_16F,
	};
	if (dtype == DTYPE_I8)
		return CUBLAS_COMPUTE_32I;
	return dtype == DTYPE_F32 ? of_floats[p->precision] : CUBLAS_COMPUTE_32F;
}

/* -- descriptors ----------------------------------------------------------------------------- */

static void product_done(void *ctx)
{
	struct product *pr = ctx;
	for (int i = 0; i < PRODUCT_MATRICES; i++)
		if (pr->layout[i])
			blas.cublasLtMatrixLayoutDestroy(pr->layout[i]);
	if (pr->desc)
		blas.cublasLtMatmulDescDestroy(pr->desc);
	*pr = (struct product){ 0 };
}

/* Rows here are columns there. */
static enum err_code describe_matrix(const struct gpu *g, const struct product_spec *s, int i,
	int64_t rows, int64_t cols, cublasLtMatrixLayout_t *ret, struct err *err)
{
	const struct product_matrix *m = &s->matrix[i];
	int32_t batch = (int32_t)s->batch;
	if (m->transposed) {
		int64_t swap = rows;
		rows = cols;
		cols = swap;
	}
	BLAS_TRY(g,
		blas.cublasLtMatrixLayoutCreate(
			ret, blas_type(product_dtype(s, i)), (uint64_t)cols, (uint64_t)rows, m->ld),
		"describing a matrix");
	BLAS_TRY(g,
		blas.cublasLtMatrixLayoutSetAttribute(
			*ret, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof(batch)),
		"describing a batch");
	BLAS_TRY(g,
		blas.cublasLtMatrixLayoutSetAttribute(*ret,
			CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m->step, sizeof(m->step)),
		"describing a batch");
	return ERR_OK;
}

#define SET(attr, value) \
	BLAS_TRY(g, blas.cublasLtMatmulDescSetAttribute( \
		pr->desc, CUBLASLT_MATMUL_DESC_##attr, &(value), \
		sizeof(value)), "describing a product")

/* d' = op(b') op(a'), so A there is b here. */
static enum err_code describe(
	struct prep *p, const struct product_spec *s, struct product *pr, struct err *err)
{
	const struct gpu *g = gpu_of(p->backend);
	int32_t trans_a = s->matrix[PRODUCT_B].transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
	int32_t trans_b = s->matrix[PRODUCT_A].transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
	uint32_t epilogue = s->epilogue ? s->epilogue : CUBLASLT_EPILOGUE_DEFAULT;
	pr->blas = g->blas;
	pr->alpha = s->alpha;
	pr->beta = s->beta;
	pr->whole = s->dtype == DTYPE_I8;
	BLAS_TRY(g, blas.cublasLtMatmulDescCreate(&pr->desc, product_compute_type(p, s->dtype),
		pr->whole ? CUDA_R_32I : CUDA_R_32F), "describing a product");
	SET(TRANSA, trans_a);
	SET(TRANSB, trans_b);
	SET(EPILOGUE, epilogue);
	if (epilogue & CUBLASLT_EPILOGUE_BIAS)
		SET(BIAS_POINTER, s->bias);
	TRY(describe_matrix(g, s, PRODUCT_A, s->m, s->k, &pr->layout[PRODUCT_A], err));
	TRY(describe_matrix(g, s, PRODUCT_B, s->k, s->n, &pr->layout[PRODUCT_B], err));
	TRY(describe_matrix(g, s, PRODUCT_C, s->m, s->n, &pr->layout[PRODUCT_C], err));
	return describe_matrix(g, s, PRODUCT_D, s->m, s->n, &pr->layout[PRODUCT_D], err);
}

enum err_code product_prepare(struct prep *p, const struct product_spec *s, struct product *ret,
	size_t *ret_scratch_bytes, struct err *err)
{
	if (s->batch > INT32_MAX)
		return prep_refuse(
			err, "there are more products in the batch than a library's call takes");
	*ret = (struct product){ 0 };
	enum err_code rc = describe(p, s, ret, err);
	if (rc == ERR_OK)
		rc = product_choose(p, s, ret, err);
	if (rc == ERR_OK)
		rc = prep_defer(p, product_done, ret);
	if (rc != ERR_OK) {
		product_done(ret);
		return rc;
	}
	size_t bytes = ret->workspace_bytes ? ret->workspace_bytes + PRODUCT_WORKSPACE_ALIGN : 0;
	*ret_scratch_bytes = bytes > *ret_scratch_bytes ? bytes : *ret_scratch_bytes;
	return ERR_OK;
}

/* -- run -------------------------------------------------------------------------------------- */

cublasStatus_t product_enqueue(
	const struct product *pr, const struct product_at *at, CUstream stream)
{
	static const int32_t one = 1, none = 0;
	const void *alpha = pr->whole ? (const void *)&one : &pr->alpha,
		   *beta = pr->whole ? (const void *)&none : &pr->beta;
	return blas.cublasLtMatmul(pr->blas, pr->desc, alpha, at->b, pr->layout[PRODUCT_B], at->a,
		pr->layout[PRODUCT_A], beta, at->c ? at->c : at->d, pr->layout[PRODUCT_C], at->d,
		pr->layout[PRODUCT_D], &pr->algo, pr->workspace_bytes ? at->workspace : NULL,
		pr->workspace_bytes, stream);
}

void product_run(
	const struct product *pr, const struct kernel_args *args, const struct product_at *at)
{
	cublasStatus_t s = product_enqueue(pr, at, args->device->stream);
	if (s != CUBLAS_STATUS_SUCCESS)
		kernel_fault(args, FAULT_DEVICE, (int64_t)s);
}
