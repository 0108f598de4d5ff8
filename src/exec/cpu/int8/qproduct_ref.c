/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizedConv, QuantizedMatMul and their sums alone, IntegerConv and IntegerMatMul, reference:
 * number by number; and what both forms share
 */
#include "exec/cpu/int8/qproduct.h"

#include <math.h>
#include "exec/cpu/conv/window.h"

const struct qproduct *qproduct_best(void)
{
#ifdef __x86_64__
	if (cpu_features() & CPU_AMX)
		return &qproduct_avx512_amx;
	if (cpu_features() & CPU_VNNI)
		return &qproduct_avx512_vnni;
	if (cpu_features() & CPU_AVX512)
		return &qproduct_avx512;
	if (cpu_features() & CPU_AVX2)
		return &qproduct_avx2;
#endif
	return &qproduct_base;
}

static uint8_t flip_of(const struct tensor *t)
{
	return t && t->dtype == DTYPE_I8 ? 0x80 : 0;
}

void requant_init(struct requant *r, const struct node *n, const struct tensor *x,
	const struct tensor *y, const struct tensor *z)
{
	bool is_signed = y->dtype == DTYPE_I8;
	int64_t zero = node_int(n, "y_zero", 0);
	*r = (struct requant){
		.mid_low = (float)node_int(n, "mid_low", 0),
		.mid_high = (float)node_int(n, "mid_high", 0),
		.mid_factor = node_float(n, "mid_factor", 0),
		.z_factor = node_float(n, "z_factor", 1),
		.low = (float)(node_int(n, "low", is_signed ? INT8_MIN : 0) - zero),
		.high = (float)(node_int(n, "high", is_signed ? INT8_MAX : UINT8_MAX) - zero),
		.y_zero = (int32_t)zero,
		.x_flip = flip_of(x),
		.z_flip = flip_of(z),
	};
	r->x_zero = (int32_t)node_int(n, "x_zero", 0) + r->x_flip;
	r->z_zero = (int32_t)node_int(n, "z_zero", 0) + r->z_flip;
}

int32_t requant_one(const struct requant *r, int32_t sum, float factor, const uint8_t *z)
{
	float v = (float)sum * factor;
	if (z && r->mid_factor != 0)
		v = rintf(fminf(fmaxf(v, r->mid_low), r->mid_high)) * r->mid_factor;
	if (z)
		v += (float)((*z ^ r->z_flip) - r->z_zero) * r->z_factor;
	return (int32_t)rintf(fminf(fmaxf(v, r->low), r->high)) + r->y_zero;
}

struct qref_state {
	struct split split;
	struct window w; /* convolutions: items are rows */
	struct requant requant;
	int64_t k, n; /* products: items are rows of A */
	bool trans;
};

static int32_t bias_at(const struct kernel_args *a, int64_t m)
{
	return args_has_in(a, 3) ? ((const int32_t *)a->in[3].data)[m] : 0;
}

static void store(const struct kernel_args *a, const struct requant *r, int64_t at, int64_t m,
	uint32_t sum)
{
	const uint8_t *z = args_has_in(a, 4) ? (const uint8_t *)a->in[4].data + at : NULL;
	((uint8_t *)a->out[0].data)[at] =
		(uint8_t)requant_one(r, (int32_t)sum, ((const float *)a->in[2].data)[m], z);
}

/* Bytes as they are given: type and zero point. */
struct scheme {
	bool is_signed;
	int32_t zero;
};

static int32_t centred(const void *bytes, int64_t i, struct scheme q)
{
	int32_t v = q.is_signed ? ((const int8_t *)bytes)[i] : ((const uint8_t *)bytes)[i];
	return v - q.zero;
}

/* Input i of an operator whose zero points are inputs, `channel` of a list. */
static struct scheme scheme_of(const struct kernel_args *a, int i, int zero, int64_t channel)
{
	struct scheme q = { .is_signed = a->in[i].dtype == DTYPE_I8 };
	const struct tensor *t = &a->in[zero];
	if (args_has_in(a, zero))
		q.zero = (int32_t)tensor_int(t, tensor_count(t) == 1 ? 0 : channel);
	return q;
}

/* What the window's taps of one channel add; outside is the zero point, which adds nothing. */
static uint32_t window_sum(const struct qref_state *s, const uint8_t *x, struct scheme xq,
	const uint8_t *wt, struct scheme wq, struct window_row r, int64_t o)
{
	const int64_t *in = s->w.g.in, *k = s->w.g.kernel;
	uint32_t sum = 0;
	for (int64_t tap = 0; tap < window_taps(&s->w); tap++) {
		int64_t kw = tap % k[AXIS_W], kh = tap / k[AXIS_W] % k[AXIS_H];
		int64_t d = window_at(&s->w, AXIS_D, r.d, tap / k[AXIS_W] / k[AXIS_H]);
		int64_t h = window_at(&s->w, AXIS_H, r.h, kh), w = window_at(&s->w, AXIS_W, o, kw);
		if (d < 0 || d >= in[AXIS_D] || h < 0 || h >= in[AXIS_H] || w < 0 ||
			w >= in[AXIS_W])
			continue;
		int64_t at = (d * in[AXIS_H] + h) * in[AXIS_W] + w;
		sum += (uint32_t)(centred(x, at, xq) * centred(wt, tap, wq));
	}
	return sum;
}

