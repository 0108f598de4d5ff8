/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * Each row is prepared in an arena of the trial's own, with packs of its own: what the
 * losers have packed must not stay with the version. All run on one thread, in turn, on the
 * same inputs, made up where they are not constants; the least time of each counts, for what
 * disturbs a run only makes it longer. Who is clearly behind is not run any more, so that the
 * usual trial takes one round or two. The winner is prepared anew by the caller.
 *
 * Trials are most of what a load without remembered choices takes. The arena is the same for
 * all of a plan, so that the system does not clear the same memory for each of them.
 *
 * A result agrees with another one when no element differs by more than a part of the
 * largest, which hangs on the precision.
 */
#include "exec/cpu/trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/clock.h"

#define ROUNDS 5
#define ROUND_NS 20000000 /* long ones are not repeated as often */
#define BEHIND_FIRST 3.0  /* times the least time, after one round, when caches are cold */
#define BEHIND 1.2        /* after more */
#define KEEP_BYTES ((size_t)32 << 20)
#define CACHE_BYTES ((size_t)16 << 20) /* of the last level, what a model may hope for */
#define LINE_BYTES 64
#define TOLERANCE 1e-4      /* what precision "fast" promises */
#define TOLERANCE_BF16 2e-2 /* eight bits of each factor */

struct contestant {
	struct prep prep;
	struct kernel k;
	struct packs *packs;
	struct tensor out; /* the rows' kernels all have one */
	int64_t ns;
	bool failed, behind;
};

struct trial {
	struct arena *arena;
	struct tensor *in;
	bool cold; /* weights come from memory */
	void *scratch; /* of whoever runs */
	size_t scratch_bytes;
	int n;
	struct contestant c[TRIAL_ROWS_MAX];
};

static bool exceeds_caches(const struct graph *g)
{
	size_t sum = 0;
	for (int32_t i = 0; g && i < g->n_value && sum <= CACHE_BYTES; i++)
		sum += g->value[i].constant ? tensor_bytes(g->value[i].constant) : 0;
	return sum > CACHE_BYTES;
}

/* -- the key -------------------------------------------------------------------------------- */

/* SIZES: the very shapes. KIND: images and sequences of any size. */
enum detail { SIZES, KIND };

/* Images of a batch are computed one by one: one answer serves every batch size, which
   also keeps each weight in one packed form. */
static void put_tensor(struct buf *b, const struct tensor *t, enum detail detail)
{
	static const char *const layout[LAYOUT_COUNT_] = { "", "c8", "c16", "nhwc" };
	struct shape s = t->shape;
	if (s.rank == RANK_UNKNOWN) {
		buf_str(b, " -");
		return;
	}
	if (s.rank == 4 && !t->data)
		s.dim[0] = DIM_UNKNOWN;
	for (int i = 2; i < s.rank && !t->data && detail == KIND; i++)
		s.dim[i] = DIM_UNKNOWN;
	buf_printf(b, " %s%s%s", dtype_name(t->dtype), SHAPE_TEXT(&s), layout[t->layout]);
}

static void put_attr(struct buf *b, const struct attr *a)
{
	buf_printf(b, " %s=", a->name);
	if (a->kind == ATTR_INT)
		buf_printf(b, "%lld", (long long)a->i);
	else if (a->kind == ATTR_FLOAT)
		buf_printf(b, "%a", (double)a->f);
	else if (a->kind == ATTR_INTS)
		for (int32_t i = 0; i < a->n; i++)
			buf_printf(b, "%s%lld", i ? "," : "", (long long)a->ints[i]);
	else
		buf_printf(b, "kind%d", (int)a->kind);
}

/* All that the times depend on, but for the machine and the values of constants. */
static bool describe(const struct prep *p, enum detail detail, const char **ret)
{
	static const char *const precision[PRECISION_COUNT_] = { "", " exact", " bf16", "", "" };
	struct buf b = buf_of(p->tmp, 0);
	struct slice text;
	buf_str(&b, op_info(p->node->op)->name);
	for (int i = 0; i < p->n_in; i++)
		put_tensor(&b, &p->in[i], detail);
	buf_str(&b, " ->");
	for (int i = 0; i < p->n_out; i++)
		put_tensor(&b, &p->out[i], detail);
	for (int32_t i = 0; i < p->node->n_attr; i++)
		put_attr(&b, &p->node->attr[i]);
	buf_printf(&b, " threads=%d%s%s", p->threads, precision[p->precision],
		exceeds_caches(p->graph) ? " cold" : "");
	buf_char(&b, '\0');
	if (buf_finish(&b, &text, NULL) != ERR_OK || text.len >= CHOICE_KEY_MAX)
		return false;
	*ret = text.ptr;
	return true;
}

