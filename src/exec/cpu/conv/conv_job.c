/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/conv/conv_job.h"

#include <math.h>
#include "exec/infer/conv_geometry.h"

enum layout conv_layout(int64_t channels)
{
	if (cpu_features() & CPU_AVX512 && channels % 16 == 0)
		return LAYOUT_NCHW16C;
	return channels % 8 == 0 ? LAYOUT_NCHW8C : LAYOUT_PLAIN;
}

static void choose_vectors(struct conv_job *j)
{
#ifdef __x86_64__
	bool wide = cpu_features() & CPU_AVX512;
	j->vec = wide ? &conv_vec_avx512 : &conv_vec_avx2;
	j->wino = wide ? &wino_vec_avx512 : &wino_vec_avx2;
#else
	(void)j;
#endif
}

/* What clamps does so in registers, the rest in a pass over the tile. */
static void read_activation(const struct node *n, struct conv_job *j)
{
	j->act = (struct conv_act){.low = -INFINITY, .high = INFINITY};
	int64_t kind = node_int(n, "activation", ACT_NONE);
	if (kind == ACT_RELU) {
		j->act.low = 0;
	} else if (kind == ACT_CLIP) {
		j->act.low = node_float(n, "alpha", 0);
		j->act.high = node_float(n, "beta", 0);
	} else if (activation_find(n, DTYPE_F32, &j->loop)) {
		j->act.fn = j->loop.fn;
	}
}

static enum err_code read_bias(struct prep *p, struct conv_job *j, struct err *err)
{
	float *bias = prep_alloc(p, (size_t)job_floats(j) * sizeof(*bias));
	if (!bias)
		return err_oom(err);
	if (prep_has_in(p, 2))
		memcpy(bias, p->in[2].data, (size_t)j->oc * sizeof(*bias));
	j->bias = bias;
	return ERR_OK;
}

static bool operands_fit(const struct prep *p)
{
	for (int i = 0; i < p->n_in; i++)
		if (prep_has_in(p, i) && p->in[i].dtype != DTYPE_F32)
			return false;
	bool constant = p->in[1].data && (!prep_has_in(p, 2) || p->in[2].data);
	return constant && p->in[0].shape.rank >= 4 && p->in[0].layout != LAYOUT_NHWC &&
	       tensor_count(&p->in[0]) && tensor_count(&p->out[0]);
}

/* What is added decides, for the result takes its place. */
static bool leaves_bf16(const struct prep *p, const struct conv_job *j)
{
	bool wanted = j->sum ? layout_is_bf16(p->in[3].layout) : p->bf16_wanted;
	return wanted && j->vec->per_slot > 1 && j->out_layout == LAYOUT_NCHW16C;
}

static bool choose_layouts(const struct prep *p, struct conv_job *j)
{
	bool pixel = j->out[0] * j->out[1] == 1;
	j->out_layout = conv_layout(j->oc);
	j->src_slots = layout_is_bf16(p->in[0].layout);
	j->dst_slots = !pixel && leaves_bf16(p, j);
	j->out_layout = j->dst_slots ? LAYOUT_NCHW16C_BF16 : j->out_layout;
	j->block = layout_block(j->out_layout);
	j->src_run = j->in[0] * j->in[1] == 1 ? j->ic : layout_block(p->in[0].layout);
	/* One pixel is the same in all layouts, and plain suits whoever comes next. */
	j->out_layout = pixel ? LAYOUT_PLAIN : j->out_layout;
	return j->block > 1 && (!j->sum || pixel || p->in[3].layout == j->out_layout) &&
	       (!j->src_slots || j->vec->per_slot > 1);
}

enum err_code conv_job_operands(const struct prep *p, struct conv_job *ret, struct err *err)
{
	if (!operands_fit(p))
		return prep_refuse(
			err, "types, ranks or operands that our convolutions are not made for");
	*ret = (struct conv_job){ .images = p->in[0].shape.dim[0], .ic = p->in[0].shape.dim[1],
		.weights = p->in[1].data, .sum = prep_has_in(p, 3) };
	choose_vectors(ret);
	return ret->vec ? ERR_OK : prep_refuse(err, "no vectors on this processor");
}

