/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/gpu/rivals.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "base/hash.h"
#include "exec/gpu/timing.h"

#define ALIGN 256
#define OPERANDS_MAX 8
#define KERNELS 2 /* of ours: another one where they take another time */

static void describe(const struct prep *p, const struct rivals *r, char ret[CHOICE_KEY_MAX])
{
	snprintf(ret, CHOICE_KEY_MAX, "kernels %d %s cuDNN %zu %s %016" PRIx64 "%016" PRIx64,
		KERNELS, gpu_of(p->backend)->name, dnn.cudnnGetVersion(),
		op_info(p->node->op)->name, hash_bytes(r->key, r->key_bytes, 1),
		hash_bytes(r->key, r->key_bytes, 2));
}

int rivals_known(const struct prep *p, const struct rivals *r)
{
	char key[CHOICE_KEY_MAX], name[CHOICE_NAME_MAX];
	if (!p->choices)
		return -1;
	describe(p, r, key);
	if (choices_find(p->choices, key, name))
		for (int i = 0; i < r->n; i++)
			if (strcmp(r->name[i], name) == 0)
				return i;
	return -1;
}

bool rivals_may_be_timed(const struct prep *p)
{
	return p->choices && !p->settled && p->n_in <= OPERANDS_MAX && p->n_out == 1;
}

/* -- the contest ------------------------------------------------------------------------------- */

struct contest {
	const struct kernel *const *kernel;
	struct lane *lane;
	struct tensor in[OPERANDS_MAX], out;
	struct fault fault;
	struct kernel_args a;
	struct device_args d;
};

static bool enqueue(const struct timing *t, void *ctx, int i, int run)
{
	struct contest *c = ctx;
	(void)t, (void)run;
	c->a.state = c->kernel[i]->state;
	c->out.layout = c->kernel[i]->out_layout;
	c->kernel[i]->run(&c->a, 0, c->kernel[i]->units);
	return atomic_load(&c->fault.code) == FAULT_NONE;
}

/* Scratch first, then the operands: where each lies, and how much that is. */
static size_t lay_out(const struct prep *p, const struct rivals *r,
	const struct kernel *const *kernel, size_t *ret_at)
{
	size_t bytes = 0;
	for (int i = 0; i < r->n; i++)
		bytes = kernel[i]->scratch_bytes > bytes ? kernel[i]->scratch_bytes : bytes;
	for (int i = 0; i <= p->n_in; i++) {
		ret_at[i] = round_up(bytes, ALIGN);
		const struct tensor *t = i < p->n_in ? &p->in[i] : &p->out[0];
		bytes = ret_at[i] + (i < p->n_in && !gpu_has_in(p, i) ? 0 : tensor_bytes(t));
	}
	return bytes;
}

static void place(const struct prep *p, struct contest *c, char *mem, const size_t *at)
{
	for (int i = 0; i < p->n_in; i++) {
		c->in[i] = p->in[i];
		c->in[i].data = gpu_has_in(p, i) ? mem + at[i] : NULL;
	}
	c->out = p->out[0];
	c->out.data = mem + at[p->n_in];
	c->d = (struct device_args){ c->lane->stream, c->lane->fault, 0, c->lane };
	c->a = (struct kernel_args){ .in = c->in, .out = &c->out, .n_in = p->n_in, .n_out = 1,
		.scratch = mem, .fault = &c->fault, .device = &c->d };
}

/* The lane's work goes to the contest's stream. It is the device's for all contests: making one,
   and a handle of cuDNN's for it, takes longer than a contest. */
static int on_lane(const struct prep *p, const struct rivals *r, const struct timing *t,
	const size_t *at, struct contest *c)
{
	struct gpu *g = gpu_of(p->backend);
	if (!g->trial && gpu_device_ops.lane_new(p->backend, 0, 0, 0, &g->trial, NULL) != ERR_OK)
		return -1;
	c->lane = g->trial;
	void *own = c->lane->stream;
	c->lane->stream = t->stream;
	place(p, c, (char *)t->mem, at);
	int best = timing_fastest(t, r->n, enqueue, c);
	c->lane->stream = own;
	return best;
}

int rivals_time(const struct prep *p, const struct rivals *r, const struct kernel *const *kernel)
{
	struct contest c = { .kernel = kernel };
	struct timing t;
	size_t at[OPERANDS_MAX + 1], bytes = lay_out(p, r, kernel, at);
	char key[CHOICE_KEY_MAX];
	int best = timing_init(&t, gpu_of(p->backend), bytes) ? on_lane(p, r, &t, at, &c) : -1;
	timing_done(&t);
	if (best >= 0) {
		describe(p, r, key);
		choices_put(p->choices, key, r->name[best]);
	}
	return best;
}
