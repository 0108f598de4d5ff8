/* SPDX-License-Identifier: Apache-2.0 */
/* Categories: LabelEncoder, CategoryMapper, OneHotEncoder. */
#include <string.h>
#include "exec/cpu/ml/lookup.h"
#include "exec/cpu/ml/ml.h"

/* -- one value for another ------------------------------------------------------------------- */

struct mapping_state {
	struct split split;
	struct lookup lookup;
	struct ml_mapping m;
	size_t bytes;
};

static void run_mapping(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct mapping_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		int64_t at = lookup_element(&s->lookup, &a->in[0], i);
		const char *src = at < 0 ? s->m.otherwise.data
					 : (const char *)s->m.values.data + (size_t)at * s->bytes;
		memcpy((char *)a->out[0].data + (size_t)i * s->bytes, src, s->bytes);
	}
}

static enum err_code
finish_mapping(struct mapping_state *s, struct prep *p, struct kernel *ret, struct err *err)
{
	s->bytes = dtype_bytes(s->m.values.dtype);
	s->split = split_work(p, ret, tensor_count(&p->in[0]), 10);
	ret->run = run_mapping;
	return lookup_init(&s->lookup, p, &s->m.keys, err);
}

enum err_code prepare_label_encoder(struct prep *p, struct kernel *ret, struct err *err)
{
	struct mapping_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(ml_label_encoder(p->node, &s->m, err));
	return finish_mapping(s, p, ret, err);
}

enum err_code prepare_category_mapper(struct prep *p, struct kernel *ret, struct err *err)
{
	struct mapping_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	TRY(ml_category_mapper(p->node, p->in[0].dtype, &s->m, err));
	return finish_mapping(s, p, ret, err);
}

/* -- OneHotEncoder: an item is an element ------------------------------------------------------ */

struct one_hot_state {
	struct split split;
	struct lookup lookup;
	int64_t n;
	bool zeros; /* what is of no category is of none; else it is a fault */
};

static int64_t category_of(const struct one_hot_state *s, const struct tensor *x, int64_t i)
{
	if (dtype_in(x->dtype, T(STRING) | T(I64)))
		return lookup_element(&s->lookup, x, i);
	if (x->dtype == DTYPE_I32)
		return lookup_int(&s->lookup, tensor_int(x, i));
	double v = tensor_float(x, i);
	/* What no int64 holds is of no category; neither is NaN. */
	return v > -0x1p63 && v < 0x1p63 ? lookup_int(&s->lookup, (int64_t)v) : -1;
}

static void run_one_hot_encoder(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct one_hot_state *s = a->state;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t i = from; i < to; i++) {
		float *y = (float *)a->out[0].data + i * s->n;
		int64_t at = category_of(s, &a->in[0], i);
		memset(y, 0, (size_t)s->n * sizeof(*y));
		if (at >= 0)
			y[at] = 1;
		else if (!s->zeros)
			kernel_fault(a, FAULT_CATEGORY, i);
	}
}

enum err_code prepare_one_hot_encoder(struct prep *p, struct kernel *ret, struct err *err)
{
	struct one_hot_state *s = kernel_state(p, ret, sizeof(*s));
	struct ml_labels cats;
	if (!s)
		return err_oom(err);
	TRY(ml_labels(p->node, "cats_int64s", "cats_strings", &cats, err));
	const void *list = cats.strings ? (const void *)cats.strings : cats.ints;
	struct tensor keys = { .data = (void *)(uintptr_t)list, .dtype = ml_labels_dtype(&cats),
		.shape = shape_of(cats.n) };
	s->n = cats.n;
	s->zeros = node_int(p->node, "zeros", 1);
	s->split = split_work(p, ret, tensor_count(&p->in[0]), 10 + (double)s->n / 8);
	ret->run = run_one_hot_encoder;
	return lookup_init(&s->lookup, p, &keys, err);
}
