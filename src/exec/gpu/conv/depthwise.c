/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/conv/depthwise.h"

#include <stdio.h>
#include <string.h>
#include "exec/gpu/conv/activation.h"
#include "exec/gpu/walk.h"

#define BLOCK 128
#define WIDE_BYTES 16

struct depthwise_state {
	struct gpu_launch launch;
	bool in_tiles;
	union {
		struct gpu_depthwise any;
		struct gpu_depthwise_tiles tiles;
	};
	void *weights; /* taps first, on the device; NULL: as the node brings them */
};

static void *data_of(const struct kernel_args *a, int i)
{
	return i < a->n_in ? a->in[i].data : NULL;
}

static void run_depthwise(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct depthwise_state *s = a->state;
	void *weights = s->weights ? s->weights : a->in[1].data, *bias = data_of(a, 2),
	     *z = data_of(a, 3);
	const void *numbers = s->in_tiles ? (const void *)&s->tiles : (const void *)&s->any;
	void *params[] = { (void *)numbers, (void *)&a->out[0].data, (void *)&a->in[0].data,
		&weights, &bias, &z };
	gpu_launch(a, &s->launch, params);
}

/* -- weights ----------------------------------------------------------------------------------- */

struct weights_key {
	const void *data;
	int32_t form, unused;
};
#define TAPS_FIRST 2 /* conv.c's forms have other numbers */

static void pack_taps_first(void *dst, void *ctx)
{
	const struct tensor *w = ctx;
	size_t size = dtype_bytes(w->dtype);
	int64_t channels = w->shape.dim[0], taps = tensor_count(w) / channels;
	for (int64_t c = 0; c < channels; c++)
		for (int64_t t = 0; t < taps; t++)
			memcpy((char *)dst + (size_t)(t * channels + c) * size,
				(const char *)w->data + (size_t)(c * taps + t) * size, size);
}

static enum err_code pack_weights(
	struct prep *p, struct depthwise_state *s, struct kernel *ret, struct err *err)
{
	struct tensor w = p->in[1];
	struct weights_key key = { w.data, TAPS_FIRST, 0 };
	if (!w.data)
		return prep_refuse(err, "weights that are computed, with channels last");
	ret->unread |= 1U << 1;
	return gpu_pack(
		p, &key, sizeof(key), tensor_bytes(&w), pack_taps_first, &w, &s->weights, err);
}

/* -- prepare ----------------------------------------------------------------------------------- */

static bool is_depthwise(const struct prep *p, const struct conv_spec *s)
{
	bool apart = gpu_has_in(p, 3) && p->in[3].layout != p->in[0].layout;
	return !s->back && s->spatial == 2 && s->group == s->c && s->k == s->c && !apart &&
	       tensor_count(&p->in[0]) <= INT32_MAX && tensor_count(&p->out[0]) <= INT32_MAX;
}

static struct gpu_depthwise numbers(
	const struct prep *p, const struct conv_spec *s, bool last, int64_t wide)
{
	int64_t inner = last ? s->c / wide : 1,
		strips = (s->out[0] + GPU_DEPTHWISE_ROWS - 1) / GPU_DEPTHWISE_ROWS;
	struct gpu_depthwise d = { .count =
		(uint32_t)(s->n * (last ? 1 : s->c) * strips * s->out[1] * inner),
		.inner = gpu_div(inner), .columns = gpu_div(s->out[1]), .strips = gpu_div(strips),
		.channels = gpu_div(s->c), .rows = (int32_t)s->out[0], .last = last,
		.act = activation_of(p->node) };
	for (int i = 0; i < 2; i++) {
		d.in[i] = (int32_t)s->in[i];
		d.kernel[i] = (int32_t)s->kernel[i];
		d.stride[i] = (int32_t)s->stride[i];
		d.dilation[i] = (int32_t)s->dilation[i];
		d.pad[i] = (int32_t)s->pad_begin[i];
	}
	return d;
}

/* What windows reach, at most, is counted by 32 bits. */
static bool is_small(const struct conv_spec *s)
{
	for (int i = 0; i < 2; i++) {
		int64_t most = INT32_MAX / 4;
		if (s->stride[i] > most / (s->out[i] + GPU_DEPTHWISE_ROWS) ||
			s->dilation[i] > most / s->kernel[i] || s->pad_begin[i] > most)
			return false;
	}
	return true;
}

static enum err_code prepare_any(struct prep *p, const struct conv_spec *s, bool last,
	struct depthwise_state *st, struct err *err)
{
	int64_t most = WIDE_BYTES / (int64_t)dtype_bytes(p->in[0].dtype),
		wide = last && s->c % most == 0 ? most : 1;
	char name[24];
	st->any = numbers(p, s, last, wide);
	snprintf(name, sizeof(name), "depthwise_%s%s", gpu_type_name(p->in[0].dtype),
		wide > 1 ? "_wide" : "");
	return gpu_launch_over(p, name, st->any.count, BLOCK, &st->launch, err);
}

