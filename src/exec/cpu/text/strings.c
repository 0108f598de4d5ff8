/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StringConcat and StringSplit. What is split off lies where it lay in the input; what is
 * put together goes into the run's arena.
 */
#include "exec/cpu/cpu.h"

#include <string.h>
#include "base/utf8.h"
#include "exec/cpu/walk.h"

/* -- StringConcat ------------------------------------------------------------------------------ */

struct concat_state {
	struct walk walk;
};

static struct slice join(const struct kernel_args *a, struct slice x, struct slice y)
{
	if (x.len == 0 || y.len == 0)
		return x.len ? x : y;
	/* Two strings in memory are together shorter than the address space. */
	char *to = arena_alloc(a->arena, x.len + y.len);
	if (!to) {
		kernel_fault(a, FAULT_MEMORY, (int64_t)(x.len + y.len));
		return (struct slice){ NULL, 0 };
	}
	memcpy(to, x.ptr, x.len);
	memcpy(to + x.len, y.ptr, y.len);
	return (struct slice){ to, x.len + y.len };
}

static void run_concat(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct concat_state *s = a->state;
	const struct slice *x = a->in[0].data, *y = a->in[1].data;
	struct slice *o = a->out[0].data;
	struct walk_iter it;
	(void)begin, (void)end;
	walk_begin(&it, &s->walk, 0, tensor_count(&a->out[0]));
	while (walk_next(&it))
		for (int64_t i = 0; i < it.n; i++)
			o[it.at + i] = join(a, x[it.off[0] + i * s->walk.step[0]],
				y[it.off[1] + i * s->walk.step[1]]);
}

enum err_code prepare_string_concat(struct prep *p, struct kernel *ret, struct err *err)
{
	struct concat_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	walk_init(&s->walk, &p->out[0].shape, 2,
		(const struct shape *const[]){ &p->in[0].shape, &p->in[1].shape });
	ret->run = run_concat;
	return ERR_OK;
}

/* -- StringSplit ------------------------------------------------------------------------------- */

struct split_state {
	struct slice delimiter; /* empty: at runs of white space */
	int64_t most;           /* splits; -1: no bound */
};

/* What Unicode calls white space, and the four separators of ASCII. */
static bool is_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
	       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
	       c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Bytes of the white space that rest begins with, or of the character that is none. Bytes
   that are no UTF-8 are characters of their own. */
static size_t space_at(struct slice rest, bool *ret_space)
{
	uint32_t c = 0;
	size_t n = utf8_decode(rest.ptr, rest.len, &c);
	*ret_space = n && is_space(c);
	return n ? n : 1;
}

static struct slice skip_spaces(struct slice rest)
{
	bool space = true;
	while (rest.len) {
		size_t n = space_at(rest, &space);
		if (!space)
			break;
		rest = (struct slice){ rest.ptr + n, rest.len - n };
	}
	return rest;
}

/* Without white space at its end. */
static struct slice trim_end(struct slice s)
{
	size_t end = 0;
	for (size_t at = 0, n; at < s.len; at += n) {
		bool space;
		n = space_at((struct slice){ s.ptr + at, s.len - at }, &space);
		end = space ? end : at + n;
	}
	return (struct slice){ s.ptr, end };
}

/* The word that rest begins with; rest goes behind it and the white space after it. */
static struct slice cut_word(struct slice *rest)
{
	size_t at = 0;
	bool space = false;
	while (at < rest->len) {
		size_t n = space_at((struct slice){ rest->ptr + at, rest->len - at }, &space);
		if (space)
			break;
		at += n;
	}
	struct slice word = { rest->ptr, at };
	*rest = skip_spaces((struct slice){ rest->ptr + at, rest->len - at });
	return word;
}

/* What stands before the next delimiter; rest goes behind it. false: there is none. */
static bool cut_delimited(struct slice delimiter, struct slice *rest, struct slice *ret)
{
	const char *at =
		rest->len ? memmem(rest->ptr, rest->len, delimiter.ptr, delimiter.len) : NULL;
	if (!at)
		return false;
	*ret = (struct slice){ rest->ptr, (size_t)(at - rest->ptr) };
	size_t skip = ret->len + delimiter.len;
	*rest = (struct slice){ rest->ptr + skip, rest->len - skip };
	return true;
}

/* The pieces of one string into to (NULL: they are only counted). */
static int64_t split_string(const struct split_state *s, struct slice text, struct slice *to)
{
	struct slice rest = text, piece;
	int64_t n = 0;
	bool at_spaces = s->delimiter.len == 0;
	if (at_spaces)
		rest = skip_spaces(text);
	while (s->most < 0 || n < s->most) {
		if (at_spaces ? rest.len == 0 : !cut_delimited(s->delimiter, &rest, &piece))
			break;
		if (at_spaces)
			piece = cut_word(&rest);
		if (to)
			to[n] = piece;
		n++;
	}
	if (at_spaces && rest.len == 0)
		return n;
	if (to)
		to[n] = at_spaces ? trim_end(rest) : rest;
	return n + 1;
}

static void run_split(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct split_state *s = a->state;
	const struct tensor *x = &a->in[0];
	const struct slice *text = x->data;
	int64_t n = tensor_count(x), most = 0;
	(void)begin, (void)end;
	int64_t *count = kernel_output(a, 1, DTYPE_I64, &x->shape);
	for (int64_t i = 0; count && i < n; i++) {
		count[i] = split_string(s, text[i], NULL);
		most = max_i64(most, count[i]);
	}
	struct shape shape = x->shape;
	shape.dim[shape.rank++] = most;
	struct slice *to = count ? kernel_output(a, 0, DTYPE_STRING, &shape) : NULL;
	for (int64_t i = 0; to && i < n; i++, to += most) {
		split_string(s, text[i], to);
		for (int64_t k = count[i]; k < most; k++)
			to[k] = (struct slice){ "", 0 };
	}
}

enum err_code prepare_string_split(struct prep *p, struct kernel *ret, struct err *err)
{
	struct split_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->delimiter = node_string(p->node, "delimiter", "");
	s->most = max_i64(node_int(p->node, "maxsplit", -1), -1);
	ret->run = run_split;
	return ERR_OK;
}
