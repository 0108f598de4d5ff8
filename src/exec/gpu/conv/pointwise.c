/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/conv/pointwise.h"

#include <stdio.h>
#include "exec/gpu/conv/activation.h"
#include "exec/gpu/conv/filters.h"
#include "exec/gpu/walk.h"

#define CHUNK 32 /* channels, of two steps */
#define CHUNKS_MOST 6
#define THREADS 128
#define SHARED_MOST (48 << 10)
#define BLOCKS_PER_SM 5 /* that there is room for: they go on with further places */
#define FORM 4          /* of filters: others have other numbers */

struct pointwise_state {
	struct gpu_launch launch;
	struct gpu_pointwise s;
	void *filters;
};

static void run_pointwise(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct pointwise_state *s = a->state;
	void *bias = a->n_in > 2 ? a->in[2].data : NULL, *z = a->n_in > 3 ? a->in[3].data : NULL;
	void *params[] = { (void *)&s->s, (void *)&a->out[0].data, (void *)&a->in[0].data,
		(void *)&s->filters, &bias, &z };
	gpu_launch(a, &s->launch, params);
}

/* A lane has eight channels beside each other of a chunk, four of them in each of its two steps. */
static int64_t source(
	const struct filters *f, const struct tensor *w, int64_t step, int64_t lane, int64_t slot)
{
	(void)f;
	int64_t c = step / 2 * CHUNK + lane * 8 + step % 2 * 4 + slot;
	return c < w->shape.dim[1] ? c : -1;
}

static bool is_pointwise(const struct prep *p, const struct conv_spec *s)
{
	bool halves = p->in[0].dtype == DTYPE_F16 || p->in[0].dtype == DTYPE_BF16,
	     last = p->in[0].layout == LAYOUT_NHWC &&
		    (!gpu_has_in(p, 3) || p->in[3].layout == LAYOUT_NHWC);
	for (int i = 0; i < s->spatial; i++)
		if (s->kernel[i] != 1 || s->stride[i] != 1 || s->pad_begin[i] || s->pad_end[i])
			return false;
	return halves && last && !s->back && s->group == 1 && p->in[1].data &&
	       s->c % FILTERS_WIDE == 0 && s->k % FILTERS_WIDE == 0 &&
	       s->c <= CHUNKS_MOST * CHUNK && tensor_count(&p->in[0]) <= INT32_MAX / 2 &&
	       tensor_count(&p->out[0]) <= INT32_MAX / 2;
}

/* Of 16 places, of a warp: what is read of them stays in registers. */
static int64_t rows_of(int64_t chunks)
{
	return chunks <= 3 ? 2 : 1;
}

enum err_code pointwise_prepare(
	struct prep *p, const struct conv_spec *s, struct kernel *ret, struct err *err)
{
	char name[24];
	if (!is_pointwise(p, s))
		return prep_refuse(err, "not a convolution of single places and few channels");
	int64_t chunks = (s->c + CHUNK - 1) / CHUNK, places = tensor_count(&p->in[0]) / s->c;
	struct filters f = { .steps = chunks * 2,
		.groups = (s->k + FILTERS_GROUP - 1) / FILTERS_GROUP,
		.source = source, .form = FORM };
	if (f.groups > SHARED_MOST || filters_set_bytes(&f) > SHARED_MOST)
		return prep_refuse(err, "filters that are too large for shared memory");
	struct pointwise_state *st = gpu_state(p, ret, sizeof(*st));
	if (!st)
		return err_oom(err);
	TRY(filters_pack(p, &f, &st->filters, err));
	st->s = (struct gpu_pointwise){ .places = (uint32_t)places, .groups = (uint32_t)f.groups,
		.channels = (int32_t)s->c, .k = (int32_t)s->k, .act = activation_of(p->node) };
	snprintf(name, sizeof(name), "pointwise_%s_%d", gpu_type_name(p->in[0].dtype), (int)chunks);
	int64_t tile = 16 * rows_of(chunks);
	TRY(gpu_launch_over(p, name, (places + tile - 1) / tile * 32, THREADS, &st->launch, err));
	unsigned most = (unsigned)gpu_of(p->backend)->sms * BLOCKS_PER_SM;
	st->launch.grid[0] = st->launch.grid[0] < most ? st->launch.grid[0] : most;
	st->launch.shared_bytes = (unsigned)filters_set_bytes(&f);
	ret->unread |= 1U << 1;
	ret->out_layout = LAYOUT_NHWC;
	ret->run = run_pointwise;
	return ERR_OK;
}
