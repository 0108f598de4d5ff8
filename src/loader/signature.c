/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/signature.h"

#include <stdio.h>
#include <string.h>

static int find_io(const struct signature_io *io, int n, struct slice name)
{
	for (int i = 0; i < n; i++)
		if (slice_is(name, io[i].name))
			return i;
	return -1;
}

int signature_find_in(const struct signature *s, struct slice name)
{
	return find_io(s->in, s->n_in, name);
}

int signature_find_out(const struct signature *s, struct slice name)
{
	return find_io(s->out, s->n_out, name);
}

/* -- a request against the signature --------------------------------------------------------- */

/* The size that a symbol stands for in one request, set by the first input that has it. */
struct binding {
	int64_t symbol, size;
	const char *input;
	int dim;
};

#define BINDINGS_MAX 64

struct check {
	const struct signature *s;
	struct binding bound[BINDINGS_MAX];
	int n_bound;
	struct err *err;
};

/* Beyond BINDINGS_MAX symbols planning finds the contradiction, with a worse message. */
static enum err_code check_symbol(
	struct check *c, const struct signature_io *io, int d, int64_t size)
{
	for (int i = 0; i < c->n_bound; i++) {
		const struct binding *b = &c->bound[i];
		if (b->symbol != io->shape.dim[d])
			continue;
		if (b->size == size)
			return ERR_OK;
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"input '%.100s': dimension %d%s%.40s%s is %lld, but dimension %d of input "
			"'%.100s' is %lld and the signature says that they are equal",
			io->name, d, io->dim_name[d] ? " (" : "",
			io->dim_name[d] ? io->dim_name[d] : "", io->dim_name[d] ? ")" : "",
			(long long)size, b->dim, b->input, (long long)b->size);
	}
	if (c->n_bound < BINDINGS_MAX)
		c->bound[c->n_bound++] = (struct binding){ io->shape.dim[d], size, io->name, d };
	return ERR_OK;
}

static enum err_code check_dims(
	struct check *c, const struct signature_io *io, const struct tensor *t)
{
	for (int d = 0; d < io->shape.rank; d++) {
		int64_t want = io->shape.dim[d], is = t->shape.dim[d];
		if (want >= 0 && is != want)
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"input '%.100s': dimension %d is %lld, signature says %lld",
				io->name, d, (long long)is, (long long)want);
		if (want <= DIM_SYMBOL(0)) {
			enum err_code rc = check_symbol(c, io, d, is);
			if (rc != ERR_OK)
				return rc;
		}
	}
	return ERR_OK;
}

static enum err_code check_in(
	struct check *c, const struct signature_io *io, const struct tensor *t)
{
	if (!t->data) {
		if (io->optional)
			return ERR_OK;
		return err_set(c->err, ERR_INVALID_ARGUMENT, "input '%.100s' is missing", io->name);
	}
	enum dtype want = type_carrier(&io->type);
	if (t->dtype != want)
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"input '%.100s' is %s, signature says %s", io->name, dtype_name(t->dtype),
			dtype_name(want));
	if (io->shape.rank == RANK_UNKNOWN)
		return ERR_OK;
	if (t->shape.rank != io->shape.rank)
		return err_set(c->err, ERR_INVALID_ARGUMENT,
			"input '%.100s': shape %s has %d dimensions, signature says %d", io->name,
			SHAPE_TEXT(&t->shape), t->shape.rank, io->shape.rank);
	return check_dims(c, io, t);
}

static const char *type_text(const struct signature_io *io, char *buf, size_t size)
{
	const struct type *t = &io->type;
	const char *of = dtype_name(t->dtype);
	if (t->map_key != DTYPE_UNDEFINED)
		snprintf(buf, size, "%smap(%s,%s)", t->is_sequence ? "sequence of " : "",
			dtype_name(t->map_key), of);
	else
		snprintf(buf, size, "%s%s", t->is_sequence ? "sequence of " : "", of);
	return buf;
}

static enum err_code not_carried(const struct signature *s, const char *what,
	const struct signature_io *io, struct err *err)
{
	char text[64];
	return err_set(err, ERR_UNIMPLEMENTED,
		"signature '%.100s': %s '%.100s' is %s%s, which requests and replies have no form "
		"for; name a signature without it",
		s->name, what, io->name, io->optional ? "an optional " : "a ",
		type_text(io, text, sizeof(text)));
}

enum err_code signature_check_carried(const struct signature *s, struct err *err)
{
	for (int i = 0; i < s->n_in; i++)
		if (type_carrier(&s->in[i].type) == DTYPE_TENSOR)
			return not_carried(s, "input", &s->in[i], err);
	for (int i = 0; i < s->n_out; i++)
		if (!type_is_tensor(&s->out[i].type))
			return not_carried(s, "output", &s->out[i], err);
	return ERR_OK;
}

/* The inputs of a batchable signature have the same number of rows. check_symbol() has compared
   them where the graph names the dimension, but not where it calls it unknown. */