/* -- tiles ------------------------------------------------------------------------------------- */

/* Threads that go into n without leaving many idle, at most `most` of them. */
static int64_t fitting(int64_t n, int64_t most)
{
	int64_t best = n < most ? n : most, waste = n;
	for (int64_t side = best; side > 0 && side > best / 2; side--) {
		int64_t over = (n + side - 1) / side * side - n;
		if (over < waste) {
			waste = over;
			best = side;
		}
	}
	return best;
}

static int64_t tiles_of(int64_t n, int64_t side)
{
	return (n + side - 1) / side;
}

#define GROUPS_MOST 8 /* beside each other in a tile: whole lines of memory */
#define STRIPS_MOST 8

/* Tiles of strips of n, of about that many threads; their number. */
static int64_t lay_tiles(const struct conv_spec *s, int64_t groups, int64_t n, int64_t threads,
	struct gpu_depthwise_tiles *ret, unsigned *ret_block)
{
	int64_t strips = tiles_of(s->out[1], n), across = fitting(groups, GROUPS_MOST),
		columns = fitting(
			strips, threads / across < STRIPS_MOST ? threads / across : STRIPS_MOST),
		rows = fitting(s->out[0], threads / across / columns);
	ret->across = gpu_div(tiles_of(groups, across));
	ret->columns = gpu_div(tiles_of(strips, columns));
	ret->rows = gpu_div(tiles_of(s->out[0], rows));
	ret_block[0] = (unsigned)across;
	ret_block[1] = (unsigned)columns;
	ret_block[2] = (unsigned)rows;
	return (int64_t)ret->across.d * ret->columns.d * ret->rows.d * s->n;
}

static bool takes_tiles(const struct prep *p, const struct conv_spec *s)
{
	int64_t k = s->kernel[0], stride = s->stride[0];
	return (k == 3 || k == 5) && s->kernel[1] == k && (stride == 1 || stride == 2) &&
	       s->stride[1] == stride && s->dilation[0] == 1 && s->dilation[1] == 1 &&
	       s->c * (int64_t)dtype_bytes(p->in[0].dtype) % WIDE_BYTES == 0 &&
	       s->c * s->in[1] <= INT32_MAX / 16;
}

/* Results beside each other of which what is read fits the registers of enough threads. */
static int64_t long_strip(const struct conv_spec *s)
{
	return s->kernel[0] == 3 && s->stride[0] == 1 ? 4 : 2;
}

/* Long strips read least; where they leave the device idle, single results in smaller blocks. */
static enum err_code prepare_tiles(
	struct prep *p, const struct conv_spec *s, struct depthwise_state *st, struct err *err)
{
	const struct {
		int64_t strip, threads;
	} ways[] = { { long_strip(s), 256 }, { long_strip(s), 128 }, { 1, 128 }, { 1, 64 } };
	int64_t groups = s->c * (int64_t)dtype_bytes(p->in[0].dtype) / WIDE_BYTES, tiles = 0;
	struct gpu_depthwise_tiles *t = &st->tiles;
	size_t way = 0, last = sizeof(ways) / sizeof(ways[0]) - 1;
	unsigned block[3];
	char name[32];
	*t = (struct gpu_depthwise_tiles){ .channels = (int32_t)s->c,
		.act = activation_of(p->node) };
	for (int i = 0; i < 2; i++) {
		t->in[i] = (int32_t)s->in[i];
		t->out[i] = (int32_t)s->out[i];
		t->pad[i] = (int32_t)s->pad_begin[i];
	}
	for (;; way++) {
		tiles = lay_tiles(s, groups, ways[way].strip, ways[way].threads, t, block);
		if (way == last || tiles >= 2 * (int64_t)gpu_of(p->backend)->sms)
			break;
	}
	t->count = (uint32_t)tiles;
	snprintf(name, sizeof(name), "depthwise_%s_%d_%d_%d", gpu_type_name(p->in[0].dtype),
		(int)s->kernel[0], (int)s->stride[0], (int)ways[way].strip);
	TRY(gpu_launch_over(p, name, tiles, 1, &st->launch, err));
	memcpy(st->launch.block, block, sizeof(block));
	return ERR_OK;
}

enum err_code depthwise_prepare(
	struct prep *p, const struct conv_spec *s, struct kernel *ret, struct err *err)
{
	bool last = p->in[0].layout == LAYOUT_NHWC;
	if (!is_depthwise(p, s) || !is_small(s))
		return prep_refuse(err, "not each channel by itself");
	struct depthwise_state *st = gpu_state(p, ret, sizeof(*st));
	if (!st)
		return err_oom(err);
	if (last)
		TRY(pack_weights(p, st, ret, err));
	ret->out_layout = p->in[0].layout;
	ret->run = run_depthwise;
	st->in_tiles = last && takes_tiles(p, s);
	return st->in_tiles ? prepare_tiles(p, s, st, err) : prepare_any(p, s, last, st, err);
}
