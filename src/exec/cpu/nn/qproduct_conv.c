/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizedConv and QuantizedMatMul on qproduct.h
 *
 * DESIGN
 *
 * Images lie NHWC, so that a row of a window is one run of bytes, and a matrix is an image of
 * as many rows with one pixel each. A unit of work is a band of output rows of one image. Where
 * windows stick out, numbers are signed, runs are no multiple of four or the image is not NHWC,
 * the band's input is first copied to scratch, with the zero point around it; a zero point
 * in all places adds the same to every sum of a channel, which the bias takes back.
 *
 * A plain image of channels that fill no slots stays one of planes: a run is then a row of a
 * window in one of them, and nothing is interleaved.
 *
 * NOT DONE: groups, three spatial axes; they are the reference's.
 */
#include "exec/infer/conv_geometry.h"
#include "exec/cpu/nn/qproduct.h"

#include <string.h>
#include "base/checked.h"

#define PRODUCTS_PER_NS 200.0
/* Of a unit's input, which is read once for each panel of channels. */
#define BAND_BYTES ((int64_t)256 << 10)

/* Bytes from one image, row, pixel, channel to the next. */
struct strides {
	int64_t n, h, w, c;
};

struct qconv_state {
	const struct qproduct *product;
	struct requant requant;
	const void *weights;
	int32_t *bias;
	float *factor;
	int64_t channels, c; /* of the result; of the input that are side by side */
	int64_t planes, plane; /* of them; bytes from one to the next, copied */
	int64_t in[2], out[2], stride[2], pad[2], extent[2];
	struct strides x, z;
	bool copy_x, copy_z, z_in;
	int64_t pitch; /* bytes of a row of the input, copied or not */
	int64_t bands, band; /* of an image; rows of each */
	size_t scratch_z;
	int64_t runs, slots;
	int64_t run_at[];
};

/* -- run -------------------------------------------------------------------------------------- */

static void copy_pixels(uint8_t *to, const uint8_t *from, const struct strides *s, int64_t pixels,
	int64_t channels, uint8_t flip)
{
	if (s->c == 1 && s->w == channels) {
		int64_t n = pixels * channels;
		for (int64_t i = 0; i < n; i++)
			to[i] = from[i] ^ flip;
		return;
	}
	for (int64_t c = 0; c < channels; c++)
		for (int64_t i = 0; i < pixels; i++)
			to[i * channels + c] = from[i * s->w + c * s->c] ^ flip;
}

/* Input rows [top, top + rows), of which some are outside, with what is around them. */
static void copy_input(const struct qconv_state *s, uint8_t *to, const uint8_t *image, int64_t top,
	int64_t rows)
{
	int64_t width = s->pitch / s->c, left = s->pad[1];
	int64_t inside = min_i64(s->in[1], width - left);
	const struct requant *r = &s->requant;
	for (int64_t h = top; h < top + rows; h++, to += s->pitch) {
		if (h < 0 || h >= s->in[0]) {
			memset(to, r->x_zero, (size_t)s->pitch);
			continue;
		}
		int64_t end = (left + inside) * s->c;
		memset(to, r->x_zero, (size_t)(left * s->c));
		copy_pixels(to + left * s->c, image + h * s->x.h, &s->x, inside, s->c, r->x_flip);
		memset(to + end, r->x_zero, (size_t)(s->pitch - end));
	}
}

static const uint8_t *find_input(const struct kernel_args *a, const struct qconv_state *s,
	int64_t image, int64_t row, int64_t rows)
{
	const uint8_t *x = (const uint8_t *)a->in[0].data + image * s->x.n;
	int64_t top = row * s->stride[0] - s->pad[0];
	if (!s->copy_x)
		return x + top * s->x.h;
	uint8_t *to = a->scratch;
	for (int64_t i = 0; i < s->planes; i++, x += s->in[0] * s->in[1])
		copy_input(s, to + i * s->plane, x, top, (rows - 1) * s->stride[0] + s->extent[0]);
	return to;
}

static const uint8_t *find_sum(const struct kernel_args *a, const struct qconv_state *s,
	int64_t image, int64_t row, int64_t rows)
{
	if (!s->z_in)
		return NULL;
	const uint8_t *z = (const uint8_t *)a->in[4].data + image * s->z.n + row * s->z.h;
	if (!s->copy_z)
		return z;
	uint8_t *to = (uint8_t *)a->scratch + s->scratch_z;
	for (int64_t h = 0; h < rows; h++)
		copy_pixels(to + h * s->out[1] * s->channels, z + h * s->z.h, &s->z, s->out[1],
			s->channels, 0);
	return to;
}

