/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GridSample, any number of spatial axes: the grid says for each output point where in the
 * image it lies; there the image is read by one tap along each axis (nearest), two (linear)
 * or four (cubic), and the products of taps are summed for each channel.
 *
 * Coordinates have the grid's precision: what lies halfway between two pixels does so in
 * float32 for a float32 grid.
 */
#include "exec/cpu/nn/taps.h"
#include "exec/cpu/types.h"

#include <math.h>
#include <string.h>

enum padding { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION };
enum { TAPS_NEAREST = 1, TAPS_LINEAR = 2, TAPS_CUBIC = 4 };

/* Done together, channel by channel: a channel's image mostly stays in the cache. */
#define POINTS 64

struct grid_state;
/* n neighbouring points, whose taps follow each other. */
typedef void (*sample_fn)(
	const struct grid_state *s, const struct tap *tap, int64_t n, const void *x, void *y);

struct grid_state {
	struct split split; /* of output points of all images */
	int spatial, taps;  /* per axis */
	int64_t points_taps; /* taps ^ spatial */
	int64_t in[RANK_MAX];
	int64_t channels, image, points; /* of one channel: pixels of X and Y */
	enum padding padding;
	bool align, single; /* single: the grid is float32 */
	int parts;          /* 2: complex */
	int64_t bytes;
	sample_fn sample;
};

/* -- where ------------------------------------------------------------------------------------- */

/* -1 ... 1 as a pixel's index. */
static double coordinate(const struct grid_state *s, double v, int64_t n)
{
	if (s->single) {
		float f = (float)v;
		return (double)(s->align ? (f + 1) / 2 * (float)(n - 1)
					 : ((f + 1) * (float)n - 1) / 2);
	}
	return s->align ? (v + 1) / 2 * (double)(n - 1) : ((v + 1) * (double)n - 1) / 2;
}

static double reflect(double v, double low, double high)
{
	double range = high - low;
	if (v >= low && v <= high)
		return v;
	if (!(range > 0) || !isfinite(v))
		return low;
	double past = v < low ? low - v : v - high;
	double times = floor(past / range), rest = past - times * range;
	bool from_low = (v < low) == (fmod(times, 2) == 0);
	return from_low ? low + rest : high - rest;
}

static double clamp(double v, double low, double high)
{
	return v > high ? high : v > low ? v : low; /* NaN: low */
}

/* Where a coordinate beyond the borders is taken to be. Of cubic taps only those that are
   beyond are brought to the border, not the point between them: so does PyTorch, where
   these models come from. */
static double bring_in(const struct grid_state *s, double v, int64_t n)
{
	double low = s->align ? 0 : -0.5, high = low + (double)n - (s->align ? 1 : 0);
	if (v >= low && v <= high)
		return v;
	if (s->padding == PADDING_REFLECTION)
		return reflect(v, low, high);
	if (s->padding == PADDING_BORDER && s->taps != TAPS_CUBIC)
		return clamp(v, 0, (double)(n - 1));
	return clamp(v, -8, (double)n + 8); /* all taps are outside all the same */
}

static int64_t pixel(const struct grid_state *s, double i, int64_t n)
{
	double low = s->align ? 0 : -0.5, high = low + (double)n - (s->align ? 1 : 0);
	if (i >= 0 && i <= (double)(n - 1))
		return (int64_t)i;
	if (s->padding == PADDING_ZEROS)
		return TAP_OUTSIDE;
	if (s->padding == PADDING_REFLECTION)
		i = trunc(reflect(i, low, high));
	return (int64_t)clamp(i, 0, (double)(n - 1));
}

