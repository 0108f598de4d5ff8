/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic of images in blocked layouts with a number, or a number per channel: what would
 * otherwise cost a copy to the plain layout
 *
 * In memory a block of channels is a matrix of pixels times channels, each row of which meets
 * the same few numbers. They are repeated until the loop over them is long.
 */
#include "exec/cpu/math/binary.h"

#include <string.h>

#define REPEATED 1024 /* floats; a multiple of every block */

struct channels_state {
	struct split split; /* of blocks, of all images */
	binary_fn fn;
	int64_t blocks, floats; /* of an image; of a block of it */
	int width;              /* channels of a block */
	bool number, per_image; /* what the other operand is */
};

static void run_block(const struct kernel_args *a, const struct channels_state *s, int64_t at)
{
	float *out = (float *)a->out[0].data + at * s->floats, repeated[REPEATED];
	const float *x = (const float *)a->in[0].data + at * s->floats, *y = a->in[1].data;
	if (s->number) {
		s->fn(a, out, x, y, s->floats, 1, 0);
		return;
	}
	y += (s->per_image ? at : at % s->blocks) * s->width;
	int64_t fill = min_i64(REPEATED, s->floats);
	for (int64_t i = 0; i < fill; i += s->width)
		memcpy(repeated + i, y, (size_t)s->width * sizeof(*y));
	for (int64_t i = 0; i < s->floats; i += fill)
		s->fn(a, out + i, x + i, repeated, min_i64(fill, s->floats - i), 1, 1);
}

static void run_channels(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct channels_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++)
		run_block(a, s, i);
}

/* Is y, by the rules of broadcasting, one number or one for each channel of x? */
static bool fits_channels(const struct shape *x, const struct shape *y, struct channels_state *s)
{
	int64_t n = 1, c = 1, pixels = 1;
	for (int i = 0; i < y->rank; i++) {
		int axis = i + x->rank - y->rank;
		*(axis == 0 ? &n : axis == 1 ? &c : &pixels) *= y->dim[i];
	}
	s->number = n * c == 1;
	s->per_image = n > 1;
	return y->rank <= x->rank && pixels == 1 && (n == 1 || n == x->dim[0]) &&
	       (s->number || c == x->dim[1]);
}

enum err_code prepare_binary_channels(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct tensor *x = &p->in[0], *y = &p->in[1];
	struct channels_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->width = x->layout == LAYOUT_NCHW16C ? 16 : x->layout == LAYOUT_NCHW8C ? 8 : 0;
	s->fn = binary_find(p->node->op, DTYPE_F32);
	/* A single pixel lies the same in every layout. */
	if (!s->width || !fits_channels(&x->shape, &y->shape, s))
		return prep_refuse(
			err, "not an image in blocks of channels and a number for each channel");
	s->blocks = x->shape.dim[1] / s->width;
	s->floats = s->width * shape_count_range(&x->shape, 2, x->shape.rank);
	double ns = (double)(s->width + s->floats) / 8;
	s->split = split_work(p, ret, s->floats ? x->shape.dim[0] * s->blocks : 0, ns);
	ret->run = run_channels;
	ret->inplace = true;
	ret->out_layout = x->layout;
	return ERR_OK;
}