static void run_unit(const struct kernel_args *a, const struct qconv_state *s, int64_t unit)
{
	int64_t image = unit / s->bands, row = unit % s->bands * s->band;
	int64_t rows = min_i64(s->band, s->out[0] - row), width = s->out[1] * s->channels;
	struct qproduct_job j = {
		.rows = rows, .x_row = s->pitch * s->stride[0], .y_row = width,
		.pixels = s->out[1], .x_pixel = s->stride[1] * s->c, .y_pixel = s->channels,
		.x = find_input(a, s, image, row, rows), .z = find_sum(a, s, image, row, rows),
		.y = (uint8_t *)a->out[0].data + (image * s->out[0] + row) * width,
		.run_at = s->run_at, .runs = s->runs, .slots = s->slots, .w = s->weights,
		.bias = s->bias, .factor = s->factor, .channels = s->channels, .requant = &s->requant,
	};
	/* Rows whose pixels follow each other are one. */
	if (j.x_row == j.pixels * j.x_pixel) {
		j.pixels *= rows;
		j.rows = 1;
	}
	s->product->run(&j);
}

static void run_quantized(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct qconv_state *s = a->state;
	for (int64_t u = begin; u < end; u++)
		run_unit(a, s, u);
}

/* -- prepare: weights --------------------------------------------------------------------------- */

/* Weights as they come. Without holes: it is compared byte by byte. */
struct source {
	const int8_t *w;
	int64_t m_stride, c_stride; /* a tap is next to the other */
	int64_t m, c, kernel[2];
	int64_t joined; /* a run is a whole row of taps, not one */
};

static int64_t run_bytes(const struct source *x)
{
	return x->joined ? x->kernel[1] * x->c : x->c;
}

static int64_t run_count(const struct source *x)
{
	return x->joined ? x->kernel[0] : x->kernel[0] * x->kernel[1];
}

static int64_t slot_count(const struct source *x)
{
	return (run_bytes(x) + QPRODUCT_SLOT - 1) / QPRODUCT_SLOT;
}

/* One channel's slots of a run; those of the next follow a panel's width behind. */
static void pack_run(int8_t *to, const struct source *x, const int8_t *from, int64_t taps)
{
	int64_t at = 0; /* in the slot */
	for (int64_t tap = 0; tap < taps; tap++)
		for (int64_t c = 0; c < x->c; c++) {
			to[at++] = from[tap + c * x->c_stride];
			if (at == QPRODUCT_SLOT) {
				to += QPRODUCT_SLOT * QPRODUCT_PANEL;
				at = 0;
			}
		}
}

/* Channel by channel, each along its weights. */
static void pack(void *dst, void *ctx)
{
	const struct source *x = ctx;
	int64_t runs = run_count(x), bytes = slot_count(x) * QPRODUCT_SLOT, taps = x->joined ? x->kernel[1] : 1;
	int64_t panels = (x->m + QPRODUCT_PANEL - 1) / QPRODUCT_PANEL;
	memset(dst, 0, (size_t)(panels * QPRODUCT_PANEL * runs * bytes));
	for (int64_t m = 0; m < x->m; m++) {
		int8_t *lane = (int8_t *)dst + m / QPRODUCT_PANEL * runs * bytes * QPRODUCT_PANEL +
			       m % QPRODUCT_PANEL * QPRODUCT_SLOT;
		for (int64_t r = 0; r < runs; r++)
			pack_run(lane + r * bytes * QPRODUCT_PANEL, x, x->w + m * x->m_stride + r * taps, taps);
	}
}

static int32_t sum_of(const int8_t *w, int64_t n)
{
	int32_t sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += w[i];
	return sum;
}

static int32_t weight_sum(const struct source *x, int64_t m)
{
	int32_t sum = 0;
	int64_t taps = x->kernel[0] * x->kernel[1];
	const int8_t *w = x->w + m * x->m_stride;
	if (x->c_stride == taps)
		return sum_of(w, x->c * taps);
	for (int64_t c = 0; c < x->c; c++)
		sum += sum_of(w + c * x->c_stride, taps);
	return sum;
}

