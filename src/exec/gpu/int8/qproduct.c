/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qproduct.c -- QuantizedConv, QuantizedMatMul and their sums alone, IntegerConv and IntegerMatMul
 *
 * DESIGN
 *
 * cuBLASLt multiplies matrices of signed 8-bit numbers into sums of 32 bits, where both lie with
 * their depth innermost and sizes are even. So weights are packed that way once per version,
 * windows are written out as rows (qproduct.cu), and zero points are taken into account afterwards:
 * the sum of (x - a)(w - b) is that of x w, less a times that of w, less b times that of x, plus a
 * b as often. Unsigned numbers are signed ones with their first bit flipped, and zero points
 * likewise. Integers are exact, so results are those of the host.
 *
 * A convolution is done image by image, or as many at once as fit ROWS_BYTES_MAX. Its result lies
 * channels last.
 *
 * NOT DONE: groups, weights that are computed: the host's.
 */
#include <string.h>
#include "base/checked.h"
#include "exec/gpu/int8/qfinish.h"
#include "exec/gpu/matmul/product.h"
#include "exec/gpu/walk.h"
#include "exec/infer/conv_geometry.h"

#define BLOCK 256
#define WARP 32
#define EVEN 16 /* what sizes are rounded up to: 4 would do, tensor cores like this better */
#define ROWS_BYTES_MAX ((int64_t)64 << 20)

struct qproduct_state {
	struct gpu_launch rows, row_sums, finish;
	struct gpu_qrows r;
	struct gpu_qfinish f;
	struct product product;
	void *weights, *weight_sums; /* on the device */
	int factor, bias, z, x_zero, w_zero; /* inputs; -1: none */
	bool direct, sums_rows;      /* x's rows are ready; they are summed */
	int64_t calls, images;       /* of a call */
	uint32_t call_rows;
	size_t sums_at, row_sums_at, workspace_at; /* in the scratch, behind the rows */
};

/* -- run --------------------------------------------------------------------------------------- */

static void *data_of(const struct kernel_args *a, int i)
{
	return i >= 0 && i < a->n_in ? a->in[i].data : NULL;
}

static const uint8_t *advance(const void *at, int64_t elements)
{
	return at ? (const uint8_t *)at + elements : NULL;
}

/* Images from the first one of a call on. */
static void run_call(
	const struct kernel_args *a, const struct qproduct_state *s, int64_t image, char *scratch)
{
	const uint8_t *x = advance(a->in[Q_X].data, image * s->r.step[0]),
		      *zero = data_of(a, s->x_zero);
	char *rows = s->direct ? (char *)x : scratch, *row_sums = scratch + s->row_sums_at;
	size_t size = s->factor >= 0 ? sizeof(uint8_t) : sizeof(int32_t);
	struct product_at at = { rows, s->weights, NULL, scratch + s->sums_at,
		scratch + s->workspace_at };
	struct gpu_qfinish_at f = { .sums = at.d, .weight_sums = s->weight_sums,
		.row_sums = s->sums_rows ? (const int32_t *)(void *)row_sums : NULL,
		.bias = data_of(a, s->bias),
		.factor = data_of(a, s->factor), .z = advance(data_of(a, s->z), image * s->f.z[0]),
		.x_zero = zero,
		.w_zero = data_of(a, s->w_zero),
		.out = (char *)a->out[0].data + (size_t)(image * s->f.out[0]) * size };
	if (!s->direct)
		gpu_launch(a, &s->rows, (void *[]){ (void *)&s->r, &rows, &x, &zero });
	product_run(&s->product, a, &at);
	if (s->sums_rows)
		gpu_launch(a, &s->row_sums,
			(void *[]){
				(void *)&s->call_rows, (void *)&s->r.words.d, &row_sums, &rows });
	gpu_launch(a, &s->finish, (void *[]){ (void *)&s->f, &f });
}

static void run_qproduct(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct qproduct_state *s = a->state;
	for (int64_t i = 0; i < s->calls; i++)
		run_call(a, s, i * s->images, product_workspace(a));
}

/* -- weights ----------------------------------------------------------------------------------- */

/* w[channel][number of a row]: where they lie, and how they are packed. */
struct weights {
	const struct tensor *t;
	int64_t channels, depth, inner; /* inner: numbers of a tap, side by side in a row */
	int64_t channel_step, inner_step, tap_step;
	int64_t packed_channels, packed_depth;
};

