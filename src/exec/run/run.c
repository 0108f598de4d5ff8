/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c -- the steps of one plan, one after the other
 *
 * Life of a request: ... -> batch -> plan -> [KERNELS] -> encode
 *
 * A frame holds the operands of every step as kernels want them: arrays of tensors with
 * their pointers set. Constants are set once, the workspace's when the frame is given
 * another one, the plan's inputs and outputs for every run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/clock.h"
#include "exec/plan/plan.h"

/* A run with less to share is over before another thread is awake. */
#define TEAM_MIN_NS (100 * NS_PER_US)

static const char *const fault_text[FAULT_COUNT_] = {
	[FAULT_NONE] = "no fault",
	[FAULT_INDEX] = "index %lld is out of range",
	[FAULT_DIVIDE] = "integer division by zero",
	[FAULT_VALUE] = "value %lld is not allowed here",
	[FAULT_SHAPE] = "element %lld has another shape than it must have",
	[FAULT_ABSENT] = "the optional has no element",
	[FAULT_PATTERN] = "string %lld takes more steps or memory to match than is allowed",
	[FAULT_DISTRIBUTION] =
		"row %lld is no distribution: its numbers are not finite, or none is above 0",
	[FAULT_MAP] = "entry %lld of the map is not what it must be",
	[FAULT_CATEGORY] = "element %lld is of no known category",
	[FAULT_DEVICE] = "the device refused the work (code %lld)",
	[FAULT_MEMORY] = "the result needs more memory than is allowed (%lld bytes)",
};

enum err_code fault_error(const struct fault *f, const char *node, struct err *err)
{
	int code = atomic_load(&f->code);
	if (code == FAULT_DATA)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s: %s", node, atomic_load(&f->what));
	char text[120];
	long long value = atomic_load(&f->value);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), fault_text[code], value);
#pragma GCC diagnostic pop
	enum err_code rc = ERR_INVALID_ARGUMENT;
	if (code == FAULT_MEMORY)
		rc = ERR_RESOURCE_EXHAUSTED;
	else if (code == FAULT_DEVICE)
		rc = ERR_UNAVAILABLE;
	return err_set(err, rc, "%s: %s", node, text);
}

size_t plan_workspace_bytes(const struct plan *p)
{
	return p->work_bytes + p->scratch_bytes * (size_t)p->scratch_threads;
}

enum err_code frame_new(const struct plan *p, struct frame **ret, struct err *err)
{
	size_t n = 1;
	for (int32_t i = 0; i < p->n_step; i++)
		n += (size_t)(p->step[i].n_in + p->step[i].n_out);
	struct frame *f = calloc(1, sizeof(*f));
	struct tensor *t = f ? calloc(n, sizeof(*t)) : NULL;
	if (!t) {
		free(f);
		return err_oom(err);
	}
	f->tensor = t;
	enum err_code rc = ERR_OK;
	if (p->device)
		rc = p->device->device->lane_new(p->device, p->device_bytes + p->device_scratch,
			plan_workspace_bytes(p), p->n_segment, &f->lane, err);
	if (rc != ERR_OK) {
		frame_free(f);
		return rc;
	}
	for (int32_t i = 0; i < p->n_step; i++)
		for (int32_t k = 0; k < p->step[i].n_in + p->step[i].n_out; k++, t++) {
			int32_t s = p->step[i].slot[k];
			*t = s == VALUE_NONE ? (struct tensor){ .shape = SHAPE_UNKNOWN }
					     : p->slot[s].t;
		}
	*ret = f;
	return ERR_OK;
}

void frame_free(struct frame *f)
{
	if (!f)
		return;
	if (f->lane)
		f->lane->backend->device->lane_free(f->lane);
	free(f->tensor);
	free(f);
}

static void bind_pointers(const struct plan *p, struct frame *f, const struct plan_run *r)
{
	bool moved = f->base != r->mem;
	struct tensor *t = f->tensor;
	f->base = r->mem;
	for (int32_t i = 0; i < p->n_step; i++)
		for (int32_t k = 0; k < p->step[i].n_in + p->step[i].n_out; k++, t++) {
			if (p->step[i].slot[k] == VALUE_NONE)
				continue;
			int32_t slot = p->step[i].slot[k];
			const struct slot *root = &p->slot[p->slot[slot].root];
			if (root->home == SLOT_INPUT && p->dynamic)
				*t = r->in_tensor[root->index];
			else if (root->home == SLOT_INPUT)
				t->data = r->in[root->index];
			else if (root->home == SLOT_OUTPUT)
				t->data = r->out[root->index];
			else if (root->home == SLOT_WORK && moved)
				t->data = (root->on_device ? f->lane->device_mem : r->mem) +
					slot_offset(p->slot, slot);
		}
}

