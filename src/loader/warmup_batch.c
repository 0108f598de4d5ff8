/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May requests share a batch? As far as names tell, then by the shapes of a plan, then by
 * proof: rows that are run together and alone.
 */
#include "loader/warmup_impl.h"

#include <string.h>
#include "loader/probe.h"

#define PROOF_ROWS 3

/* -- names ------------------------------------------------------------------------------------- */

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

/* tf2onnx and Paddle2ONNX number the dimensions that they do not know ("unk__267"). */
static bool is_made_up(const char *name)
{
	static const char *const before[] = { "unk__", "DynamicDimension." };
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		size_t n = strlen(before[i]);
		if (strncmp(name, before[i], n) == 0 && name[n] &&
			!name[n + strspn(name + n, "0123456789")])
			return true;
	}
	return false;
}

static bool says_nothing(const char *name)
{
	return !name || is_made_up(name);
}

/* Only names of the model's own tell inputs' dimensions apart. Those of outputs are what an
   exporter made up, where it did not know: of them the proof will tell. */
static bool may_be_same(const struct signature_io *a, const struct signature_io *b)
{
	return a->shape.dim[0] == b->shape.dim[0] || says_nothing(a->dim_name[0]) ||
	       says_nothing(b->dim_name[0]);
}

static const char *differ(
	const struct signature_io *a, const struct signature_io *b, struct arena *arena)
{
	return arena_printf(arena,
		"dimension 0 is '%.60s' for input '%.100s' and '%.60s' for input '%.100s'",
		a->dim_name[0] ? a->dim_name[0] : "?", a->name,
		b->dim_name[0] ? b->dim_name[0] : "?", b->name);
}

/* Is dimension 0 of all inputs and outputs one and the same number of rows, as far as names
   tell? NULL: yes; else why not, in words (static, or in the arena). */
static const char *check_names(
	const struct signature *s, const char *batch_dim, struct arena *arena)
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

/* -- the proof --------------------------------------------------------------------------------- */

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
		if (!probe_equal(
			    b, row * n, one, n, tolerance_of(one->dtype, w->conf->precision), &at))
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
	if (warmup_is_about_inputs(rc)) { /* one row went through, so it is the rows */
		*ret_why = arena_printf(
			w->v->arena, "a batch of %d fails: %s", PROOF_ROWS, w->err->msg);
		return ERR_OK;
	}
	*ret_why = NULL;
	for (int64_t i = 0; i < PROOF_ROWS && rc == ERR_OK && !*ret_why; i++) {
		rc = warmup_check_cancel(w);
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
				"dimension %d of output '%.100s' depends on data, so a row's "
				"answer would depend on its company",
				d, out->name);
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

enum err_code warmup_find_batch(struct warmer *w, const char **ret_why)
{
	const char *why = check_names(w->s, w->conf->batch_dim, w->v->arena);
	if (!why && w->conf->max_batch <= 1)
		why = "max_batch is 1";
	if (!why)
		TRY(check_shapes(w, &why));
	if (!why)
		TRY(prove(w, &why));
	*ret_why = why;
	return ERR_OK;
}
