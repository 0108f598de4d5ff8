/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c -- kernels that only move elements
 */
#include "exec/gpu/gpu.h"
#include "exec/gpu/params.h"

#define BLOCK 256
#define BLOCKS_MAX 8192

struct copy_state {
	struct gpu_launch launch;
	struct gpu_box box;
};

static void run_copy(const struct kernel_args *a, int64_t from, int64_t to)
{
	(void)from, (void)to;
	const struct copy_state *s = a->state;
	void *params[] = { (void *)&s->box, (void *)&a->out[0].data, (void *)&a->in[0].data };
	gpu_launch(a, &s->launch, params);
}

/* Strides of a tensor's four dimensions N, C, H, W as its layout has them. */
static void strides_of(const struct tensor *t, int64_t *ret)
{
	int rank = t->shape.rank;
	const int64_t *dim = t->shape.dim;
	bool channels_last = t->layout == LAYOUT_NHWC && rank >= 3;
	int64_t at = channels_last ? dim[1] : 1;
	for (int d = rank - 1; d >= 0; d--) {
		if (channels_last && d == 1) {
			ret[1] = 1;
			continue;
		}
		ret[d] = at;
		at *= dim[d];
	}
}

enum err_code gpu_prepare_copy(struct prep *p, struct kernel *ret, struct err *err)
{
	static const char *const name[] = { [1] = "copy_box_1", [2] = "copy_box_2", [4] = "copy_box_4",
		[8] = "copy_box_8" };
	const struct tensor *in = &p->in[0];
	size_t size = dtype_bytes(in->dtype);
	if (size > 8 || !name[size] || in->shape.rank > GPU_RANK_MAX)
		return prep_refuse(err, "elements of that size, or so many dimensions");
	struct copy_state *s = gpu_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->box.rank = in->shape.rank;
	s->box.count = tensor_count(in);
	for (int d = 0; d < in->shape.rank; d++)
		s->box.dim[d] = in->shape.dim[d];
	strides_of(in, s->box.src);
	strides_of(&p->out[0], s->box.dst);
	int64_t blocks = (s->box.count + BLOCK - 1) / BLOCK;
	s->launch = (struct gpu_launch){ .grid = { blocks > BLOCKS_MAX ? BLOCKS_MAX : blocks ? (unsigned)blocks : 1, 1, 1 },
		.block = { BLOCK, 1, 1 } };
	ret->name = "copy";
	ret->run = run_copy;
	return gpu_function(gpu_of(p->backend), name[size], &s->launch.fn, err);
}
