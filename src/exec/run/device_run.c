/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_run.c -- the steps of a plan that works on a device
 *
 * Life of a request: ... -> batch -> plan -> [KERNELS] -> encode
 *
 * Inputs are copied, or written by whoever has them in pieces, to pinned memory, segments are
 * enqueued or replayed, the host's steps wait for what came before them, outputs are copied out of
 * pinned memory at the end.
 */
#include <string.h>
#include "exec/plan/plan.h"

/* Copies larger than this are worth more than one thread. */
#define COPY_UNIT_BYTES ((size_t)1 << 20)
#define COPY_BYTES_PER_NS 8

struct copy_job {
	char *dst;
	const char *src;
	size_t bytes;
};

static void copy_units(void *ctx, int who, int64_t begin, int64_t end)
{
	const struct copy_job *c = ctx;
	(void)who;
	size_t from = (size_t)begin * COPY_UNIT_BYTES, to = (size_t)end * COPY_UNIT_BYTES;
	to = to < c->bytes ? to : c->bytes;
	memcpy(c->dst + from, c->src + from, to - from);
}

static void copy(struct pool *pool, void *dst, const void *src, size_t bytes)
{
	struct copy_job c = { dst, src, bytes };
	int64_t units = (int64_t)((bytes + COPY_UNIT_BYTES - 1) / COPY_UNIT_BYTES);
	if (bytes)
		pool_parallel_once(pool, &(struct pool_work){ copy_units, &c, units,
					 (int64_t)(bytes / COPY_BYTES_PER_NS) });
}

static void *place_of(const struct plan *p, const struct plan_run *r, int32_t slot)
{
	return r->mem + slot_offset(p->slot, slot);
}

/* The bytes of a port that belong to the request's rows; the plan may be for more rows. */
static size_t bytes_there(const struct plan_run *r, size_t bytes)
{
	return r->rows_as ? bytes / (size_t)r->rows_as * (size_t)r->rows : bytes;
}

/* The plan's rows beyond the request's are zeros: nobody sees what kernels make of them, but an
   index among them must be in range. */
static void stage_inputs(const struct plan *p, const struct plan_run *r)
{
	for (int i = 0; i < p->n_in; i++) {
		if (p->in[i].staged == SLOT_NONE)
			continue;
		size_t all = p->slot[p->in[i].staged].bytes, there = bytes_there(r, all);
		char *to = place_of(p, r, p->in[i].staged);
		if (r->input && !r->in[i])
			r->input(r->input_ctx, i, to);
		else
			copy(r->pool, to, r->in[i], there);
		memset(to + there, 0, all - there);
	}
}

static void fetch_outputs(const struct plan *p, const struct plan_run *r)
{
	for (int i = 0; i < p->n_out; i++)
		if (p->out[i].staged != SLOT_NONE)
			copy(r->pool, r->out[i], place_of(p, r, p->out[i].staged),
				bytes_there(r, p->slot[p->out[i].staged].bytes));
}

/* Waits, and looks whether a kernel has complained. */
static enum err_code settle(const struct plan *p, struct frame *f, struct err *err)
{
	TRY(p->device->device->wait(f->lane, err));
	struct device_fault *d = f->lane->fault;
	if (d->code == FAULT_NONE)
		return ERR_OK;
	atomic_store(&f->fault.value, d->value);
	atomic_store(&f->fault.code, d->code);
	const struct node *n = p->step[d->step].node;
	d->code = FAULT_NONE;
	char label[NODE_LABEL_MAX] = "copy";
	if (n)
		node_label(p->graph, n, label, sizeof(label));
	return fault_error(&f->fault, label, err);
}

static int32_t segment_end(const struct plan *p, int32_t begin)
{
	int32_t i = begin;
	while (i < p->n_step && p->step[i].backend->device)
		i++;
	return i;
}

static struct tensor *operands_after(
	const struct plan *p, int32_t begin, int32_t end, struct tensor *t)
{
	for (int32_t i = begin; i < end; i++)
		t += p->step[i].n_in + p->step[i].n_out;
	return t;
}

static enum err_code run_steps(const struct plan *p, struct frame *f, const struct plan_run *r,
	int32_t begin, int32_t end, struct tensor *t, struct err *err)
{
	for (int32_t i = begin; i < end; i++) {
		TRY(step_run(p, f, r, i, t, err));
		t += p->step[i].n_in + p->step[i].n_out;
	}
	return ERR_OK;
}

/* A run that is profiled waits after each step, so nothing can be recorded. */
static enum err_code run_segment(const struct plan *p, struct frame *f, const struct plan_run *r,
	int32_t begin, int32_t end, struct tensor *t, struct err *err)
{
	const struct device_ops *d = p->device->device;
	int32_t segment = p->step[begin].segment;
	bool enqueue = true;
	TRY(d->begin(f->lane, r->profile ? SEGMENT_NONE : segment, &enqueue, err));
	if (r->profile)
		return run_steps(p, f, r, begin, end, t, err);
	if (!enqueue)
		return ERR_OK;
	enum err_code rc = run_steps(p, f, r, begin, end, t, err);
	if (rc == ERR_OK)
		return d->end(f->lane, segment, err);
	/* Nothing may be on its way when the next run comes. */
	if (d->end(f->lane, segment, NULL) == ERR_OK && d->wait(f->lane, NULL) == ERR_OK)
		f->lane->fault->code = FAULT_NONE;
	return rc;
}

enum err_code device_run(
	const struct plan *p, struct frame *f, const struct plan_run *r, struct err *err)
{
	struct tensor *t = f->tensor;
	stage_inputs(p, r);
	for (int32_t i = 0, end; i < p->n_step; t = operands_after(p, i, end, t), i = end) {
		end = segment_end(p, i);
		if (end > i) {
			TRY(run_segment(p, f, r, i, end, t, err));
			TRY(settle(p, f, err));
			continue;
		}
		end = i + 1;
		TRY(run_steps(p, f, r, i, end, t, err));
	}
	fetch_outputs(p, r);
	return ERR_OK;
}
