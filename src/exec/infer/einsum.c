/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/infer/einsum.h"

#include <inttypes.h>
#include <string.h>

/* Labels 0 .. RANK_MAX - 1 are the ellipsis's dimensions, the last one always RANK_MAX - 1
   so that they are aligned at the right; letters follow. Numbers are packed at the end. */
struct parser {
	struct slice eq;
	size_t at;
	int ellipsis_rank; /* of the widest */
	int count[EINSUM_LABELS_MAX]; /* how often a label stands on the left */
	struct einsum *e;
	struct err *err;
};

static int letter_label(char c)
{
	if (c >= 'A' && c <= 'Z')
		return RANK_MAX + (c - 'A');
	if (c >= 'a' && c <= 'z')
		return RANK_MAX + 26 + (c - 'a');
	return -1;
}

static enum err_code fail(struct parser *p, const char *what)
{
	return err_set(p->err, ERR_INVALID_ARGUMENT, "equation '%.*s': %s", SLICE_ARG(p->eq), what);
}

static bool skip(struct parser *p, const char *token)
{
	size_t n = strlen(token);
	while (p->at < p->eq.len && p->eq.ptr[p->at] == ' ')
		p->at++;
	if (p->eq.len - p->at < n || memcmp(p->eq.ptr + p->at, token, n) != 0)
		return false;
	p->at += n;
	return true;
}

/* One comma-separated term as labels; an ellipsis as `wide` of them. */
static enum err_code parse_term(struct parser *p, int wide, int8_t *ret, int *ret_n)
{
	int n = 0;
	bool ellipsis = false;
	for (;;) {
		if (skip(p, "...")) {
			if (ellipsis)
				return fail(p, "a term has two ellipses");
			if (wide < 0 || n + wide > RANK_MAX)
				return fail(p, "a term does not have its input's rank");
			for (int k = 0; k < wide; k++)
				ret[n++] = (int8_t)(RANK_MAX - wide + k);
			ellipsis = true;
			continue;
		}
		int label = p->at < p->eq.len ? letter_label(p->eq.ptr[p->at]) : -1;
		if (label < 0)
			break;
		if (n == RANK_MAX)
			return fail(p, "a term has too many letters");
		ret[n++] = (int8_t)label;
		p->at++;
	}
	*ret_n = n;
	return ERR_OK;
}

/* How many letters the term at `at` has: its ellipsis stands for the rest of the rank. */
static int count_letters(const struct parser *p)
{
	int n = 0;
	for (size_t i = p->at; i < p->eq.len; i++) {
		char c = p->eq.ptr[i];
		if (c == ',' || c == '-')
			break;
		n += letter_label(c) >= 0;
	}
	return n;
}

static enum err_code set_sizes(struct parser *p, int i, const struct shape *s)
{
	struct einsum *e = p->e;
	for (int k = 0; k < s->rank; k++) {
		int label = e->in[i][k];
		int64_t *size = &e->size[label], d = s->dim[k];
		bool first = p->count[label]++ == 0, spreads = label < RANK_MAX;
		if (first || (spreads && *size == 1))
			*size = d;
		else if (spreads && d == 1)
			continue;
		else if (*size >= 0 && d >= 0 && *size != d)
			return err_set(p->err, ERR_INVALID_ARGUMENT,
				"equation '%.*s': dimension %d of input %d is %" PRId64
				", another of the same letter is %" PRId64,
				SLICE_ARG(p->eq), k, i, d, *size);
		else if (*size < 0 && (d >= 0 || *size == DIM_UNKNOWN))
			*size = d;
	}
	return ERR_OK;
}

static enum err_code parse_inputs(struct parser *p, const struct shape *const *in)
{
	struct einsum *e = p->e;
	for (int i = 0; i < e->n_in; i++) {
		if (i && !skip(p, ","))
			return fail(p, "it has fewer terms than there are inputs");
		int wide = in[i]->rank - count_letters(p);
		size_t begin = p->at;
		TRY(parse_term(p, wide, e->in[i], &e->rank[i]));
		bool ellipsis = memchr(p->eq.ptr + begin, '.', p->at - begin);
		if (e->rank[i] != in[i]->rank)
			return fail(p, "a term does not have its input's rank");
		if (ellipsis && wide > p->ellipsis_rank)
			p->ellipsis_rank = wide;
		TRY(set_sizes(p, i, in[i]));
	}
	return ERR_OK;
}

/* Without "->": the ellipsis, then the letters that stand once, in order. */
static enum err_code implicit_output(struct parser *p)
{
	struct einsum *e = p->e;
	for (int l = 0; l < EINSUM_LABELS_MAX; l++) {
		if (l < RANK_MAX ? !p->count[l] : p->count[l] != 1)
			continue;
		if (e->out_rank == RANK_MAX)
			return fail(p, "the output has too many dimensions");
		e->out[e->out_rank++] = (int8_t)l;
	}
	return ERR_OK;
}

static enum err_code explicit_output(struct parser *p)
{
	struct einsum *e = p->e;
	uint8_t seen[EINSUM_LABELS_MAX] = { 0 };
	TRY(parse_term(p, p->ellipsis_rank, e->out, &e->out_rank));
	for (int i = 0; i < e->out_rank; i++) {
		if (!p->count[e->out[i]])
			return fail(p, "the output has a letter that no input has");
		if (seen[e->out[i]]++)
			return fail(p, "the output has a letter twice");
	}
	return ERR_OK;
}

/* Gives the labels in use the numbers 0, 1, ... */
static void pack_labels(struct parser *p)
{
	struct einsum *e = p->e;
	int8_t number[EINSUM_LABELS_MAX];
	for (int l = 0; l < EINSUM_LABELS_MAX; l++) {
		if (!p->count[l])
			continue;
		number[l] = (int8_t)e->n_labels;
		e->n_spread += l < RANK_MAX;
		e->size[e->n_labels++] = e->size[l];
	}
	for (int i = 0; i < e->n_in; i++)
		for (int k = 0; k < e->rank[i]; k++)
			e->in[i][k] = number[e->in[i][k]];
	for (int k = 0; k < e->out_rank; k++)
		e->out[k] = number[e->out[k]];
}

enum err_code einsum_parse(struct slice equation, const struct shape *const *in, int n_in,
	struct einsum *ret, struct err *err)
{
	*ret = (struct einsum){ .n_in = n_in };
	struct parser p = { .eq = equation, .e = ret, .err = err };
	TRY(parse_inputs(&p, in));
	TRY(skip(&p, "->") ? explicit_output(&p) : implicit_output(&p));
	skip(&p, "");
	if (p.at != equation.len)
		return fail(&p, "it has more terms than there are inputs, or other characters");
	pack_labels(&p);
	return ERR_OK;
}
