/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps: ZipMap, DictVectorizer, CastMap. A map is a sequence of two tensors, keys and values;
 * what a run makes of one lies in its arena.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/cpu/ml/lookup.h"
#include "exec/cpu/ml/ml.h"

/* -- ZipMap ---------------------------------------------------------------------------------- */

struct zip_state {
	struct ml_labels labels;
};

/* Keys are the node's own, values lie where the input does. */
static void run_zip_map(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct zip_state *s = a->state;
	int64_t n = ml_rows(&a->in[0].shape).rows;
	struct shape shape = shape_of(n);
	const void *label = s->labels.strings ? (const void *)s->labels.strings : s->labels.ints;
	struct tensor keys = { .data = (void *)(uintptr_t)label,
		.dtype = ml_labels_dtype(&s->labels),
		.shape = shape_of(s->labels.n) };
	(void)begin, (void)end;
	struct tensor *map = kernel_output(a, 0, DTYPE_TENSOR, &shape);
	struct tensor *pair = map ? arena_calloc(a->arena, 2 * (size_t)n + 1, sizeof(*pair)) : NULL;
	if (!pair) {
		kernel_fault(a, FAULT_MEMORY, n);
		return;
	}
	for (int64_t i = 0; i < n; i++, pair += 2) {
		pair[0] = keys;
		pair[1] = (struct tensor){ .data = (float *)a->in[0].data + i * s->labels.n,
			.dtype = DTYPE_F32, .shape = keys.shape };
		map[i] = (struct tensor){ .data = pair, .dtype = DTYPE_TENSOR,
			.shape = shape_of(2) };
	}
}

enum err_code prepare_zip_map(struct prep *p, struct kernel *ret, struct err *err)
{
	struct zip_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	ret->run = run_zip_map;
	return ml_labels(p->node, "classlabels_int64s", "classlabels_strings", &s->labels, err);
}

/* -- maps that came in ----------------------------------------------------------------------- */

struct map {
	struct tensor keys, values;
	int64_t n;
};

/* Of the types that infer saw declared? What came in may be anything. */
static bool take_map(const struct kernel_args *a, enum dtype key, uint64_t values, struct map *ret)
{
	const struct tensor *t = &a->in[0], *pair = t->data;
	bool is_pair = t->dtype == DTYPE_TENSOR && t->shape.rank == 1 && t->shape.dim[0] == 2 &&
		       pair && pair[0].dtype == key && dtype_in(pair[1].dtype, values) &&
		       pair[0].shape.rank == 1 && pair[1].shape.rank == 1 &&
		       pair[0].shape.dim[0] == pair[1].shape.dim[0];
	if (!is_pair) {
		kernel_fault(a, FAULT_MAP, 0);
		return false;
	}
	*ret = (struct map){ pair[0], pair[1], pair[0].shape.dim[0] };
	return true;
}

/* -- DictVectorizer -------------------------------------------------------------------------- */

struct dict_state {
	struct lookup lookup;
	int32_t *same; /* the place before in the vocabulary that has the same key; -1: none */
	int32_t n;
	enum dtype key, value;
};

static void run_dict_vectorizer(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct dict_state *s = a->state;
	struct shape shape = shape_of(1, s->n);
	size_t bytes = dtype_bytes(s->value);
	struct map m;
	(void)begin, (void)end;
	char *y = kernel_output(a, 0, s->value, &shape);
	if (!y || !take_map(a, s->key, UINT64_C(1) << s->value, &m))
		return;
	memset(y, 0, (size_t)s->n * bytes);
	for (int64_t i = 0; i < m.n; i++)
		for (int64_t at = lookup_element(&s->lookup, &m.keys, i); at >= 0; at = s->same[at])
			memcpy(y + (size_t)at * bytes,
				(const char *)m.values.data + (size_t)i * bytes, bytes);
}

/* A key may be listed more than once: all its places get the value. */
static enum err_code link_same(struct dict_state *s, struct prep *p, struct err *err)
{
	int32_t *last = prep_alloc(p, (size_t)s->n * sizeof(*last));
	s->same = prep_alloc(p, (size_t)s->n * sizeof(*s->same));
	if (!last || !s->same)
		return err_oom(err);
	for (int32_t i = 0; i < s->n; i++) {
		int64_t found = lookup_element(&s->lookup, &s->lookup.keys, i);
		s->same[i] = last[found] - 1;
		last[found] = i + 1;
	}
	return ERR_OK;
}

enum err_code prepare_dict_vectorizer(struct prep *p, struct kernel *ret, struct err *err)
{
	struct dict_state *s = kernel_state(p, ret, sizeof(*s));
	struct ml_labels keys;
	if (!s)
		return err_oom(err);
	TRY(ml_labels(p->node, "int64_vocabulary", "string_vocabulary", &keys, err));
	const void *list = keys.strings ? (const void *)keys.strings : keys.ints;
	s->key = ml_labels_dtype(&keys);
	s->value = p->out[0].dtype;
	s->n = keys.n;
	struct tensor t = { .data = (void *)(uintptr_t)list, .dtype = s->key,
		.shape = shape_of(keys.n) };
	TRY(lookup_init(&s->lookup, p, &t, err));
	ret->run = run_dict_vectorizer;
	return link_same(s, p, err);
}

