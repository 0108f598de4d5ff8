/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adagrad, Adam, Momentum: one step of training of any number of tensors. Inputs are the
 * rate, the count of steps, then tensors, then gradients, then what the step remembers of
 * earlier ones (one tensor of it, or two) for each; outputs the new tensors and memories.
 */
#include "exec/cpu/cpu.h"

#include <math.h>
#include "exec/cpu/types.h"

struct train_state {
	double norm, epsilon, decay, alpha, beta, norm_post;
	bool nesterov;
};

/* One number of a tensor, its gradient and its memories. */
struct step {
	double x, g, v, h;
};

struct rates {
	double rate, beta; /* as the count of steps makes them */
};

typedef void (*step_fn)(const struct train_state *s, const struct rates *r, struct step *n);

static void step_adagrad(const struct train_state *s, const struct rates *r, struct step *n)
{
	double g = s->norm * n->x + n->g;
	n->v += g * g;
	n->x -= r->rate * g / (sqrt(n->v) + s->epsilon);
}

static void step_momentum(const struct train_state *s, const struct rates *r, struct step *n)
{
	double g = s->norm * n->x + n->g;
	n->v = s->alpha * n->v + r->beta * g;
	n->x -= r->rate * (s->nesterov ? g + s->alpha * n->v : n->v);
}

static void step_adam(const struct train_state *s, const struct rates *r, struct step *n)
{
	double g = s->norm * n->x + n->g;
	n->v = s->alpha * n->v + (1 - s->alpha) * g;
	n->h = s->beta * n->h + (1 - s->beta) * g * g;
	n->x = (1 - s->norm_post) * (n->x - r->rate * n->v / (sqrt(n->h) + s->epsilon));
}

/* Tensors of either type. Any of the outputs may be absent. */
static double get(const struct tensor *t, int64_t i)
{
	return t->dtype == DTYPE_F64 ? ((const double *)t->data)[i]
				     : (double)((const float *)t->data)[i];
}

static void put(const struct kernel_args *a, int out, int64_t i, double v)
{
	if (!args_has_out(a, out))
		return;
	if (a->out[out].dtype == DTYPE_F64)
		((double *)a->out[out].data)[i] = v;
	else
		((float *)a->out[out].data)[i] = (float)v;
}

/* memories: how many each tensor has, 1 or 2. */
static void train(const struct kernel_args *a, const struct rates *r, int memories, step_fn step)
{
	const struct tensor *in = a->in + 2;
	int n = (a->n_in - 2) / (2 + memories);
	for (int k = 0; k < n; k++) {
		int64_t count = tensor_count(&in[k]);
		for (int64_t i = 0; i < count; i++) {
			struct step now = { get(&in[k], i), get(&in[n + k], i),
				get(&in[2 * n + k], i),
				memories == 2 ? get(&in[3 * n + k], i) : 0 };
			step(a->state, r, &now);
			put(a, k, i, now.x);
			put(a, n + k, i, now.v);
			if (memories == 2)
				put(a, 2 * n + k, i, now.h);
		}
	}
}

static void run_adagrad(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct train_state *s = a->state;
	double steps = (double)tensor_int(&a->in[1], 0);
	struct rates r = { .rate = get(&a->in[0], 0) / (1 + steps * s->decay) };
	(void)begin, (void)end;
	train(a, &r, 1, step_adagrad);
}

static void run_momentum(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct train_state *s = a->state;
	struct rates r = { get(&a->in[0], 0), tensor_int(&a->in[1], 0) > 0 ? s->beta : 1 };
	(void)begin, (void)end;
	train(a, &r, 1, step_momentum);
}

static void run_adam(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct train_state *s = a->state;
	struct rates r = { .rate = get(&a->in[0], 0) };
	double steps = (double)tensor_int(&a->in[1], 0);
	(void)begin, (void)end;
	if (steps > 0)
		r.rate *= sqrt(1 - pow(s->beta, steps)) / (1 - pow(s->alpha, steps));
	train(a, &r, 2, step_adam);
}

enum err_code prepare_train(struct prep *p, struct kernel *ret, struct err *err)
{
	const struct node *n = p->node;
	struct train_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->norm = (double)node_float(n, "norm_coefficient", 0);
	s->norm_post = (double)node_float(n, "norm_coefficient_post", 0);
	s->epsilon = (double)node_float(n, "epsilon", 1e-6F);
	s->decay = (double)node_float(n, "decay_factor", 0);
	s->alpha = (double)node_float(n, "alpha", 0.9F);
	s->beta = (double)node_float(n, "beta", 0.999F);
	s->nesterov = slice_is(node_string(n, "mode", ""), "nesterov");
	ret->run = n->op == OP_ADAM ? run_adam : n->op == OP_MOMENTUM ? run_momentum : run_adagrad;
	return ERR_OK;
}
