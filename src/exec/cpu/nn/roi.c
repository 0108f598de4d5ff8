/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RoiAlign and MaxRoiPool: a grid of bins over each region of interest of an image. An item
 * of work is one bin of a region, for all channels.
 */
#include "exec/cpu/cpu.h"

#include <math.h>
#include <string.h>
#include "exec/cpu/types.h"

struct roi_state {
	struct split split;
	int64_t images, channels, height, width, out_h, out_w;
	int64_t sampling; /* points per axis of a bin; 0: as many as it has pixels */
	double scale;
	double offset; /* of pixels' middles */
	bool max;
};

/* Of a region of interest and of an item. */
struct bin {
	int64_t roi, ph, pw;
};

static struct bin bin_of(const struct roi_state *s, int64_t item)
{
	return (struct bin){ item / (s->out_h * s->out_w), item / s->out_w % s->out_h,
		item % s->out_w };
}

/* -- RoiAlign ---------------------------------------------------------------------------------- */

/* The points of a bin along one axis: first + i * step for i in [from, to) are on the image,
   all those of [0, count) there are. */
struct points {
	double first, step;
	int64_t count, from, to, size;
};

/* Rounded up; regions come from outside and may be of any size, or no numbers at all. */
static int64_t count_up(double v)
{
	v = ceil(v);
	return v >= (double)INT32_MAX ? INT32_MAX : v > 0 ? (int64_t)v : 0;
}

/* Points that lie in [-1, size]: the first and the one after the last. */
static void clip_points(struct points *p)
{
	double low = -1, high = (double)p->size;
	double a = (low - p->first) / p->step, b = (high - p->first) / p->step;
	if (p->step < 0) {
		double swap = a;
		a = b;
		b = swap;
	}
	if (p->step == 0) {
		bool inside = p->first >= low && p->first <= high;
		a = inside ? 0 : 1;
		b = inside ? (double)p->count : 0;
	}
	/* Generously: a point beyond is seen to be so when it is read. */
	p->from = min_i64(count_up(a - 1), p->count);
	p->to = min_i64(count_up(b + 2), p->count);
}

/* A pixel and the next, and how far a point is from the first to the second. */
struct corner {
	int64_t low, high;
	double part;
};

static bool corner_at(double v, int64_t size, struct corner *ret)
{
	if (!(v >= -1 && v <= (double)size))
		return false;
	v = v > 0 ? v : 0;
	int64_t low = (int64_t)v;
	*ret = low >= size - 1 ? (struct corner){ size - 1, size - 1, 0 }
			       : (struct corner){ low, low + 1, v - (double)low };
	return true;
}

#define POINTS_MAX 64

/* One point of a bin: its four pixels, and what each weighs. */
struct sample {
	int64_t at[4];
	float weight[4];
};

/* All points of a bin that are on the image; -1: more than POINTS_MAX. */
static int list_samples(const struct points *h, const struct points *w, struct sample *ret)
{
	struct corner y, z;
	int n = 0;
	if ((h->to - h->from) * (double)(w->to - w->from) > POINTS_MAX)
		return -1;
	for (int64_t i = h->from; i < h->to; i++) {
		if (!corner_at(h->first + (double)i * h->step, h->size, &y))
			continue;
		for (int64_t k = w->from; k < w->to; k++) {
			if (!corner_at(w->first + (double)k * w->step, w->size, &z))
				continue;
			int64_t low = y.low * w->size, high = y.high * w->size;
			ret[n++] = (struct sample){
				{ low + z.low, low + z.high, high + z.low, high + z.high },
				{ (float)((1 - y.part) * (1 - z.part)),
					(float)((1 - y.part) * z.part),
					(float)(y.part * (1 - z.part)), (float)(y.part * z.part) }
			};
		}
	}
	return n;
}

/* Averages of a bin in all channels; y are bins apart. */
static void average_samples(const struct sample *p, int n, double all, const float *x,
	int64_t image, int64_t channels, float *y, int64_t bins)
{
	for (int64_t c = 0; c < channels; c++, x += image) {
		float sum = 0;
		for (int i = 0; i < n; i++)
			sum += p[i].weight[0] * x[p[i].at[0]] + p[i].weight[1] * x[p[i].at[1]] +
			       p[i].weight[2] * x[p[i].at[2]] + p[i].weight[3] * x[p[i].at[3]];
		y[c * bins] = all > 0 ? sum / (float)all : 0;
	}
}

/* The same of the largest of four weighted pixels, and of all points; beside the image they are
   zeros. */
