/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/conv/stem.h"

#include <stdio.h>
#include <string.h>
#include "exec/gpu/conv/activation.h"
#include "exec/gpu/walk.h"

#define CHANNELS_MOST 4
#define THREADS (GPU_STEM_SIDE / 2 * 32) /* a warp for two rows of a tile */
#define SHARED_MOST (48 << 10)
#define BLOCKS_PER_SM 2 /* that there is room for: they go on with further tiles */
#define WIDE 8          /* channels that are stored at once */
#define GROUP 32        /* channels of four products beside each other */
#define LANES 32
#define STEP_NUMBERS ((size_t)GROUP * 16) /* of a group's filters */

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

/* -- filters ----------------------------------------------------------------------------------- */

struct filters_key {
	const void *data;
	int32_t form, groups;
};
#define LANES_FIRST 3 /* conv.c's and depthwise.c's forms have other numbers */

struct filters {
	const struct tensor *w;
	int64_t chunks, steps, groups; /* of four pixels in a row of a window; in a window; of a block */
};

/* Number i of what four products of a step take: sixteen for each lane, those of product i / 4 % 4
   being for column `lane / 4`, which is one of the eight channels that lanes end with. */
static void place_of(int64_t lane, int64_t i, int64_t *ret_channel, int64_t *ret_depth)
{
	int64_t product = i / 4, column = lane / 4;
	*ret_channel = column / 2 * WIDE + product * 2 + column % 2;
	*ret_depth = lane % 4 * 2 + i / 2 % 2 * 8 + i % 2;
}

static void pack_step(char *dst, const struct filters *f, int64_t step, int64_t first_channel)
{
	const struct tensor *w = f->w;
	const int64_t *dim = w->shape.dim;
	size_t size = dtype_bytes(w->dtype);
	for (int64_t n = 0; n < (int64_t)STEP_NUMBERS; n++) {
		/* The two halves of a lane's numbers are apart: each is one access of 16 bytes. */
		int64_t half = n / (8 * LANES), lane = n / 8 % LANES, channel, depth;
		place_of(lane, half * 8 + n % 8, &channel, &depth);
		channel += first_channel;
		int64_t ky = step / f->chunks, kx = step % f->chunks * 4 + depth / 4, c = depth % 4;
		if (channel >= dim[0] || c >= dim[1] || kx >= dim[3])
			continue; /* it comes zeroed */
		memcpy(dst + (size_t)n * size,
			(const char *)w->data + (size_t)(((channel * dim[1] + c) * dim[2] + ky) * dim[3] + kx) * size,
			size);
	}
}

static int64_t blocks_of(int64_t n, int64_t size)
{
	return (n + size - 1) / size;
}

static void pack_lanes_first(void *dst, void *ctx)
{
	const struct filters *f = ctx;
	size_t bytes = STEP_NUMBERS * dtype_bytes(f->w->dtype);
	char *to = dst;
	for (int64_t set = 0; set < blocks_of(f->w->shape.dim[0], f->groups * GROUP); set++)
		for (int64_t step = 0; step < f->steps; step++)
			for (int64_t g = 0; g < f->groups; g++, to += bytes)
				pack_step(to, f, step, (set * f->groups + g) * GROUP);
}

/* -- prepare ----------------------------------------------------------------------------------- */

static bool is_stem(const struct prep *p, const struct conv_spec *s)
{
	bool halves = p->in[0].dtype == DTYPE_F16 || p->in[0].dtype == DTYPE_BF16;
	return halves && !s->back && p->in[0].shape.rank == 4 && s->group == 1 && s->c <= CHANNELS_MOST &&
	       s->k % WIDE == 0 && s->dilation[0] == 1 && s->dilation[1] == 1 && p->in[1].data &&
	       !gpu_has_in(p, 3) && tensor_count(&p->in[0]) <= INT32_MAX &&
	       tensor_count(&p->out[0]) <= INT32_MAX;
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
	if (s->kernel[0] > side || s->kernel[1] > side || s->stride[0] > side || s->stride[1] > side ||
		s->pad_begin[0] > side || s->pad_begin[1] > side)
		return SHARED_MOST + 1;
	return f->steps * f->groups * (int64_t)STEP_NUMBERS * 2 +
	       reach(s->kernel[0], s->stride[0]) * reach(f->chunks * 4, s->stride[1]) * CHANNELS_MOST * 2;
}

static struct gpu_stem numbers(const struct prep *p, const struct conv_spec *s, const struct filters *f)
{
	int64_t columns = blocks_of(s->out[1], GPU_STEM_SIDE), rows = blocks_of(s->out[0], GPU_STEM_SIDE),
		width = reach(f->chunks * 4, s->stride[1]), step[RANK_MAX];
	struct gpu_stem r = { .tiles = (uint32_t)(s->n * rows * columns), .columns = gpu_div(columns),
		.rows = gpu_div(rows), .width = gpu_div(width),
		.pixels = (uint32_t)(width * reach(s->kernel[0], s->stride[0])), .steps = (uint32_t)f->steps,
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
	int64_t tiles = s->n * blocks_of(s->out[0], GPU_STEM_SIDE) * blocks_of(s->out[1], GPU_STEM_SIDE);
	return blocks_of(s->k, GROUP) % 2 == 0 && tiles >= gpu_of(p->backend)->sms ? 2 : 1;
}

enum err_code stem_prepare(
	struct prep *p, const struct conv_spec *s, struct kernel *ret, struct err *err)
{
	struct tensor w = p->in[1];
	char name[24];
	if (!is_stem(p, s))
		return prep_refuse(err, "not a convolution of few channels");
	struct filters f = { .w = &w, .chunks = blocks_of(s->kernel[1], 4), .groups = groups_of(p, s) };
	f.steps = s->kernel[0] * f.chunks;
	int64_t bytes = shared_bytes(s, &f), sets = blocks_of(s->k, f.groups * GROUP);
	if (bytes > SHARED_MOST)
		return prep_refuse(err, "windows that are too large for shared memory");
	struct filters_key key = { w.data, LANES_FIRST, (int32_t)f.groups };
	struct stem_state *st = gpu_state(p, ret, sizeof(*st));
	if (!st)
		return err_oom(err);
	size_t packed = (size_t)(sets * f.steps * f.groups) * STEP_NUMBERS * dtype_bytes(w.dtype);
	TRY(gpu_pack(p, &key, sizeof(key), packed, pack_lanes_first, &f, &st->filters, err));
	st->s = numbers(p, s, &f);
	snprintf(name, sizeof(name), "stem_%s_%d", gpu_type_name(w.dtype), (int)f.groups);
	TRY(gpu_launch_over(p, name, st->s.tiles, 1, &st->launch, err));
	unsigned most = (unsigned)gpu_of(p->backend)->sms * BLOCKS_PER_SM;
	st->launch.grid[0] = st->s.tiles < most ? st->s.tiles : most;
	st->launch.grid[1] = (unsigned)sets;
	st->launch.block[0] = THREADS;
	st->launch.shared_bytes = (unsigned)bytes;
	ret->unread |= 1U << 1;
	ret->out_layout = LAYOUT_NHWC;
	ret->run = run_stem;
	return ERR_OK;
}
