/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/warmup.h"

#include <string.h>
#include "base/clock.h"
#include "loader/golden.h"
#include "loader/sample.h"

/* DESIGN: runs are made on the loading thread alone, which has low priority, and not on the
   pool: the version that serves meanwhile keeps its cores, and a batch on one core is
   what happens under load, where latencies matter.

   NOT DONE: latencies of a batch that an idle machine spreads over its cores. They are
   shorter, so a deadline is judged too carefully there, never too boldly. */

#define PROOF_ROWS 3
#define SIZES_BUDGET_NS (10 * NS_PER_S) /* of running batch sizes, per signature */
#define PLANS_BUDGET_NS (1 * NS_PER_S)  /* of planning the sizes between */
#define TIMED_RUNS 3
#define TIMED_BUDGET_NS (100 * NS_PER_MS)
#define PART_TOLERANCE 1.06 /* times are no more exact */

struct warmer {
	struct version *v;
	struct signature *s;
	const struct version_conf *conf;
	struct arena *arena; /* of one step */
	struct sample_spec spec; /* that gave good outputs */
	bool guessed;        /* its sizes are guesses */
	bool answered;       /* golden examples have run */
	struct err *err;
};

static enum err_code check_cancel(const struct warmer *w)
{
	if (w->conf->cancel && atomic_load(w->conf->cancel))
		return err_set(w->err, ERR_CANCELLED, "the load was cancelled");
	return ERR_OK;
}

/* -- the batch dimension --------------------------------------------------------------------- */

static const char *check_leading(
	const struct signature_io *io, const char *what, struct arena *arena)
{
	if (io->type.is_sequence || io->type.map_key != DTYPE_UNDEFINED)
		return arena_printf(arena, "%s '%.100s' is a sequence or map", what, io->name);
	if (io->optional)
		return arena_printf(arena, "%s '%.100s' is optional", what, io->name);
	if (io->shape.rank == RANK_UNKNOWN)
		return arena_printf(arena, "the rank of %s '%.100s' is not known", what, io->name);
	if (io->shape.rank == 0)
		return arena_printf(arena, "%s '%.100s' has no dimension 0", what, io->name);
	if (io->shape.dim[0] >= 0)
		return arena_printf(arena, "dimension 0 of %s '%.100s' is fixed at %lld", what,
			io->name, (long long)io->shape.dim[0]);
	return NULL;
}

/* Only names of the model's own tell inputs' dimensions apart. Those of outputs are what an
   exporter made up ("unk__267"), where it did not know: of them the proof will tell. */
static bool may_be_same(const struct signature_io *a, const struct signature_io *b)
{
	return a->shape.dim[0] == b->shape.dim[0] || !a->dim_name[0] || !b->dim_name[0];
}

static const char *differ(
	const struct signature_io *a, const struct signature_io *b, struct arena *arena)
{
	return arena_printf(arena,
		"dimension 0 is '%.60s' for input '%.100s' and '%.60s' for input '%.100s'",
		a->dim_name[0] ? a->dim_name[0] : "?", a->name,
		b->dim_name[0] ? b->dim_name[0] : "?", b->name);
}

const char *warmup_find_batch(const struct signature *s, const char *batch_dim, struct arena *arena)
{
	const char *why = NULL;
	if (batch_dim && strcmp(batch_dim, "none") == 0)
		return "the configuration says so";
	if (s->n_in == 0)
		return "it has no input";
	for (int i = 0; i < s->n_in && !why; i++) {
		why = check_leading(&s->in[i], "input", arena);
		if (!why && !may_be_same(&s->in[0], &s->in[i]))
			why = differ(&s->in[0], &s->in[i], arena);
	}
	for (int i = 0; i < s->n_out && !why; i++)
		why = check_leading(&s->out[i], "output", arena);
	const char *name = s->in[0].dim_name[0];
	if (!why && batch_dim && (!name || strcmp(name, batch_dim) != 0))
		why = arena_printf(arena,
			"dimension 0 is '%.60s' and not '%.60s', which is configured",
			name ? name : "?", batch_dim);
	return why;
}

/* -- inputs that work ------------------------------------------------------------------------ */