/* -- CastMap --------------------------------------------------------------------------------- */

struct cast_state {
	enum ml_cast to;
	enum ml_map_form form;
	int64_t n; /* of a sparse output */
};

struct entry {
	int64_t key, place;
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->key < y->key ? -1 : x->key > y->key;
}

/* NULL: no memory, and a fault. */
static struct entry *sorted_entries(const struct kernel_args *a, const struct map *m)
{
	struct entry *e = arena_calloc(a->arena, (size_t)m->n + 1, sizeof(*e));
	if (!e)
		kernel_fault(a, FAULT_MEMORY, m->n);
	for (int64_t i = 0; e && i < m->n; i++)
		e[i] = (struct entry){ tensor_int(&m->keys, i), i };
	if (e)
		qsort(e, (size_t)m->n, sizeof(*e), compare_entries);
	return e;
}

/* A string's bytes as a C string, for strtod and the like. */
#define NUMBER_TEXT_MAX 64

static double number_of(const struct kernel_args *a, const struct map *m, int64_t i)
{
	char text[NUMBER_TEXT_MAX], *end;
	if (m->values.dtype != DTYPE_STRING)
		return tensor_float(&m->values, i);
	struct slice s = ((const struct slice *)m->values.data)[i];
	size_t len = s.len < sizeof(text) ? s.len : sizeof(text) - 1;
	memcpy(text, s.ptr, len);
	text[len] = '\0';
	double v = strtod(text, &end);
	if (end == text || len != s.len)
		kernel_fault(a, FAULT_MAP, i);
	return v;
}

static struct slice text_of(const struct kernel_args *a, const struct map *m, int64_t i)
{
	char text[NUMBER_TEXT_MAX];
	if (m->values.dtype == DTYPE_STRING)
		return ((const struct slice *)m->values.data)[i];
	int len = snprintf(text, sizeof(text), "%f", tensor_float(&m->values, i));
	size_t n = (size_t)(len < (int)sizeof(text) ? len : (int)sizeof(text) - 1);
	char *kept = arena_strndup(a->arena, text, n);
	if (!kept)
		kernel_fault(a, FAULT_MEMORY, len);
	return (struct slice){ kept, kept ? n : 0 };
}

static void put_value(const struct kernel_args *a, const struct cast_state *s, void *y, int64_t at,
	const struct map *m, int64_t i)
{
	double v = s->to == ML_CAST_STRING ? 0 : number_of(a, m, i);
	if (s->to == ML_CAST_STRING)
		((struct slice *)y)[at] = text_of(a, m, i);
	else if (s->to == ML_CAST_FLOAT)
		((float *)y)[at] = (float)v;
	else
		((int64_t *)y)[at] = isnan(v) || fabs(v) >= 0x1p63 ? INT64_MIN : (int64_t)v;
}

/* What stands where there is no key. */
static void put_nothing(const struct cast_state *s, void *y, int64_t n)
{
	if (s->to == ML_CAST_STRING)
		for (int64_t i = 0; i < n; i++)
			((struct slice *)y)[i] = SLICE_LIT("0.f");
	else
		memset(y, 0,
			(size_t)n * (s->to == ML_CAST_FLOAT ? sizeof(float) : sizeof(int64_t)));
}

static void run_cast_map(const struct kernel_args *a, int64_t begin, int64_t end)
{
	static const enum dtype made[] = { DTYPE_F32, DTYPE_STRING, DTYPE_I64 };
	const struct cast_state *s = a->state;
	struct map m;
	(void)begin, (void)end;
	if (!take_map(a, DTYPE_I64, T(F32) | T(STRING), &m))
		return;
	int64_t n = s->form == ML_MAP_SPARSE ? s->n : m.n;
	struct shape shape = shape_of(1, n);
	void *y = kernel_output(a, 0, made[s->to], &shape);
	struct entry *e = y ? sorted_entries(a, &m) : NULL;
	if (!e)
		return;
	put_nothing(s, y, n);
	for (int64_t i = 0; i < m.n; i++) {
		int64_t at = s->form == ML_MAP_SPARSE ? e[i].key : i;
		if (at < 0)
			kernel_fault(a, FAULT_INDEX, at);
		else if (at < n)
			put_value(a, s, y, at, &m, e[i].place);
	}
}

enum err_code prepare_cast_map(struct prep *p, struct kernel *ret, struct err *err)
{
	struct cast_state *s = kernel_state(p, ret, sizeof(*s));
	int to, form;
	if (!s)
		return err_oom(err);
	TRY(ml_word(p->node, "cast_to", ml_casts, ML_CAST_COUNT_, &to, err));
	TRY(ml_word(p->node, "map_form", ml_map_forms, ML_MAP_COUNT_, &form, err));
	*s = (struct cast_state){ (enum ml_cast)to, (enum ml_map_form)form,
		node_int(p->node, "max_map", 1) };
	ret->run = run_cast_map;
	return ERR_OK;
}
