/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMul, Gemm and FusedMatMul of floats on gemm.h
 *
 * A constant B is packed once per version; another one in the scratch of whoever needs it.
 * A unit of work is a block of rows times a run of panels of one product, so that one
 * product can occupy all threads.
 */
#include "exec/cpu/matmul/gemm.h"
#include "exec/cpu/math/unary.h"

#include "base/checked.h"
#include "exec/matmul_view.h"

#define PACKED_BYTES (256 << 10) /* of B, that a cache holds until they are read */

struct matmul_state {
	struct matmul_view v;
	struct activation_loop act;
	const struct gemm *gemm;
	const float *packed; /* NULL: B comes with the run */
	int64_t batches, row_units, col_units;
	int64_t rows, panels; /* of a unit; the last ones have fewer */
	size_t scratch_b;     /* where in the scratch B is packed */
};

static void add_operand(const struct kernel_args *a, const struct matmul_state *s,
	const int64_t *index, int which, struct gemm_job *j)
{
	const struct operand *v = &s->v.add[which];
	int row = s->v.out.rank - 2;
	if (v->in < 0)
		return;
	j->add[which] = (const float *)a->in[v->in].data + operand_offset(v, index, row + 1);
	j->add_row[which] = v->lead[row];
	j->add_col[which] = v->col;
}

static void run_unit(const struct kernel_args *a, const struct matmul_state *s, int64_t unit)
{
	const struct matmul_view *v = &s->v;
	const struct gemm *g = s->gemm;
	int64_t index[RANK_MAX + 2], row_unit = unit / s->col_units % s->row_units;
	int row = v->out.rank - 2;
	int64_t m = v->out.dim[row], n = v->out.dim[row + 1],
		batch = unit / s->col_units / s->row_units;
	operand_index(&v->out, row, batch, index);
	index[row] = row_unit * s->rows;
	int64_t panel = unit % s->col_units * s->panels, col = panel * g->cols;
	struct gemm_job j = {
		.m = min_i64(s->rows, m - index[row]),
		.n = min_i64(s->panels * g->cols, n - col),
		.k = v->k,
		.a = (const float *)a->in[0].data + operand_offset(&v->a, index, row + 1),
		.a_row = v->a.lead[row],
		.a_k = v->a_k,
		.c = (float *)a->out[0].data + (batch * m + index[row]) * n + col,
		.c_row = n,
		.alpha = (float)v->alpha,
		.beta = (float)v->beta,
		.act = s->act.fn,
		.act_param = s->act.param,
		.scratch = a->scratch,
	};
	for (int i = 0; i < 2; i++) {
		add_operand(a, s, index, i, &j);
		if (j.add[i])
			j.add[i] += col * j.add_col[i];
	}
	if (s->packed) {
		j.b = s->packed + panel * gemm_panel_floats(g, v->k);
	} else {
		float *to = (float *)((char *)a->scratch + s->scratch_b);
		const float *b = (const float *)a->in[1].data + operand_offset(&v->b, index, row);
		g->pack(to, b + col * v->b.col, v->b_k, v->b.col, v->k, j.n);
		j.b = to;
	}
	g->run(&j);
}

static void run_matmul(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct matmul_state *s = a->state;
	for (int64_t unit = begin; unit < end; unit++)
		run_unit(a, s, unit);
}

/* -- prepare ---------------------------------------------------------------------------------- */

static enum err_code pack_constant(struct prep *p, struct matmul_state *s, struct err *err)
{
	const struct matmul_view *v = &s->v;
	bool shared = true; /* one B for all products */
	for (int i = 0; i < v->out.rank - 2; i++)
		shared &= v->b.lead[i] == 0 || v->out.dim[i] == 1;
	if (!p->in[1].data || !shared)
		return ERR_OK;
	const struct gemm_source b = { p->in[1].data, v->b_k, v->b.col, v->k,
		v->out.dim[v->out.rank - 1] };
	return gemm_pack_constant(p, s->gemm, &b, &s->packed, err);
}