static enum err_code try_sample(struct warmer *w)
{
	struct tensor *in, *out;
	int64_t ns;
	arena_reset(w->arena, 0);
	enum err_code rc = check_cancel(w);
	if (rc == ERR_OK)
		rc = sample_make(w->s, &w->spec, w->arena, &in, w->err);
	if (rc == ERR_OK)
		rc = probe_run(w->s, in, w->arena, &out, &ns, w->err);
	return rc == ERR_OK ? probe_check_finite(w->s, out, w->err) : rc;
}

/* May other made-up inputs do better? A missing kernel or memory stays missing. */
static bool is_about_inputs(enum err_code rc)
{
	return rc == ERR_INVALID_ARGUMENT || rc == ERR_OUT_OF_RANGE || rc == ERR_INTERNAL;
}

static enum err_code find_sample(struct warmer *w)
{
	enum err_code rc = ERR_INTERNAL;
	int n_sizes = w->guessed ? SAMPLE_SIZES : 1;
	for (int sizes = 0; sizes < n_sizes; sizes++)
		for (int kind = 0; kind < SAMPLE_KINDS; kind++) {
			w->spec = (struct sample_spec){ .rows = 1, .kind = kind, .sizes = sizes };
			rc = try_sample(w);
			if (rc == ERR_OK || !is_about_inputs(rc))
				return rc;
		}
	return rc;
}

static bool has_made_up_meaning(const struct signature *s)
{
	for (int i = 0; i < s->n_in; i++)
		if (!dtype_in(s->in[i].type.dtype, T_FLOAT))
			return true;
	return false;
}

/* -- the proof ------------------------------------------------------------------------------- */

/* NULL: row `row` of the batch is what the single request gave. */
static const char *compare_row(const struct warmer *w, const struct tensor *batch, int64_t row,
	const struct tensor *single)
{
	for (int i = 0; i < w->s->n_out; i++) {
		const char *name = w->s->out[i].name;
		const struct tensor *b = &batch[i], *one = &single[i];
		struct shape expected = one->shape;
		int64_t at;
		if (expected.rank > 0 && expected.dim[0] == 1)
			expected.dim[0] = PROOF_ROWS;
		if (b->shape.rank < 1 || b->shape.dim[0] != PROOF_ROWS ||
			!shape_equal(&b->shape, &expected))
			return arena_printf(w->v->arena,
				"output '%.100s' is %s for one row and %s for %d", name,
				SHAPE_TEXT(&one->shape), SHAPE_TEXT(&b->shape), PROOF_ROWS);
		int64_t n = tensor_count(one);
		if (!probe_equal(b, row * n, one, n, tolerance_of(one->dtype), &at))
			return arena_printf(w->v->arena,
				"output '%.100s', element %lld of row %lld is not the same in a "
				"batch as alone",
				name, (long long)at, (long long)row);
	}
	return NULL;
}

/* *ret_why NULL: a batch of different rows gave each what it gets alone. */
static enum err_code prove(struct warmer *w, const char **ret_why)
{
	struct tensor *in, *row, *batch, *single;
	int64_t ns;
	struct sample_spec spec = w->spec;
	spec.rows = PROOF_ROWS;
	arena_reset(w->arena, 0);
	enum err_code rc = sample_make(w->s, &spec, w->arena, &in, w->err);
	if (rc == ERR_OK)
		rc = probe_run(w->s, in, w->arena, &batch, &ns, w->err);
	if (is_about_inputs(rc)) { /* one row went through, so it is the rows */
		*ret_why = arena_printf(
			w->v->arena, "a batch of %d fails: %s", PROOF_ROWS, w->err->msg);
		return ERR_OK;
	}
	*ret_why = NULL;
	for (int64_t i = 0; i < PROOF_ROWS && rc == ERR_OK && !*ret_why; i++) {
		rc = check_cancel(w);
		if (rc == ERR_OK)
			rc = sample_row(w->s, in, i, w->arena, &row, w->err);
		if (rc == ERR_OK)
			rc = probe_run(w->s, row, w->arena, &single, &ns, w->err);
		if (rc == ERR_OK)
			*ret_why = compare_row(w, batch, i, single);
	}
	return rc;
}

