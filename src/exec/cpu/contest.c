/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *
 * The trusted row is the champion first, and runs when a rival is ready; the others challenge
 * the champion one after the other. So no more than two are there at a time, each with an arena
 * and packs of its own: memory of losers serves the next ones, for where it is new to the process
 * the system clears it, which takes longer than the runs. All run on one thread, on the same
 * inputs; the least time of each counts, for what disturbs a run only makes it longer. The winner
 * is prepared anew by the caller.
 *
 * Contests are most of what a load without remembered choices takes, so they are as short as
 * their answers allow. Who is far behind after a part of a run is not run to its end. Each runs
 * twice, unless one run is long; more only where runs are short and close to each other. Of a
 * batch a few images run, of a large image some rows, of many channels some (contest_part.h): what
 * is remembered holds for any batch.
 *
 * Of two that are near each other the better row wins, which is the one that comes first: that is
 * within the noise, and caches are warmer here than between other steps, where those that
 * fetch ahead gain.
 */
#include "exec/cpu/contest.h"

#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "exec/cpu/contest_agree.h"
#include "exec/cpu/contest_part.h"
#include "exec/cpu/widen.h"

#define ROUNDS 4
#define DUEL_NS (NS_PER_MS / 2) /* after two runs */
#define BEHIND_FIRST 2.5	/* times the champion's, after a run when caches are cold */
#define BEHIND 1.2		/* after more */
#define NEAR 1.05		/* times another's that say nothing */
#define LONG_NS (4 * NS_PER_MS) /* such a run tells by itself */
#define PROBE_PART 4		/* of a run, to see who is far behind */
#define KEEP_BYTES ((size_t)16 << 20) /* an arena's first chunk */
#define CACHE_BYTES ((size_t)16 << 20) /* of the last level, what a model may hope for */
#define LINE_BYTES 64
/* What all threads together read from memory, and how much of the shorter one of reading and
   computing does not go on beside the longer one. */
#define BYTES_PER_NS 44.0
#define STREAM_PART 0.25
#define MADE_UP 4093	    /* numbers: a prime, so that no two rows of an image are the same */
#define TOLERANCE 1e-4F	    /* what precision "fast" promises */
#define TOLERANCE_BF16 2e-2F /* eight bits of each factor */

enum { COMMON, CORNER, CORNERS = 2 }; /* of prep.trial */
_Static_assert(CORNER + CORNERS == TRIAL_ARENAS, "an arena for all and one for each in the ring");

struct corner {
	struct arena *arena;
	int row;
	struct prep prep;
	struct kernel k;
	struct packs *packs;
	struct tensor out; /* the rows' kernels all have one */
	void *scratch;
	size_t packed_bytes;
	int64_t ns; /* the least so far */
	bool failed;
};

struct contest {
	const struct prep *p;
	struct arena *arena;	     /* of what all have in common */
	struct tensor *asked, *in;   /* as rows see them, and as kernels do */
	struct tensor out, trusted;  /* its shape, and what the last row makes of it */
	bool cold;
	struct corner corner[CORNERS], *champion, *challenger;
	struct err *err;
};

bool contest_is_possible(const struct prep *p)
{
	for (int i = 0; i < p->n_in; i++)
		if (prep_has_in(p, i) && !p->in[i].data && p->in[i].dtype != DTYPE_F32)
			return false;
	return p->trial && p->n_out == 1 && p->out[0].dtype == DTYPE_F32;
}

bool contest_is_cold(const struct prep *p)
{
	const struct graph *g = p->graph;
	size_t sum = 0;
	for (int32_t i = 0; g && i < g->n_value && sum <= CACHE_BYTES; i++)
		sum += g->value[i].constant ? tensor_bytes(g->value[i].constant) : 0;
	return sum > CACHE_BYTES;
}

/* -- inputs ---------------------------------------------------------------------------------- */

/* Numbers in (-1, 1), always the same. */
static void make_up(float *x, int64_t n)
{
	uint32_t s = 12345;
	int64_t own = min_i64(n, MADE_UP);
	for (int64_t i = 0; i < own; i++) {
		s = s * 1664525u + 1013904223u;
		x[i] = (float)(int32_t)s * 0x1p-31f;
	}
	for (int64_t i = own; i < n; i += own)
		memcpy(x + i, x, (size_t)min_i64(own, n - i) * sizeof(*x));
}

static void *room(struct arena *a, size_t bytes)
{
	return arena_alloc_aligned(a, bytes + 1, ARENA_ALIGN_TENSOR);
}

/* With every page there: the first run is not to pay for the system's. */
static void *room_touched(struct arena *a, size_t bytes)
{
	void *mem = room(a, bytes);
	if (mem)
		memset(mem, 0, bytes);
	return mem;
}

