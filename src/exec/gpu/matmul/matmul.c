/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul.c -- MatMul, Gemm and FusedMatMul by cuBLASLt
 *
 * Batch dimensions that all operands walk evenly become rows, or one dimension of the
 * library's batch; what cannot is a loop over calls. A bias per column and ReLU or tanh's
 * GELU are the library's epilogue, one addend of the result's shape its C; whatever else
 * the node adds or applies is a kernel of ours behind it (finish.h). Where that is Gelu or Swish
 * alone, on halves, cuDNN's kernel of all together is a rival (fused_product.h). Gelu's form of
 * tanh stands for its form of erf nowhere: near -2 it is 1.5 % off, which is more than halves are
 * rounded by.
 */
#include "exec/gpu/math/finish.h"
#include "exec/gpu/matmul/fused_product.h"
#include "exec/gpu/matmul/product.h"
#include "exec/gpu/rivals.h"
#include "exec/matmul_view.h"
#include "exec/unary.h"

/* More calls than this are not worth enqueuing: the host does such a node. */
#define CALLS_MAX 256
#define WHOLE 8 /* halves that cuDNN reads at a time */

struct matmul_state {
	struct product product;
	struct finish finish;
	struct matmul_view v; /* its batch dimensions but for the last one are looped over */
	int64_t calls, d_step; /* elements of the result per call */
	size_t size;           /* bytes of an element */
	int c;                 /* the input that is C; -1: none */
};

/* -- run --------------------------------------------------------------------------------------- */

static const void *operand_at(const struct kernel_args *a, const struct matmul_state *s,
	const struct operand *v, int in, const int64_t *index, int loops)
{
	return (const char *)a->in[in].data + (size_t)operand_offset(v, index, loops) * s->size;
}

static void run_matmul(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct matmul_state *s = a->state;
	int loops = s->v.out.rank > 3 ? s->v.out.rank - 3 : 0;
	int64_t index[RANK_MAX] = { 0 };
	struct product_at at = { .workspace = product_workspace(a) };
	for (int64_t call = 0; call < s->calls; call++) {
		int64_t rest = call;
		for (int d = loops - 1; d >= 0; d--) {
			index[d] = rest % s->v.out.dim[d];
			rest /= s->v.out.dim[d];
		}
		at.a = operand_at(a, s, &s->v.a, 0, index, loops);
		at.b = operand_at(a, s, &s->v.b, 1, index, loops);
		if (s->c >= 0)
			at.c = operand_at(a, s, &s->v.add[s->c - 2], s->c, index, loops);
		at.d = (char *)a->out[0].data + (size_t)(call * s->d_step) * s->size;
		product_run(&s->product, a, &at);
	}
	finish_run(&s->finish, a);
}

/* -- the shape of it --------------------------------------------------------------------------- */

/* Does the operand go on evenly from batch dimension d into d + 1? */
static bool is_even(const struct operand *v, const struct shape *out, int d)
{
	return v->in < 0 || v->lead[d] == v->lead[d + 1] * out->dim[d + 1];
}

static void drop_dimension(struct matmul_view *v, int d)
{
	struct operand *all[] = { &v->a, &v->b, &v->add[0], &v->add[1] };
	for (int i = d; i < v->out.rank - 1; i++) {
		v->out.dim[i] = v->out.dim[i + 1];
		for (int k = 0; k < 4; k++)
			all[k]->lead[i] = all[k]->lead[i + 1];
	}
	v->out.rank--;
}

/* Batch dimensions of one, and neighbours that are one dimension for everybody. */
static void merge_batches(struct matmul_view *v)
{
	for (int d = v->out.rank - 3; d >= 0; d--) {
		bool last = d == v->out.rank - 3;
		if (v->out.dim[d] == 1) {
			drop_dimension(v, d);
		} else if (!last && is_even(&v->a, &v->out, d) && is_even(&v->b, &v->out, d) &&
			   is_even(&v->add[0], &v->out, d) && is_even(&v->add[1], &v->out, d)) {
			v->out.dim[d + 1] *= v->out.dim[d];
			drop_dimension(v, d);
		}
	}
}

/* The largest power of two that divides all addresses base + any sum of the strides. */
static uint32_t alignment(const struct operand *v, int loops, int64_t step, size_t size)
{
	uint64_t bits = (uint64_t)step * size | PRODUCT_ALIGN_MAX;
	for (int d = 0; d < loops; d++)
		bits |= (uint64_t)v->lead[d] * size;
	return (uint32_t)(bits & -bits);
}