static bool is_dim(const struct signature_io *a, int i, const struct signature_io *b, int k)
{
	const char *x = a->dim_name[i], *y = b->dim_name[k];
	return (a->shape.dim[i] == b->shape.dim[k] && a->shape.dim[i] != DIM_UNKNOWN) ||
	       (x && y && strcmp(x, y) == 0);
}

/* Is dimension d of an output known, or the rows, or one that some input has? */
static bool follows(const struct signature *s, const struct signature_io *out, int d)
{
	bool found = d == 0 ? is_dim(out, 0, &s->in[0], 0) : out->shape.dim[d] >= 0;
	for (int i = 0; i < s->n_in && d > 0 && !found; i++)
		for (int k = 1; k < s->in[i].shape.rank && !found; k++)
			found = is_dim(out, d, &s->in[i], k);
	return found;
}

static const char *first_open(const struct warmer *w, const struct signature_io *out)
{
	for (int d = 0; d < out->shape.rank; d++)
		if (!follows(w->s, out, d))
			return arena_printf(w->v->arena,
				"dimension %d of output '%.100s' hangs on data, so a row's answer would "
				"hang on its company", d, out->name);
	return NULL;
}

/* *ret_why NULL: the shape of a row's outputs follows from the shapes of its inputs. The proof
   cannot tell: its rows may happen to agree. */
static enum err_code check_shapes(struct warmer *w, const char **ret_why)
{
	struct tensor *in, *out = ARENA_ARRAY(w->v->arena, struct tensor, (size_t)w->s->n_out);
	arena_reset(w->arena, 0);
	if (!out)
		return err_oom(w->err);
	enum err_code rc = sample_make(w->s, &w->spec, w->arena, &in, w->err);
	if (rc == ERR_OK)
		rc = program_plan(w->s->program, in, out, w->err);
	for (int i = 0; i < w->s->n_out && rc == ERR_OK && !*ret_why; i++)
		if (!shape_is_static(&out[i].shape))
			*ret_why = first_open(w, &w->s->out[i]);
	return rc;
}

/* -- sizes and latencies --------------------------------------------------------------------- */

static enum err_code run_size(struct warmer *w, int64_t rows, int64_t *ret_ns)
{
	struct tensor *in, *out;
	struct sample_spec spec = w->spec;
	int64_t ns, spent_ns = 0;
	spec.rows = rows;
	arena_reset(w->arena, 0);
	enum err_code rc = sample_make(w->s, &spec, w->arena, &in, w->err);
	if (rc == ERR_OK) /* plans; its time is not the run's */
		rc = probe_run(w->s, in, w->arena, &out, &ns, w->err);
	*ret_ns = INT64_MAX;
	for (int i = 0; i < TIMED_RUNS && rc == ERR_OK && (i == 0 || spent_ns < TIMED_BUDGET_NS);
		i++) {
		rc = probe_run(w->s, in, w->arena, &out, &ns, w->err);
		spent_ns += ns;
		if (ns < *ret_ns)
			*ret_ns = ns;
	}
	if (rc == ERR_OK && program_wants_few_sizes(w->s->program))
		rc = probe_warm_lanes(w->s, in, w->arena, w->err);
	return rc;
}

/* Fills (from, to] on the line through both ends. */
static void interpolate(int64_t *latency_ns, int64_t from, int64_t to)
{
	for (int64_t n = from + 1; n < to; n++)
		latency_ns[n] = latency_ns[from] +
				(latency_ns[to] - latency_ns[from]) / (to - from) * (n - from);
}

/* Beyond what was run: as much for each row as the last size took. */
static void extrapolate(int64_t *latency_ns, int64_t from, int64_t to)
{
	for (int64_t n = from + 1; n <= to; n++)
		latency_ns[n] = latency_ns[from] / from * n;
}

/* Of the sizes run, up to last: the largest that takes hardly longer for a row than the best. */
static int best_part(const int64_t *latency_ns, int64_t last)
{
	double best = (double)latency_ns[1];
	int64_t part = 1;
	for (int64_t n = 2; n <= last; n *= 2)
		if ((double)latency_ns[n] < best * (double)n)
			best = (double)latency_ns[n] / (double)n;
	for (int64_t n = 2; n <= last; n *= 2)
		if ((double)latency_ns[n] <= best * PART_TOLERANCE * (double)n)
			part = n;
	return (int)part;
}