/* Of which every thread gets as many as the others. */
static int64_t count_units(const struct prep *p, double ns, int64_t have)
{
	if (p->threads <= 1 || ns < 2 * CUT_MIN_NS || have >= 4 * p->threads)
		return have;
	int64_t want = min_i64(p->threads, (int64_t)(ns / CUT_MIN_NS));
	return (have + want - 1) / want * want;
}

/* Blocks of rows as the product takes them, or fewer rows, or runs of panels, until every
   thread has something to do. A unit of rows reads all of B, one of panels packs all of A. */
static void cut_units(const struct prep *p, struct matmul_state *s, struct kernel *ret)
{
	const struct matmul_view *v = &s->v;
	int64_t m = v->out.dim[v->out.rank - 2], n = v->out.dim[v->out.rank - 1];
	int64_t panels = gemm_panels(s->gemm, n);
	s->batches = shape_count_range(&v->out, 0, v->out.rank - 2);
	double ns = (double)(s->batches * m) * (double)n * (double)v->k * 2 / s->gemm->flops_per_ns;
	int64_t block = (int64_t)s->gemm->rows * GEMM_TILES, batches = max_i64(s->batches, 1);
	s->row_units = max_i64((m + block - 1) / block, 1);
	int64_t units = count_units(p, ns, batches * s->row_units);
	if (m > n)
		s->row_units = max_i64(
			s->row_units, min_i64((units + batches - 1) / batches, m / s->gemm->rows));
	s->rows = max_i64((m + s->row_units - 1) / s->row_units, 1);
	s->row_units = max_i64((m + s->rows - 1) / s->rows, 1);
	int64_t have = batches * s->row_units;
	s->col_units = max_i64(min_i64((units + have - 1) / have, panels), 1);
	s->panels = (panels + s->col_units - 1) / s->col_units;
	/* B that few rows meet costs most where it is packed: it should not go to
	   memory and back. */
	int64_t panel_bytes = gemm_panel_floats(s->gemm, v->k) * (int64_t)sizeof(float);
	if (!s->packed && m <= 4 * s->gemm->rows)
		s->panels = min_i64(s->panels, max_i64(PACKED_BYTES / max_i64(panel_bytes, 1), 1));
	s->col_units = s->panels ? (panels + s->panels - 1) / s->panels : 1;
	ret->units = s->batches * s->row_units * s->col_units;
	if (tensor_count(&p->out[0]) == 0)
		ret->units = 0;
	ret->unit_cost_ns = (int64_t)(ns / (double)max_i64(ret->units, 1)) + 1;
}

enum err_code prepare_matmul_packed(struct prep *p, struct kernel *ret, struct err *err)
{
	for (int i = 0; i < p->n_in; i++)
		if (prep_has_in(p, i) && p->in[i].dtype != DTYPE_F32)
			return prep_refuse(err, "not all operands are float32");
	struct matmul_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	enum err_code rc = matmul_view(p, &s->v, err);
	if (rc != ERR_OK)
		return rc;
	matmul_view_merge(&s->v);
	activation_find(p->node, DTYPE_F32, &s->act);
	s->gemm = gemm_for(p->precision);
	rc = pack_constant(p, s, err);
	if (rc != ERR_OK)
		return rc;
	cut_units(p, s, ret);
	s->scratch_b = round_up(gemm_scratch_bytes(s->gemm, s->rows, s->v.k), ARENA_ALIGN_TENSOR);
	ret->scratch_bytes = s->scratch_b;
	if (!s->packed)
		ret->scratch_bytes += (size_t)(s->panels * gemm_panel_floats(s->gemm, s->v.k)) *
				      sizeof(float);
	/* One B for all products is packed the same way whatever there is to multiply. */
	ret->packed_always = s->packed && p->in[1].shape.rank <= 2;
	ret->packed = ret->unread = s->packed ? 1u << 1 : 0;
	ret->run = run_matmul;
	return ERR_OK;
}
