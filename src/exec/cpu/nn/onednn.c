/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * The library's memory objects carry the data pointer, so two threads cannot share one.
 * Making them for each call costs allocations; keeping them per thread costs a set per
 * thread and op that nobody frees when a version goes. So an op has up to SLOTS_MAX sets
 * of handles, and a call borrows one: a bit in a mask, taken and given back with one
 * atomic operation each. Set 0 is made by prepare; another one is made the first time
 * that many calls are inside at once, so a warm op allocates nothing of ours. (The library
 * makes a small map of its own in every dnnl_primitive_execute(); there is no way around.)
 *
 * Scratchpads are the caller's, which is what makes a primitive reentrant. Streams are per
 * set too: nothing says that two threads may use one.
 *
 * The library's OpenMP pool is never wanted: each thread says so before it makes or runs
 * anything, because what is made depends on how many threads there will be.
 *
 * INVARIANTS
 *
 * 1. A set's handles are touched by the holder of its bit alone.
 * 2. ready has a bit only when the set was made completely; sets are never unmade before
 *    the op is.
 */
#include "exec/cpu/nn/onednn.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <oneapi/dnnl/dnnl.h>

#define SLOTS_MAX 64
#define IMAGE_RANK 4
#define WEIGHTS_RANK_MAX 5

/* The library's arrays of dimensions have a fixed length. */
struct dims {
	dnnl_dims_t v;
};

static struct dims dims_of(int n, const int64_t *from)
{
	struct dims d = { { 0 } };
	memcpy(d.v, from, (size_t)n * sizeof(*from));
	return d;
}

/* -- what differs between the library's major versions -------------------------------------- */

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t md_own;
typedef const_dnnl_memory_desc_t md_ref;

static inline md_ref md_see(const md_own *d)
{
	return *d;
}

static bool md_init(md_own *d, int rank, const int64_t *dim, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
	return dnnl_memory_desc_create_with_tag(d, rank, dims_of(rank, dim).v, type, tag) ==
	       dnnl_success;
}

/* What begins at its first element and has these dimensions. */
static bool md_narrow(md_own *d, int rank, const int64_t *dim)
{
	md_own part = NULL;
	bool ok = dnnl_memory_desc_create_submemory(&part, *d, dims_of(rank, dim).v, (dnnl_dims_t){ 0 }) ==
		  dnnl_success;
	dnnl_memory_desc_destroy(*d);
	*d = part;
	return ok;
}

static void md_done(md_own *d)
{
	if (*d)
		dnnl_memory_desc_destroy(*d);
}

static bool append_eltwise(dnnl_post_ops_t po, dnnl_alg_kind_t alg, float alpha, float beta)
{
	if (alg == dnnl_eltwise_hardswish)
		alpha = 1.0f / 6, beta = 0.5f;
	return dnnl_post_ops_append_eltwise(po, alg, alpha, beta) == dnnl_success;
}

static bool append_sum(dnnl_post_ops_t po)
{
	return dnnl_post_ops_append_sum(po, 1, 0, dnnl_data_type_undef) == dnnl_success;
}

/* The blocked form of weights, for a key. */
static void md_describe(md_ref d, int64_t *ret, int max)
{
	dnnl_dim_t *v[4] = { 0 };
	int ndims = 0, inner = 0;
	dnnl_memory_desc_query(d, dnnl_query_ndims_s32, &ndims);
	dnnl_memory_desc_query(d, dnnl_query_padded_dims, &v[0]);
	dnnl_memory_desc_query(d, dnnl_query_strides, &v[1]);
	dnnl_memory_desc_query(d, dnnl_query_inner_nblks_s32, &inner);
	dnnl_memory_desc_query(d, dnnl_query_inner_blks, &v[2]);
	dnnl_memory_desc_query(d, dnnl_query_inner_idxs, &v[3]);
	int at = 0;
	for (int k = 0; k < 4; k++)
		for (int i = 0; v[k] && i < (k < 2 ? ndims : inner) && at < max; i++)
			ret[at++] = v[k][i];
}

#else

typedef dnnl_memory_desc_t md_own;
typedef const dnnl_memory_desc_t *md_ref;

static inline md_ref md_see(const md_own *d)
{
	return d;
}