/* Batches that will be run in parts have left memory behind that parts do not need. */
static enum err_code forget_large(struct warmer *w)
{
	int64_t ns;
	program_drop_workspaces(w->s->program);
	return run_size(w, w->s->part_rows, &ns);
}

/* Sizes 1, 2, 4, ... max_batch; the time for each is learnt. A size that does not fit
   into memory bounds the batch. With guessed dimensions these plans serve nobody, so two
   sizes have to do for the latencies. */
static enum err_code learn_sizes(struct warmer *w)
{
	struct signature *s = w->s;
	int64_t began_ns = clock_now_ns(), last = 0;
	int64_t most = w->guessed && s->max_batch > 2 ? 2 : s->max_batch;
	for (int64_t n = 1; n <= most; n = n < most && n * 2 > most ? most : n * 2) {
		enum err_code rc = check_cancel(w);
		if (rc == ERR_OK)
			rc = run_size(w, n, &s->latency_ns[n]);
		if (rc == ERR_RESOURCE_EXHAUSTED && last) {
			s->max_batch = (int)last;
			break;
		}
		if (rc != ERR_OK)
			return rc;
		interpolate(s->latency_ns, last, n);
		last = n;
		if (clock_now_ns() - began_ns > SIZES_BUDGET_NS)
			break;
	}
	extrapolate(s->latency_ns, last, s->max_batch);
	if (w->guessed || program_wants_few_sizes(s->program))
		return ERR_OK;
	s->part_rows = best_part(s->latency_ns, last);
	return s->part_rows < last ? forget_large(w) : ERR_OK;
}

/* Sizes share the plans of those that were run: the quickest of them that is large enough. */
static enum err_code share_sizes(struct warmer *w)
{
	struct signature *s = w->s;
	int32_t *as = ARENA_ARRAY(w->v->arena, int32_t, (size_t)s->max_batch + 1);
	if (!as)
		return err_oom(w->err);
	int32_t best = s->max_batch;
	for (int32_t n = s->max_batch; n > 0; n--) {
		bool was_run = (n & (n - 1)) == 0;
		if (was_run && s->latency_ns[n] <= s->latency_ns[best])
			best = n;
		as[n] = best;
		s->latency_ns[n] = s->latency_ns[best];
	}
	s->rows_as = as;
	return ERR_OK;
}

/* Batches have any size; planning one on a request's time would show as latency. */
static enum err_code plan_between(struct warmer *w)
{
	int64_t began_ns = clock_now_ns();
	for (int64_t n = 3; n < w->s->max_batch && !w->guessed; n++) {
		struct tensor *in;
		struct sample_spec spec = w->spec;
		spec.rows = n;
		arena_reset(w->arena, 0);
		enum err_code rc = check_cancel(w);
		if (rc == ERR_OK)
			rc = sample_make(w->s, &spec, w->arena, &in, w->err);
		if (rc == ERR_OK)
			rc = program_plan(w->s->program, in, NULL, w->err);
		if (rc != ERR_OK)
			return rc;
		if (clock_now_ns() - began_ns > PLANS_BUDGET_NS)
			break;
	}
	return ERR_OK;
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
	if (is_about_inputs(rc) && (w->guessed || w->answered ||
		(rc == ERR_INVALID_ARGUMENT && has_made_up_meaning(s)))) {
		give_up(w, w->err->msg);
		return ERR_OK;
	}
	if (rc != ERR_OK)
		return rc;
	why = warmup_find_batch(s, w->conf->batch_dim, w->v->arena);
	if (!why && w->conf->max_batch <= 1)
		why = "max_batch is 1";
	if (!why)
		rc = check_shapes(w, &why);
	if (rc == ERR_OK && !why)
		rc = prove(w, &why);
	s->batchable = rc == ERR_OK && !why;
	s->why_not_batchable = why;
	s->max_batch = s->batchable ? w->conf->max_batch : 1;
	if (rc == ERR_OK)
		rc = learn_sizes(w);
	if (rc == ERR_OK && s->batchable && program_wants_few_sizes(s->program))
		return share_sizes(w);
	return rc == ERR_OK ? plan_between(w) : rc;
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
