/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_nbits.c -- MatMulNBits
 *
 * Few rows (a model that writes word by word has one per sequence) are bound by reading the
 * weights, which a kernel of ours reads as they are. For more rows they become floats of the
 * operands' type in the scratch, and the product is cuBLASLt's.
 */
#include <stdio.h>
#include "base/checked.h"
#include "exec/gpu/math/finish.h"
#include "exec/gpu/matmul/product.h"
#include "exec/gpu/walk.h"
#include "exec/infer/nbits_geometry.h"

#define BLOCK 256
#define DOT_THREADS 128 /* a column for each warp of them */

enum nbits_input { NBITS_X, NBITS_NUMBERS, NBITS_SCALES, NBITS_ZEROS, NBITS_BLOCKS, NBITS_BIAS };

struct nbits_state {
	struct gpu_launch launch;
	struct gpu_nbits n;
	struct product product;
	struct finish finish;
	size_t workspace_at;
};

static void *data_of(const struct kernel_args *a, int i)
{
	return i < a->n_in ? a->in[i].data : NULL;
}

static struct gpu_nbits_at place(const struct kernel_args *a)
{
	return (struct gpu_nbits_at){ .numbers = a->in[NBITS_NUMBERS].data,
		.scales = a->in[NBITS_SCALES].data,
		.zeros = data_of(a, NBITS_ZEROS), .block_of = data_of(a, NBITS_BLOCKS),
		.bias = data_of(a, NBITS_BIAS) };
}

static void run_dot(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct nbits_state *s = a->state;
	struct gpu_nbits_at at = place(a);
	struct gpu_complaint f = gpu_complaint(a, FAULT_INDEX);
	void *params[] = { (void *)&s->n, &at, (void *)&a->out[0].data,
		(void *)&a->in[NBITS_X].data, &f };
	gpu_launch(a, &s->launch, params);
}

static void run_product(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct nbits_state *s = a->state;
	struct gpu_nbits_at at = place(a);
	struct gpu_complaint f = gpu_complaint(a, FAULT_INDEX);
	char *weights = product_workspace(a);
	void *params[] = { (void *)&s->n, &at, &weights, &f };
	gpu_launch(a, &s->launch, params);
	struct product_at p = { a->in[NBITS_X].data, weights, NULL, a->out[0].data,
		weights + s->workspace_at };
	product_run(&s->product, a, &p);
	finish_run(&s->finish, a);
}

/* -- prepare ----------------------------------------------------------------------------------- */

static enum err_code read_geometry(
	const struct prep *p, int64_t rows, struct gpu_nbits *ret, struct err *err)
{
	struct nbits_geometry g;
	TRY(nbits_geometry(p->node, &g, err));
	int64_t words = g.blocks * g.blob / (int64_t)sizeof(uint32_t);
	bool bits = gpu_has_in(p, NBITS_ZEROS) && p->in[NBITS_ZEROS].dtype == DTYPE_U8;
	if (rows > INT32_MAX || g.n > INT32_MAX || words > INT32_MAX / (32 / g.bits) ||
		g.blob % (int64_t)sizeof(uint32_t) || p->in[NBITS_SCALES].dtype != p->in[0].dtype ||
		(gpu_has_in(p, NBITS_ZEROS) && !bits && p->in[NBITS_ZEROS].dtype != p->in[0].dtype))
		return prep_refuse(
			err, "so many numbers, blocks so small, or operands of several types");
	*ret = (struct gpu_nbits){ .rows = (uint32_t)rows, .n = (uint32_t)g.n, .k = (uint32_t)g.k,
		.words = (uint32_t)words, .per = (uint32_t)(32 / g.bits),
		.blocks = (uint32_t)g.blocks, .block = gpu_div(g.block), .bits = g.bits,
		.zero_bytes = bits ? (int32_t)g.zero_bytes : 0 };
	return ERR_OK;
}

static enum err_code prepare_dot(struct prep *p, struct nbits_state *s, struct err *err)
{
	char name[24];
	snprintf(name, sizeof(name), "nbits_dot_%s", gpu_type_name(p->in[0].dtype));
	int64_t columns = s->n.rows ? s->n.n : 0;
	return gpu_launch_over(p, name, columns * (DOT_THREADS / 4), DOT_THREADS, &s->launch, err);
}

static enum err_code prepare_product(
	struct prep *p, struct nbits_state *s, struct kernel *ret, struct err *err)
{
	int64_t m = s->n.rows, n = s->n.n, k = s->n.k;
	struct product_matrix out = { .ld = n, .align = PRODUCT_ALIGN_MAX };
	struct product_spec spec = { .m = m, .n = n, .k = k, .batch = 1, .dtype = p->in[0].dtype,
		.alpha = 1, .matrix = { { .ld = k, .align = PRODUCT_ALIGN_MAX },
			{ .ld = k, .align = PRODUCT_ALIGN_MAX, .transposed = true }, out, out } };
	size_t weights, workspace = 0;
	char name[24];
	if (mul_overflows((size_t)n, (size_t)k * dtype_bytes(p->in[0].dtype), &weights))
		return prep_refuse(err, "so many weights");
	snprintf(name, sizeof(name), "nbits_unpack_%s", gpu_type_name(p->in[0].dtype));
	TRY(gpu_launch_over(p, name, n * s->n.words, BLOCK, &s->launch, err));
	TRY(product_prepare(p, &spec, &s->product, &workspace, err));
	finish_init(&s->finish, p);
	if (gpu_has_in(p, NBITS_BIAS)) {
		s->finish.add[0] = NBITS_BIAS;
		s->finish.f.rank = 2;
		s->finish.f.dim[0] = m;
		s->finish.f.dim[1] = n;
		s->finish.f.scale[0] = s->finish.f.stride[0][1] = 1;
	}
	s->workspace_at = round_up(weights, PRODUCT_WORKSPACE_ALIGN);
	ret->scratch_bytes = s->workspace_at + workspace + PRODUCT_WORKSPACE_ALIGN;
	return finish_prepare(&s->finish, p, err);
}

enum err_code gpu_prepare_matmul_nbits(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape;
	struct nbits_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(read_geometry(p, shape_count_range(x, 0, x->rank - 1), &s->n, err));
	bool few = s->n.rows <= GPU_NBITS_ROWS;
	ret->run = few ? run_dot : run_product;
	return few ? prepare_dot(p, s, err) : prepare_product(p, s, ret, err);
}
