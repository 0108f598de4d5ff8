/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program_parts.c -- a large batch through the plan of a part of it, again and again
 *
 * Threads of the pool take parts, each with a workspace of its own. A rest that is no whole part is
 * the last rows, of which some are made again, so that one plan does; when the other parts are
 * done, since two threads would write there.
 */
#include "exec/run/program_impl.h"

struct parts {
	struct program *p;
	const struct program_use *u;
	struct profile *profile;
	atomic_bool failed; /* who sets it writes err */
	struct err *err;
};

static void *row_at(void *base, const struct tensor *plan_tensor, int64_t plan_rows, int64_t row)
{
	return (char *)base + tensor_bytes(plan_tensor) / (size_t)plan_rows * (size_t)row;
}

static enum err_code run_from(const struct parts *x, int64_t row, struct err *err)
{
	const struct program_use *u = x->u;
	void *in[PROGRAM_USE_FEW], *out[PROGRAM_USE_FEW];
	for (int i = 0; i < u->plan->n_in; i++)
		in[i] = row_at(u->in[i], &u->plan->in[i].t, u->plan_rows, row);
	for (int i = 0; i < u->plan->n_out; i++)
		out[i] = row_at(u->out[i], &u->plan->out[i].t, u->plan_rows, row);
	struct plan_run r = { .in = in, .out = out, .profile = x->profile };
	return program_run_plan(x->p, u->plan, &r, err);
}

static void run_range(void *ctx, int who, int64_t begin, int64_t end)
{
	struct parts *x = ctx;
	struct err err;
	(void)who;
	for (int64_t i = begin; i < end && !atomic_load(&x->failed); i++)
		if (run_from(x, i * x->u->plan_rows, &err) != ERR_OK &&
			!atomic_exchange(&x->failed, true))
			err_copy(x->err, &err);
}

static int64_t plan_cost_ns(const struct plan *e)
{
	int64_t ns = 0;
	for (int32_t i = 0; i < e->n_step; i++)
		ns += e->step[i].cost_ns;
	return ns;
}

enum err_code program_run_parts(struct program *p, const struct program_use *u,
	const struct run_opts *opts, struct err *err)
{
	struct parts x = { .p = p, .u = u, .profile = opts->profile, .err = err };
	int64_t parts = u->rows / u->plan_rows;
	/* A profile is of one thread. */
	pool_parallel_once(opts->profile ? NULL : opts->pool,
		&(struct pool_work){ run_range, &x, parts, parts * plan_cost_ns(u->plan) });
	if (atomic_load(&x.failed))
		return err->code;
	return u->rows % u->plan_rows ? run_from(&x, u->rows - u->plan_rows, err) : ERR_OK;
}