struct weights_key {
	const void *data;
	int32_t form, transposed;
};
enum { SIGNED_ROWS = 3, SIGNED_SUMS }; /* other files' forms have other numbers */

static int8_t weight(const struct weights *w, int64_t channel, int64_t i)
{
	int64_t at = channel * w->channel_step + i % w->inner * w->inner_step +
		i / w->inner * w->tap_step;
	return (int8_t)(((const uint8_t *)w->t->data)[at] ^ qfinish_flip(w->t->dtype));
}

static void pack_rows(void *dst, void *ctx)
{
	const struct weights *w = ctx;
	for (int64_t c = 0; c < w->channels; c++)
		for (int64_t i = 0; i < w->depth; i++)
			((int8_t *)dst)[c * w->packed_depth + i] = weight(w, c, i);
}

static void pack_sums(void *dst, void *ctx)
{
	const struct weights *w = ctx;
	for (int64_t c = 0; c < w->channels; c++)
		for (int64_t i = 0; i < w->depth; i++)
			((int32_t *)dst)[c] += weight(w, c, i);
}

static enum err_code pack(
	struct prep *p, struct weights *w, struct qproduct_state *s, struct err *err)
{
	struct weights_key key = { w->t->data, SIGNED_ROWS, w->channel_step == 1 };
	size_t bytes = (size_t)(w->packed_channels * w->packed_depth);
	TRY(gpu_pack(p, &key, sizeof(key), bytes, pack_rows, w, &s->weights, err));
	key.form = SIGNED_SUMS;
	return gpu_pack(p, &key, sizeof(key), (size_t)w->packed_channels * sizeof(int32_t),
		pack_sums, w, &s->weight_sums, err);
}

/* Do zero points change the sums, weights being signed now? */
static bool has_zeros(const struct prep *p, int zero)
{
	int64_t nothing = p->in[Q_W].dtype == DTYPE_U8 ? 128 : 0;
	if (zero < 0)
		return nothing != 0;
	for (int64_t i = 0; p->in[zero].data && i < tensor_count(&p->in[zero]); i++)
		if (tensor_int(&p->in[zero], i) != nothing)
			return true;
	return !p->in[zero].data;
}

/* -- the result -------------------------------------------------------------------------------- */

/* From an image, a channel, a place to the next; a matrix has an image for each row. */
static void set_places(const struct tensor *t, bool conv, int64_t ret[3])
{
	int64_t stride[RANK_MAX];
	gpu_strides(t, stride);
	ret[0] = conv ? stride[0] : t->shape.dim[t->shape.rank - 1];
	ret[1] = conv ? stride[1] : 1;
	ret[2] = conv ? stride[t->shape.rank - 1] : 0;
}

/* -- prepare ----------------------------------------------------------------------------------- */

static struct qproduct_state *new_state(struct prep *p, struct kernel *ret, bool requantized)
{
	struct qproduct_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	const int at[] = { Q_FACTOR, Q_BIAS, Q_Z };
	int *to[] = { &s->factor, &s->bias, &s->z };
	for (int i = 0; i < 3; i++)
		*to[i] = requantized && gpu_has_in(p, at[i]) ? at[i] : -1;
	int x_zero = requantized ? -1 : Q_INTEGER_X_ZERO,
	    w_zero = requantized ? Q_W_ZERO : Q_INTEGER_W_ZERO;
	s->x_zero = x_zero >= 0 && gpu_has_in(p, x_zero) ? x_zero : -1;
	s->w_zero = gpu_has_in(p, w_zero) ? w_zero : -1;
	s->f = qfinish_of(p);
	s->f.w_flip = qfinish_flip(p->in[Q_W].dtype);
	s->f.many_zeros = s->w_zero >= 0 && tensor_count(&p->in[w_zero]) > 1;
	s->r.flip = s->f.x_flip;
	s->r.zero = s->f.x_zero;
	ret->run = run_qproduct;
	ret->unread = 1U << Q_W;
	return s;
}

static int64_t even(int64_t n) { return (n + EVEN - 1) / EVEN * EVEN; }