static enum err_code check_rows(struct check *c, const struct tensor *in, int64_t *ret_rows)
{
	int first = -1;
	for (int i = 0; i < c->s->n_in; i++) {
		if (!in[i].data)
			continue;
		if (first < 0)
			first = i;
		if (in[i].shape.dim[0] != in[first].shape.dim[0])
			return err_set(c->err, ERR_INVALID_ARGUMENT,
				"input '%.100s' has %lld rows, input '%.100s' has %lld",
				c->s->in[i].name, (long long)in[i].shape.dim[0],
				c->s->in[first].name, (long long)in[first].shape.dim[0]);
	}
	*ret_rows = first < 0 ? 1 : in[first].shape.dim[0];
	return ERR_OK;
}

enum err_code signature_check(const struct signature *s, const struct tensor *in, int64_t *ret_rows,
	struct err *err)
{
	struct check c = { .s = s, .n_bound = 0, .err = err };
	for (int i = 0; i < s->n_in; i++) {
		enum err_code rc = check_in(&c, &s->in[i], &in[i]);
		if (rc != ERR_OK)
			return rc;
	}
	if (s->batchable)
		return check_rows(&c, in, ret_rows);
	*ret_rows = 1;
	return ERR_OK;
}

/* -- one version's signature against the next ------------------------------------------------ */

struct comparison {
	const char *what; /* "input", "output" */
	bool narrowing;   /* may not get a fixed size where any was allowed: inputs may not */
	char *buf;
	size_t size;
};

static bool same_type(const struct type *a, const struct type *b)
{
	return a->dtype == b->dtype && a->map_key == b->map_key && a->is_sequence == b->is_sequence;
}

static bool dim_is_kept(const struct comparison *c, int64_t was, int64_t is)
{
	bool was_free = was < 0, is_free = is < 0;
	if (was_free != is_free)
		return is_free == c->narrowing;
	return was_free || was == is;
}

static const char *dim_text(int64_t dim, char *buf, size_t size)
{
	if (dim >= 0)
		snprintf(buf, size, "%lld", (long long)dim);
	else
		snprintf(buf, size, "any size");
	return buf;
}

/* Callers send what the old one took and read what it gave. An input may get wider, an
   output narrower; a number never becomes another number. */
static const char *break_shape(const struct comparison *c, const struct signature_io *was,
	const struct signature_io *is)
{
	if (was->shape.rank != is->shape.rank) {
		const struct signature_io *tighter = c->narrowing ? is : was;
		if (tighter->shape.rank == RANK_UNKNOWN)
			return NULL;
		snprintf(c->buf, c->size, "%s '%.100s' had %s and has %s", c->what, was->name,
			SHAPE_TEXT(&was->shape), SHAPE_TEXT(&is->shape));
		return c->buf;
	}
	for (int d = 0; d < was->shape.rank; d++) {
		int64_t old_dim = was->shape.dim[d], new_dim = is->shape.dim[d];
		if (dim_is_kept(c, old_dim, new_dim))
			continue;
		char a[24], b[24];
		snprintf(c->buf, c->size, "%s '%.100s': dimension %d was %s and is %s", c->what,
			was->name, d, dim_text(old_dim, a, sizeof(a)),
			dim_text(new_dim, b, sizeof(b)));
		return c->buf;
	}
	return NULL;
}

static const char *break_io(const struct comparison *c, const struct signature_io *was,
	const struct signature_io *is)
{
	char a[64], b[64];
	if (!same_type(&was->type, &is->type)) {
		snprintf(c->buf, c->size, "%s '%.100s' was %s and is %s", c->what, was->name,
			type_text(was, a, sizeof(a)), type_text(is, b, sizeof(b)));
		return c->buf;
	}
	if (was->optional != is->optional && was->optional == c->narrowing) {
		snprintf(c->buf, c->size, "%s '%.100s' %s optional", c->what, was->name,
			was->optional ? "is no longer" : "is now");
		return c->buf;
	}
	return break_shape(c, was, is);
}

static const char *break_side(const struct comparison *c, const struct signature_io *was, int n_was,
	const struct signature_io *is, int n_is)
{
	for (int i = 0; i < n_was; i++) {
		int k = find_io(is, n_is, slice_of(was[i].name));
		if (k < 0) {
			snprintf(c->buf, c->size, "%s '%.100s' is gone", c->what, was[i].name);
			return c->buf;
		}
		const char *why = break_io(c, &was[i], &is[k]);
		if (why)
			return why;
	}
	return NULL;
}

const char *signature_break(const struct signature *old, const struct signature *new, char *buf,
	size_t size)
{
	struct comparison in = { "input", true, buf, size }, out = { "output", false, buf, size };
	const char *why = break_side(&in, old->in, old->n_in, new->in, new->n_in);
	if (why)
		return why;
	for (int i = 0; i < new->n_in; i++) {
		if (new->in[i].optional || signature_find_in(old, slice_of(new->in[i].name)) >= 0)
			continue;
		snprintf(buf, size, "input '%.100s' is new and not optional", new->in[i].name);
		return buf;
	}
	return break_side(&out, old->out, old->n_out, new->out, new->n_out);
}
