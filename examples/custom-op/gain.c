/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gain.c -- an operator of one's own, as a library for signetd --op-library
 *
 * Gain of domain com.example, opset 1: Y = X * gain[c] + offset, c being the index along
 * dimension 1. X is [N, C, ...] of float or double, gain is [C] of the same type; attribute
 * offset, a float, is 0 when it is missing.
 *
 * Build: cc -O2 -shared -fPIC -fvisibility=hidden -o gain.so gain.c
 */
#include <signet/op.h>

enum { GAIN_X, GAIN_GAIN };

struct gain {
	int64_t channels, size; /* of what is behind dimension 1 */
	double offset;
};

static int32_t infer(const struct signet_host *host, struct signet_node *node,
	const struct signet_tensor *in, int32_t n_in, int32_t n_out)
{
	const struct signet_tensor *x = &in[GAIN_X], *gain = &in[GAIN_GAIN];
	(void)n_in;
	(void)n_out;
	if (x->type && gain->type && x->type != gain->type)
		return host->refuse(node, "X and gain are of two types");
	if (x->rank >= 0 && x->rank < 2)
		return host->refuse(
			node, "X has rank %d, it must have a batch and channels", (int)x->rank);
	if (gain->rank >= 0 && gain->rank != 1)
		return host->refuse(node, "gain has rank %d, it must be a list", (int)gain->rank);
	if (x->rank >= 2 && gain->rank == 1 && x->dim[1] >= 0 && gain->dim[0] >= 0 &&
		x->dim[1] != gain->dim[0])
		return host->refuse(node, "X has %lld channels, gain %lld", (long long)x->dim[1],
			(long long)gain->dim[0]);
	host->set_output(node, 0, x->type, x->rank, x->dim);
	return 0;
}

/* A unit is a channel of one row of the batch. */
#define RUN(type) \
	static void run_##type(const struct signet_run *run, int64_t begin, int64_t end) \
	{ \
		const struct gain *g = run->state; \
		const type *gain = run->in[GAIN_GAIN].data; \
		for (int64_t unit = begin; unit < end; unit++) { \
			const type *x = (const type *)run->in[GAIN_X].data + unit * g->size; \
			type *y = (type *)run->out[0].data + unit * g->size; \
			for (int64_t i = 0; i < g->size; i++) \
				y[i] = x[i] * gain[unit % g->channels] + (type)g->offset; \
		} \
	}
RUN(float)
RUN(double)

static int32_t prepare(const struct signet_host *host, struct signet_node *node,
	const struct signet_tensor *in, int32_t n_in, const struct signet_tensor *out,
	int32_t n_out, struct signet_kernel *ret)
{
	const struct signet_tensor *x = &in[GAIN_X];
	struct gain *g = host->alloc(node, sizeof(*g));
	(void)n_in;
	(void)out;
	(void)n_out;
	if (!g)
		return host->refuse(node, "there is no memory for it");
	g->channels = x->dim[1];
	g->size = 1;
	for (int32_t i = 2; i < x->rank; i++)
		g->size *= x->dim[i];
	g->offset = host->attr_float(node, "offset", 0);
	ret->state = g;
	ret->run = x->type == SIGNET_DOUBLE ? run_double : run_float;
	ret->units = x->dim[0] * x->dim[1];
	if (ret->units < 1)
		ret->units = 1, g->size = 0;
	ret->unit_cost_ns = g->size / 4 + 1;
	return 0;
}

static const struct signet_op_attr attrs[] = { { "offset", SIGNET_ATTR_FLOAT, 0 }, { 0, 0, 0 } };

static const struct signet_op ops[] = {
	{
		.domain = "com.example",
		.name = "Gain",
		.since = 1,
		.in_min = 2,
		.in_max = 2,
		.out_min = 1,
		.out_max = 1,
		.in_types = { SIGNET_TYPE(SIGNET_FLOAT) | SIGNET_TYPE(SIGNET_DOUBLE) },
		.attrs = attrs,
		.infer = infer,
		.prepare = prepare,
	},
};

__attribute__((visibility("default"))) const struct signet_op_library *signet_op_library(void)
{
	static const struct signet_op_library library = { .abi = SIGNET_OP_ABI, .n_op = 1,
		.op = ops };
	return &library;
}
