/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * The library's memory objects carry the data pointer, so two threads cannot share one.
 * Making them for each call costs allocations; keeping them per thread costs a set per
 * thread and op that nobody frees when a version goes. So an op has up to 64 sets
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
#include "exec/cpu/onednn/onednn_op.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

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

dnnl_engine_t onednn_engine(void)
{
	omp_set_num_threads(1);
	pthread_once(&engine_once, make_engine);
	return the_engine;
}

/* -- ops ------------------------------------------------------------------------------------- */

static const struct {
	int arg;
	dnnl_query_t query;
	int index; /* of what is asked */
} ports[PORT_COUNT_] = {
	[PORT_SRC] = { DNNL_ARG_SRC, dnnl_query_src_md, 0 },
	[PORT_WEIGHTS] = { DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0 },
	[PORT_BIAS] = { DNNL_ARG_BIAS, dnnl_query_weights_md, 1 },
	[PORT_DST] = { DNNL_ARG_DST, dnnl_query_dst_md, 0 },
	[PORT_SCRATCH] = { DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, 0 },
};

static void slot_done(struct onednn_slot *s)
{
	for (int i = 0; i < PORT_COUNT_; i++)
		if (s->mem[i])
			dnnl_memory_destroy(s->mem[i]);
	if (s->stream)
		dnnl_stream_destroy(s->stream);
	*s = (struct onednn_slot){ 0 };
}

static bool slot_init(const struct onednn_op *op, struct onednn_slot *s)
{
	bool ok = dnnl_stream_create(&s->stream, onednn_engine(), dnnl_stream_default_flags) ==
		  dnnl_success;
	for (int i = 0; i < PORT_COUNT_ && ok; i++)
		if (op->md[i])
			ok = dnnl_memory_create(&s->mem[i], op->md[i], onednn_engine(),
				     DNNL_MEMORY_NONE) == dnnl_success;
	if (!ok)
		slot_done(s);
	return ok;
}

static void op_done(void *ctx)
{
	struct onednn_op *op = ctx;
	for (int i = 0; i < ONEDNN_SLOTS_MAX; i++)
		slot_done(&op->slot[i]);
	if (op->primitive)
		dnnl_primitive_destroy(op->primitive);
	if (op->pd)
		dnnl_primitive_desc_destroy(op->pd);
}

/* A set that nobody holds; waits only where ONEDNN_SLOTS_MAX calls are inside, or there is no
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
	struct onednn_slot *s = &op->slot[i];
	dnnl_exec_arg_t args[PORT_COUNT_];
	int n = 0;
	for (int k = 0; k < PORT_COUNT_; k++) {
		if (!s->mem[k])
			continue;
		/* The library writes to the result and the scratchpad only. */
		dnnl_memory_set_data_handle(s->mem[k], (void *)(uintptr_t)data[k]);
		args[n++] = (dnnl_exec_arg_t){ ports[k].arg, s->mem[k] };
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

enum err_code onednn_op_new(struct prep *p, struct onednn_op **ret, struct err *err)
{
	if (!onednn_engine())
		return err_set(err, ERR_INTERNAL, "oneDNN has no engine for this processor");
	struct onednn_op *op = prep_alloc(p, sizeof(*op));
	if (!op)
		return err_oom(err);
	enum err_code rc = prep_defer(p, op_done, op);
	if (rc == ERR_OK)
		*ret = op;
	return rc;
}

enum err_code onednn_op_finish(struct onednn_op *op, struct err *err)
{
	for (int i = 0; i < PORT_COUNT_; i++) {
		op->md[i] = dnnl_primitive_desc_query_md(op->pd, ports[i].query, ports[i].index);
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

bool onednn_attr_new(dnnl_primitive_attr_t *ret)
{
	return dnnl_primitive_attr_create(ret) == dnnl_success &&
	       dnnl_primitive_attr_set_scratchpad_mode(*ret, dnnl_scratchpad_mode_user) ==
		       dnnl_success;
}

const char *onednn_version(void)
{
	static char text[32];
	const dnnl_version_t *v = dnnl_version();
	snprintf(text, sizeof(text), "%d.%d.%d", v->major, v->minor, v->patch);
	return text;
}