static bool md_init(md_own *d, int rank, const int64_t *dim, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
	return dnnl_memory_desc_init_by_tag(d, rank, dims_of(rank, dim).v, type, tag) ==
	       dnnl_success;
}

static bool md_narrow(md_own *d, int rank, const int64_t *dim)
{
	const md_own all = *d;
	return dnnl_memory_desc_init_submemory(d, &all, dims_of(rank, dim).v, (dnnl_dims_t){ 0 }) ==
	       dnnl_success;
}

static void md_done(md_own *d)
{
	(void)d;
}

static bool append_eltwise(dnnl_post_ops_t po, dnnl_alg_kind_t alg, float alpha, float beta)
{
	return dnnl_post_ops_append_eltwise(po, 1, alg, alpha, beta) == dnnl_success;
}

static bool append_sum(dnnl_post_ops_t po)
{
	return dnnl_post_ops_append_sum(po, 1) == dnnl_success;
}

static void md_describe(md_ref d, int64_t *ret, int max)
{
	const dnnl_blocking_desc_t *b = &d->format_desc.blocking;
	int at = 0;
	for (int i = 0; i < d->ndims && at + 2 <= max; i++) {
		ret[at++] = d->padded_dims[i];
		ret[at++] = b->strides[i];
	}
	for (int i = 0; i < b->inner_nblks && at + 2 <= max; i++) {
		ret[at++] = b->inner_blks[i];
		ret[at++] = b->inner_idxs[i];
	}
}

#endif

/* The mds of a convolution, all made or all empty. */
struct conv_mds {
	md_own src, weights, bias, dst;
};

static bool create_conv_pd(const struct onednn_conv *c, const struct conv_mds *m,
	const int64_t *pad_end, const_dnnl_primitive_attr_t attr, dnnl_engine_t engine,
	dnnl_primitive_desc_t *ret)
{
	struct dims stride = dims_of(2, c->stride), begin = dims_of(2, c->pad_begin),
		    end = dims_of(2, pad_end);
	/* The library counts the holes, not the distance. */
	struct dims holes = dims_of(2, (int64_t[]){ c->dilation[0] - 1, c->dilation[1] - 1 });
	dnnl_alg_kind_t alg = c->transposed ? dnnl_deconvolution_direct : dnnl_convolution_direct;
	md_ref bias = c->bias ? md_see(&m->bias) : NULL;
#if DNNL_VERSION_MAJOR >= 3
	return (c->transposed ? dnnl_deconvolution_forward_primitive_desc_create
			      : dnnl_convolution_forward_primitive_desc_create)(ret, engine,
		       dnnl_forward_inference, alg, m->src, m->weights, bias, m->dst, stride.v, holes.v,
		       begin.v, end.v, attr) == dnnl_success;
#else
	dnnl_convolution_desc_t d; /* the deconvolution's is the same type */
	return (c->transposed ? dnnl_dilated_deconvolution_forward_desc_init
			      : dnnl_dilated_convolution_forward_desc_init)(&d,
		       dnnl_forward_inference, alg, &m->src, &m->weights, bias, &m->dst, stride.v,
		       holes.v, begin.v, end.v) == dnnl_success &&
	       dnnl_primitive_desc_create(ret, &d, attr, engine, NULL) == dnnl_success;
#endif
}

/* -- engine and threads ------------------------------------------------------------------------ */

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
/* omp.h does not come with every compiler; the function comes with the library. */
extern void omp_set_num_threads(int n);
#else
static void omp_set_num_threads(int n)
{
	(void)n;
}
#endif

static dnnl_engine_t the_engine;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

/* Primitives that the library keeps for whoever wants the same ones: those of a model's
   repeated blocks, but not all that trials have made. A megabyte each, code and all. */
#define CACHED_PRIMITIVES 16

static void make_engine(void)
{
	(void)dnnl_set_primitive_cache_capacity(CACHED_PRIMITIVES);
	if (dnnl_engine_create(&the_engine, dnnl_cpu, 0) != dnnl_success)
		the_engine = NULL;
}

static dnnl_engine_t engine(void)
{
	omp_set_num_threads(1);
	pthread_once(&engine_once, make_engine);
	return the_engine;
}