static enum err_code pack_weights(struct prep *p, struct qconv_state *s, const struct source *x,
	struct err *err)
{
	int64_t panels = (x->m + QPRODUCT_PANEL - 1) / QPRODUCT_PANEL;
	size_t filled = (size_t)(panels * QPRODUCT_PANEL);
	s->runs = run_count(x);
	s->slots = slot_count(x);
	s->bias = prep_alloc(p, filled * sizeof(*s->bias));
	s->factor = prep_alloc(p, filled * sizeof(*s->factor));
	if (!s->bias || !s->factor)
		return err_oom(err);
	memcpy(s->factor, p->in[2].data, (size_t)x->m * sizeof(*s->factor));
	for (int64_t m = 0; m < x->m; m++) {
		int32_t bias = prep_has_in(p, 3) ? ((const int32_t *)p->in[3].data)[m] : 0;
		s->bias[m] = bias - s->requant.x_zero * weight_sum(x, m);
	}
	struct source key = *x;
	return packs_get(p->packs, &key, sizeof(key),
		filled * (size_t)(s->runs * s->slots * QPRODUCT_SLOT), pack, &key, &s->weights, err);
}

/* -- prepare: geometry ---------------------------------------------------------------------------- */

static struct strides image_strides(const struct tensor *t, bool nhwc)
{
	int64_t c = t->shape.dim[1], h = t->shape.dim[2], w = t->shape.dim[3];
	if (nhwc)
		return (struct strides){ h * w * c, w * c, c, 1 };
	return (struct strides){ c * h * w, w, 1, h * w };
}

/* Bands as large as the cache likes, and enough of them for all threads. */
static void cut_bands(const struct prep *p, struct qconv_state *s, struct kernel *ret, int64_t images)
{
	double products = (double)(s->runs * s->slots * QPRODUCT_SLOT) *
			  (double)(s->channels * s->out[0] * s->out[1] * images);
	double ns = products / PRODUCTS_PER_NS;
	int64_t row = max_i64(s->planes * s->pitch * s->stride[0], 1);
	s->band = max_i64(min_i64(s->out[0], BAND_BYTES / row), 1);
	if (p->threads > 1 && ns > UNIT_NS) {
		int64_t per_image = max_i64(2 * p->threads / max_i64(images, 1), 1);
		s->band = min_i64(s->band, (s->out[0] + per_image - 1) / per_image);
	}
	s->bands = (s->out[0] + s->band - 1) / s->band;
	ret->units = images * s->bands;
	ret->unit_cost_ns = (int64_t)(ns / (double)max_i64(ret->units, 1)) + 1;
	int64_t rows = (s->band - 1) * s->stride[0] + s->extent[0];
	/* The last slot of a run may be read beyond its end. */
	s->plane = rows * s->pitch;
	if (s->copy_x)
		ret->scratch_bytes = (size_t)(s->planes * s->plane + QPRODUCT_SLOT);
	s->scratch_z = round_up(ret->scratch_bytes, ARENA_ALIGN_TENSOR);
	if (s->copy_z)
		ret->scratch_bytes = s->scratch_z + (size_t)(s->band * s->out[1] * s->channels);
}

/* Windows inside of the image, and nothing to change in it. */
static bool is_readable_in_place(const struct qconv_state *s, bool nhwc)
{
	bool inside = true;
	for (int i = 0; i < 2; i++)
		inside &= s->pad[i] == 0 && (s->out[i] - 1) * s->stride[i] + s->extent[i] <= s->in[i];
	return inside && nhwc && !s->requant.x_flip;
}

static void place_runs(struct qconv_state *s, const struct source *w, const int64_t *dilation)
{
	int64_t row_runs = w->joined ? 1 : w->kernel[1], rows = w->kernel[0] / s->planes;
	for (int64_t r = 0; r < s->runs; r++) {
		int64_t h = r / row_runs, v = r % row_runs;
		s->run_at[r] = h / rows * s->plane + h % rows * dilation[0] * s->pitch + v * dilation[1] * s->c;
	}
}

static bool operands_known(const struct prep *p)
{
	return p->in[1].data && p->in[2].data && (!prep_has_in(p, 3) || p->in[3].data);
}

static enum err_code prepare_quantized(struct prep *p, struct kernel *ret, struct qconv_state *s,
	const struct source *w, const int64_t *dilation, bool nhwc, struct err *err)
{
	bool images = p->node->op == OP_QUANTIZED_CONV;
	s->product = qproduct_best();
	requant_init(&s->requant, p->node, &p->in[0], &p->out[0], prep_has_in(p, 4) ? &p->in[4] : NULL);
	enum err_code rc = pack_weights(p, s, w, err);
	if (rc != ERR_OK)
		return rc;
	s->copy_x = !is_readable_in_place(s, nhwc) || run_bytes(w) % QPRODUCT_SLOT;
	int64_t width = (s->out[1] - 1) * s->stride[1] + s->extent[1];
	s->pitch = (s->copy_x ? width : s->in[1]) * s->c;
	cut_bands(p, s, ret, images ? p->in[0].shape.dim[0] : 1);
	place_runs(s, w, dilation);
	ret->run = run_quantized;
	ret->state = s;
	ret->inplace = s->z_in && !s->copy_z;
	ret->inplace_in = 4;
	return ERR_OK;
}

