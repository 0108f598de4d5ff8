/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * Images lie NHWC, so that a row of a window is one run of bytes. Where windows stick out,
 * numbers are signed, runs are no multiple of four or the image is not NHWC, the band's input
 * is first copied to scratch, with the zero point around it; a zero point in all places adds
 * the same to every sum of a channel, which the bias takes back.
 *
 * Weights with zero points: of x (w - zero) the second part is what a window sums up to, times
 * the zero point. That is one more channel, whose weights are ones. uint8 weights are int8
 * with their first bit flipped, and zero points with them.
 *
 * A plain image of channels that fill no slots stays one of planes: a run is then a row of a
 * window in one of them, and nothing is interleaved.
 *
 * A group of channels is a job of its own, or a block of groups is one; where each channel is a
 * group, all of them are one (run_apart).
 *
 * NOT DONE: three spatial axes, which are the reference's.
 */
#include "exec/cpu/int8/qproduct_bands.h"

#include <string.h>
#include "base/checked.h"
#include "exec/infer/conv_geometry.h"

#define PRODUCTS_PER_NS 200.0
#define APART_SLOT 8 /* what a tap costs, as products of the others */
/* Of a unit's input, which is read once for each panel of channels. */
#define BAND_BYTES ((int64_t)256 << 10)
/* Interleaved at a time, so that their lines stay near until all channels are there. */
#define COPY_PIXELS 32

/* -- run -------------------------------------------------------------------------------------- */

void qbands_copy_pixels(uint8_t *to, const uint8_t *from, const struct qstrides *s, int64_t pixels,
	int64_t channels, uint8_t flip)
{
	if (s->c == 1 && s->w == channels) {
		int64_t n = pixels * channels;
		for (int64_t i = 0; i < n; i++)
			to[i] = from[i] ^ flip;
		return;
	}
	for (int64_t first = 0; first < pixels; first += COPY_PIXELS)
		for (int64_t c = 0; c < channels; c++)
			for (int64_t i = first; i < min_i64(first + COPY_PIXELS, pixels); i++)
				to[i * channels + c] = from[i * s->w + c * s->c] ^ flip;
}

/* Input rows [top, top + rows), of which some are outside, with what is around them. */
static void copy_input(const struct qbands *b, uint8_t *to, const uint8_t *image, int64_t top,
	int64_t rows, int32_t x_zero)
{
	int64_t width = b->pitch / b->c, left = b->pad[1];
	int64_t inside = min_i64(b->in[1], width - left);
	for (int64_t h = top; h < top + rows; h++, to += b->pitch) {
		if (h < 0 || h >= b->in[0]) {
			memset(to, x_zero, (size_t)b->pitch);
			continue;
		}
		int64_t end = (left + inside) * b->c;
		memset(to, x_zero, (size_t)(left * b->c));
		qbands_copy_pixels(
			to + left * b->c, image + h * b->x.h, &b->x, inside, b->c, b->flip);
		memset(to + end, x_zero, (size_t)(b->pitch - end));
	}
}

static const uint8_t *find_input(const struct qbands *b, const struct kernel_args *a,
	const struct qband *band, int32_t x_zero)
{
	const uint8_t *x = (const uint8_t *)a->in[0].data + band->image * b->x.n;
	int64_t top = band->row * b->stride[0] - b->pad[0];
	int64_t rows = (band->rows - 1) * b->stride[0] + b->extent[0];
	if (!b->copy)
		return x + top * b->x.h;
	uint8_t *to = a->scratch;
	for (int64_t i = 0; i < b->planes; i++, x += b->in[0] * b->in[1])
		copy_input(b, to + i * b->plane, x, top, rows, x_zero);
	return to;
}

struct qband qbands_band(const struct qbands *b, int64_t unit)
{
	struct qband band = { .image = unit / b->bands, .row = unit % b->bands * b->band };
	band.rows = min_i64(b->band, b->out[0] - band.row);
	band.at = (band.image * b->out[0] + band.row) * b->out[1] * b->channels;
	return band;
}