/* -- ops -------------------------------------------------------------------------------------- */

enum port { PORT_SRC, PORT_WEIGHTS, PORT_BIAS, PORT_DST, PORT_SCRATCH, PORT_COUNT_ };

static const int port_arg[PORT_COUNT_] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS,
	DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD };

struct slot {
	dnnl_stream_t stream;
	dnnl_memory_t mem[PORT_COUNT_]; /* NULL: the op has no such port */
};

struct onednn_op {
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t primitive;
	md_ref md[PORT_COUNT_]; /* pd's own; NULL: the op has no such port */
	int64_t weights_dim[WEIGHTS_RANK_MAX];
	int weights_rank;
	dnnl_format_tag_t weights_tag; /* of ONNX's form */
	_Atomic uint64_t taken, ready;
	struct slot slot[SLOTS_MAX];
};

static void slot_done(struct slot *s)
{
	for (int i = 0; i < PORT_COUNT_; i++)
		if (s->mem[i])
			dnnl_memory_destroy(s->mem[i]);
	if (s->stream)
		dnnl_stream_destroy(s->stream);
	*s = (struct slot){ 0 };
}

static bool slot_init(const struct onednn_op *op, struct slot *s)
{
	bool ok = dnnl_stream_create(&s->stream, engine(), dnnl_stream_default_flags) == dnnl_success;
	for (int i = 0; i < PORT_COUNT_ && ok; i++)
		if (op->md[i])
			ok = dnnl_memory_create(&s->mem[i], op->md[i], engine(), DNNL_MEMORY_NONE) ==
			     dnnl_success;
	if (!ok)
		slot_done(s);
	return ok;
}

static void op_done(void *ctx)
{
	struct onednn_op *op = ctx;
	for (int i = 0; i < SLOTS_MAX; i++)
		slot_done(&op->slot[i]);
	if (op->primitive)
		dnnl_primitive_destroy(op->primitive);
	if (op->pd)
		dnnl_primitive_desc_destroy(op->pd);
}

/* A set that nobody holds; waits only where SLOTS_MAX calls are inside, or there is no
   memory for one more set than there are. */
static int take_slot(struct onednn_op *op)
{
	for (;;) {
		uint64_t taken = atomic_load_explicit(&op->taken, memory_order_relaxed);
		uint64_t bit = ~taken & (taken + 1); /* lowest free one */
		if (!bit) {
			sched_yield();
			continue;
		}
		if (!atomic_compare_exchange_weak_explicit(&op->taken, &taken, taken | bit,
			    memory_order_acquire, memory_order_relaxed))
			continue;
		int i = __builtin_ctzll(bit);
		if (atomic_load_explicit(&op->ready, memory_order_relaxed) & bit)
			return i;
		if (slot_init(op, &op->slot[i])) {
			atomic_fetch_or_explicit(&op->ready, bit, memory_order_relaxed);
			return i;
		}
		atomic_fetch_and_explicit(&op->taken, ~bit, memory_order_release);
		sched_yield();
	}
}

void onednn_run(struct onednn_op *op, const struct onednn_args *a)
{
	const void *const data[PORT_COUNT_] = { a->src, a->weights, a->bias, a->dst, a->scratch };
	omp_set_num_threads(1);
	int i = take_slot(op);
	struct slot *s = &op->slot[i];
	dnnl_exec_arg_t args[PORT_COUNT_];
	int n = 0;
	for (int k = 0; k < PORT_COUNT_; k++) {
		if (!s->mem[k])
			continue;
		/* The library writes to the result and the scratchpad only. */
		dnnl_memory_set_data_handle(s->mem[k], (void *)(uintptr_t)data[k]);
		args[n++] = (dnnl_exec_arg_t){ port_arg[k], s->mem[k] };
	}
	dnnl_status_t status = dnnl_primitive_execute(op->primitive, s->stream, n, args);
	assert(status == dnnl_success);
	(void)status;
	atomic_fetch_and_explicit(&op->taken, ~(UINT64_C(1) << i), memory_order_release);
}

size_t onednn_scratch_bytes(const struct onednn_op *op)
{
	return op->md[PORT_SCRATCH] ? dnnl_memory_desc_get_size(op->md[PORT_SCRATCH]) : 0;
}

