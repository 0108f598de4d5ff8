/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. Every stride-th pixel along both axes of an image is a phase. A tap puts its places
 * to one phase, side by side as they are and some rows and columns on; the zeros behind each row
 * take what goes over its end. So a tap is added in one long run, and all phases go to the
 * result together in the end. Compiled once per instruction set.
 */
#include <string.h>
#include "exec/cpu/conv/columns_add.h"
#include "exec/cpu/types.h"
#include "exec/cpu/vec_isa.h"

static void add_run(float *restrict y, const float *restrict x, int64_t n)
{
	IVDEP for (int64_t i = 0; i < n; i++)
		y[i] += x[i];
}

/* y[i * 2] and y[i * 2 + 1]. */
static void
add_pairs(float *restrict y, const float *restrict even, const float *restrict odd, int64_t n)
{
	IVDEP for (int64_t i = 0; i < n; i++) {
		y[2 * i] += even[i];
		y[2 * i + 1] += odd[i];
	}
}

static void add_apart(float *restrict y, const float *restrict x, int64_t stride, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		y[i * stride] += x[i];
}

/* One row of the result, from that row of each of its phases, which are `plane` floats apart. */
static void add_row(const struct columns_add *c, float *y, const float *x, int64_t plane)
{
	const struct conv_geometry *g = &c->w->g;
	const struct columns_axis *axis = &c->axis[AXIS_W];
	int64_t stride = g->stride[AXIS_W], width = g->out[AXIS_W], p = 0;
	int64_t from = max_i64(axis->first, 0), skipped = from - axis->first;
	int64_t places = g->in[AXIS_W] + axis->span - skipped;
	x += skipped;
	y += from * stride;
	width -= from * stride;
	if (stride == 2 && width > 0) {
		int64_t pairs = max_i64(min_i64(places, width / 2), 0);
		add_pairs(y, x, x + plane, pairs);
		x += pairs;
		y += pairs * stride;
		width -= pairs * stride;
		places -= pairs;
	}
	for (; p < min_i64(stride, width); p++, x += plane)
		add_apart(y + p, x, stride, min_i64(places, (width - p + stride - 1) / stride));
}

static void add_planes(const struct columns_add *c, float *y, int64_t plane)
{
	const struct conv_geometry *g = &c->w->g;
	const struct columns_axis *axis = &c->axis[AXIS_H];
	int64_t stride = g->stride[AXIS_H], pitch = columns_pitch(c->w);
	const float *x = c->planes;
	for (int64_t p = 0; p < stride; p++)
		for (int64_t r = 0; r < c->rows + axis->span; r++) {
			int64_t to = (c->row + r + axis->first) * stride + p;
			if (to >= 0 && to < g->out[AXIS_H])
				add_row(c, y + to * g->out[AXIS_W],
					x + p * g->stride[AXIS_W] * plane + r * pitch, plane);
		}
}

/* One channel's taps of one depth of the window, to one depth of the result. */
static void add_slice(const struct columns_add *c, float *y, const float *x)
{
	const struct conv_geometry *g = &c->w->g;
	int64_t n = c->rows * columns_pitch(c->w), plane = columns_plane(c->w, c->rows);
	int64_t at[AXES], phase[AXES], k[AXES];
	memset(c->planes, 0, (size_t)columns_floats(c->w, c->rows) * sizeof(*x));
	for (k[AXIS_H] = 0; k[AXIS_H] < g->kernel[AXIS_H]; k[AXIS_H]++)
		for (k[AXIS_W] = 0; k[AXIS_W] < g->kernel[AXIS_W]; k[AXIS_W]++, x += n) {
			for (int i = AXIS_H; i <= AXIS_W; i++) {
				int64_t to = k[i] * g->dilation[i] - g->pad_begin[i];
				at[i] = floor_div(to, g->stride[i]);
				phase[i] = to - at[i] * g->stride[i];
				at[i] -= c->axis[i].first;
			}
			int64_t which = phase[AXIS_H] * g->stride[AXIS_W] + phase[AXIS_W];
			add_run(c->planes + which * plane + at[AXIS_H] * columns_pitch(c->w) +
					at[AXIS_W], x, n);
		}
	add_planes(c, y, plane);
}

void VEC_NAME(columns_add)(const struct columns_add *c)
{
	const struct conv_geometry *g = &c->w->g;
	int64_t image = g->out[AXIS_H] * g->out[AXIS_W];
	int64_t slice = g->kernel[AXIS_H] * g->kernel[AXIS_W] * c->rows * columns_pitch(c->w);
	const float *x = c->x;
	for (int64_t channel = 0; channel < c->channels; channel++)
		for (int64_t k = 0; k < g->kernel[AXIS_D]; k++, x += slice) {
			int64_t d = c->depth * g->stride[AXIS_D] + k * g->dilation[AXIS_D] -
				    g->pad_begin[AXIS_D];
			if (d >= 0 && d < g->out[AXIS_D])
				add_slice(c, c->y + (channel * g->out[AXIS_D] + d) * image, x);
		}
}