/* Of pixel o of a row, over all channels. */
static uint32_t conv_sum(const struct kernel_args *a, struct scheme xq, struct scheme wq,
	struct window_row r, int64_t o)
{
	const struct qref_state *s = a->state;
	const struct window *w = &s->w;
	int64_t per_in = w->c_in / w->g.group, per_out = w->c_out / w->g.group;
	int64_t image = window_image(w), taps = window_taps(w);
	const uint8_t *x =
		(const uint8_t *)a->in[0].data + (r.n * w->c_in + r.c / per_out * per_in) * image;
	const uint8_t *wt = (const uint8_t *)a->in[1].data + r.c * per_in * taps;
	uint32_t sum = 0;
	for (int64_t c = 0; c < per_in; c++)
		sum += window_sum(s, x + c * image, xq, wt + c * taps, wq, r, o);
	return sum;
}

static void run_conv(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct qref_state *s = a->state;
	int64_t from, to, width = s->w.g.out[AXIS_W];
	bool is_signed = a->in[0].dtype == DTYPE_I8;
	struct scheme xq = { is_signed, s->requant.x_zero - s->requant.x_flip };
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		struct window_row r = window_row(&s->w, item);
		struct scheme wq = scheme_of(a, 1, 5, r.c);
		for (int64_t o = 0; o < width; o++)
			store(a, &s->requant, item * width + o, r.c,
				(uint32_t)bias_at(a, r.c) + conv_sum(a, xq, wq, r, o));
	}
}

static void run_integer_conv(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct qref_state *s = a->state;
	int64_t from, to, width = s->w.g.out[AXIS_W];
	struct scheme xq = scheme_of(a, 0, 2, 0);
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		struct window_row r = window_row(&s->w, item);
		struct scheme wq = scheme_of(a, 1, 3, r.c);
		for (int64_t o = 0; o < width; o++)
			((int32_t *)a->out[0].data)[item * width + o] =
				(int32_t)conv_sum(a, xq, wq, r, o);
	}
}

static void run_integer_matmul(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct qref_state *s = a->state;
	int64_t from, to;
	struct scheme xq = scheme_of(a, 0, 2, 0);
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++)
		for (int64_t j = 0; j < s->n; j++) {
			struct scheme wq = scheme_of(a, 1, 3, j);
			uint32_t sum = 0;
			for (int64_t k = 0; k < s->k; k++)
				sum += (uint32_t)(centred(a->in[0].data, i * s->k + k, xq) *
						  centred(a->in[1].data, k * s->n + j, wq));
			((int32_t *)a->out[0].data)[i * s->n + j] = (int32_t)sum;
		}
}

static void run_matmul(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct qref_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t item = from; item < to; item++) {
		const uint8_t *x = (const uint8_t *)a->in[0].data + item * s->k;
		for (int64_t n = 0; n < s->n; n++) {
			struct scheme wq = scheme_of(a, 1, 5, n);
			uint32_t sum = (uint32_t)bias_at(a, n);
			for (int64_t k = 0; k < s->k; k++) {
				int64_t at = s->trans ? n * s->k + k : k * s->n + n;
				int32_t v = (x[k] ^ s->requant.x_flip) - s->requant.x_zero;
				sum += (uint32_t)(v * centred(a->in[1].data, at, wq));
			}
			store(a, &s->requant, item * s->n + n, n, sum);
		}
	}
}

static struct qref_state *ref_state(struct prep *p, struct kernel *ret, run_fn run)
{
	struct qref_state *s = kernel_state(p, ret, sizeof(*s));
	ret->run = run;
	return s;
}

static void read_requant(const struct prep *p, struct qref_state *s)
{
	requant_init(
		&s->requant, p->node, &p->in[0], &p->out[0], prep_has_in(p, 4) ? &p->in[4] : NULL);
}

static enum err_code prepare_windows(
	struct prep *p, struct kernel *ret, struct qref_state *s, struct err *err)
{
	struct conv_geometry g;
	enum err_code rc = conv_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err);
	if (rc == ERR_OK)
		rc = window_init(&s->w, &g, &p->in[0].shape, &p->out[0].shape, err);
	if (rc != ERR_OK)
		return rc;
	double row = (double)(s->w.g.out[AXIS_W] * window_taps(&s->w) * p->in[1].shape.dim[1]);
	s->split = split_work(
		p, ret, row > 0 || s->w.g.out[AXIS_W] ? window_rows(&s->w) : 0, 20 + row);
	return ERR_OK;
}

enum err_code prepare_quantized_conv_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	struct qref_state *s = ref_state(p, ret, run_conv);
	if (!s)
		return err_oom(err);
	read_requant(p, s);
	return prepare_windows(p, ret, s, err);
}

enum err_code prepare_integer_conv_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	struct qref_state *s = ref_state(p, ret, run_integer_conv);
	return s ? prepare_windows(p, ret, s, err) : err_oom(err);
}

static void split_rows(struct prep *p, struct kernel *ret, struct qref_state *s)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	s->k = x->dim[x->rank - 1];
	s->n = y->dim[y->rank - 1];
	s->split = split_work(
		p, ret, shape_count_range(x, 0, x->rank - 1), 20 + (double)(s->k * s->n));
}

enum err_code prepare_quantized_matmul_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	struct qref_state *s = ref_state(p, ret, run_matmul);
	if (!s)
		return err_oom(err);
	read_requant(p, s);
	s->trans = node_int(p->node, "trans_b", 0) != 0;
	split_rows(p, ret, s);
	return ERR_OK;
}

enum err_code prepare_integer_matmul_ref(struct prep *p, struct kernel *ret, struct err *err)
{
	struct qref_state *s = ref_state(p, ret, run_integer_matmul);
	if (!s)
		return err_oom(err);
	split_rows(p, ret, s);
	return ERR_OK;
}
