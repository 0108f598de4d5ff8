/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unique: the distinct elements, or entries along an axis, with where they come first, which
 * of them each entry is, and how often they occur.
 *
 * Entries are sorted, so that equal ones are neighbours. A NaN is equal to a NaN and comes
 * last; complex numbers go by their real parts first; strings by their bytes, which in UTF-8
 * is by code points. Where the order of first occurrence is wanted, the groups are numbered
 * anew.
 */
#include "exec/cpu/cpu.h"

#include <math.h>
#include <string.h>
#include "exec/cpu/move/index_sort.h"
#include "exec/half.h"

#define KEYS_MIN 32 /* entries, from which on keys are worth making */

/* < 0: element i before element j of the same list. */
typedef int (*element_order)(const void *list, int64_t i, int64_t j);
/* A number of each of n elements, unsigned and in the same order; equal where elements are. */
typedef void (*fill_keys)(uint64_t *keys, const void *list, int64_t n);

struct unique_state {
	element_order order;
	fill_keys fill; /* NULL: there are none */
	int axis;
	bool flat, sorted;
};

/* -- the order of elements --------------------------------------------------------------------- */

static int order_of_doubles(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) - isnan(b);
	return (a > b) - (a < b);
}

#define ORDER_INTS(T) \
	static int order_##T(const void *list, int64_t i, int64_t j) \
	{ \
		T a = ((const T *)list)[i], b = ((const T *)list)[j]; \
		return (a > b) - (a < b); \
	}
#define ORDER_FLOATS(name, T, widen) \
	static int order_##name(const void *list, int64_t i, int64_t j) \
	{ \
		return order_of_doubles((double)widen(((const T *)list)[i]), \
			(double)widen(((const T *)list)[j])); \
	}
#define ORDER_COMPLEX(T) \
	static int order_complex_##T(const void *list, int64_t i, int64_t j) \
	{ \
		const T *a = (const T *)list + 2 * i, *b = (const T *)list + 2 * j; \
		int real = order_of_doubles((double)a[0], (double)b[0]); \
		return real ? real : order_of_doubles((double)a[1], (double)b[1]); \
	}

ORDER_INTS(int8_t)
ORDER_INTS(int16_t)
ORDER_INTS(int32_t)
ORDER_INTS(int64_t)
ORDER_INTS(uint8_t)
ORDER_INTS(uint16_t)
ORDER_INTS(uint32_t)
ORDER_INTS(uint64_t)
ORDER_FLOATS(float, float, )
ORDER_FLOATS(double, double, )
ORDER_FLOATS(half, uint16_t, half_to_float)
ORDER_FLOATS(bfloat, uint16_t, bfloat_to_float)
ORDER_COMPLEX(float)
ORDER_COMPLEX(double)

static int order_string(const void *list, int64_t i, int64_t j)
{
	struct slice a = ((const struct slice *)list)[i], b = ((const struct slice *)list)[j];
	size_t n = a.len < b.len ? a.len : b.len;
	int head = n ? memcmp(a.ptr, b.ptr, n) : 0;
	return head ? head : (a.len > b.len) - (a.len < b.len);
}

static const element_order orders[DTYPE_COUNT_] = {
	[DTYPE_I8] = order_int8_t,	[DTYPE_I16] = order_int16_t,
	[DTYPE_I32] = order_int32_t,	[DTYPE_I64] = order_int64_t,
	[DTYPE_U8] = order_uint8_t,	[DTYPE_U16] = order_uint16_t,
	[DTYPE_U32] = order_uint32_t,	[DTYPE_U64] = order_uint64_t,
	[DTYPE_BOOL] = order_uint8_t,	[DTYPE_F32] = order_float,
	[DTYPE_F64] = order_double,	[DTYPE_F16] = order_half,
	[DTYPE_BF16] = order_bfloat,	[DTYPE_C64] = order_complex_float,
	[DTYPE_C128] = order_complex_double, [DTYPE_STRING] = order_string,
};

/* -- elements as keys -------------------------------------------------------------------------- */