static void largest_samples(const struct sample *p, int n, double all, const float *x,
	int64_t image, int64_t channels, float *y, int64_t bins)
{
	for (int64_t c = 0; c < channels; c++, x += image) {
		float best = n < all || n == 0 ? 0 : -INFINITY;
		for (int i = 0; i < n; i++)
			for (int k = 0; k < 4; k++) {
				float v = p[i].weight[k] * x[p[i].at[k]];
				best = best > v ? best : v;
			}
		y[c * bins] = best;
	}
}

#define ROI_ALIGN(id, T, U) \
	/* Along an axis: the region is [a, b], cut into bins, of which this is number i. */ \
	static struct points points_##T( \
		const struct roi_state *s, T a, T b, int64_t i, int64_t bins, int64_t size) \
	{ \
		T start = a * (T)s->scale - (T)s->offset, \
			length = b * (T)s->scale - (T)s->offset - start; \
		if (s->offset == 0 && !(length > 1)) \
			length = 1; \
		T bin = length / (T)bins; \
		int64_t n = s->sampling > 0 ? s->sampling : count_up((double)bin); \
		T step = bin / (T)n; \
		struct points p = { (double)(start + (T)i * bin + step / 2), (double)step, n, 0, \
			0, size }; \
		clip_points(&p); \
		return p; \
	} \
	static double pool_##T(const T *x, const struct points *h, const struct points *w, \
		bool max) \
	{ \
		struct corner y, z; \
		double sum = 0, best = 0; \
		int64_t seen = 0; \
		for (int64_t i = h->from; i < h->to; i++) { \
			if (!corner_at(h->first + (double)i * h->step, h->size, &y)) \
				continue; \
			const T *low = x + y.low * w->size, *high = x + y.high * w->size; \
			for (int64_t k = w->from; k < w->to; k++) { \
				if (!corner_at(w->first + (double)k * w->step, w->size, &z)) \
					continue; \
				double v00 = (1 - y.part) * (1 - z.part) * (double)low[z.low]; \
				double v01 = (1 - y.part) * z.part * (double)low[z.high]; \
				double v10 = y.part * (1 - z.part) * (double)high[z.low]; \
				double v11 = y.part * z.part * (double)high[z.high]; \
				sum += v00 + v01 + v10 + v11; \
				if (!max) \
					continue; \
				double v = fmax(fmax(v00, v01), fmax(v10, v11)); \
				best = seen++ && best > v ? best : v; \
			} \
		} \
		/* Points beside the image count, as zeros. */ \
		double all = (double)h->count * (double)w->count; \
		if (max) \
			return (double)seen < all && best < 0 ? 0 : best; \
		return all > 0 ? sum / all : 0; \
	} \
	static void run_roi_align_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct roi_state *s = a->state; \
		int64_t from, to, image = s->height * s->width, bins = s->out_h * s->out_w; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			struct bin b = bin_of(s, item); \
			int64_t n = tensor_int(&a->in[2], b.roi); \
			if (n < 0 || n >= s->images) { \
				kernel_fault(a, FAULT_INDEX, n); \
				return; \
			} \
			const T *roi = (const T *)a->in[1].data + b.roi * 4; \
			struct points h = points_##T(s, roi[1], roi[3], b.ph, s->out_h, \
				s->height); \
			struct points w = points_##T(s, roi[0], roi[2], b.pw, s->out_w, s->width); \
			const T *x = (const T *)a->in[0].data + n * s->channels * image; \
			T *y = (T *)a->out[0].data + b.roi * s->channels * bins + item % bins; \
			struct sample sample[POINTS_MAX]; \
			int n_sample = sizeof(T) == sizeof(float) ? list_samples(&h, &w, sample) \
				: -1; \
			if (n_sample >= 0) { \
				(s->max ? largest_samples : average_samples)(sample, n_sample, \
					(double)h.count * (double)w.count, (const void *)x, image, \
					s->channels, (void *)y, bins); \
				continue; \
			} \
			for (int64_t c = 0; c < s->channels; c++) \
				y[c * bins] = (T)pool_##T(x + c * image, &h, &w, s->max); \
		} \
	}
FOR_REAL(ROI_ALIGN)

/* -- MaxRoiPool -------------------------------------------------------------------------------- */

/* Pixels [from, to) of bin i of the region [a, b] of an axis. */
static void bin_span(const struct roi_state *s, double a, double b, int64_t i, int64_t bins,
	int64_t size, int64_t *from, int64_t *to)
{
	/* Halves away from zero; what is far beside the image has no pixels. */
	int64_t start = (int64_t)fmin(fmax(round(a * s->scale), -0x1p30), 0x1p30);
	int64_t last = (int64_t)fmin(fmax(round(b * s->scale), -0x1p30), 0x1p30);
	/* In integers, so that no bin ends a pixel late: 7.0 / 25 * 25 is more than 7. */
	int64_t length = max_i64(last - start + 1, 1);
	int64_t low = start + i * length / bins,
		high = start + ((i + 1) * length + bins - 1) / bins;
	*from = min_i64(max_i64(low, 0), size);
	*to = min_i64(max_i64(high, 0), size);
}