/* -- the contest ---------------------------------------------------------------------------- */

/* Numbers in (-1, 1), always the same. */
static void make_up(float *x, int64_t n)
{
	uint32_t s = 12345;
	for (int64_t i = 0; i < n; i++) {
		s = s * 1664525u + 1013904223u;
		x[i] = (float)(int32_t)s * 0x1p-31f;
	}
}

static bool can_make_up(const struct prep *p)
{
	for (int i = 0; i < p->n_in; i++)
		if (prep_has_in(p, i) && !p->in[i].data && p->in[i].dtype != DTYPE_F32)
			return false;
	return p->n_out == 1 && p->out[0].dtype == DTYPE_F32;
}

static void *room(struct trial *t, size_t bytes)
{
	return arena_alloc_aligned(t->arena, bytes + 1, ARENA_ALIGN_TENSOR);
}

/* The same with every page there: the first run is not to pay for the system's. */
static void *room_touched(struct trial *t, size_t bytes)
{
	void *mem = room(t, bytes);
	if (mem)
		memset(mem, 0, bytes);
	return mem;
}

static enum err_code make_inputs(struct trial *t, const struct prep *p, struct err *err)
{
	t->in = ARENA_ARRAY(t->arena, struct tensor, (size_t)p->n_in + 1);
	if (!t->in)
		return err_oom(err);
	for (int i = 0; i < p->n_in; i++) {
		t->in[i] = p->in[i];
		if (!prep_has_in(p, i) || p->in[i].data)
			continue;
		t->in[i].data = room(t, tensor_bytes(&p->in[i]));
		if (!t->in[i].data)
			return err_oom(err);
		make_up(t->in[i].data, tensor_count(&p->in[i]));
	}
	return ERR_OK;
}

static enum err_code enter(
	struct trial *t, const struct prep *p, const struct cpu_row *row, struct err *err)
{
	struct contestant *c = &t->c[t->n++];
	c->packs = packs_new_in(t->arena);
	if (!c->packs)
		return err_oom(err);
	c->prep = *p;
	c->prep.arena = c->prep.tmp = t->arena;
	c->prep.packs = c->packs;
	c->k = (struct kernel){.name = row->name, .units = 1};
	c->ns = INT64_MAX;
	enum err_code rc = row->prepare(&c->prep, &c->k, err);
	if (rc == ERR_UNIMPLEMENTED) {
		c->failed = true;
		return ERR_OK;
	}
	if (rc != ERR_OK)
		return rc;
	c->out = p->out[0];
	c->out.layout = c->k.out_layout;
	c->out.data = room_touched(t, tensor_bytes(&p->out[0]));
	if (c->k.scratch_bytes > t->scratch_bytes)
		t->scratch_bytes = c->k.scratch_bytes;
	return c->out.data ? ERR_OK : err_oom(err);
}

/* Out of the caches, where the processor lets us. */
static void evict(void *ctx, const struct pack_entry *e)
{
	(void)ctx, (void)e;
#ifdef __x86_64__
	for (size_t at = 0; at < e->bytes; at += LINE_BYTES)
		__builtin_ia32_clflush((const char *)e->data + at);
#endif
}

static void run_once(struct trial *t, struct contestant *c)
{
	if (t->cold)
		packs_walk(c->packs, evict, NULL);
	struct fault fault = {0};
	struct kernel_args a = {.in = t->in,
		.out = &c->out,
		.n_in = c->prep.n_in,
		.n_out = 1,
		.state = c->k.state,
		.scratch = t->scratch,
		.fault = &fault};
	int64_t begin = clock_now_ns();
	c->k.run(&a, 0, c->k.units);
	int64_t ns = clock_now_ns() - begin;
	c->ns = ns < c->ns ? ns : c->ns;
	c->failed |= atomic_load(&fault.code) != FAULT_NONE;
}

/* A kernel that can be split is shared by the threads that will be there. */
static int64_t shared_ns(const struct contestant *c)
{
	int64_t threads = c->prep.threads > 1 ? c->prep.threads : 1;
	return c->ns / (c->k.units < threads ? max_i64(c->k.units, 1) : threads);
}