const char *onednn_impl(const struct onednn_op *op)
{
	const char *name = "";
	dnnl_primitive_desc_query(op->pd, dnnl_query_impl_info_str, 0, &name);
	return name;
}

/* An op whose pd is to be made: freed with the plan, however far it got. */
static enum err_code op_new(struct prep *p, struct onednn_op **ret, struct err *err)
{
	if (!engine())
		return err_set(err, ERR_INTERNAL, "oneDNN has no engine for this processor");
	struct onednn_op *op = prep_alloc(p, sizeof(*op));
	if (!op)
		return err_oom(err);
	enum err_code rc = prep_defer(p, op_done, op);
	if (rc == ERR_OK)
		*ret = op;
	return rc;
}

static enum err_code op_finish(struct onednn_op *op, struct err *err)
{
	static const dnnl_query_t query[PORT_COUNT_] = { dnnl_query_src_md, dnnl_query_weights_md,
		dnnl_query_weights_md, dnnl_query_dst_md, dnnl_query_scratchpad_md };
	for (int i = 0; i < PORT_COUNT_; i++) {
		op->md[i] = dnnl_primitive_desc_query_md(op->pd, query[i], i == PORT_BIAS);
		if (op->md[i] && dnnl_memory_desc_get_size(op->md[i]) == 0)
			op->md[i] = NULL;
	}
	if (dnnl_primitive_create(&op->primitive, op->pd) != dnnl_success)
		return err_oom(err);
	if (!slot_init(op, &op->slot[0]))
		return err_oom(err);
	atomic_store(&op->ready, 1);
	return ERR_OK;
}

/* -- attributes ----------------------------------------------------------------------------------- */

static bool append_act(dnnl_post_ops_t po, const struct onednn_act *a)
{
	switch (a->kind) {
	case ACT_NONE: return true;
	case ACT_RELU: return append_eltwise(po, dnnl_eltwise_relu, 0, 0);
	case ACT_LEAKY_RELU: return append_eltwise(po, dnnl_eltwise_relu, a->alpha, 0);
	case ACT_CLIP: return append_eltwise(po, dnnl_eltwise_clip, a->alpha, a->beta);
	case ACT_SIGMOID: return append_eltwise(po, dnnl_eltwise_logistic, 0, 0);
	case ACT_TANH: return append_eltwise(po, dnnl_eltwise_tanh, 0, 0);
	case ACT_HARD_SIGMOID:
		return append_eltwise(po, dnnl_eltwise_linear, a->alpha, a->beta) &&
		       append_eltwise(po, dnnl_eltwise_clip, 0, 1);
	case ACT_HARD_SWISH: return append_eltwise(po, dnnl_eltwise_hardswish, 0, 0);
	case ACT_SWISH: return append_eltwise(po, dnnl_eltwise_swish, a->alpha, 0);
	case ACT_GELU: return append_eltwise(po, dnnl_eltwise_gelu_erf, 0, 0);
	case ACT_GELU_TANH: return append_eltwise(po, dnnl_eltwise_gelu_tanh, 0, 0);
	case ACT_COUNT_: break;
	}
	return false;
}

static bool make_attr(bool sum, const struct onednn_act *act, dnnl_primitive_attr_t *ret)
{
	dnnl_post_ops_t po = NULL;
	bool ok = dnnl_primitive_attr_create(ret) == dnnl_success &&
		  dnnl_primitive_attr_set_scratchpad_mode(*ret, dnnl_scratchpad_mode_user) == dnnl_success &&
		  dnnl_post_ops_create(&po) == dnnl_success && (!sum || append_sum(po)) &&
		  append_act(po, act) && dnnl_primitive_attr_set_post_ops(*ret, po) == dnnl_success;
	if (po)
		dnnl_post_ops_destroy(po);
	return ok;
}

/* -- convolutions ----------------------------------------------------------------------------------- */

static dnnl_format_tag_t tag_of(enum layout layout)
{
	switch (layout) {
	case LAYOUT_NCHW16C: return dnnl_nChw16c;
	case LAYOUT_NCHW8C: return dnnl_nChw8c;
	case LAYOUT_NHWC: return dnnl_nhwc;
	default: return dnnl_nchw;
	}
}