/* What windows sum up to. */
static int32_t *sum_windows(
	const struct qbands *b, const struct kernel_args *a, const struct qproduct_job *j)
{
	static const int32_t no_bias[QPRODUCT_PANEL];
	struct qproduct_job ones = *j;
	ones.w = b->ones;
	ones.bias = no_bias;
	ones.windows = NULL;
	ones.channels = ones.y_pixel = 1;
	ones.y_row = ones.pixels;
	ones.sums = (int32_t *)((char *)a->scratch + b->scratch_windows);
	b->product->run(&ones);
	return ones.sums;
}

struct qproduct_job qbands_job(const struct qbands *b, const struct kernel_args *a,
	const struct qband *band, int32_t x_zero)
{
	struct qproduct_job j = {
		.rows = band->rows, .x_row = b->pitch * b->stride[0],
			.y_row = b->out[1] * b->channels,
		.pixels = b->out[1], .x_pixel = b->stride[1] * b->c, .y_pixel = b->channels,
		.x = find_input(b, a, band, x_zero), .run_at = b->run_at, .runs = b->runs,
		.slots = b->slots, .tap = b->dilation[1] * b->c, .w = b->weights,
		.channels = b->job_channels,
	};
	/* Rows whose pixels follow each other are one. */
	if (j.x_row == j.pixels * j.x_pixel) {
		j.pixels *= j.rows;
		j.rows = 1;
	}
	return j;
}

void qbands_run(const struct qbands *b, const struct kernel_args *a, struct qproduct_job j)
{
	for (int64_t i = 0; i < b->jobs; i++) {
		int64_t channels = b->job_channels;
		if (b->w_zero) {
			j.windows = sum_windows(b, a, &j);
			j.w_zero = b->w_zero + i * channels;
		}
		b->run(&j);
		j.x += b->job_c;
		j.w = (const char *)j.w + b->job_bytes;
		j.bias += channels;
		j.factor += j.factor ? channels : 0;
		j.sums += j.sums ? channels : 0;
		j.y += j.y ? channels : 0;
		j.z += j.z ? channels : 0;
	}
}

enum err_code qbands_known(const struct prep *p, uint32_t mask, struct err *err)
{
	for (int i = 0; i < p->n_in; i++)
		if (mask >> i & 1 && prep_has_in(p, i) && !p->in[i].data)
			return prep_refuse(err, "unknown weights");
	return ERR_OK;
}

/* -- prepare: weights -------------------------------------------------------------------------- */

/* Of channel m, flipped. */
static int32_t zero_at(const struct prep *p, int zero, const struct qweights *w, int64_t m)
{
	const struct tensor *t = &p->in[zero];
	int32_t given =
		prep_has_in(p, zero) ? (int32_t)tensor_int(t, tensor_count(t) == 1 ? 0 : m) : 0;
	return given - (int32_t)w->flip;
}

static enum err_code read_channels(
	struct prep *p, struct qbands *b, const struct qweights *w, int zero, struct err *err)
{
	int32_t *w_zero = prep_alloc(p, (size_t)qbands_room(w->m) * sizeof(*w_zero));
	uint32_t depth = (uint32_t)(w->c * w->kernel[0] * w->kernel[1]);
	b->column = prep_alloc(p, (size_t)w->m * sizeof(*b->column));
	if (!w_zero || !b->column)
		return err_oom(err);
	for (int64_t m = 0; m < w->m; m++) {
		w_zero[m] = zero_at(p, zero, w, m);
		b->column[m] =
			(int32_t)((uint32_t)qweights_sum(w, m) - (uint32_t)w_zero[m] * depth);
		if (w_zero[m])
			b->w_zero = w_zero;
	}
	return ERR_OK;
}

static bool is_apart(const struct qweights *w)
{
	return w->groups > 1 && w->groups == w->m && w->c == 1;
}

/* Enough of them to fill a panel. What windows sum up to is a group's own. */
static int64_t groups_of_block(const struct qbands *b, const struct qweights *w)
{
	int64_t n =
		b->w_zero ? 1 : min_i64(max_i64(QPRODUCT_PANEL * w->groups / w->m, 1), w->groups);
	while (w->groups % n)
		n--;
	return n;
}