static enum err_code make_input(struct contest *t, struct tensor *in)
{
	int64_t n = tensor_count(in);
	float *x = room(t->arena, tensor_bytes(in));
	if (!x)
		return err_oom(t->err);
	make_up(x, n);
	in->data = x;
	if (!layout_is_bf16(in->layout))
		return ERR_OK;
	in->data = room(t->arena, tensor_bytes(in));
	if (!in->data)
		return err_oom(t->err);
	narrow_array(in->data, x, n, DTYPE_BF16);
	return ERR_OK;
}

static enum err_code make_inputs(struct contest *t)
{
	const struct prep *p = t->p;
	struct contest_part part = contest_part_of(p, t->cold);
	t->asked = ARENA_ARRAY(t->arena, struct tensor, 2 * (size_t)p->n_in + 1);
	if (!t->asked)
		return err_oom(t->err);
	t->in = t->asked + p->n_in;
	t->out = contest_part_out(&part, p);
	for (int i = 0; i < p->n_in; i++) {
		t->asked[i] = t->in[i] = contest_part_in(&part, p, i);
		if (!prep_has_in(p, i))
			continue;
		if (p->in[i].data)
			TRY(packs_want(p->packs, p->in[i].data, t->err));
		else
			TRY(make_input(t, &t->in[i]));
	}
	return ERR_OK;
}

/* -- runs ------------------------------------------------------------------------------------ */

static void add_bytes(void *sum, const struct pack_entry *e)
{
	*(size_t *)sum += e->bytes;
}

/* c->failed: it refuses the step. */
static enum err_code enter(
	struct contest *t, struct corner *c, const struct cpu_row *const *row, int i)
{
	*c = (struct corner){ .arena = c->arena, .row = i, .packs = packs_new_in(c->arena),
		.ns = INT64_MAX };
	if (!c->packs)
		return err_oom(t->err);
	c->prep = *t->p;
	c->prep.in = t->asked;
	c->prep.out = &t->out;
	c->prep.arena = c->prep.tmp = c->arena;
	c->prep.packs = c->packs;
	c->k = (struct kernel){.name = row[i]->name, .units = 1};
	enum err_code rc = row[i]->prepare(&c->prep, &c->k, t->err);
	c->failed = rc == ERR_UNIMPLEMENTED;
	packs_walk(c->packs, add_bytes, &c->packed_bytes);
	if (rc != ERR_OK)
		return c->failed ? ERR_OK : rc;
	c->out = t->out;
	c->out.layout = c->k.out_layout;
	/* The trusted result has to outlive its corner. */
	c->out.data = room_touched(c == t->champion ? t->arena : c->arena, tensor_bytes(&c->out));
	c->scratch = room_touched(c->arena, c->k.scratch_bytes);
	return c->out.data && c->scratch ? ERR_OK : err_oom(t->err);
}

