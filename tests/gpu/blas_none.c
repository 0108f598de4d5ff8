/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blas_none.c -- a cuBLASLt that opens, and does nothing yet
 */
#define NOTHING(fn) \
	int fn(void); \
	int fn(void) { return 0; }
NOTHING(cublasLtCreate)
NOTHING(cublasLtGetVersion)
NOTHING(cublasLtGetStatusString)
NOTHING(cublasLtMatmul)
NOTHING(cublasLtMatmulDescCreate)
NOTHING(cublasLtMatmulDescDestroy)
NOTHING(cublasLtMatmulDescSetAttribute)
NOTHING(cublasLtMatmulAlgoGetHeuristic)
NOTHING(cublasLtMatmulPreferenceCreate)
NOTHING(cublasLtMatmulPreferenceDestroy)
NOTHING(cublasLtMatmulPreferenceSetAttribute)
NOTHING(cublasLtMatrixLayoutCreate)
NOTHING(cublasLtMatrixLayoutDestroy)
NOTHING(cublasLtMatrixLayoutSetAttribute)
