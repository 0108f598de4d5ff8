/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv_tiles_copy.c -- what a unit of conv_tiles.c reads, where it cannot be read as it lies
 */
#include "exec/cpu/conv/conv_tiles.h"

/* A row of pixels to slots of each and the one that windows have beside it; left: slots before
   the first pixel's, all of them zeros. */
static void copy_beside(
	const struct conv_job *j, const float *row, int64_t width, int64_t left, float *to)
{
	int64_t before = max_i64(j->dilation[1] - left, 0);
	j->vec->put_halves(to + left, row, width, false);
	if (before < width)
		j->vec->put_halves(
			to + left + before - j->dilation[1], row + before, width - before, true);
}

/* Rows of the source below the windows of the unit's rows, zeros where there are none. */
void tiles_copy_padded(
	const struct tiles_state *s, const float *image, int64_t first_row, float *to)
{
	const struct conv_job *j = &s->j;
	int64_t run = j->src_run, rows = s->plane_slots / s->row_slots;
	int64_t left = j->pad[1],
		most = tiles_is_paired(j) ? 2 * s->row_slots : s->row_slots / job_run(j);
	int64_t width = min_i64(j->in[1], most - left);
	int64_t pixel = job_src_at(j, run);
	for (int64_t c = 0; c < j->ic / run; c++, image += j->in[0] * j->in[1] * pixel)
		for (int64_t i = 0; i < rows; i++, to += s->row_slots) {
			int64_t y = first_row * j->stride[0] - j->pad[0] + i;
			memset(to, 0, (size_t)s->row_slots * sizeof(float));
			if (y < 0 || y >= j->in[0])
				continue;
			if (tiles_is_paired(j))
				j->vec->put_pixels(to, left, image + y * j->in[1], width);
			else if (j->beside > 1)
				copy_beside(j, image + y * j->in[1], width, left, to);
			else
				j->vec->copy(to + left * job_run(j),
					&(struct conv_pixels){ image + y * j->in[1] * pixel, width,
						run, pixel, j->src_slots });
		}
}

/* The pixels that windows of one read, for n pixels of the result. */
void tiles_copy_flat(
	const struct tiles_state *s, const float *image, int64_t first, int64_t n, float *to)
{
	const struct conv_job *j = &s->j;
	int64_t run = j->src_run, pixel = job_src_at(j, run), m;
	for (int64_t c = 0; c < j->ic / run; c++, image += j->in[0] * j->in[1] * pixel)
		for (int64_t i = first; i < first + n; i += m, to += m * job_run(j)) {
			int64_t y = i / j->out[1] * j->stride[0], x = i % j->out[1] * j->stride[1];
			m = min_i64(j->out[1] - i % j->out[1], first + n - i);
			j->vec->copy(to, &(struct conv_pixels){ image + (y * j->in[1] + x) * pixel,
						 m, run, j->stride[1] * pixel, j->src_slots });
		}
}

/* Has a second half of n slots an infinity, or no number? */
static bool has_wild_halves(const float *slots, int64_t n)
{
	const uint32_t exponent = 0x7f800000;
	uint32_t bits, found = 0;
	for (int64_t i = 0; i < n; i++) {
		memcpy(&bits, &slots[i], sizeof(bits));
		found |= (bits & exponent) == exponent;
	}
	return found;
}

static void empty_halves(const float *slots, int64_t n, float *to)
{
	uint32_t bits;
	for (int64_t i = 0; i < n; i++) {
		memcpy(&bits, &slots[i], sizeof(bits));
		bits &= 0xffff;
		memcpy(&to[i], &bits, sizeof(bits));
	}
}

/* Whence windows take their slots, once they are copied. */
const struct taps *tiles_choose_taps(const struct tiles_state *s, float *copy)
{
	int64_t n = tiles_copy_slots(s);
	if (!tiles_ends_in_half(&s->j) || !has_wild_halves(copy, n))
		return &s->taps;
	empty_halves(copy, n, copy + n);
	return &s->halved;
}