/* One job, whose runs are rows of taps. */
static enum err_code pack_apart(
	struct prep *p, struct qbands *b, const struct qweights *w, struct err *err)
{
	b->apart = true;
	b->run = b->product->run_apart;
	b->jobs = 1;
	b->job_channels = w->m;
	b->runs = w->kernel[0];
	b->slots = w->kernel[1];
	TRY(qweights_apart(p, w, b->w_zero, &b->weights, err));
	b->w_zero = NULL;
	return ERR_OK;
}

static enum err_code pack_weights(
	struct prep *p, struct qbands *b, struct qweights *w, struct err *err)
{
	if (is_apart(w))
		return pack_apart(p, b, w, err);
	w->block = groups_of_block(b, w);
	b->run = b->product->run;
	b->jobs = qweights_jobs(w);
	b->job_channels = w->m / b->jobs;
	b->job_c = w->c * w->block;
	b->job_bytes = qweights_job_bytes(w);
	b->runs = qweights_runs(w);
	b->slots = qweights_slots(w);
	if (b->w_zero)
		TRY(qweights_ones(p, w, &b->ones, err));
	return qweights_get(p, w, &b->weights, err);
}

/* -- prepare: geometry ------------------------------------------------------------------------- */

struct qstrides qstrides_of(const struct tensor *t, bool nhwc)
{
	int64_t c = t->shape.dim[1], h = t->shape.dim[2], w = t->shape.dim[3];
	if (nhwc)
		return (struct qstrides){ h * w * c, w * c, c, 1 };
	return (struct qstrides){ c * h * w, w, 1, h * w };
}

/* Where that takes no more slots: each channel's window as rows of a window of one, and how many
   channels there were. */
static int64_t take_planes(struct qweights *w)
{
	struct qweights apart = *w;
	apart.c = 1;
	apart.kernel[0] *= w->c;
	apart.c_stride = apart.kernel[0] * apart.kernel[1];
	if (w->groups > 1 || qweights_runs(&apart) * qweights_slots(&apart) >
				     qweights_runs(w) * qweights_slots(w))
		return 1;
	int64_t planes = w->c;
	*w = apart;
	return planes;
}

/* What both kinds have in common. */
static void take_operands(const struct prep *p, struct qbands *b, struct qweights *w)
{
	w->w = p->in[1].data;
	w->flip = p->in[1].dtype == DTYPE_U8 ? 0x80 : 0;
	b->product = qproduct_best();
	b->flip = p->in[0].dtype == DTYPE_I8 ? 0x80 : 0;
	b->planes = b->images = 1;
}

enum err_code qbands_conv(
	const struct prep *p, struct qbands *b, struct qweights *w, struct err *err)
{
	struct conv_geometry g;
	const struct tensor *x = &p->in[0];
	const struct shape *ws = &p->in[1].shape;
	TRY(conv_geometry(p->node, &x->shape, ws, &g, err));
	bool nhwc = x->layout == LAYOUT_NHWC;
	if (g.spatial != 2 || tensor_count(&p->out[0]) == 0 || tensor_count(x) == 0 ||
		(!nhwc && x->layout != LAYOUT_PLAIN))
		return prep_refuse(err, "no images");
	int64_t taps = g.kernel[0] * g.kernel[1];
	*w = (struct qweights){ NULL, ws->dim[1] * taps, taps, ws->dim[0], ws->dim[1],
		{ g.kernel[0], g.kernel[1] }, g.group, 1, g.dilation[1] == 1 && g.group == 1, 0 };
	take_operands(p, b, w);
	if (!nhwc && w->joined)
		b->planes = take_planes(w);
	b->images = x->shape.dim[0];
	b->channels = w->m;
	b->c = w->c * w->groups;
	for (int i = 0; i < 2; i++) {
		b->in[i] = g.in[i];
		b->out[i] = g.out[i];
		b->stride[i] = g.stride[i];
		b->dilation[i] = g.dilation[i];
		b->pad[i] = g.pad_begin[i];
		b->extent[i] = conv_extent(&g, i);
	}
	b->nhwc = nhwc;
	b->x = qstrides_of(x, nhwc);
	b->x.c = b->planes > 1 ? 1 : b->x.c;
	return ERR_OK;
}