/* As many images at once as their rows and sums have room for. */
static int64_t images_of_call(int64_t images, int64_t places, const struct weights *w)
{
	int64_t one = places * (w->packed_depth + (int64_t)sizeof(int32_t) * w->packed_channels);
	int64_t most = one < ROWS_BYTES_MAX ? ROWS_BYTES_MAX / one : 1,
		n = images < most ? images : most;
	while (images % n)
		n--;
	return n;
}

static enum err_code multiply(struct prep *p, struct qproduct_state *s, const struct weights *w,
	size_t *workspace, struct err *err)
{
	int64_t n = w->packed_channels, k = w->packed_depth;
	struct product_matrix by_rows = { .ld = k, .align = EVEN }, by_columns = by_rows;
	struct product_matrix out = { .ld = n, .align = PRODUCT_ALIGN_MAX };
	by_columns.transposed = true;
	struct product_spec spec = { .m = s->call_rows, .n = n, .k = k, .batch = 1,
		.dtype = DTYPE_I8,
		.matrix = { by_rows, by_columns, out, out } };
	return product_prepare(p, &spec, &s->product, workspace, err);
}

static enum err_code launches(struct prep *p, struct qproduct_state *s, struct err *err)
{
	TRY(gpu_launch_over(p, "qproduct_rows", s->r.count, BLOCK, &s->rows, err));
	TRY(gpu_launch_over(p, "qproduct_sums", s->call_rows, BLOCK / WARP, &s->row_sums, err));
	s->row_sums.block[0] = BLOCK;
	return gpu_launch_over(p, "qproduct_finish", s->f.count, BLOCK, &s->finish, err);
}

/* r and f have what is known of windows and places; w lacks how it is packed. */
static enum err_code finish_prepare(struct prep *p, struct qproduct_state *s, struct weights *w,
	int64_t images, int64_t places, struct kernel *ret, struct err *err)
{
	size_t workspace = 0;
	w->packed_channels = even(w->channels);
	w->packed_depth = even(w->depth);
	s->images = images_of_call(images, places, w);
	s->calls = images / s->images;
	int64_t rows = s->images * places, words = w->packed_depth / 4;
	if (rows > INT32_MAX / words || rows > INT32_MAX / w->packed_channels ||
		w->depth > INT32_MAX / (1 << 16))
		return prep_refuse(err, "so many numbers");
	s->call_rows = (uint32_t)rows;
	s->r.count = (uint32_t)(rows * words);
	s->r.k = (uint32_t)w->depth;
	s->r.words = gpu_div(words);
	s->r.channels = gpu_div(w->inner);
	s->f.count = (uint32_t)(rows * w->channels);
	s->f.n = gpu_div(w->channels);
	s->f.places = gpu_div(places);
	s->f.sums = (uint32_t)w->packed_channels;
	s->f.k = (int32_t)w->depth;
	s->sums_rows = has_zeros(p, s->w_zero);
	s->direct &= s->r.flip == 0 && w->packed_depth == w->depth;
	TRY(pack(p, w, s, err));
	TRY(multiply(p, s, w, &workspace, err));
	s->sums_at = s->direct
		? 0
		: round_up((size_t)rows * (size_t)w->packed_depth, PRODUCT_WORKSPACE_ALIGN);
	s->row_sums_at = s->sums_at +
		round_up((size_t)(rows * w->packed_channels) * sizeof(int32_t),
			PRODUCT_WORKSPACE_ALIGN);
	s->workspace_at =
		s->row_sums_at + round_up((size_t)rows * sizeof(int32_t), PRODUCT_WORKSPACE_ALIGN);
	ret->scratch_bytes = s->workspace_at + workspace + PRODUCT_WORKSPACE_ALIGN;
	return launches(p, s, err);
}

static enum err_code want_work(const struct prep *p, struct err *err)
{
	if (!p->in[Q_W].data)
		return prep_refuse(err, "weights that are computed");
	return tensor_count(&p->out[0]) == 0 || tensor_count(&p->in[Q_W]) == 0 ||
			tensor_count(&p->in[Q_X]) == 0
		? prep_refuse(err, "there is nothing to multiply")
		: ERR_OK;
}

/* Of two dimensions, the first of which may be missing. false: windows reach further than 32
   bits count. */
