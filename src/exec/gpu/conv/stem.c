/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/conv/stem.h"

#include <stdio.h>
#include <string.h>
#include "exec/gpu/conv/activation.h"
#include "exec/gpu/conv/filters.h"
#include "exec/gpu/walk.h"

#define CHANNELS_MOST 4
#define THREADS (GPU_STEM_SIDE / 2 * 32) /* a warp for two rows of a tile */
#define SHARED_MOST (48 << 10)
#define BLOCKS_PER_SM 2 /* that there is room for: they go on with further tiles */
#define FORM 3          /* of filters: conv.c's and depthwise.c's have other numbers */

struct stem_state {
	struct gpu_launch launch;
	struct gpu_stem s;
	void *filters;
};

static void run_stem(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct stem_state *s = a->state;
	void *bias = a->n_in > 2 ? a->in[2].data : NULL;
	void *params[] = { (void *)&s->s, (void *)&a->out[0].data, (void *)&a->in[0].data,
		(void *)&s->filters, &bias };
	gpu_launch(a, &s->launch, params);
}

/* A step is of four pixels of a row of the window; lanes have the depths that
   products give them. */
static int64_t source(
	const struct filters *f, const struct tensor *w, int64_t step, int64_t lane, int64_t slot)
{
	const int64_t *dim = w->shape.dim;
	int64_t depth = lane * 2 + slot / 2 * 8 + slot % 2;
	int64_t ky = step / f->chunks, kx = step % f->chunks * 4 + depth / 4, c = depth % 4;
	return c < dim[1] && kx < dim[3] ? (c * dim[2] + ky) * dim[3] + kx : -1;
}

static int64_t blocks_of(int64_t n, int64_t size)
{
	return (n + size - 1) / size;
}

/* -- prepare ----------------------------------------------------------------------------------- */

static bool is_stem(const struct prep *p, const struct conv_spec *s)
{
	bool halves = p->in[0].dtype == DTYPE_F16 || p->in[0].dtype == DTYPE_BF16;
	return halves && !s->back && p->in[0].shape.rank == 4 && s->group == 1 &&
	       s->c <= CHANNELS_MOST && s->k % FILTERS_WIDE == 0 && s->dilation[0] == 1 &&
	       s->dilation[1] == 1 && p->in[1].data && !gpu_has_in(p, 3) &&
	       tensor_count(&p->in[0]) <= INT32_MAX && tensor_count(&p->out[0]) <= INT32_MAX;
}

/* Rows and columns of what a tile reads; a row is read in chunks of four pixels. */
static int64_t reach(int64_t kernel, int64_t stride)
{
	return (GPU_STEM_SIDE - 1) * stride + kernel;
}

/* In shared memory; SHARED_MOST + 1: more than there is. */
static int64_t shared_bytes(const struct conv_spec *s, const struct filters *f)
{
	int64_t side = 1 << 10;
	if (s->kernel[0] > side || s->kernel[1] > side || s->stride[0] > side ||
		s->stride[1] > side || s->pad_begin[0] > side || s->pad_begin[1] > side)
		return SHARED_MOST + 1;
	return filters_set_bytes(f) + reach(s->kernel[0], s->stride[0]) *
					      reach(f->chunks * 4, s->stride[1]) * CHANNELS_MOST *
					      2;
}

static struct gpu_stem numbers(
	const struct prep *p, const struct conv_spec *s, const struct filters *f)
{
	int64_t columns = blocks_of(s->out[1], GPU_STEM_SIDE),
		rows = blocks_of(s->out[0], GPU_STEM_SIDE),
		width = reach(f->chunks * 4, s->stride[1]), step[RANK_MAX];
	struct gpu_stem r = { .tiles = (uint32_t)(s->n * rows * columns),
		.columns = gpu_div(columns),
		.rows = gpu_div(rows), .width = gpu_div(width),
		.pixels = (uint32_t)(width * reach(s->kernel[0], s->stride[0])),
		.steps = (uint32_t)f->steps,
		.channels = (int32_t)s->c, .k = (int32_t)s->k, .act = activation_of(p->node) };
	gpu_strides(&p->in[0], step);
	for (int i = 0; i < 4; i++)
		r.step[i] = (int32_t)step[i];
	for (int i = 0; i < 2; i++) {
		r.in[i] = (int32_t)s->in[i];
		r.out[i] = (int32_t)s->out[i];
		r.kernel[i] = (int32_t)s->kernel[i];
		r.stride[i] = (int32_t)s->stride[i];
		r.pad[i] = (int32_t)s->pad_begin[i];
	}
	return r;
}

/* Two groups share what they read; where that leaves the device idle each has a block. */
static int64_t groups_of(const struct prep *p, const struct conv_spec *s)
{
	int64_t tiles =
		s->n * blocks_of(s->out[0], GPU_STEM_SIDE) * blocks_of(s->out[1], GPU_STEM_SIDE);
	return blocks_of(s->k, FILTERS_GROUP) % 2 == 0 && tiles >= gpu_of(p->backend)->sms ? 2 : 1;
}

enum err_code stem_prepare(
	struct prep *p, const struct conv_spec *s, struct kernel *ret, struct err *err)
{
	char name[24];
	if (!is_stem(p, s))
		return prep_refuse(err, "not a convolution of few channels");
	struct filters f = { .chunks = blocks_of(s->kernel[1], 4), .groups = groups_of(p, s),
		.steps_first = true, .source = source, .form = FORM };
	f.steps = s->kernel[0] * f.chunks;
	int64_t bytes = shared_bytes(s, &f);
	if (bytes > SHARED_MOST)
		return prep_refuse(err, "windows that are too large for shared memory");
	struct stem_state *st = gpu_state(p, ret, sizeof(*st));
	if (!st)
		return err_oom(err);
	TRY(filters_pack(p, &f, &st->filters, err));
	st->s = numbers(p, s, &f);
	snprintf(name, sizeof(name), "stem_%s_%d", gpu_type_name(p->in[0].dtype), (int)f.groups);
	TRY(gpu_launch_over(p, name, st->s.tiles, 1, &st->launch, err));
	unsigned most = (unsigned)gpu_of(p->backend)->sms * BLOCKS_PER_SM;
	st->launch.grid[0] = st->s.tiles < most ? st->s.tiles : most;
	st->launch.grid[1] = (unsigned)filters_sets(&f, s->k);
	st->launch.block[0] = THREADS;
	st->launch.shared_bytes = (unsigned)bytes;
	ret->unread |= 1U << 1;
	ret->out_layout = LAYOUT_NHWC;
	ret->run = run_stem;
	return ERR_OK;
}
