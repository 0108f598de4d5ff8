/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/matmul/fused_product.h"

#include "exec/gpu/lib/dnn_answers.h"
#include "exec/gpu/matmul/product.h"

#define WORKSPACE_BYTES_MAX ((size_t)64 << 20)
#define PLANS_MAX 2 /* each is compiled, which takes about a second */

enum operand { A = 1, B, BIAS, Y };

struct fused_state {
	struct dnn_plan *plan;
	const void *bias; /* on the device; NULL: none */
};

static void run_fused(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct fused_state *s = a->state;
	struct dnn_binding b = { 3 + (s->bias != NULL), { A, B, Y, BIAS },
		{ a->in[0].data, a->in[1].data, a->out[0].data, (void *)s->bias },
		product_workspace(a) };
	dnn_run(s->plan, a, gpu_lane_dnn(a->device->lane), &b);
}

/* A matrix, as one of a batch of one. */
static struct dnn_shape matrix(
	enum dtype dtype, int64_t rows, int64_t cols, int64_t row, int64_t col)
{
	int64_t all = col == 1 ? rows * row : cols * col;
	return (struct dnn_shape){ dtype, 3, { 1, rows, cols }, { all, row, col } };
}

static void describe(struct dnn_graph *g, const void *spec)
{
	const struct fused_product_spec *s = spec;
	static const struct dnn_function add = { .mode = CUDNN_POINTWISE_ADD };
	struct dnn_function act;
	enum dtype dtype = (enum dtype)s->dtype;
	struct dnn_shape a = matrix(dtype, s->m, s->k, s->a_row, 1),
			 b = matrix(dtype, s->k, s->n, s->b_row, s->b_col),
			 y = matrix(dtype, s->m, s->n, s->n, 1),
			 sums = matrix(DTYPE_F32, s->m, s->n, s->n, 1),
			 bias = matrix(dtype, 1, s->n, s->n, 1);
	dnn_tensor x = dnn_virtual(g, &sums);
	dnn_multiply(g, dnn_bound(g, A, &a), dnn_bound(g, B, &b), x);
	if (s->bias) {
		dnn_tensor sum = dnn_virtual(g, &sums);
		dnn_apply(g, &add, x, dnn_bound(g, BIAS, &bias), sum);
		x = sum;
	}
	/* Asked by prepare. */
	(void)dnn_activation((enum activation)s->act, s->alpha, s->beta, &act);
	dnn_apply(g, &act, x, NULL, dnn_bound(g, Y, &y));
}

enum err_code fused_product_prepare(struct prep *p, const struct fused_product_spec *s,
	const void *bias, struct kernel *ret, struct err *err)
{
	const struct dnn_question q = { .key = s, .key_bytes = sizeof(*s), .describe = describe,
		.most = PLANS_MAX,
		.limits = { WORKSPACE_BYTES_MAX,
			1U << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC |
				1U << CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION } };
	struct dnn_function act;
	struct fused_state *st = gpu_state(p, ret, sizeof(*st));
	if (!st)
		return err_oom(err);
	if (!dnn_activation((enum activation)s->act, s->alpha, s->beta, &act))
		return prep_refuse(err, "cuDNN has no such activation");
	TRY(dnn_plan_for(p, &q, &st->plan, err));
	st->bias = bias;
	ret->scratch_bytes = dnn_workspace_bytes(st->plan) + PRODUCT_WORKSPACE_ALIGN;
	ret->run = run_fused;
	return ERR_OK;
}