/* How many are still in the race. */
static int drop_who_is_behind(struct trial *t, double most)
{
	int64_t least = INT64_MAX;
	int left = 0;
	for (int i = 0; i < t->n; i++)
		if (!t->c[i].failed)
			least = min_i64(least, shared_ns(&t->c[i]));
	for (int i = 0; i < t->n; i++) {
		struct contestant *c = &t->c[i];
		c->behind |= !c->failed && (double)shared_ns(c) > most * (double)least;
		left += !c->failed && !c->behind;
	}
	return left;
}

static void run_all(struct trial *t)
{
	int64_t begin = clock_now_ns();
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < t->n; i++)
			if (!t->c[i].failed && !t->c[i].behind)
				run_once(t, &t->c[i]);
		int left = drop_who_is_behind(t, round == 0 ? BEHIND_FIRST : BEHIND);
		if (left <= 1 || (round > 0 && clock_now_ns() - begin > ROUND_NS))
			break;
	}
}

static bool agrees(const struct tensor *a, const struct tensor *b, double tolerance)
{
	const float *x = a->data, *y = b->data;
	double largest = 0, apart = 0;
	if (a->layout != b->layout)
		return false;
	for (int64_t i = 0; i < tensor_count(a); i++) {
		double d = fabs((double)x[i] - y[i]);
		if (!(d <= INFINITY))
			return false;
		apart = d > apart ? d : apart;
		largest = fabs((double)y[i]) > largest ? fabs((double)y[i]) : largest;
	}
	return apart <= tolerance * largest;
}

static int winner(const struct trial *t)
{
	int best = t->n - 1;
	double tolerance = t->c[0].prep.precision == PRECISION_BF16 ? TOLERANCE_BF16 : TOLERANCE;
	for (int i = 0; i < t->n - 1; i++)
		if (!t->c[i].failed && shared_ns(&t->c[i]) < shared_ns(&t->c[best]) &&
			agrees(&t->c[i].out, &t->c[t->n - 1].out, tolerance))
			best = i;
	return best;
}

static enum err_code want_constants(const struct prep *p, struct err *err)
{
	enum err_code rc = ERR_OK;
	for (int i = 0; i < p->n_in && rc == ERR_OK; i++)
		if (prep_has_in(p, i) && p->in[i].data)
			rc = packs_want(p->packs, p->in[i].data, err);
	return rc;
}

static enum err_code hold(struct trial *t, const struct prep *p, const struct cpu_row *const *row,
	int n, int *ret, struct err *err)
{
	enum err_code rc = want_constants(p, err);
	if (rc == ERR_OK)
		rc = make_inputs(t, p, err);
	for (int i = 0; i < n && rc == ERR_OK; i++)
		rc = enter(t, p, row[i], err);
	if (rc != ERR_OK)
		return rc;
	t->scratch = room_touched(t, t->scratch_bytes);
	if (!t->scratch)
		return err_oom(err);
	int able = 0;
	for (int i = 0; i < n; i++)
		able += !t->c[i].failed;
	if (able > 1)
		run_all(t);
	*ret = winner(t);
	return ERR_OK;
}

/* The row remembered under key, if it is one of these. */
static bool remembered(
	const struct prep *p, const char *key, const struct cpu_row *const *row, int n, int *ret)
{
	char name[CHOICE_NAME_MAX];
	if (!choices_find(p->choices, key, name))
		return false;
	for (int i = 0; i < n; i++)
		if (strcmp(row[i]->name, name) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

enum err_code trial_choose(
	const struct prep *p, const struct cpu_row *const *row, int n, int *ret, struct err *err)
{
	const char *key, *kind;
	struct trial t = { .arena = p->trial };
	*ret = n - 1;
	if (!p->choices || !p->trial || !can_make_up(p) || !describe(p, SIZES, &key) || !describe(p, KIND, &kind))
		return ERR_OK;
	if (remembered(p, key, row, n, ret))
		return ERR_OK;
	if (p->settled) {
		(void)!remembered(p, kind, row, n, ret); /* sizes that warm-up has not seen */
		return ERR_OK;
	}
	t.cold = exceeds_caches(p->graph);
	enum err_code rc = hold(&t, p, row, n, ret, err);
	if (rc == ERR_OK) {
		choices_put(p->choices, key, row[*ret]->name);
		choices_put(p->choices, kind, row[*ret]->name);
	}
	for (int i = 0; i < t.n; i++)
		packs_free(t.c[i].packs);
	arena_reset(t.arena, KEEP_BYTES);
	return rc;
}