static void cubic_weights(double x, double *w)
{
	const double a = -0.75;
	w[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
	w[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
	w[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
	w[3] = ((a * (2 - x) - 5 * a) * (2 - x) + 8 * a) * (2 - x) - 4 * a;
}

static void axis_taps(const struct grid_state *s, double v, int64_t n, struct tap *tap)
{
	double at = coordinate(s, v, n), w[TAPS_CUBIC] = { 1 };
	double first = at = bring_in(s, s->taps == TAPS_NEAREST ? rint(at) : at, n);
	if (s->taps != TAPS_NEAREST)
		first = floor(at);
	if (s->taps == TAPS_LINEAR) {
		w[0] = 1 - (at - first);
		w[1] = at - first;
	} else if (s->taps == TAPS_CUBIC) {
		cubic_weights(at - first, w);
		first -= 1;
	}
	for (int k = 0; k < s->taps; k++)
		tap[k] = (struct tap){ pixel(s, first + k, n), w[k] };
}

/* The grid's numbers name the innermost axis first. */
static void point_taps(const struct grid_state *s, const struct tensor *grid, int64_t point,
	struct tap *tap)
{
	int64_t n = 1;
	tap[0] = (struct tap){ 0, 1 };
	for (int i = 0; i < s->spatial; i++, n *= s->taps) {
		struct tap axis[TAPS_CUBIC];
		double v = tensor_float(grid, point * s->spatial + (s->spatial - 1 - i));
		axis_taps(s, v, s->in[i], axis);
		taps_multiply(tap, n, axis, s->taps, s->in[i]);
	}
}

/* -- what -------------------------------------------------------------------------------------- */

static void sample_nearest(
	const struct grid_state *s, const struct tap *tap, int64_t n, const void *x, void *y)
{
	for (int64_t c = 0; c < s->channels; c++) {
		char *dst = (char *)y + c * s->points * s->bytes;
		for (int64_t i = 0; i < n; i++, dst += s->bytes)
			if (tap[i].at == TAP_OUTSIDE)
				memset(dst, 0, (size_t)s->bytes);
			else
				memcpy(dst, (const char *)x + (c * s->image + tap[i].at) * s->bytes,
					(size_t)s->bytes);
	}
}

/* The sum as a whole number, cut to the type's range; NaN is the lowest. */
#define WHOLE(T, LOW, HIGH) \
	(sum >= (double)(HIGH) ? (T)(HIGH) : sum > (double)(LOW) ? (T)sum : (T)(LOW))

#define SAMPLE(id, T, result) \
	static void sample_##id(const struct grid_state *s, const struct tap *taps, int64_t n, \
		const void *from, void *to) \
	{ \
		const T *x = from; \
		T *y = to; \
		int parts = s->parts; \
		for (int64_t c = 0; c < s->channels * parts; c++) { \
			const T *image = x + c / parts * s->image * parts + c % parts; \
			T *out = y + c / parts * s->points * parts + c % parts; \
			const struct tap *tap = taps; \
			for (int64_t i = 0; i < n; i++, tap += s->points_taps) { \
				double sum = 0; \
				for (int64_t t = 0; t < s->points_taps; t++) \
					if (tap[t].at != TAP_OUTSIDE) \
						sum += tap[t].weight * \
							(double)image[tap[t].at * parts]; \
				out[i * parts] = result; \
			} \
		} \
	}
SAMPLE(F32, float, (float)sum)
SAMPLE(F64, double, sum)
SAMPLE(I8, int8_t, WHOLE(int8_t, INT8_MIN, INT8_MAX))
SAMPLE(I16, int16_t, WHOLE(int16_t, INT16_MIN, INT16_MAX))
SAMPLE(I32, int32_t, WHOLE(int32_t, INT32_MIN, INT32_MAX))
SAMPLE(I64, int64_t, WHOLE(int64_t, INT64_MIN, INT64_MAX))
SAMPLE(U8, uint8_t, WHOLE(uint8_t, 0, UINT8_MAX))
SAMPLE(U16, uint16_t, WHOLE(uint16_t, 0, UINT16_MAX))
SAMPLE(U32, uint32_t, WHOLE(uint32_t, 0, UINT32_MAX))
SAMPLE(U64, uint64_t, WHOLE(uint64_t, 0, UINT64_MAX))
SAMPLE(BOOL, uint8_t, sum != 0)

static const sample_fn samples[DTYPE_COUNT_] = {
#define ROW(id, T, U) [DTYPE_##id] = sample_##id,
	FOR_NUM(ROW)
	[DTYPE_BOOL] = sample_BOOL,
	[DTYPE_C64] = sample_F32,
	[DTYPE_C128] = sample_F64,
};

static void run_grid_sample(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct grid_state *s = a->state;
	struct tap *tap = a->scratch;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t point = from, n; point < to; point += n) {
		int64_t image = point / s->points, at = point % s->points;
		n = min_i64(min_i64(POINTS, to - point), s->points - at);
		for (int64_t i = 0; i < n; i++)
			point_taps(s, &a->in[1], point + i, tap + i * s->points_taps);
		s->sample(s, tap, n,
			(const char *)a->in[0].data + image * s->channels * s->image * s->bytes,
			(char *)a->out[0].data + (image * s->channels * s->points + at) * s->bytes);
	}
}

/* -- prepare ----------------------------------------------------------------------------------- */

static int taps_of(const struct node *n)
{
	struct slice mode = node_string(n, "mode", "linear");
	return slice_is(mode, "nearest") ? TAPS_NEAREST
	       : slice_is(mode, "cubic") ? TAPS_CUBIC
					 : TAPS_LINEAR;
}

static enum padding padding_of(const struct node *n)
{
	struct slice mode = node_string(n, "padding_mode", "zeros");
	return slice_is(mode, "border")	      ? PADDING_BORDER
	       : slice_is(mode, "reflection") ? PADDING_REFLECTION
					      : PADDING_ZEROS;
}

enum err_code prepare_grid_sample(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	enum dtype dtype = p->in[0].dtype;
	int taps = taps_of(p->node);
	sample_fn sample = taps == TAPS_NEAREST ? sample_nearest : samples[dtype];
	if (!sample)
		return prep_refuse(err, "this type can only be moved, by mode nearest");
	struct grid_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	*s = (struct grid_state){ .spatial = x->rank - 2, .taps = taps, .points_taps = 1,
		.channels = x->dim[1], .image = shape_count_range(x, 2, x->rank),
		.points = shape_count_range(y, 2, y->rank), .padding = padding_of(p->node),
		.align = node_int(p->node, "align_corners", 0) != 0,
		.single = p->in[1].dtype != DTYPE_F64, .sample = sample,
		.parts = dtype_info(dtype)->class == DTYPE_CLASS_COMPLEX ? 2 : 1,
		.bytes = (int64_t)dtype_bytes(dtype) };
	for (int i = 0; i < s->spatial; i++) {
		s->in[i] = x->dim[i + 2];
		s->points_taps *= taps;
	}
	s->split = split_work(p, ret, tensor_count(&p->out[0]) ? y->dim[0] * s->points : 0,
		20 + (double)(s->points_taps * (10 + s->channels)));
	ret->scratch_bytes = POINTS * (size_t)s->points_taps * sizeof(struct tap);
	ret->run = run_grid_sample;
	return ERR_OK;
}
