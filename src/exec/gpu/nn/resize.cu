/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize.cu -- Resize: along each axis a few taps of the source, in double as the host has them
 */
#include "exec/gpu/kernels.cuh"

#define TAPS_MAX 4

static __device__ inline double coordinate(const struct gpu_resize_axis &a, double o)
{
	switch (a.how) {
	case GPU_HALF_PIXEL:
		return a.plus + (o + 0.5) / a.scale - 0.5;
	case GPU_ALIGNED:
		return o * a.plus / a.scale;
	case GPU_ASYMMETRIC:
		return o / a.scale;
	case GPU_TF_HALF_PIXEL:
		return (o + 0.5) / a.scale;
	case GPU_ZERO:
		return 0;
	}
	return o;
}

/* Numbered as enum resize_nearest. */
static __device__ inline double nearest(int how, double x)
{
	switch (how) {
	case 1:
		return floor(x + 0.5);
	case 2:
		return floor(x);
	case 3:
		return ceil(x);
	}
	return ceil(x - 0.5);
}

static __device__ inline double filter(const struct gpu_resize &r, double d)
{
	double a = r.cubic_a;
	d = fabs(d);
	if (r.taps == 2)
		return d < 1 ? 1 - d : 0;
	if (d <= 1)
		return ((a + 2) * d - (a + 3)) * d * d + 1;
	return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

struct axis_taps {
	int n;
	int32_t at[TAPS_MAX]; /* offsets in the source */
	float weight[TAPS_MAX];
};

static __device__ inline void find_taps(const struct gpu_resize &r, const struct gpu_resize_axis &a,
	uint32_t o, struct axis_taps &t)
{
	double x = coordinate(a, o), sum = 0;
	t.n = a.how == GPU_SAME ? 1 : r.taps;
	if (t.n == 1) {
		double i = a.how == GPU_SAME ? o : nearest(r.nearest, x);
		t.at[0] = (int32_t)(i < 0 ? 0 : i > a.in - 1 ? a.in - 1 : i) * a.stride;
		t.weight[0] = 1;
		return;
	}
	int32_t first = (int32_t)floor(x) - t.n / 2 + 1;
	for (int k = 0; k < t.n; k++) {
		int32_t i = first + k;
		bool inside = i >= 0 && i < a.in;
		double w = r.exclude_outside && !inside ? 0 : filter(r, (double)i - x);
		t.at[k] = (i < 0 ? 0 : i >= a.in ? a.in - 1 : i) * a.stride;
		t.weight[k] = (float)w;
		sum += w;
	}
	for (int k = 0; k < t.n && r.exclude_outside && sum != 0; k++)
		t.weight[k] = (float)((double)t.weight[k] / sum);
}

template <typename T> __device__ void resize(const struct gpu_resize &r, T *out, const T *in)
{
	for (int64_t i = thread_index(); i < r.count; i += thread_stride()) {
		struct axis_taps taps[GPU_RANK_MAX];
		uint32_t rest = (uint32_t)i;
		int all = 1;
		for (int a = r.rank - 1; a >= 0; a--) {
			uint32_t q = quotient(rest, r.axis[a].out);
			find_taps(r, r.axis[a], rest - q * r.axis[a].out.d, taps[a]);
			all *= taps[a].n;
			rest = q;
		}
		double sum = 0;
		for (int t = 0; t < all; t++) {
			double weight = 1;
			int64_t at = 0;
			for (int a = r.rank - 1, k = t; a >= 0; k /= taps[a].n, a--) {
				weight *= (double)taps[a].weight[k % taps[a].n];
				at += taps[a].at[k % taps[a].n];
			}
			if (weight != 0)
				sum += weight * (double)widen(in[at]);
		}
		out[i] = narrow<T>((compute<T>)sum);
	}
}

/* One tap moves any element. */
template <typename T> __device__ void resize_move(const struct gpu_resize &r, T *out, const T *in)
{
	for (int64_t i = thread_index(); i < r.count; i += thread_stride()) {
		uint32_t rest = (uint32_t)i;
		int64_t at = 0;
		for (int a = r.rank - 1; a >= 0; a--) {
			struct axis_taps t;
			uint32_t q = quotient(rest, r.axis[a].out);
			find_taps(r, r.axis[a], rest - q * r.axis[a].out.d, t);
			at += t.at[0];
			rest = q;
		}
		out[i] = in[at];
	}
}

KERNEL(resize_f32, (struct gpu_resize r, float *out, const float *in)) { resize(r, out, in); }
KERNEL(resize_f16, (struct gpu_resize r, half *out, const half *in)) { resize(r, out, in); }
KERNEL(resize_bf16, (struct gpu_resize r, bfloat *out, const bfloat *in)) { resize(r, out, in); }
KERNEL(resize_move_1, (struct gpu_resize r, uint8_t *out, const uint8_t *in)) {
	resize_move(r, out, in); }
KERNEL(resize_move_2, (struct gpu_resize r, uint16_t *out, const uint16_t *in)) {
	resize_move(r, out, in); }
KERNEL(resize_move_4, (struct gpu_resize r, uint32_t *out, const uint32_t *in)) {
	resize_move(r, out, in); }
KERNEL(resize_move_8, (struct gpu_resize r, uint64_t *out, const uint64_t *in)) {
	resize_move(r, out, in); }