static uint64_t key_of_double(double x)
{
	uint64_t bits;
	x += 0.0; /* -0 is 0 */
	memcpy(&bits, &x, sizeof(bits));
	return isnan(x) ? UINT64_MAX : bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

#define KEYS(name, T, key) \
	static void keys_##name(uint64_t *keys, const void *list, int64_t n) \
	{ \
		for (int64_t i = 0; i < n; i++) { \
			T x = ((const T *)list)[i]; \
			keys[i] = key; \
		} \
	}
KEYS(i32, int32_t, (uint64_t)(int64_t)x ^ (uint64_t)1 << 63)
KEYS(i64, int64_t, (uint64_t)x ^ (uint64_t)1 << 63)
KEYS(f32, float, key_of_double((double)x))
KEYS(f64, double, key_of_double(x))

static const fill_keys key_fills[DTYPE_COUNT_] = {
	[DTYPE_I32] = keys_i32,
	[DTYPE_I64] = keys_i64,
	[DTYPE_F32] = keys_f32,
	[DTYPE_F64] = keys_f64,
};

/* -- the order of entries ---------------------------------------------------------------------- */

struct entries {
	const void *data;
	struct axis_view v;
	element_order order;
	fill_keys fill; /* of entries of one element; NULL: by the order */
};

static int order_entries(const void *ctx, int64_t a, int64_t b)
{
	const struct entries *e = ctx;
	for (int64_t o = 0; o < e->v.outer; o++)
		for (int64_t k = 0; k < e->v.inner; k++) {
			int64_t base = o * e->v.n * e->v.inner + k;
			int d = e->order(e->data, base + a * e->v.inner, base + b * e->v.inner);
			if (d)
				return d;
		}
	return 0;
}

/* The groups of equal entries, n_group of them: first[g], count[g]; group[i] of entry i. */
struct groups {
	int64_t n_group;
	int64_t *group, *first, *count, *spare;
	uint64_t *keys, *spare_keys;
};

static bool new_groups(const struct kernel_args *a, int64_t n, struct groups *g)
{
	struct shape s = shape_of(6, n);
	size_t bytes;
	int64_t *mem = NULL;
	if (!tensor_bytes_overflow(DTYPE_I64, &s, &bytes))
		mem = arena_alloc_aligned(a->arena, bytes + 1, ARENA_ALIGN_TENSOR);
	if (!mem)
		kernel_fault(a, FAULT_MEMORY, n);
	*g = (struct groups){ .group = mem, .first = mem + n, .count = mem + 2 * n,
		.spare = mem + 3 * n };
	g->keys = (uint64_t *)mem + 4 * n;
	g->spare_keys = g->keys + n;
	return mem;
}

static void sort_entries(const struct entries *e, struct groups *g)
{
	if (e->fill) {
		e->fill(g->keys, e->data, e->v.n);
		index_sort_by_keys(g->first, g->spare, g->keys, g->spare_keys, e->v.n);
	} else {
		index_sort(g->first, g->spare, e->v.n, order_entries, e);
	}
}

/* By sorting: `first` serves for the indices, since the k-th group begins at k or later. */
static void find_groups(const struct entries *e, struct groups *g)
{
	int64_t *index = g->first;
	for (int64_t i = 0; i < e->v.n; i++)
		index[i] = i;
	sort_entries(e, g);
	for (int64_t i = 0; i < e->v.n; i++) {
		int64_t at = index[i];
		bool same =
			i > 0 && (e->fill ? g->keys[i] == g->keys[i - 1]
					  : order_entries(e, g->first[g->n_group - 1], at) == 0);
		if (!same) {
			g->first[g->n_group] = at;
			g->count[g->n_group++] = 0;
		}
		g->count[g->n_group - 1]++;
		g->group[at] = g->n_group - 1;
	}
}

/* Numbers the groups in the order in which they occur first. */
static void number_by_first(int64_t n, struct groups *g)
{
	int64_t next = 0, *number = g->spare;
	for (int64_t i = 0; i < n; i++)
		if (g->first[g->group[i]] == i)
			number[g->group[i]] = next++;
	for (int64_t i = 0; i < n; i++)
		g->group[i] = number[g->group[i]];
	for (int64_t k = 0; k < g->n_group; k++)
		g->count[k] = 0;
	for (int64_t i = n - 1; i >= 0; i--) {
		g->first[g->group[i]] = i;
		g->count[g->group[i]]++;
	}
}

static void put_entries(const struct kernel_args *a, const struct unique_state *s,
	const struct axis_view *v, const struct groups *g)
{
	const struct tensor *x = &a->in[0];
	struct shape shape = s->flat ? shape_of(g->n_group) : x->shape;
	size_t bytes = (size_t)v->inner * dtype_bytes(x->dtype);
	shape.dim[s->axis] = g->n_group;
	char *dst = kernel_output(a, 0, x->dtype, &shape);
	for (int64_t o = 0; dst && bytes && o < v->outer; o++)
		for (int64_t k = 0; k < g->n_group; k++, dst += bytes) {
			size_t from = (size_t)(o * v->n + g->first[k]) * bytes;
			memcpy(dst, (const char *)x->data + from, bytes);
		}
}

static void put_list(const struct kernel_args *a, int i, const int64_t *list, int64_t n)
{
	struct shape shape = shape_of(n);
	void *dst = args_has_out(a, i) ? kernel_output(a, i, DTYPE_I64, &shape) : NULL;
	if (dst && n)
		memcpy(dst, list, (size_t)n * sizeof(*list));
}

static void run_unique(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct unique_state *s = a->state;
	struct shape flat = shape_of(tensor_count(&a->in[0]));
	struct entries e = { .data = a->in[0].data, .order = s->order,
		.v = axis_view(s->flat ? &flat : &a->in[0].shape, s->axis) };
	struct groups g;
	if (e.v.n >= KEYS_MIN && e.v.inner == 1 && e.v.outer == 1)
		e.fill = s->fill;
	(void)begin, (void)end;
	if (!new_groups(a, e.v.n, &g))
		return;
	find_groups(&e, &g);
	if (!s->sorted)
		number_by_first(e.v.n, &g);
	put_entries(a, s, &e.v, &g);
	put_list(a, 1, g.first, g.n_group);
	put_list(a, 2, g.group, e.v.n);
	put_list(a, 3, g.count, g.n_group);
}

enum err_code prepare_unique(struct prep *p, struct kernel *ret, struct err *err)
{
	struct unique_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->order = orders[p->in[0].dtype];
	s->fill = key_fills[p->in[0].dtype];
	s->flat = !node_attr(p->node, "axis");
	s->axis = s->flat ? 0 : node_axis(p->node, "axis", 0, p->in[0].shape.rank);
	s->sorted = node_int(p->node, "sorted", 1) != 0;
	ret->run = run_unique;
	return ERR_OK;
}