static void leave(struct corner *c)
{
	packs_free(c->packs);
	c->packs = NULL;
	arena_reset(c->arena, KEEP_BYTES);
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

static int64_t run_units(const struct contest *t, struct corner *c, int64_t begin, int64_t end)
{
	struct fault fault = {0};
	struct kernel_args a = {.in = t->in,
		.out = &c->out,
		.n_in = c->prep.n_in,
		.n_out = 1,
		.state = c->k.state,
		.scratch = c->scratch,
		.fault = &fault};
	int64_t began = clock_now_ns();
	c->k.run(&a, begin, end);
	int64_t ns = clock_now_ns() - began;
	c->failed |= atomic_load(&fault.code) != FAULT_NONE;
	return ns;
}

static void cool(const struct contest *t, const struct corner *c)
{
	if (t->cold)
		packs_walk(c->packs, evict, NULL);
}

static void run_once(const struct contest *t, struct corner *c)
{
	cool(t, c);
	c->ns = min_i64(c->ns, run_units(t, c, 0, c->k.units));
}

/* A kernel that can be split is shared by the threads that will be there, but for the time in which
   they wait for packed weights from the same memory. */
static double shared_ns(const struct contest *t, const struct corner *c, int64_t ns)
{
	int64_t threads = min_i64(max_i64(c->k.units, 1), max_i64(c->prep.threads, 1));
	double own = (double)ns / (double)threads;
	double stream = t->cold && threads > 1 ? (double)c->packed_bytes / BYTES_PER_NS : 0;
	return fmax(own, stream) + STREAM_PART * fmin(own, stream);
}

static bool is_behind(const struct contest *t, int64_t ns, double most)
{
	return shared_ns(t, t->challenger, ns) > most * shared_ns(t, t->champion, t->champion->ns);
}

/* Of a part of a run, twice where the first time says that c is far behind: the system may have
   been elsewhere. */
static int64_t probe(const struct contest *t, struct corner *c, int64_t part, bool *ret_behind)
{
	int64_t ns = INT64_MAX;
	*ret_behind = true;
	for (int i = 0; i < 2 && *ret_behind; i++) {
		ns = min_i64(ns, run_units(t, c, 0, part));
		*ret_behind = is_behind(t, ns * c->k.units / part, BEHIND_FIRST);
	}
	return ns;
}

/* false: the challenger was not worth the end of its run, or a run that tells by itself says so. */
static bool run_first(const struct contest *t)
{
	struct corner *c = t->challenger;
	int64_t part = c->k.units / PROBE_PART;
	bool behind = false;
	cool(t, c);
	int64_t ns = part ? probe(t, c, part, &behind) : 0;
	if (behind)
		return false;
	c->ns = ns + run_units(t, c, part, c->k.units);
	return t->champion->ns < LONG_NS || !is_behind(t, c->ns, BEHIND);
}

/* Another round would not turn it. */
static bool is_decided(const struct contest *t)
{
	double ns = shared_ns(t, t->challenger, t->challenger->ns);
	double champion = shared_ns(t, t->champion, t->champion->ns);
	return ns > BEHIND * champion || champion > BEHIND * ns;
}

static void duel(const struct contest *t)
{
	int64_t began = clock_now_ns();
	if (!run_first(t))
		return;
	run_once(t, t->challenger);
	for (int round = 2; round < ROUNDS && !t->challenger->failed; round++) {
		if (is_decided(t) || clock_now_ns() - began > DUEL_NS)
			break;
		run_once(t, t->champion);
		run_once(t, t->challenger);
	}
}

/* -- results --------------------------------------------------------------------------------- */

static bool is_ahead(const struct contest *t)
{
	const struct corner *c = t->challenger, *champion = t->champion;
	double most = c->row < champion->row ? NEAR : 1 / NEAR;
	return c->ns != INT64_MAX &&
	       shared_ns(t, c, c->ns) < most * shared_ns(t, champion, champion->ns);
}

static bool has_won(const struct contest *t)
{
	const struct corner *c = t->challenger;
	float tolerance = t->p->precision == PRECISION_BF16 ? TOLERANCE_BF16 : TOLERANCE;
	return !c->failed && !t->champion->failed && is_ahead(t) &&
	       contest_agree(&c->out, &t->trusted, tolerance, c->arena);
}

/* The last row, which is to be trusted, runs when there is somebody to run against. */
static enum err_code call_champion(struct contest *t, const struct cpu_row *const *row, int n)
{
	struct corner *c = t->champion;
	if (t->trusted.data || c->failed)
		return ERR_OK;
	TRY(enter(t, c, row, n - 1));
	if (c->failed)
		return ERR_OK;
	run_once(t, c);
	if (c->ns < LONG_NS)
		run_once(t, c);
	t->trusted = c->out;
	return ERR_OK;
}

static enum err_code challenge(struct contest *t, const struct cpu_row *const *row, int n, int i)
{
	TRY(enter(t, t->challenger, row, i));
	if (!t->challenger->failed)
		TRY(call_champion(t, row, n));
	if (!t->challenger->failed && !t->champion->failed)
		duel(t);
	if (has_won(t)) {
		struct corner *loser = t->champion;
		t->champion = t->challenger;
		t->challenger = loser;
	}
	leave(t->challenger);
	return ERR_OK;
}

static enum err_code hold(struct contest *t, const struct cpu_row *const *row, int n)
{
	TRY(make_inputs(t));
	for (int i = 0; i < n - 1; i++)
		TRY(challenge(t, row, n, i));
	return ERR_OK;
}

enum err_code contest_hold(const struct prep *p, const struct cpu_row *const *row, int n,
	int *ret_winner, struct err *err)
{
	struct contest t = { .p = p, .arena = p->trial[COMMON], .cold = contest_is_cold(p),
		.corner = { { .arena = p->trial[CORNER] }, { .arena = p->trial[CORNER + 1] } },
		.err = err };
	t.champion = &t.corner[0];
	t.champion->row = n - 1;
	t.challenger = &t.corner[1];
	enum err_code rc = hold(&t, row, n);
	if (rc == ERR_OK)
		*ret_winner = t.champion->row;
	for (int i = 0; i < CORNERS; i++)
		leave(&t.corner[i]);
	arena_reset(t.arena, KEEP_BYTES);
	return rc;
}
