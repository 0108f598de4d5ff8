/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/warmup_impl.h"

#include "loader/golden.h"
#include "loader/probe.h"

/* DESIGN: runs are made on the loading thread alone, which has low priority, and not on the
   pool: the version that serves meanwhile keeps its cores, and a batch on one core is
   what happens under load, where latencies matter.

   NOT DONE: latencies of a batch that an idle machine spreads over its cores. They are
   shorter, so a deadline is judged too carefully there, never too boldly. */

/* Dimensions that are tried as the sum of two others. */
#define SUMS_MAX 6

enum err_code warmup_check_cancel(const struct warmer *w)
{
	if (w->conf->cancel && atomic_load(w->conf->cancel))
		return err_set(w->err, ERR_CANCELLED, "the load was cancelled");
	return ERR_OK;
}

/* -- inputs that work ------------------------------------------------------------------------ */

static enum err_code try_sample(struct warmer *w)
{
	struct tensor *in, *out;
	int64_t ns;
	arena_reset(w->arena, 0);
	enum err_code rc = warmup_check_cancel(w);
	if (rc == ERR_OK)
		rc = sample_make(w->s, &w->spec, w->arena, &in, w->err);
	if (rc == ERR_OK)
		rc = probe_run(w->s, in, w->arena, &out, &ns, w->err);
	return rc == ERR_OK ? probe_check_finite(w->s, out, w->err) : rc;
}

bool warmup_is_about_inputs(enum err_code rc)
{
	return rc == ERR_INVALID_ARGUMENT || rc == ERR_OUT_OF_RANGE || rc == ERR_INTERNAL;
}

/* Inputs of these sizes, of any kind. */
static enum err_code try_kinds(struct warmer *w, int sizes, int64_t sum)
{
	enum err_code rc = ERR_INTERNAL;
	for (int kind = 0; kind < SAMPLE_KINDS; kind++) {
		w->spec = (struct sample_spec){ .rows = 1, .kind = kind, .sizes = sizes,
			.sum = sum };
		rc = try_sample(w);
		if (rc == ERR_OK || !warmup_is_about_inputs(rc))
			break;
	}
	return rc;
}

/* Sizes that are all guessed alike first, then one as the sum of two others: a mask spans what
   a decoder has seen and what it sees now. If none fits, the best guess tells why. */
static enum err_code find_sample(struct warmer *w)
{
	enum err_code rc = try_kinds(w, 0, 0), first = rc;
	struct err why = *w->err;
	for (int sizes = 1; w->guessed && sizes < SAMPLE_SIZES && warmup_is_about_inputs(rc);
		sizes++)
		rc = try_kinds(w, sizes, 0);
	int64_t sum = sample_symbol(w->s, 0);
	for (int i = 0; sum && i < SUMS_MAX && warmup_is_about_inputs(rc);
		sum = sample_symbol(w->s, ++i))
		rc = try_kinds(w, 0, sum);
	if (!warmup_is_about_inputs(rc))
		return rc;
	*w->err = why;
	return first;
}

static bool has_made_up_meaning(const struct signature *s)
{
	for (int i = 0; i < s->n_in; i++)
		if (!dtype_in(s->in[i].type.dtype, T_FLOAT))
			return true;
	return false;
}

/* -- one signature --------------------------------------------------------------------------- */

static void give_up(struct warmer *w, const char *why)
{
	w->s->batchable = false;
	w->s->max_batch = 1;
	w->s->why_not_batchable =
		arena_printf(w->v->arena, "no input to prove it with: %.300s", why);
	if (!w->answered)
		w->v->warning = arena_printf(w->v->arena,
			"signature '%.100s' could not be warmed up, its first request plans: "
			"%.300s",
			w->s->name, why);
}

/* -- what a device leaves to the CPU ----------------------------------------------------------- */

struct left {
	struct arena *arena;
	int n;
	char *first;
};

static void on_step(void *ctx, const struct step_text *s)
{
	struct left *l = ctx;
	if (s->refused && !l->n++)
		l->first =
			arena_printf(l->arena, "%.60s, %.100s: %.160s", s->op, s->node, s->refused);
}

/* Warns of such steps: each costs two copies and a wait. A warning that is there already stays. */
static enum err_code report_split(struct warmer *w)
{
	struct left l = { .arena = w->v->arena };
	struct tensor *in;
	if (!w->v->backend->device || w->v->warning)
		return ERR_OK;
	arena_reset(w->arena, 0);
	TRY(sample_make(w->s, &w->spec, w->arena, &in, w->err));
	TRY(program_explain(w->s->program, in, on_step, &l, w->err));
	if (l.n)
		w->v->warning = arena_printf(w->v->arena,
			"signature '%.100s': %d of its steps run on the CPU and split its plan, "
			"the first %s",
			w->s->name, l.n, l.first ? l.first : "unknown");
	return ERR_OK;
}

static enum err_code warm_signature(struct warmer *w)
{
	struct signature *s = w->s;
	const char *why = sample_obstacle(s, &w->guessed);
	s->max_batch = 1;
	s->latency_ns = ARENA_ARRAY(w->v->arena, int64_t, (size_t)w->conf->max_batch + 2);
	if (!s->latency_ns)
		return err_oom(w->err);
	if (why) {
		give_up(w, why);
		return ERR_OK;
	}
	enum err_code rc = find_sample(w);
	if (warmup_is_about_inputs(rc) && (w->guessed || w->answered ||
		(rc == ERR_INVALID_ARGUMENT && has_made_up_meaning(s)))) {
		give_up(w, w->err->msg);
		return ERR_OK;
	}
	if (rc != ERR_OK)
		return rc;
	TRY(warmup_find_batch(w, &s->why_not_batchable));
	s->batchable = !s->why_not_batchable;
	s->max_batch = s->batchable ? w->conf->max_batch : 1;
	TRY(warmup_learn_sizes(w));
	return report_split(w);
}

enum err_code warmup_run(
	int dirfd, struct version *v, const struct version_conf *conf, struct err *err)
{
	int n_golden = 0;
	enum err_code rc = golden_check(dirfd, v, conf, &n_golden, err);
	struct warmer w = { .v = v, .conf = conf, .arena = arena_new(1 << 16, 0), .err = err };
	if (rc == ERR_OK && !w.arena)
		rc = err_oom(err);
	for (int i = 0; i < v->n_sig && rc == ERR_OK; i++) {
		w.s = &v->sig[i];
		w.answered = i == 0 && n_golden > 0;
		rc = warm_signature(&w);
		if (rc != ERR_OK && rc != ERR_CANCELLED)
			err_prefix(err, "signature '%.100s'", w.s->name);
	}
	arena_free(w.arena);
	return rc;
}