/* Rows by `row`, columns by `col` elements, one of the two being 1. */
static struct product_matrix matrix(const struct operand *v, const struct matmul_state *s,
	int64_t row, int64_t col, int64_t cols, int64_t rows)
{
	int batch = s->v.out.rank - 3, loops = batch > 0 ? batch : 0;
	struct product_matrix m = { .step = batch >= 0 ? v->lead[batch] : 0,
		.transposed = col != 1 };
	m.ld = m.transposed ? col : row;
	int64_t least = m.transposed ? rows : cols;
	m.ld = m.ld < least ? least : m.ld; /* of a single row any will do */
	m.align = alignment(v, loops, m.step, s->size);
	return m;
}

static void set_product(struct matmul_state *s, struct product_spec *ret)
{
	const struct matmul_view *v = &s->v;
	int row = v->out.rank - 2;
	int64_t m = v->out.dim[row], n = v->out.dim[row + 1];
	ret->m = m;
	ret->n = n;
	ret->k = v->k;
	ret->batch = row > 0 ? v->out.dim[row - 1] : 1;
	ret->alpha = (float)v->alpha;
	ret->matrix[PRODUCT_A] = matrix(&v->a, s, v->a.lead[row], v->a_k, v->k, m);
	ret->matrix[PRODUCT_B] = matrix(&v->b, s, v->b_k, v->b.col, n, v->k);
	s->d_step = ret->batch * m * n;
	s->calls = shape_count(&v->out) / s->d_step;
	struct operand d = { .lead = { s->calls > 1 ? s->d_step : 0 } };
	ret->matrix[PRODUCT_D] = (struct product_matrix){ n, row > 0 ? m * n : 0,
		alignment(&d, 1, row > 0 ? m * n : 0, s->size), false };
	ret->matrix[PRODUCT_C] = ret->matrix[PRODUCT_D];
}

/* -- what is added and applied ----------------------------------------------------------------- */

/* One number per column, known now. */
static bool is_bias(const struct prep *p, const struct matmul_view *v, int i)
{
	const struct operand *o = &v->add[i];
	int64_t rows = v->out.rank - 1, n = v->out.dim[v->out.rank - 1];
	if (o->in < 0 || !p->in[o->in].data || (i == 0 && v->beta != 1) || (o->col != 1 && n > 1))
		return false;
	for (int d = 0; d < rows; d++)
		if (o->lead[d] != 0 && v->out.dim[d] != 1)
			return false;
	return true;
}

/* A matrix for every product of a call. */
static bool is_matrix(const struct matmul_view *v, int i)
{
	const struct operand *o = &v->add[i];
	int row = v->out.rank - 2;
	return (o->col == 1 || v->out.dim[row + 1] == 1) &&
		(o->lead[row] != 0 || v->out.dim[row] == 1) && (row == 0 || o->lead[row - 1] != 0);
}

static void leave_addend(struct matmul_state *s, int i)
{
	const struct operand *o = &s->v.add[i];
	struct gpu_finish *f = &s->finish.f;
	int cols = s->v.out.rank - 1;
	s->finish.add[i] = o->in;
	f->scale[i] = i == 0 ? (float)s->v.beta : 1;
	f->rank = s->v.out.rank;
	for (int d = 0; d < f->rank; d++) {
		f->dim[d] = s->v.out.dim[d];
		f->stride[i][d] = d == cols ? o->col : o->lead[d];
	}
}

static void set_c(struct matmul_state *s, struct product_spec *spec, int i)
{
	const struct operand *o = &s->v.add[i];
	int row = s->v.out.rank - 2;
	s->c = o->in;
	spec->beta = i == 0 ? (float)s->v.beta : 1;
	spec->matrix[PRODUCT_C] = matrix(o, s, o->lead[row], 1, spec->n, spec->m);
}

/* The addend in the library's hands where they fit, one as the bias, one as C. */
static enum err_code place_addends(struct prep *p, struct matmul_state *s,
	struct product_spec *spec, struct kernel *ret, struct err *err)
{
	void *bias;
	for (int i = 0; i < 2; i++) {
		if (s->v.add[i].in < 0)
			continue;
		if (!spec->bias && is_bias(p, &s->v, i)) {
			TRY(gpu_constant(p, s->v.add[i].in, &bias, err));
			spec->bias = bias;
			spec->epilogue |= CUBLASLT_EPILOGUE_BIAS;
			ret->unread |= 1U << s->v.add[i].in;
		} else if (s->c < 0 && is_matrix(&s->v, i)) {
			set_c(s, spec, i);
		} else {
			leave_addend(s, i);
		}
	}
	return ERR_OK;
}

/* The library's, if nothing of ours comes before it. */
static void place_activation(struct matmul_state *s, struct product_spec *spec)
{
	struct gpu_call *call = &s->finish.f.call;
	uint32_t act = call->fn == UNARY_RELU ? CUBLASLT_EPILOGUE_RELU
		       : call->fn == UNARY_GELU_TANH ? CUBLASLT_EPILOGUE_GELU : 0;
	if (!act || s->finish.add[0] >= 0 || s->finish.add[1] >= 0)
		return;
	spec->epilogue |= act;
	call->fn = GPU_NO_CALL;
}