static struct qconv_state *new_state(struct prep *p, int64_t runs)
{
	return prep_alloc(p, sizeof(struct qconv_state) + (size_t)runs * sizeof(int64_t));
}

/* Where that takes no more slots: each channel's window as rows of a window of one, and how many
   channels there were. */
static int64_t take_planes(struct source *w)
{
	struct source apart = *w;
	apart.c = 1;
	apart.kernel[0] *= w->c;
	apart.c_stride = apart.kernel[0] * apart.kernel[1];
	if (run_count(&apart) * slot_count(&apart) > run_count(w) * slot_count(w))
		return 1;
	int64_t planes = w->c;
	*w = apart;
	return planes;
}

enum err_code prepare_quantized_conv(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_geometry g;
	const struct shape *ws = &p->in[1].shape;
	enum err_code rc = conv_geometry(p->node, &p->in[0].shape, ws, &g, err);
	if (rc != ERR_OK)
		return rc;
	const struct tensor *x = &p->in[0];
	bool nhwc = x->layout == LAYOUT_NHWC;
	if (g.spatial != 2 || g.group != 1 || !operands_known(p) || tensor_count(&p->out[0]) == 0 ||
		tensor_count(x) == 0 || (!nhwc && x->layout != LAYOUT_PLAIN))
		return prep_refuse(err, "no images, groups, or unknown weights");
	int64_t taps = g.kernel[0] * g.kernel[1];
	struct source w = { p->in[1].data, ws->dim[1] * taps, taps, ws->dim[0], ws->dim[1],
		{ g.kernel[0], g.kernel[1] }, g.dilation[1] == 1 };
	int64_t planes = nhwc || !w.joined ? 1 : take_planes(&w);
	struct qconv_state *s = new_state(p, run_count(&w));
	if (!s)
		return err_oom(err);
	s->channels = w.m;
	s->planes = planes;
	s->c = w.c;
	for (int i = 0; i < 2; i++) {
		s->in[i] = g.in[i];
		s->out[i] = g.out[i];
		s->stride[i] = g.stride[i];
		s->pad[i] = g.pad_begin[i];
		s->extent[i] = conv_extent(&g, i);
	}
	s->x = image_strides(x, nhwc);
	s->x.c = planes > 1 ? 1 : s->x.c;
	s->z_in = prep_has_in(p, 4);
	s->copy_z = s->z_in && p->in[4].layout != LAYOUT_NHWC;
	if (s->z_in)
		s->z = image_strides(&p->in[4], !s->copy_z);
	ret->out_layout = LAYOUT_NHWC;
	return prepare_quantized(p, ret, s, &w, g.dilation, nhwc, err);
}

/* An image of as many rows as the matrix, with one pixel each. */
enum err_code prepare_quantized_matmul(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *ws = &p->in[1].shape, *xs = &p->in[0].shape;
	if (!operands_known(p) || tensor_count(&p->out[0]) == 0 || tensor_count(&p->in[0]) == 0)
		return prep_refuse(err, "unknown weights or nothing to do");
	bool trans = node_int(p->node, "trans_b", 0) != 0;
	int64_t k = ws->dim[trans], n = ws->dim[!trans];
	struct source w = { p->in[1].data, trans ? k : 1, trans ? 1 : n, n, k, { 1, 1 }, 1 };
	struct qconv_state *s = new_state(p, 1);
	if (!s)
		return err_oom(err);
	s->channels = n;
	s->planes = 1;
	s->c = k;
	s->in[0] = s->out[0] = shape_count_range(xs, 0, xs->rank - 1);
	s->in[1] = s->out[1] = 1;
	for (int i = 0; i < 2; i++)
		s->stride[i] = s->extent[i] = 1;
	s->x = (struct strides){ 0, k, k, 1 };
	s->z = (struct strides){ 0, n, n, 1 };
	s->z_in = prep_has_in(p, 4);
	return prepare_quantized(p, ret, s, &w, (int64_t[]){ 1, 1 }, true, err);
}
