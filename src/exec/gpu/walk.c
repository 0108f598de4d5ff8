/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/walk.h"

_Static_assert(sizeof(struct gpu_fault) == sizeof(struct device_fault), "one fault, said twice");

/* Blocks for each multiprocessor: enough to fill it, few enough that they go on with more. */
#define BLOCKS_PER_SM 16

static bool is_channels_last(const struct tensor *t)
{
	return t->layout == LAYOUT_NHWC && t->shape.rank >= 3;
}

void gpu_strides(const struct tensor *t, int64_t *ret)
{
	const int64_t *dim = t->shape.dim;
	int rank = t->shape.rank;
	bool last = is_channels_last(t);
	int64_t at = last ? dim[1] : 1;
	for (int d = rank - 1; d >= 0; d--) {
		if (last && d == 1) {
			ret[1] = 1;
			continue;
		}
		ret[d] = at;
		at = d == rank - 1 && t->layout == LAYOUT_COLUMNS ? t->pitch : at * dim[d];
	}
}

struct gpu_div gpu_div(int64_t n)
{
	uint32_t d = n > 0 && n <= INT32_MAX ? (uint32_t)n : 1;
	uint32_t shift = d <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(d - 1);
	uint64_t mul = ((UINT64_C(1) << 32) * ((UINT64_C(1) << shift) - d)) / d + 1;
	return (struct gpu_div){ d, (uint32_t)mul, shift };
}

/* -- walks ---------------------------------------------------------------------------------- */

static int64_t stride_of(const struct tensor *t, const struct shape *out, int d)
{
	int64_t all[RANK_MAX];
	int own = d - (out->rank - t->shape.rank);
	if (own < 0 || t->shape.dim[own] == 1)
		return 0;
	gpu_strides(t, all);
	return all[own];
}

void gpu_draft_add(struct gpu_draft *w, int64_t dim, const int64_t *stride)
{
	int last = w->rank - 1;
	bool even = w->rank > 0;
	if (dim == 1)
		return;
	for (int k = 0; k < w->n; k++)
		even &= w->rank > 0 && w->stride[k][last] == stride[k] * dim;
	if (!even)
		last = w->rank++;
	w->dim[last] = even ? w->dim[last] * dim : dim;
	for (int k = 0; k < w->n; k++)
		w->stride[k][last] = stride[k];
}

static void append(
	struct gpu_draft *w, const struct tensor *out, const struct tensor *const in[], int d)
{
	int64_t stride[GPU_OPERANDS_MAX];
	for (int k = 0; k < w->n; k++)
		stride[k] = stride_of(in[k], &out->shape, d);
	gpu_draft_add(w, out->shape.dim[d], stride);
}

static void draft(
	struct gpu_draft *w, const struct tensor *out, int n, const struct tensor *const in[])
{
	bool last = is_channels_last(out);
	*w = (struct gpu_draft){ .n = n };
	for (int d = 0; d < out->shape.rank; d++)
		if (!last || d != 1)
			append(w, out, in, d);
	if (last)
		append(w, out, in, 1);
}

static bool takes_groups(const struct gpu_draft *w, int wide)
{
	int last = w->rank - 1;
	bool good = w->dim[last] % wide == 0;
	for (int k = 0; k < w->n; k++) {
		good &= w->stride[k][last] <= 1;
		for (int d = 0; d < last; d++)
			good &= w->stride[k][last] == 0 || w->stride[k][d] % wide == 0;
	}
	return good;
}

/* 0: none; -1: more than kernels count. */
static int64_t count_of(const struct gpu_draft *w)
{
	int64_t count = 1;
	for (int d = 0; d < w->rank; d++) {
		if (w->dim[d] == 0)
			return 0;
		count = count < 0 || w->dim[d] > INT32_MAX / count ? -1 : count * w->dim[d];
	}
	return count;
}

bool gpu_walk_of(struct gpu_walk *w, const struct gpu_draft *all, int wide, bool *ret_wide)
{
	struct gpu_draft one = { .rank = 1, .n = all->n, .dim = { 1 } };
	int64_t count = count_of(all);
	const struct gpu_draft *from = all->rank ? all : &one;
	*ret_wide = false;
	*w = (struct gpu_walk){ .rank = 1 };
	if (count <= 0 || from->rank > GPU_RANK_MAX)
		return count == 0;
	*ret_wide = wide > 1 && takes_groups(from, wide);
	int64_t group = *ret_wide ? wide : 1;
	int last = from->rank - 1;
	*w = (struct gpu_walk){ .count = (uint32_t)(count / group), .rank = from->rank };
	for (int d = 0; d < from->rank; d++)
		w->dim[d] = gpu_div(d == last ? from->dim[d] / group : from->dim[d]);
	for (int k = 0; k < from->n; k++) {
		int64_t step = from->stride[k][last];
		w->dense |= (uint32_t)(step == 1) << k;
		for (int d = 0; d < last; d++)
			w->stride[k][d] = (uint32_t)from->stride[k][d];
		w->stride[k][last] = (uint32_t)(step * group);
	}
	return true;
}

bool gpu_walk_init(struct gpu_walk *w, const struct tensor *out, int n,
	const struct tensor *const in[], int wide, bool *ret_wide)
{
	struct gpu_draft all;
	draft(&all, out, n, in);
	return gpu_walk_of(w, &all, wide, ret_wide);
}

/* -- launches --------------------------------------------------------------------------------- */

struct gpu_launch gpu_launch_of(const struct prep *p, CUfunction fn, int64_t items, int block)
{
	int64_t blocks = (items + block - 1) / block,
		most = (int64_t)gpu_of(p->backend)->sms * BLOCKS_PER_SM;
	return (struct gpu_launch){ .fn = fn,
		.grid = { (unsigned)(blocks < most ? blocks : most), 1, 1 },
		.block = { (unsigned)block, 1, 1 } };
}

enum err_code gpu_launch_over(const struct prep *p, const char *name, int64_t items, int block,
	struct gpu_launch *ret, struct err *err)
{
	CUfunction fn;
	TRY(gpu_function(gpu_of(p->backend), name, &fn, err));
	*ret = gpu_launch_of(p, fn, items, block);
	return ERR_OK;
}

#define WARP 32
#define HELD_THREADS_MAX 512
#define HELD_ROWS 4

unsigned gpu_held_threads(enum dtype dtype, uint32_t n)
{
	unsigned threads = WARP;
	while (threads < HELD_THREADS_MAX && threads * GPU_HELD < n)
		threads *= 2;
	bool whole = n && n % (16 / (uint32_t)dtype_bytes(dtype)) == 0;
	return whole && n <= threads * GPU_HELD ? threads : 0;
}

/* Few rows are spread over all multiprocessors. */
enum err_code gpu_launch_held(const struct prep *p, const char *name, uint32_t rows,
	unsigned threads, struct gpu_launch *ret, struct err *err)
{
	bool many = threads == WARP && rows >= (unsigned)gpu_of(p->backend)->sms * HELD_ROWS;
	unsigned high = many ? HELD_ROWS : 1;
	TRY(gpu_launch_over(p, name, rows, (int)high, ret, err));
	ret->block[0] = threads;
	ret->block[1] = high;
	return ERR_OK;
}

const char *gpu_type_name(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_F32:
		return "f32";
	case DTYPE_F16:
		return "f16";
	case DTYPE_BF16:
		return "bf16";
	case DTYPE_I32:
		return "i32";
	case DTYPE_I64:
		return "i64";
	case DTYPE_BOOL:
	case DTYPE_U8:
		return "u8";
	case DTYPE_I8:
		return "i8";
	default:
		return NULL;
	}
}