/* -- rivals ------------------------------------------------------------------------------------ */

/* One product of halves, all of which fits cuDNN's, and whose activation is a kernel of its own
   yet. */
static bool may_fuse(
	const struct prep *p, const struct matmul_state *s, const struct product_spec *spec)
{
	int64_t act = node_int(p->node, "activation", ACT_NONE);
	bool left =
		s->finish.f.call.fn != GPU_NO_CALL && s->finish.add[0] < 0 && s->finish.add[1] < 0;
	return (act == ACT_GELU || act == ACT_SWISH) && left && s->c < 0 && s->calls == 1 &&
	       spec->batch == 1 && p->in[0].dtype != DTYPE_F32 && s->v.alpha == 1 &&
	       s->v.a_k == 1 && spec->n % WHOLE == 0 && spec->k % WHOLE == 0 &&
	       spec->matrix[PRODUCT_A].ld % WHOLE == 0;
}

/* ret is cuBLASLt's and a kernel of ours behind it, unless cuDNN's is or was measured
   to be faster. */
static enum err_code try_fused(struct prep *p, const struct matmul_state *s,
	const struct product_spec *spec, struct kernel *ret, struct err *err)
{
	static const char *const name[] = { "two", "fused" };
	int row = s->v.out.rank - 2;
	struct fused_product_spec key = { .m = spec->m, .n = spec->n, .k = spec->k,
		.a_row = s->v.a.lead[row], .b_row = s->v.b_k, .b_col = s->v.b.col,
		.dtype = (int32_t)p->in[0].dtype,
		.act = (int32_t)node_int(p->node, "activation", ACT_NONE),
		.bias = spec->bias != NULL, .alpha = s->finish.f.call.alpha,
		.beta = s->finish.f.call.beta };
	struct rivals r = { name, 2, &key, sizeof(key) };
	struct kernel fused = { .name = ret->name, .units = 1, .unread = ret->unread };
	const struct kernel *const both[] = { ret, &fused };
	struct fused_product_spec own = key;
	own.backend = p->backend;
	int best = rivals_known(p, &r);
	if (best == 0 || (best < 0 && !rivals_may_be_timed(p)))
		return ERR_OK;
	enum err_code rc = fused_product_prepare(p, &own, spec->bias, &fused, err);
	if (rc != ERR_OK)
		return rc == ERR_UNIMPLEMENTED ? ERR_OK : rc;
	best = best < 0 ? rivals_time(p, &r, both) : best;
	if (best == 1)
		*ret = fused;
	return ERR_OK;
}

/* -- prepare ----------------------------------------------------------------------------------- */

/* With the library's epilogue, or with everything in a kernel of ours. */
static enum err_code prepare_way(struct prep *p, struct matmul_state *s, bool epilogue,
	struct kernel *ret, struct err *err)
{
	struct product_spec spec = { .dtype = p->in[0].dtype };
	finish_init(&s->finish, p);
	s->c = -1;
	ret->unread = 0;
	ret->scratch_bytes = 0;
	set_product(s, &spec);
	if (s->calls > CALLS_MAX || s->v.out.rank > GPU_RANK_MAX)
		return prep_refuse(err, "the batch dimensions are too many");
	if (epilogue) {
		TRY(place_addends(p, s, &spec, ret, err));
		place_activation(s, &spec);
	} else {
		for (int i = 0; i < 2; i++)
			if (s->v.add[i].in >= 0)
				leave_addend(s, i);
	}
	ret->inplace = s->c >= 0 && spec.matrix[PRODUCT_C].step == spec.matrix[PRODUCT_D].step;
	ret->inplace_in = s->c;
	TRY(finish_prepare(&s->finish, p, err));
	TRY(product_prepare(p, &spec, &s->product, &ret->scratch_bytes, err));
	return may_fuse(p, s, &spec) ? try_fused(p, s, &spec, ret, err) : ERR_OK;
}

enum err_code gpu_prepare_matmul(struct prep *p, struct kernel *ret, struct err *err)
{
	for (int i = 0; i < p->n_in; i++)
		if (gpu_has_in(p, i) && p->in[i].dtype != p->in[0].dtype)
			return prep_refuse(err, "the operands are of several types");
	struct matmul_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->size = dtype_bytes(p->in[0].dtype);
	TRY(matmul_view(p, &s->v, err));
	if (tensor_count(&p->out[0]) == 0 || s->v.k == 0)
		return prep_refuse(err, "there is nothing to multiply");
	matmul_view_merge(&s->v);
	merge_batches(&s->v);
	ret->run = run_matmul;
	enum err_code rc = prepare_way(p, s, true, ret, err);
	return rc == ERR_UNIMPLEMENTED ? prepare_way(p, s, false, ret, err) : rc;
}
