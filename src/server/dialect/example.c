/* SPDX-License-Identifier: Apache-2.0 */
#include "server/dialect/example.h"

#include <string.h>
#include "base/checked.h"

/* DESIGN. An input is a column that rows are appended to, in memory for all of them that is
   taken when its first value comes: then its width is known, also where the signature leaves
   one dimension open. Rows that were skipped are filled from the context when a later one
   comes, and at the end. */
struct example_column {
	int64_t width;  /* elements of a row; -1: not known yet */
	int64_t known;  /* product of its dimensions that the signature says */
	int open;       /* the dimension that it leaves open; 0: none */
	int64_t rows;   /* written */
	char *data;     /* NULL: no value has come */
	char *context;  /* one row; NULL: none */
};

/* --- the signature --- */

static enum err_code cannot_feed(const struct signature_io *io, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		"input '%.100s' cannot be fed by examples: %s", io->name, why);
}

static enum err_code init_column(
	struct example_column *c, const struct signature_io *io, struct err *err)
{
	const struct shape *s = &io->shape;
	*c = (struct example_column){ .width = -1, .known = 1 };
	if (io->type.is_sequence || io->type.map_key != DTYPE_UNDEFINED)
		return cannot_feed(io, "it is no tensor", err);
	if (s->rank == 0)
		return cannot_feed(io, "it has no dimension for them", err);
	if (s->rank == RANK_UNKNOWN)
		c->open = 1;
	for (int d = 1; d < s->rank; d++) {
		if (s->dim[d] >= 0 && mul_i64_overflows(c->known, s->dim[d], &c->known))
			return cannot_feed(io, "it is too large", err);
		if (s->dim[d] < 0 && c->open)
			return cannot_feed(io, "more than one of its dimensions is open", err);
		if (s->dim[d] < 0)
			c->open = d;
	}
	if (!c->open)
		c->width = c->known;
	return ERR_OK;
}

enum err_code examples_init(
	struct examples *e, struct request *r, int64_t n, size_t bytes_max, struct err *err)
{
	*e = (struct examples){ .r = r, .n = n, .bytes_left = bytes_max };
	if (n == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "Input is empty.");
	e->column = ARENA_ARRAY(r->arena, struct example_column, (size_t)r->sig->n_in + 1);
	if (!e->column)
		return err_oom(err);
	for (int i = 0; i < r->sig->n_in; i++)
		TRY(init_column(&e->column[i], &r->sig->in[i], err));
	return ERR_OK;
}

/* --- memory --- */

static size_t row_bytes(const struct examples *e, int i)
{
	return (size_t)e->column[i].width * dtype_bytes(e->r->sig->in[i].type.dtype);
}

/* For n rows; NULL data is no data, so there is always some. */
static enum err_code take_memory(
	struct examples *e, int i, int64_t n, char **ret, struct err *err)
{
	size_t bytes;
	if (mul_overflows(row_bytes(e, i), (size_t)n, &bytes) || bytes > e->bytes_left)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"input '%.100s': %lld examples of %lld elements make inputs larger than a "
			"request may be",
			e->r->sig->in[i].name, (long long)n, (long long)e->column[i].width);
	e->bytes_left -= bytes;
	*ret = arena_alloc_aligned(e->r->arena, bytes + 1, ARENA_ALIGN_TENSOR);
	return *ret ? ERR_OK : err_oom(err);
}

static enum err_code set_width(
	struct example_column *c, const struct signature_io *io, int64_t n, struct err *err)
{
	bool fits = c->width >= 0 ? n == c->width :
				    n <= INT32_MAX && (c->known ? n % c->known == 0 : n == 0);
	if (!fits)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"Feature: %.100s (data type: %s) has %lld values, a row of the input takes "
			"%s%lld",
			io->name, dtype_name(io->type.dtype), (long long)n,
			c->width < 0 ? "a multiple of " : "",
			(long long)(c->width < 0 ? c->known : c->width));
	c->width = n;
	return ERR_OK;
}

/* --- rows --- */

/* Rows up to `row`, from the context. */
static enum err_code catch_up(struct examples *e, int i, int64_t row, struct err *err)
{
	struct example_column *c = &e->column[i];
	if (c->rows < row && !c->context)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"Feature: %.100s (data type: %s) is required but could not be found in "
			"example %lld",
			e->r->sig->in[i].name, dtype_name(e->r->sig->in[i].type.dtype),
			(long long)c->rows);
	if (c->rows < row && !c->data)
		TRY(take_memory(e, i, e->n, &c->data, err));
	for (; c->rows < row; c->rows++)
		memcpy(c->data + (size_t)c->rows * row_bytes(e, i), c->context, row_bytes(e, i));
	return ERR_OK;
}

static enum err_code place_in_context(struct examples *e, int i, char **ret, struct err *err)
{
	struct example_column *c = &e->column[i];
	if (!c->context)
		TRY(take_memory(e, i, 1, &c->context, err));
	*ret = c->context;
	return ERR_OK;
}

static enum err_code place_in_row(
	struct examples *e, int i, int64_t row, char **ret, struct err *err)
{
	struct example_column *c = &e->column[i];
	TRY(catch_up(e, i, row, err));
	if (!c->data)
		TRY(take_memory(e, i, e->n, &c->data, err));
	c->rows = row + 1;
	*ret = c->data + (size_t)row * row_bytes(e, i);
	return ERR_OK;
}

enum err_code examples_place(struct examples *e, int64_t row, struct slice name, int64_t n,
	struct tensor *ret, struct err *err)
{
	char *data;
	int i = signature_find_in(e->r->sig, name);
	*ret = (struct tensor){ .data = NULL };
	if (i < 0)
		return ERR_OK;
	const struct signature_io *io = &e->r->sig->in[i];
	TRY(set_width(&e->column[i], io, n, err));
	if (row == EXAMPLE_CONTEXT)
		TRY(place_in_context(e, i, &data, err));
	else
		TRY(place_in_row(e, i, row, &data, err));
	*ret = (struct tensor){ .data = data, .dtype = io->type.dtype, .shape = shape_of(n) };
	return ERR_OK;
}

/* --- the inputs --- */

static void hand_over(struct examples *e, int i)
{
	const struct example_column *c = &e->column[i];
	const struct signature_io *io = &e->r->sig->in[i];
	struct tensor *t = &e->r->in[i];
	*t = (struct tensor){ .data = c->data, .dtype = io->type.dtype,
		.shape = io->shape.rank == RANK_UNKNOWN ? shape_of(0, 0) : io->shape };
	t->shape.dim[0] = e->n;
	if (c->open)
		t->shape.dim[c->open] = c->known ? c->width / c->known : 0;
}

enum err_code examples_end(struct examples *e, struct err *err)
{
	for (int i = 0; i < e->r->sig->n_in; i++) {
		const struct example_column *c = &e->column[i];
		if (!c->rows && !c->context && e->r->sig->in[i].optional)
			continue;
		TRY(catch_up(e, i, e->n, err));
		hand_over(e, i);
	}
	return ERR_OK;
}