static bool set_windows(
	struct qproduct_state *s, const struct prep *p, const struct conv_geometry *g)
{
	int64_t stride[RANK_MAX], most = INT32_MAX / 4;
	gpu_strides(&p->in[Q_X], stride);
	s->r.step[0] = stride[0];
	s->r.step[1] = stride[1];
	s->direct = p->in[Q_X].layout == LAYOUT_NHWC;
	for (int i = 0; i < 2; i++) {
		int own = i - (2 - g->spatial);
		s->r.in[i] = s->r.stride[i] = s->r.dilation[i] = 1;
		if (own < 0)
			continue;
		if (g->in[own] > most || g->stride[own] > most / g->out[own] ||
			g->dilation[own] > most / g->kernel[own] || g->pad_begin[own] > most ||
			g->pad_begin[own] < -most)
			return false;
		s->r.step[2 + i] = stride[2 + own];
		s->r.in[i] = (int32_t)g->in[own];
		s->r.stride[i] = (int32_t)g->stride[own];
		s->r.dilation[i] = (int32_t)g->dilation[own];
		s->r.pad[i] = (int32_t)g->pad_begin[own];
		s->direct &= g->kernel[own] == 1 && g->stride[own] == 1 && g->pad_begin[own] == 0 &&
			g->in[own] == g->out[own];
	}
	int last = g->spatial - 1;
	s->r.width = gpu_div(g->kernel[last]);
	s->r.columns = gpu_div(g->out[last]);
	s->r.lines = gpu_div(last ? g->out[0] : 1);
	return true;
}

static enum err_code prepare_conv(
	struct prep *p, struct kernel *ret, bool requantized, struct err *err)
{
	const struct tensor *w = &p->in[Q_W];
	struct conv_geometry g;
	TRY(conv_geometry(p->node, &p->in[Q_X].shape, &w->shape, &g, err));
	TRY(want_work(p, err));
	struct qproduct_state *s = new_state(p, ret, requantized);
	if (!s)
		return err_oom(err);
	if (g.spatial > 2 || g.group != 1 || !set_windows(s, p, &g))
		return prep_refuse(err, "groups, three dimensions of space, or windows so large");
	struct tensor out = p->out[0];
	out.layout = ret->out_layout = g.spatial == 2 ? LAYOUT_NHWC : LAYOUT_PLAIN;
	set_places(&out, true, s->f.out);
	if (s->z >= 0)
		set_places(&p->in[Q_Z], true, s->f.z);
	int64_t taps = shape_count_range(&w->shape, 2, w->shape.rank);
	struct weights rows = { .t = w, .channels = w->shape.dim[0],
		.depth = w->shape.dim[1] * taps, .inner = w->shape.dim[1],
		.channel_step = w->shape.dim[1] * taps, .inner_step = taps, .tap_step = 1 };
	return finish_prepare(p, s, &rows, out.shape.dim[0],
		shape_count_range(&out.shape, 2, out.shape.rank), ret, err);
}

static enum err_code prepare_matmul(
	struct prep *p, struct kernel *ret, bool requantized, struct err *err)
{
	const struct tensor *x = &p->in[Q_X], *w = &p->in[Q_W];
	bool trans = node_int(p->node, "trans_b", 0) != 0;
	int64_t k = w->shape.dim[trans], n = w->shape.dim[!trans];
	TRY(want_work(p, err));
	struct qproduct_state *s = new_state(p, ret, requantized);
	if (!s)
		return err_oom(err);
	s->r.step[0] = k;
	s->r.step[1] = 1;
	s->r.in[0] = s->r.in[1] = s->r.stride[0] = s->r.stride[1] = s->r.dilation[0] =
		s->r.dilation[1] = 1;
	s->r.width = s->r.columns = s->r.lines = gpu_div(1);
	s->direct = true;
	set_places(&p->out[0], false, s->f.out);
	set_places(&p->out[0], false, s->f.z);
	struct weights rows = { .t = w, .channels = n, .depth = k, .inner = k,
		.channel_step = trans ? k : 1,
		.inner_step = trans ? 1 : n };
	return finish_prepare(p, s, &rows, tensor_count(x) / k, 1, ret, err);
}

enum err_code gpu_prepare_quantized_conv(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_conv(p, ret, true, err);
}

enum err_code gpu_prepare_integer_conv(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_conv(p, ret, false, err);
}

enum err_code gpu_prepare_quantized_matmul(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_matmul(p, ret, true, err);
}

enum err_code gpu_prepare_integer_matmul(struct prep *p, struct kernel *ret, struct err *err)
{
	return prepare_matmul(p, ret, false, err);
}
