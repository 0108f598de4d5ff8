/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv of one channel to one along a line, as filters of signals are: long windows, in strides.
 *
 * DESIGN. Such a product has no channels to go side by side, so pixels do. Every stride-th pixel of
 * the source is a phase; a unit copies each phase to a run of its own, zeros where the line ends.
 * Then a tap of neighbouring pixels of the result reads neighbours, and a few vectors of sums go
 * along all taps in registers.
 *
 * A unit of work is PIXELS of the result of one line. Compiled once per instruction set.
 */
#include <string.h>
#include "exec/cpu/vec_isa.h"
#include "exec/infer/conv_geometry.h"

#define PIXELS 2048
#define SUMS 8 /* vectors: as many as the processor has additions under way */
#define BLOCK (SUMS * VEC_FLOATS)
#define TAPS_MIN 8
#define TAPS_MAX (1 << 16)
#define STRIDE_MAX 16

struct line_state {
	struct split split; /* of pieces of PIXELS, of all lines */
	int64_t in, out, stride, pad;
	int64_t pieces; /* of a line */
	int64_t phase;	/* floats from one to the next */
	int64_t taps, at[]; /* where the tap of pixel 0 is */
};

/* Every step-th of n pixels, from `first` on, which may be outside. */
static void take_phase(
	float *to, int64_t len, const float *x, int64_t n, int64_t first, int64_t step)
{
	int64_t from = first < 0 ? min_i64((step - 1 - first) / step, len) : 0;
	int64_t end = first < n ? min_i64((n - first + step - 1) / step, len) : 0;
	end = max_i64(end, from);
	memset(to, 0, (size_t)from * sizeof(*to));
	for (int64_t i = from; i < end; i++)
		to[i] = x[first + i * step];
	memset(to + end, 0, (size_t)(len - end) * sizeof(*to));
}

/* BLOCK pixels whose phases begin at x. */
static void filter_block(
	const struct line_state *s, const float *x, const float *w, float bias, float *y)
{
	vec sum[SUMS];
	UNROLL for (int j = 0; j < SUMS; j++)
		sum[j] = vec_all(bias);
	for (int64_t k = 0; k < s->taps; k++) {
		const float *tap = x + s->at[k];
		vec weight = vec_all(w[k]);
		UNROLL for (int j = 0; j < SUMS; j++)
			sum[j] += weight * *(const vec *)(tap + j * VEC_FLOATS);
	}
	UNROLL for (int j = 0; j < SUMS; j++)
		*(vec *)(y + j * VEC_FLOATS) = sum[j];
}

static void filter_piece(const struct kernel_args *a, const struct line_state *s, int64_t piece)
{
	int64_t line = piece / s->pieces, first = piece % s->pieces * PIXELS,
		n = min_i64(PIXELS, s->out - first);
	const float *x = (const float *)a->in[0].data + line * s->in, *w = a->in[1].data;
	float *y = (float *)a->out[0].data + line * s->out + first, *phases = a->scratch;
	float bias = args_has_in(a, 2) ? *(const float *)a->in[2].data : 0, rest[BLOCK];
	for (int64_t p = 0; p < s->stride; p++)
		take_phase(phases + p * s->phase, s->phase, x, s->in,
			first * s->stride + p - s->pad, s->stride);
	int64_t i = 0;
	for (; i + BLOCK <= n; i += BLOCK)
		filter_block(s, phases + i, w, bias, y + i);
	if (i == n)
		return;
	filter_block(s, phases + i, w, bias, rest);
	memcpy(y + i, rest, (size_t)(n - i) * sizeof(*y));
}

static void run_line(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct line_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t piece = from; piece < to; piece++)
		filter_piece(a, s, piece);
}

static bool is_line(const struct prep *p, const struct conv_geometry *g)
{
	int last = g->spatial - 1;
	bool line = p->in[0].shape.dim[1] == 1 && p->out[0].shape.dim[1] == 1;
	for (int i = 0; i < last; i++)
		line &= g->in[i] == 1 && g->out[i] == 1 && g->kernel[i] == 1 &&
			g->pad_begin[i] == 0;
	return line && g->dilation[last] == 1 && g->stride[last] <= STRIDE_MAX &&
	       g->out[last] >= BLOCK && g->kernel[last] >= TAPS_MIN && g->kernel[last] <= TAPS_MAX;
}

enum err_code VEC_NAME(prepare_conv_line)(struct prep *p, struct kernel *ret, struct err *err)
{
	struct conv_geometry g;
	TRY(conv_geometry(p->node, &p->in[0].shape, &p->in[1].shape, &g, err));
	if (!is_line(p, &g))
		return prep_refuse(err, "no long filter of one channel along a line");
	int last = g.spatial - 1;
	int64_t taps = g.kernel[last];
	struct line_state *s = kernel_state(p, ret, sizeof(*s) + (size_t)taps * sizeof(s->at[0]));
	if (!s)
		return err_oom(err);
	*s = (struct line_state){ .in = g.in[last], .out = g.out[last], .stride = g.stride[last],
		.pad = g.pad_begin[last], .taps = taps,
		.pieces = (g.out[last] + PIXELS - 1) / PIXELS };
	s->phase = PIXELS + BLOCK + taps / s->stride;
	for (int64_t k = 0; k < taps; k++)
		s->at[k] = k % s->stride * s->phase + k / s->stride;
	int64_t pieces = p->in[0].shape.dim[0] * s->pieces;
	s->split = split_work(p, ret, pieces, PIXELS * (1 + (double)taps / 32));
	ret->scratch_bytes = (size_t)(s->stride * s->phase) * sizeof(float);
	ret->run = run_line;
	return ERR_OK;
}