static enum err_code choose_bf16(const struct prep *p, struct conv_job *j, struct err *err)
{
	if (p->precision != PRECISION_BF16 || !(cpu_features() & CPU_BF16))
		return prep_refuse(err, "bfloat16 is not wanted, or not there");
#ifdef __x86_64__
	j->vec = &conv_vec_avx512_bf16;
	j->wino = &wino_vec_avx512_bf16;
	if (cpu_features() & CPU_AMX)
		j->row = conv_row_amx;
#else
	(void)j;
#endif
	return ERR_OK;
}

/* A volume whose windows leave two neighbouring axes alone is an image, in memory. */
static bool is_image(bool bf16, struct conv_geometry *g)
{
	if (g->spatial == 2)
		return true;
	conv_geometry_merge(g);
	if (g->spatial == 1) { /* rows of one pixel, as it were */
		g->in[1] = g->out[1] = g->kernel[1] = g->stride[1] = g->dilation[1] = 1;
		g->pad_begin[1] = g->pad_end[1] = 0;
		g->spatial = 2;
	}
	return g->spatial == 2 && !bf16;
}

enum err_code conv_job_init(struct prep *p, bool bf16, struct conv_job *j, struct err *err)
{
	struct conv_geometry g;
	TRY(conv_job_operands(p, j, err));
	if (bf16)
		TRY(choose_bf16(p, j, err));
	TRY(conv_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err));
	if (!is_image(bf16, &g))
		return prep_refuse(err, "a volume, and no image in disguise");
	j->oc = p->in[1].shape.dim[0];
	for (int i = 0; i < 2; i++) {
		j->in[i] = g.in[i];
		j->out[i] = g.out[i];
		j->kernel[i] = g.kernel[i];
		j->stride[i] = g.stride[i];
		j->dilation[i] = g.dilation[i];
		j->pad[i] = g.pad_begin[i];
	}
	if (g.group != 1 || !choose_layouts(p, j))
		return prep_refuse(err, "groups, or channels that fill no blocks");
	j->beside = j->src_run == 1 ? j->vec->per_slot : 1;
	if (j->src_run * j->beside % j->vec->per_slot)
		return prep_refuse(err, "an odd number of channels");
	read_activation(p->node, j);
	return read_bias(p, j, err);
}

int64_t job_units(const struct prep *p, int64_t units)
{
	int64_t threads = max_i64(p->threads, 1);
	return units > 1 && units < 4 * threads ? (units + threads - 1) / threads * threads : units;
}

int64_t job_slices(const struct prep *p, const struct conv_job *j, int64_t units, double ns)
{
	if (p->threads <= 1 || ns < 2 * CUT_MIN_NS || units % p->threads == 0)
		return 1;
	return units >= 4 * p->threads ? 1 : min_i64(p->threads, job_panels(j));
}

void job_fetch_ahead(const struct conv_job *j, struct conv_tile *t, const float *next, int64_t rows,
	int64_t pixels, int64_t width)
{
	int64_t tiles = rows * ((pixels + j->vec->pixels - 1) / j->vec->pixels);
	t->ahead = next;
	t->ahead_step = max_i64(width / tiles, 1);
}

void job_tiles(const struct conv_job *j, struct conv_tile *t, int64_t pixels, int vecs)
{
	int64_t n = (pixels + j->vec->pixels - 1) / j->vec->pixels;
	int64_t each = pixels / n, wider = pixels % n;
	struct conv_tile x = *t;
	if (j->row && j->row(t, pixels, vecs)) {
		t->ahead += n * t->ahead_step * t->taps * t->run;
		return;
	}
	for (int64_t i = 0; i < n; i++) {
		int64_t width = each + (i < wider);
		j->vec->tile(&x, (int)width, vecs);
		x.src += width * t->src_pixel;
		x.dst += width * t->dst_pixel;
		if (x.sum)
			x.sum += width * t->dst_pixel;
		if (x.from)
			x.from += width * vecs * j->vec->floats;
		if (x.rest)
			x.rest += width * vecs * j->vec->floats;
		x.ahead += t->ahead_step * t->taps * t->run;
	}
	t->ahead = x.ahead;
}