#define MAX_CHANNELS 8 /* done together */

#define MAX_ROI_POOL(id, T, U) \
	/* Of n channels; the constant lets the compiler keep what it found in registers. */ \
	static inline __attribute__((always_inline)) void max_of_##T( \
		const T *x, int64_t image, int64_t width, const int64_t h[2], const int64_t w[2], \
		int n, T *y, int64_t bins) \
	{ \
		bool none = h[0] >= h[1] || w[0] >= w[1]; \
		T best[MAX_CHANNELS]; \
		for (int c = 0; c < n; c++) \
			best[c] = none ? 0 : x[c * image + h[0] * width + w[0]]; \
		for (int64_t i = h[0]; i < h[1]; i++) \
			for (int64_t k = w[0]; k < w[1]; k++) \
				for (int c = 0; c < n; c++) { \
					T v = x[c * image + i * width + k]; \
					best[c] = best[c] > v ? best[c] : v; \
				} \
		for (int c = 0; c < n; c++) \
			y[c * bins] = best[c]; \
	} \
	static void run_max_roi_pool_##T(const struct kernel_args *a, int64_t begin, int64_t end) \
	{ \
		const struct roi_state *s = a->state; \
		int64_t from, to, image = s->height * s->width, bins = s->out_h * s->out_w; \
		split_range(&s->split, begin, end, &from, &to); \
		for (int64_t item = from; item < to; item++) { \
			struct bin b = bin_of(s, item); \
			const T *roi = (const T *)a->in[1].data + b.roi * 5; \
			if (!(roi[0] >= 0 && roi[0] < (T)s->images)) { \
				kernel_fault(a, FAULT_INDEX, b.roi); \
				return; \
			} \
			int64_t h[2], w[2]; \
			bin_span(s, (double)roi[2], (double)roi[4], b.ph, s->out_h, s->height, \
				&h[0], &h[1]); \
			bin_span(s, (double)roi[1], (double)roi[3], b.pw, s->out_w, s->width, \
				&w[0], &w[1]); \
			const T *x = (const T *)a->in[0].data + (int64_t)roi[0] * s->channels * \
				image; \
			T *y = (T *)a->out[0].data + b.roi * s->channels * bins + item % bins; \
			int64_t c = 0; \
			for (; c + MAX_CHANNELS <= s->channels; c += MAX_CHANNELS) \
				max_of_##T(x + c * image, image, s->width, h, w, MAX_CHANNELS, \
					y + c * bins, bins); \
			for (; c < s->channels; c++) \
				max_of_##T(x + c * image, image, s->width, h, w, 1, y + c * bins, \
					bins); \
		} \
	}
FOR_REAL(MAX_ROI_POOL)

static struct roi_state *roi_state(struct prep *p, struct kernel *ret)
{
	const struct shape *x = &p->in[0].shape, *y = &p->out[0].shape;
	struct roi_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct roi_state){ .images = x->dim[0], .channels = x->dim[1], .height = x->dim[2],
		.width = x->dim[3], .out_h = y->dim[2], .out_w = y->dim[3],
		.scale = (double)node_float(p->node, "spatial_scale", 1) };
	int64_t bins = y->dim[0] * s->out_h * s->out_w;
	s->split = split_work(
		p, ret, tensor_count(&p->out[0]) ? bins : 0, 50 + 20 * (double)s->channels);
	return s;
}

enum err_code prepare_roi_align(struct prep *p, struct kernel *ret, struct err *err)
{
	struct roi_state *s = roi_state(p, ret);
	if (!s)
		return err_oom(err);
	struct slice mode = node_string(p->node, "coordinate_transformation_mode", "half_pixel");
	s->offset = slice_is(mode, "half_pixel") ? 0.5 : 0;
	s->max = slice_is(node_string(p->node, "mode", "avg"), "max");
	s->sampling = node_int(p->node, "sampling_ratio", 0);
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_roi_align_double : run_roi_align_float;
	return ERR_OK;
}

enum err_code prepare_max_roi_pool(struct prep *p, struct kernel *ret, struct err *err)
{
	if (!roi_state(p, ret))
		return err_oom(err);
	ret->run = p->in[0].dtype == DTYPE_F64 ? run_max_roi_pool_double : run_max_roi_pool_float;
	return ERR_OK;
}
