// SPDX-License-Identifier: Apache-2.0
/*
 * blas.cc -- cuBLASLt's products on the host, in double, strict about what its header asks for
 *
 * What the library would refuse, or would do something undefined with, is refused and said on
 * stderr. An algorithm works for the product that it was proposed for and for nothing else.
 */
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include "gpu/stand_in.h"

namespace {

struct desc {
	cublasComputeType_t compute;
	cudaDataType_t scale;
	int32_t trans_a = CUBLAS_OP_N, trans_b = CUBLAS_OP_N;
	uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
	const void *bias = nullptr;
};

struct layout {
	cudaDataType_t type;
	uint64_t rows, cols;
	int64_t ld;
	int32_t batch = 1;
	int64_t step = 0;

	bool operator==(const layout &o) const
	{
		return type == o.type && rows == o.rows && cols == o.cols && ld == o.ld && batch == o.batch && step == o.step;
	}
};

struct preference {
	uint64_t workspace = 0;
	uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_MASK;
	uint32_t align[4] = { 256, 256, 256, 256 }; /* of A, B, C, D */
};

/* Everything that a product is. */
struct problem {
	desc d;
	layout m[4]; /* A, B, C, D */
};

/* In the library's own 64 bytes. */
struct algo {
	uint64_t magic, problem, workspace;
	uint32_t align[4];
	uint64_t place;
};
static_assert(sizeof(algo) <= sizeof(cublasLtMatmulAlgo_t), "an algorithm is 64 bytes");
constexpr uint64_t MAGIC = 0x5167e7a160;
constexpr size_t WORKSPACE_ALIGN = 256;

cublasStatus_t refuse(cublasStatus_t s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
cublasStatus_t refuse(cublasStatus_t s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("stand-in cuBLASLt: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return s;
}
#define INVALID(...) refuse(CUBLAS_STATUS_INVALID_VALUE, __VA_ARGS__)

template <typename T> cublasStatus_t set(T &field, const void *buf, size_t size, const char *what)
{
	if (!buf || size != sizeof(field))
		return INVALID("%s has %zu bytes, not %zu", what, sizeof(field), size);
	memcpy(&field, buf, size);
	return CUBLAS_STATUS_SUCCESS;
}

size_t bytes_of(cudaDataType_t t)
{
	return t == CUDA_R_32F || t == CUDA_R_32I ? 4 : t == CUDA_R_16F || t == CUDA_R_16BF ? 2 : t == CUDA_R_8I ? 1 : 0;
}

/* -- what can be multiplied -------------------------------------------------------------------- */

bool is_compute(cublasComputeType_t c)
{
	return c == CUBLAS_COMPUTE_32F || c == CUBLAS_COMPUTE_32F_FAST_TF32 || c == CUBLAS_COMPUTE_32F_FAST_16F ||
	       c == CUBLAS_COMPUTE_32F_FAST_16BF;
}

/* Of 8-bit integers in the usual order, as the documentation of cublasLtMatmul() has it: A transposed and B not, sums
   of 32 bits, and leading dimensions, rows of D and the depth multiples of 4. */
cublasStatus_t check_integers(const problem &p)
{
	const desc &d = p.d;
	bool types = p.m[1].type == CUDA_R_8I && p.m[2].type == CUDA_R_32I && p.m[3].type == CUDA_R_32I && d.scale == CUDA_R_32I;
	uint64_t all = p.m[0].rows | p.m[3].rows;
	for (const layout &l : p.m)
		all |= (uint64_t)l.ld;
	return types && d.trans_a == CUBLAS_OP_T && d.trans_b == CUBLAS_OP_N && all % 4 == 0 &&
			       d.epilogue == CUBLASLT_EPILOGUE_DEFAULT ?
		       CUBLAS_STATUS_SUCCESS :
		       CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t check_desc(const problem &p)
{
	const desc &d = p.d;
	if (d.compute == CUBLAS_COMPUTE_32I)
		return p.m[0].type == CUDA_R_8I ? check_integers(p) : CUBLAS_STATUS_NOT_SUPPORTED;
	cudaDataType_t type = p.m[3].type;
	if (!is_compute(d.compute) || d.scale != CUDA_R_32F || !bytes_of(type) ||
		(type != CUDA_R_32F && d.compute != CUBLAS_COMPUTE_32F))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	for (const layout &m : p.m)
		if (m.type != type)
			return CUBLAS_STATUS_NOT_SUPPORTED;
	switch (d.epilogue) {
	case CUBLASLT_EPILOGUE_DEFAULT:
	case CUBLASLT_EPILOGUE_RELU:
	case CUBLASLT_EPILOGUE_GELU: return CUBLAS_STATUS_SUCCESS;
	case CUBLASLT_EPILOGUE_BIAS:
	case CUBLASLT_EPILOGUE_RELU_BIAS:
	case CUBLASLT_EPILOGUE_GELU_BIAS:
		return d.bias ? CUBLAS_STATUS_SUCCESS : INVALID("an epilogue with a bias, and no bias");
	default: return INVALID("epilogue %u", d.epilogue);
	}
}

cublasStatus_t check_layouts(const problem &p)
{
	uint64_t m = p.m[3].rows, n = p.m[3].cols;
	bool ta = p.d.trans_a == CUBLAS_OP_T, tb = p.d.trans_b == CUBLAS_OP_T;
	uint64_t k = ta ? p.m[0].rows : p.m[0].cols;
	if ((ta ? p.m[0].cols : p.m[0].rows) != m || (tb ? p.m[1].rows : p.m[1].cols) != n ||
		(tb ? p.m[1].cols : p.m[1].rows) != k || p.m[2].rows != m || p.m[2].cols != n)
		return INVALID("the shapes of A, B, C, D do not fit each other");
	for (const layout &l : p.m) {
		if (l.batch != p.m[3].batch)
			return INVALID("the batch counts differ");
		if (l.ld < (int64_t)l.rows || !l.rows || !l.cols)
			return INVALID("%llu rows, %llu columns, leading dimension %lld", (unsigned long long)l.rows,
				(unsigned long long)l.cols, (long long)l.ld);
		if (l.batch > 1 && l.step && l.step < (int64_t)l.rows && l.step < l.ld)
			return INVALID("matrices of a batch lie %lld elements apart", (long long)l.step);
	}
	const layout &d = p.m[3];
	bool behind = d.step >= d.ld * (int64_t)(n - 1) + (int64_t)m; /* each other; else beside each other */
	if (d.batch > 1 && !behind && (d.step < (int64_t)m || d.step * (d.batch - 1) + (int64_t)m > d.ld))
		return INVALID("the results of a batch overlap");
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check(const problem &p)
{
	cublasStatus_t s = check_layouts(p);
	return s == CUBLAS_STATUS_SUCCESS ? check_desc(p) : s;
}

problem problem_of(cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
	cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t out)
{
	auto at = [](cublasLtMatrixLayout_t l) { return *reinterpret_cast<layout *>(l); };
	return { *reinterpret_cast<desc *>(d), { at(a), at(b), at(c), at(out) } };
}

void mix(uint64_t &h, uint64_t v)
{
	h = (h ^ v) * 0x100000001b3u;
}

/* All but the bias's address. */
uint64_t hash(const problem &p)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (uint64_t v : { (uint64_t)p.d.compute, (uint64_t)p.d.trans_a, (uint64_t)p.d.trans_b, (uint64_t)p.d.epilogue })
		mix(h, v);
	for (const layout &l : p.m)
		for (uint64_t v : { (uint64_t)l.type, l.rows, l.cols, (uint64_t)l.ld, (uint64_t)l.batch, (uint64_t)l.step })
			mix(h, v);
	return h;
}

/* -- multiplying ------------------------------------------------------------------------------- */

double load(cudaDataType_t t, const void *from, int64_t i)
{
	switch (t) {
	case CUDA_R_16F: return __half2float(((const __half *)from)[i]);
	case CUDA_R_16BF: return __bfloat162float(((const __nv_bfloat16 *)from)[i]);
	case CUDA_R_8I: return ((const int8_t *)from)[i];
	case CUDA_R_32I: return ((const int32_t *)from)[i];
	default: return ((const float *)from)[i];
	}
}

void store(cudaDataType_t t, void *to, int64_t i, double v)
{
	switch (t) {
	case CUDA_R_16F: ((__half *)to)[i] = __float2half((float)v); break;
	case CUDA_R_16BF: ((__nv_bfloat16 *)to)[i] = __float2bfloat16((float)v); break;
	case CUDA_R_32I: ((int32_t *)to)[i] = (int32_t)(int64_t)v; break;
	default: ((float *)to)[i] = (float)v;
	}
}

/* What is left of a float on its way into the product. */
double rounded(cublasComputeType_t c, double v)
{
	uint32_t bits;
	float f = (float)v;
	switch (c) {
	case CUBLAS_COMPUTE_32F_FAST_16F: return __half2float(__float2half(f));
	case CUBLAS_COMPUTE_32F_FAST_16BF: return __bfloat162float(__float2bfloat16(f));
	case CUBLAS_COMPUTE_32F_FAST_TF32:
		memcpy(&bits, &f, sizeof(bits));
		bits = (bits + 0x1000u) & ~0x1fffu;
		memcpy(&f, &bits, sizeof(f));
		return f;
	default: return v;
	}
}

double epilogue(const problem &p, int64_t row, double v)
{
	uint32_t e = p.d.epilogue;
	if (e & CUBLASLT_EPILOGUE_BIAS)
		v += load(p.m[3].type, p.d.bias, row);
	if (e & CUBLASLT_EPILOGUE_RELU)
		v = v < 0 ? 0 : v;
	if (e & CUBLASLT_EPILOGUE_GELU)
		v = 0.5 * v * (1 + tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v)));
	return v;
}

struct call {
	problem p;
	float alpha, beta;
	const void *at[3];
	void *out;
};

void multiply_one(const call &c, int64_t batch)
{
	const problem &p = c.p;
	const layout &a = p.m[0], &b = p.m[1], &z = p.m[2], &d = p.m[3];
	bool ta = p.d.trans_a == CUBLAS_OP_T, tb = p.d.trans_b == CUBLAS_OP_T;
	int64_t k = (int64_t)(ta ? a.rows : a.cols);
	int64_t a_row = ta ? a.ld : 1, a_k = ta ? 1 : a.ld, b_col = tb ? 1 : b.ld, b_k = tb ? b.ld : 1;
	for (int64_t col = 0; col < (int64_t)d.cols; col++)
		for (int64_t row = 0; row < (int64_t)d.rows; row++) {
			double sum = 0;
			for (int64_t i = 0; i < k; i++)
				sum += rounded(p.d.compute, load(a.type, c.at[0], batch * a.step + row * a_row + i * a_k)) *
				       rounded(p.d.compute, load(b.type, c.at[1], batch * b.step + col * b_col + i * b_k));
			double v = (double)c.alpha * sum;
			if (c.beta != 0)
				v += (double)c.beta * load(z.type, c.at[2], batch * z.step + col * z.ld + row);
			store(d.type, c.out, batch * d.step + col * d.ld + row, epilogue(p, row, v));
		}
}

/* -- what a call brings -------------------------------------------------------------------------- */

size_t extent(const layout &l)
{
	int64_t one = l.ld * (int64_t)(l.cols - 1) + (int64_t)l.rows;
	return (size_t)((l.batch - 1) * l.step + one) * bytes_of(l.type);
}

const void *matrix_of(const call &c, int i)
{
	return i == 3 ? c.out : c.at[i];
}

/* Has that memory bytes in common with matrix i? */
bool overlaps(const void *mem, size_t bytes, const call &c, int i)
{
	const char *from = static_cast<const char *>(mem), *of = static_cast<const char *>(matrix_of(c, i));
	return from < of + extent(c.p.m[i]) && of < from + bytes;
}

cublasStatus_t check_memory(const call &c, const algo &al)
{
	static const char *const name[] = { "A", "B", "C", "D" };
	for (int i = 0; i < 4; i++) {
		const void *mem = matrix_of(c, i);
		if (i == 2 && c.beta == 0)
			continue;
		if ((uintptr_t)mem % al.align[i])
			return INVALID("%s is not aligned by the %u bytes that were promised", name[i], al.align[i]);
		if (!stand_in::is_device_memory(mem, extent(c.p.m[i])))
			return INVALID("%s: %zu bytes are not the device's memory", name[i], extent(c.p.m[i]));
		if (i < 3 && !(i == 2 && mem == c.out && c.p.m[2] == c.p.m[3]) &&
			overlaps(mem, extent(c.p.m[i]), c, 3))
			return INVALID("%s and D overlap", name[i]);
	}
	if ((c.p.d.epilogue & CUBLASLT_EPILOGUE_BIAS) &&
		!stand_in::is_device_memory(c.p.d.bias, c.p.m[3].rows * bytes_of(c.p.m[3].type)))
		return INVALID("the bias is not the device's memory");
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_workspace(const call &c, const algo &al, void *mem, size_t bytes)
{
	if (bytes < al.workspace)
		return INVALID("a workspace of %zu bytes, the algorithm wants %llu", bytes, (unsigned long long)al.workspace);
	if (!al.workspace)
		return CUBLAS_STATUS_SUCCESS;
	if ((uintptr_t)mem % WORKSPACE_ALIGN || !stand_in::is_device_memory(mem, bytes))
		return INVALID("the workspace is misaligned, or not the device's memory");
	for (int i : { 0, 1, 3 })
		if (overlaps(mem, bytes, c, i))
			return INVALID("the workspace overlaps a matrix");
	return CUBLAS_STATUS_SUCCESS;
}

int handle_of_all; /* there is nothing in a handle */

} // namespace

/* -- the library's functions ----------------------------------------------------------------------- */

cublasStatus_t cublasLtCreate(cublasLtHandle_t *ret)
{
	*ret = reinterpret_cast<cublasLtHandle_t>(&handle_of_all);
	return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion(void)
{
	return CUBLAS_VERSION;
}

const char *cublasLtGetStatusString(cublasStatus_t s)
{
	return s == CUBLAS_STATUS_SUCCESS ? "success" : s == CUBLAS_STATUS_NOT_SUPPORTED ? "not supported" : "refused";
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *ret, cublasComputeType_t compute, cudaDataType_t scale)
{
	*ret = reinterpret_cast<cublasLtMatmulDesc_t>(new desc{ .compute = compute, .scale = scale });
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d)
{
	delete reinterpret_cast<desc *>(d);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t to, cublasLtMatmulDescAttributes_t attr, const void *buf,
	size_t size)
{
	desc &d = *reinterpret_cast<desc *>(to);
	switch (attr) {
	case CUBLASLT_MATMUL_DESC_TRANSA: return set(d.trans_a, buf, size, "TRANSA");
	case CUBLASLT_MATMUL_DESC_TRANSB: return set(d.trans_b, buf, size, "TRANSB");
	case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(d.epilogue, buf, size, "EPILOGUE");
	case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(d.bias, buf, size, "BIAS_POINTER");
	default: return INVALID("attribute %d of a product is not known here", (int)attr);
	}
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *ret, cudaDataType type, uint64_t rows, uint64_t cols,
	int64_t ld)
{
	*ret = reinterpret_cast<cublasLtMatrixLayout_t>(new layout{ .type = type, .rows = rows, .cols = cols, .ld = ld });
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
	delete reinterpret_cast<layout *>(l);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t to, cublasLtMatrixLayoutAttribute_t attr, const void *buf,
	size_t size)
{
	layout &l = *reinterpret_cast<layout *>(to);
	switch (attr) {
	case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return set(l.batch, buf, size, "BATCH_COUNT");
	case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return set(l.step, buf, size, "STRIDED_BATCH_OFFSET");
	default: return INVALID("attribute %d of a matrix is not known here", (int)attr);
	}
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *ret)
{
	*ret = reinterpret_cast<cublasLtMatmulPreference_t>(new preference);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
	delete reinterpret_cast<preference *>(p);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t to, cublasLtMatmulPreferenceAttributes_t attr,
	const void *buf, size_t size)
{
	preference &p = *reinterpret_cast<preference *>(to);
	switch (attr) {
	case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return set(p.workspace, buf, size, "MAX_WORKSPACE_BYTES");
	case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return set(p.reduction, buf, size, "REDUCTION_SCHEME_MASK");
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return set(p.align[0], buf, size, "MIN_ALIGNMENT_A_BYTES");
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return set(p.align[1], buf, size, "MIN_ALIGNMENT_B_BYTES");
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return set(p.align[2], buf, size, "MIN_ALIGNMENT_C_BYTES");
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return set(p.align[3], buf, size, "MIN_ALIGNMENT_D_BYTES");
	default: return INVALID("preference %d is not known here", (int)attr);
	}
}

/* How many times this process asked for algorithms: tests that want to know look it up. */
extern "C" long stand_in_blas_questions;
long stand_in_blas_questions;

/* Three, alike but for the workspaces that they want: none, a little, all that is allowed. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a,
	cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t out, cublasLtMatmulPreference_t pref, int room,
	cublasLtMatmulHeuristicResult_t *ret, int *ret_n)
{
	const preference &want = *reinterpret_cast<preference *>(pref);
	problem p = problem_of(d, a, b, c, out);
	const uint64_t workspace[] = { 0, 1000, want.workspace };
	cublasStatus_t s = check(p);
	*ret_n = 0;
	stand_in_blas_questions++;
	if (s != CUBLAS_STATUS_SUCCESS)
		return s;
	for (uint32_t align : want.align)
		if (!align || (align & (align - 1)) || align < 4 * (p.m[0].type == CUDA_R_8I) || align < bytes_of(p.m[0].type))
			return INVALID("an alignment of %u bytes", align);
	for (uint64_t i = 0; i < 3 && *ret_n < room; i++) {
		algo al = { MAGIC, hash(p), workspace[i], {}, i };
		memcpy(al.align, want.align, sizeof(al.align));
		if (workspace[i] > want.workspace)
			continue;
		cublasLtMatmulHeuristicResult_t &r = ret[(*ret_n)++] = {};
		memcpy(&r.algo, &al, sizeof(al));
		r.workspaceSize = workspace[i];
		r.state = CUBLAS_STATUS_SUCCESS;
	}
	return CUBLAS_STATUS_SUCCESS;
}

/* Of what was kept outside: it may be anything. */
cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a,
	cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t out, const cublasLtMatmulAlgo_t *with,
	cublasLtMatmulHeuristicResult_t *ret)
{
	problem p = problem_of(d, a, b, c, out);
	algo al;
	memcpy(&al, with, sizeof(al));
	if (al.magic != MAGIC || al.problem != hash(p) || check(p) != CUBLAS_STATUS_SUCCESS)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	*ret = {};
	ret->workspaceSize = al.workspace;
	ret->state = CUBLAS_STATUS_SUCCESS;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t d, const void *alpha, const void *A,
	cublasLtMatrixLayout_t a, const void *B, cublasLtMatrixLayout_t b, const void *beta, const void *C, cublasLtMatrixLayout_t c,
	void *D, cublasLtMatrixLayout_t out, const cublasLtMatmulAlgo_t *with, void *workspace, size_t workspace_bytes,
	cudaStream_t stream)
{
	call k = { problem_of(d, a, b, c, out), 0, 0, { A, B, C }, D };
	bool whole = k.p.d.scale == CUDA_R_32I;
	k.alpha = whole ? (float)*(const int32_t *)alpha : *(const float *)alpha;
	k.beta = whole ? (float)*(const int32_t *)beta : *(const float *)beta;
	algo al;
	memcpy(&al, with, sizeof(al));
	if (al.magic != MAGIC || al.problem != hash(k.p))
		return INVALID("the algorithm was proposed for another product");
	cublasStatus_t s = check(k.p);
	if (s == CUBLAS_STATUS_SUCCESS)
		s = check_memory(k, al);
	if (s == CUBLAS_STATUS_SUCCESS)
		s = check_workspace(k, al, workspace, workspace_bytes);
	if (s != CUBLAS_STATUS_SUCCESS)
		return s;
	CUresult r = stand_in::enqueue(stream, "cublasLtMatmul", [k, al, workspace] {
		if (al.workspace)
			memset(workspace, 0xa5, al.workspace);
		for (int64_t i = 0; i < k.p.m[3].batch; i++)
			multiply_one(k, i);
	});
	return r == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