/* A step that several threads work on: each has its own scratch. */
struct spread_ctx {
	const struct step *step;
	const struct kernel_args *args;
	size_t scratch_bytes;
};

static void run_range(void *ctx, int who, int64_t begin, int64_t end)
{
	const struct spread_ctx *c = ctx;
	struct kernel_args args = *c->args;
	args.scratch = (char *)c->args->scratch + c->scratch_bytes * (size_t)who;
	c->step->k.run(&args, begin, end);
}

static void run_step(const struct plan *p, const struct step *s, const struct kernel_args *args,
	struct pool_team *team)
{
	if (!s->spread || !team) {
		s->k.run(args, 0, s->k.units);
		return;
	}
	struct spread_ctx c = { .step = s, .args = args, .scratch_bytes = p->scratch_bytes };
	pool_parallel(team, &(struct pool_work){ run_range, &c, s->k.units, s->cost_ns });
}

/* The caller may be no thread of the pool, so one more than the pool has can take part. */
static struct pool_team *take_team(const struct plan *p, struct pool *pool)
{
	bool fits = pool && pool_threads(pool) < p->scratch_threads;
	if (!fits || p->spread_ns < TEAM_MIN_NS)
		return NULL;
	return pool_team_take(
		pool, p->helpers < p->scratch_threads ? (int)p->helpers : p->scratch_threads);
}

static void profile_step(
	const struct plan *p, const struct step *s, struct profile *prof, int64_t ns)
{
	char label[NODE_LABEL_MAX];
	prof->step(prof->ctx,
		s->node ? node_label(p->graph, s->node, label, sizeof(label)) : "copy",
		s->node ? op_info(s->node->op)->name : "copy", s->k.name, ns);
}

static enum err_code check_fault(const struct plan *p, const struct step *s, const struct fault *f,
	struct err *err)
{
	if (atomic_load_explicit(&f->code, memory_order_relaxed) == FAULT_NONE)
		return ERR_OK;
	char label[NODE_LABEL_MAX] = "copy";
	if (s->node)
		node_label(p->graph, s->node, label, sizeof(label));
	return fault_error(f, label, err);
}

enum err_code step_run(const struct plan *p, struct frame *f, const struct plan_run *r, int32_t i,
	struct tensor *t, struct err *err)
{
	const struct step *s = &p->step[i];
	struct device_args device;
	struct kernel_args args = { .in = t, .out = t + s->n_in, .n_in = s->n_in, .n_out = s->n_out,
		.state = s->k.state, .scratch = r->mem + p->work_bytes, .fault = &f->fault,
		.arena = r->arena };
	if (s->backend->device) {
		device = (struct device_args){ f->lane->stream, f->lane->fault, i, f->lane };
		args.device = &device;
		args.scratch = f->lane->device_mem + p->device_bytes;
	}
	int64_t began = r->profile ? clock_now_ns() : 0;
	run_step(p, s, &args, f->team);
	if (r->profile && s->backend->device)
		TRY(s->backend->device->wait(f->lane, err));
	if (r->profile)
		profile_step(p, s, r->profile, clock_now_ns() - began);
	if (p->dynamic)
		memcpy(r->out_tensor, args.out, (size_t)s->n_out * sizeof(*args.out));
	return check_fault(p, s, &f->fault, err);
}

static enum err_code run_steps(const struct plan *p, struct frame *f, const struct plan_run *r,
	struct err *err)
{
	if (p->device)
		return device_run(p, f, r, err);
	struct tensor *t = f->tensor;
	for (int32_t i = 0; i < p->n_step; i++) {
		TRY(step_run(p, f, r, i, t, err));
		t += p->step[i].n_in + p->step[i].n_out;
	}
	return ERR_OK;
}

enum err_code plan_run(const struct plan *p, struct frame *f, const struct plan_run *r,
	struct err *err)
{
	bind_pointers(p, f, r);
	atomic_store_explicit(&f->fault.code, FAULT_NONE, memory_order_relaxed);
	f->team = take_team(p, r->pool);
	enum err_code rc = run_steps(p, f, r, err);
	pool_team_give(f->team);
	return rc;
}