static dnnl_data_type_t type_of(bool bf16)
{
	return bf16 ? dnnl_bf16 : dnnl_f32;
}

static bool init_image(md_own *d, const struct onednn_image *i)
{
	int64_t part[IMAGE_RANK] = { 1, i->c, i->h, i->w }, all[IMAGE_RANK] = { 1, i->c, i->h, i->w };
	if (i->plane && i->h == 1) /* a part of a row, too, may be one of a long row */
		all[3] = i->plane;
	else if (i->plane)
		all[2] = i->plane / i->w;
	return md_init(d, IMAGE_RANK, all, type_of(i->bf16), tag_of(i->layout)) &&
	       (!i->plane || md_narrow(d, IMAGE_RANK, part));
}

/* The library wants O before I; ONNX's transposed convolution has them the other way. */
static void describe_weights(struct onednn_op *op, const struct onednn_conv *c)
{
	int at = 0;
	if (c->group > 1)
		op->weights_dim[at++] = c->group;
	op->weights_dim[at++] = c->dst.c / c->group;
	op->weights_dim[at++] = c->src.c / c->group;
	op->weights_dim[at++] = c->kernel[0];
	op->weights_dim[at++] = c->kernel[1];
	op->weights_rank = at;
	if (c->transposed)
		op->weights_tag = c->group > 1 ? dnnl_giohw : dnnl_iohw;
	else
		op->weights_tag = c->group > 1 ? dnnl_goihw : dnnl_oihw;
}

/* The padding at the end that makes the sizes exact; negative where the last rows of the
   input are read by nobody. */
static int64_t pad_end(const struct onednn_conv *c, int i)
{
	int64_t in = i ? c->src.w : c->src.h, out = i ? c->dst.w : c->dst.h;
	int64_t extent = c->dilation[i] * (c->kernel[i] - 1) + 1;
	if (c->transposed)
		return (in - 1) * c->stride[i] + extent - out - c->pad_begin[i];
	return (out - 1) * c->stride[i] + extent - in - c->pad_begin[i];
}

static bool make_conv(struct onednn_op *op, const struct onednn_conv *c)
{
	struct conv_mds m = { 0 };
	dnnl_primitive_attr_t attr = NULL;
	bool ok = init_image(&m.src, &c->src) && init_image(&m.dst, &c->dst) &&
		  md_init(&m.weights, op->weights_rank, op->weights_dim, type_of(c->src.bf16), dnnl_format_tag_any) &&
		  md_init(&m.bias, 1, &c->dst.c, dnnl_f32, dnnl_x) && make_attr(c->sum, &c->act, &attr) &&
		  create_conv_pd(c, &m, (int64_t[]){ pad_end(c, 0), pad_end(c, 1) }, attr, engine(),
			  &op->pd);
	md_done(&m.src);
	md_done(&m.weights);
	md_done(&m.bias);
	md_done(&m.dst);
	if (attr)
		dnnl_primitive_attr_destroy(attr);
	return ok;
}

const char *onednn_version(void)
{
	static char text[32];
	const dnnl_version_t *v = dnnl_version();
	snprintf(text, sizeof(text), "%d.%d.%d", v->major, v->minor, v->patch);
	return text;
}

enum err_code onednn_conv(struct prep *p, const struct onednn_conv *c, struct onednn_op **ret,
	struct err *err)
{
	struct onednn_op *op = NULL;
	enum err_code rc = op_new(p, &op, err);
	if (rc != ERR_OK)
		return rc;
	describe_weights(op, c);
	if (!make_conv(op, c) || strncmp(onednn_impl(op), "ref", 3) == 0)
		return prep_refuse(err, "oneDNN has no fast code for this convolution");
	rc = op_finish(op, err);
	if (rc == ERR_OK)
		*ret = op;
	return rc;
}

/* -- reorders -------------------------------------------------------------------------------------- */

static bool make_reorder(struct onednn_op *op, md_ref from, md_ref to)
{
	dnnl_primitive_attr_t attr = NULL;
	bool ok = make_attr(false, &(struct onednn_act){ .kind = ACT_NONE }, &attr) &&
		  dnnl_reorder_primitive_desc_create(&op->pd, from, engine(), to, engine(), attr) ==
			  dnnl_success;
	if (attr)
		dnnl_primitive_attr_destroy(attr);
	return ok;
}