enum err_code qbands_matmul(const struct prep *p, bool trans, struct qbands *b, struct qweights *w,
	struct err *err)
{
	const struct shape *ws = &p->in[1].shape, *xs = &p->in[0].shape;
	if (tensor_count(&p->out[0]) == 0 || tensor_count(&p->in[0]) == 0)
		return prep_refuse(err, "nothing to do");
	int64_t k = ws->dim[trans], n = ws->dim[!trans];
	*w = (struct qweights){ NULL, trans ? k : 1, trans ? 1 : n, n, k, { 1, 1 }, 1, 1, 1, 0 };
	take_operands(p, b, w);
	b->channels = n;
	b->c = k;
	b->in[0] = b->out[0] = shape_count_range(xs, 0, xs->rank - 1);
	b->in[1] = b->out[1] = 1;
	for (int i = 0; i < 2; i++)
		b->stride[i] = b->dilation[i] = b->extent[i] = 1;
	b->nhwc = true;
	b->x = (struct qstrides){ 0, k, k, 1 };
	return ERR_OK;
}

/* Bands as large as the cache likes, and enough of them for all threads. */
static void cut_bands(const struct prep *p, struct qbands *b, struct kernel *ret)
{
	int64_t slot = b->apart ? APART_SLOT : QPRODUCT_SLOT;
	double products = (double)(b->runs * b->slots * slot) *
			  (double)(b->channels * b->out[0] * b->out[1] * b->images);
	double ns = products / PRODUCTS_PER_NS;
	int64_t row = max_i64(b->planes * b->pitch * b->stride[0], 1);
	b->band = max_i64(min_i64(b->out[0], BAND_BYTES / row), 1);
	if (p->threads > 1 && ns > UNIT_NS) {
		int64_t per_image = max_i64(2 * p->threads / max_i64(b->images, 1), 1);
		b->band = min_i64(b->band, (b->out[0] + per_image - 1) / per_image);
	}
	b->bands = (b->out[0] + b->band - 1) / b->band;
	ret->units = b->images * b->bands;
	ret->unit_cost_ns = (int64_t)(ns / (double)max_i64(ret->units, 1)) + 1;
	int64_t rows = (b->band - 1) * b->stride[0] + b->extent[0];
	b->plane = rows * b->pitch;
	/* The last slot of a run may be read beyond its end, and the last vector of channels. */
	if (b->copy)
		ret->scratch_bytes = (size_t)(b->planes * b->plane + QPRODUCT_PANEL);
	b->scratch_windows = round_up(ret->scratch_bytes, ARENA_ALIGN_TENSOR);
	if (b->w_zero)
		ret->scratch_bytes =
			b->scratch_windows + (size_t)(b->band * b->out[1]) * sizeof(int32_t);
}

/* Windows inside of the image, and nothing to change in it. */
static bool is_readable_in_place(const struct qbands *b)
{
	bool inside = true;
	for (int i = 0; i < 2; i++)
		inside &=
			b->pad[i] == 0 && (b->out[i] - 1) * b->stride[i] + b->extent[i] <= b->in[i];
	return inside && b->nhwc && !b->flip;
}

static void place_runs(struct qbands *b, const struct qweights *w)
{
	int64_t row_runs = b->runs / w->kernel[0], rows = w->kernel[0] / b->planes;
	for (int64_t r = 0; r < b->runs; r++) {
		int64_t h = r / row_runs, v = r % row_runs;
		b->run_at[r] = h / rows * b->plane + h % rows * b->dilation[0] * b->pitch +
			       v * b->dilation[1] * b->c;
	}
}

enum err_code qbands_pack(struct prep *p, struct kernel *ret, struct qbands *b,
	struct qweights *w, int zero, struct err *err)
{
	TRY(read_channels(p, b, w, zero, err));
	TRY(pack_weights(p, b, w, err));
	b->run_at = prep_alloc(p, (size_t)b->runs * sizeof(*b->run_at));
	if (!b->run_at)
		return err_oom(err);
	bool beyond = b->apart ? b->c % QPRODUCT_PANEL : qweights_run_bytes(w) % QPRODUCT_SLOT;
	b->copy = beyond || !is_readable_in_place(b);
	int64_t width = (b->out[1] - 1) * b->stride[1] + b->extent[1];
	b->pitch = (b->copy ? width : b->in[1]) * b->c;
	cut_bands(p, b, ret);
	place_runs(b, w);
	return ERR_OK;
}