enum err_code onednn_reorder(struct prep *p, const struct onednn_image *from,
	const struct onednn_image *to, struct onednn_op **ret, struct err *err)
{
	struct onednn_op *op = NULL;
	enum err_code rc = op_new(p, &op, err);
	if (rc != ERR_OK)
		return rc;
	md_own mds[2] = { 0 };
	bool ok = init_image(&mds[0], from) && init_image(&mds[1], to) &&
		  make_reorder(op, md_see(&mds[0]), md_see(&mds[1]));
	md_done(&mds[0]);
	md_done(&mds[1]);
	rc = ok ? op_finish(op, err) : err_oom(err);
	if (rc == ERR_OK)
		*ret = op;
	return rc;
}

static int64_t block_of(enum layout layout)
{
	return layout == LAYOUT_NCHW16C ? 16 : layout == LAYOUT_NCHW8C ? 8 : 1;
}

size_t onednn_image_bytes(const struct onednn_image *i)
{
	int64_t block = block_of(i->layout);
	return (size_t)((i->c + block - 1) / block * block * i->h * i->w) * (i->bf16 ? sizeof(uint16_t) : sizeof(float));
}

size_t onednn_image_at(const struct onednn_image *i, int64_t channel, int64_t row)
{
	int64_t at = i->layout == LAYOUT_NHWC ? row * i->w * i->c + channel
					      : channel * i->h * i->w + row * i->w * block_of(i->layout);
	return (size_t)at * sizeof(float);
}

/* -- weights ------------------------------------------------------------------------------------------ */

#define FORM_MAX 40

struct pack_key {
	const float *source;
	size_t bytes;
	int64_t dim[WEIGHTS_RANK_MAX];
	int64_t tag;
	int64_t form[FORM_MAX];
};

struct pack {
	const float *source;
	struct onednn_op *reorder;
	void *scratch;
};

static void fill(void *dst, void *ctx)
{
	struct pack *k = ctx;
	onednn_run(k->reorder, &(struct onednn_args){ .src = k->source, .dst = dst, .scratch = k->scratch });
}

static enum err_code make_pack(struct prep *p, const struct onednn_op *op, struct pack *ret, struct err *err)
{
	enum err_code rc = op_new(p, &ret->reorder, err);
	if (rc != ERR_OK)
		return rc;
	md_own from = { 0 };
	bool ok = md_init(&from, op->weights_rank, op->weights_dim, dnnl_f32, op->weights_tag) &&
		  make_reorder(ret->reorder, md_see(&from), op->md[PORT_WEIGHTS]);
	md_done(&from);
	rc = ok ? op_finish(ret->reorder, err) : err_oom(err);
	if (rc != ERR_OK)
		return rc;
	ret->scratch = arena_alloc_aligned(p->arena, onednn_scratch_bytes(ret->reorder) + 1, ARENA_ALIGN_TENSOR);
	return ret->scratch ? ERR_OK : err_oom(err);
}

enum err_code onednn_pack(struct prep *p, const struct onednn_op *op, const float *weights,
	const void **ret, struct err *err)
{
	md_ref to = op->md[PORT_WEIGHTS];
	struct pack_key key; /* compared as bytes, padding and all */
	memset(&key, 0, sizeof(key));
	key.source = weights;
	key.bytes = dnnl_memory_desc_get_size(to);
	key.tag = op->weights_tag;
	memcpy(key.dim, op->weights_dim, sizeof(key.dim));
	md_describe(to, key.form, FORM_MAX);

	*ret = packs_look(p->packs, &key, sizeof(key), key.bytes);
	if (*ret)
		return ERR_OK;
	struct prep own = *p; /* the reorder is not needed afterwards, and may take much scratch */
	own.arena = arena_new(1 << 16, 0);
	if (!own.arena)
		return err_oom(err);
	struct pack k = { .source = weights };
	enum err_code rc = make_pack(&own, op, &k, err);
	if (rc == ERR_OK)
		rc = packs_get(p->packs, &key, sizeof(key), key.bytes, fill, &k, ret, err);
	arena_free(own.arena);
	return rc;
}
