/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree ensembles, fast: eight walks side by side, so that the processor waits for the memory
 * of one while it compares in the others; no branch depends on data. Many rows go through
 * a tree together, while it is in the first-level cache; a row alone goes through eight trees.
 *
 * NOT DONE: vectors. A step would be three gathers of what depends on one another; by the
 * published costs of gathers that is no gain, and was not tried. Nor the trees of one row on
 * several threads: 500 of them take less time than to wake one, and a sum in another order
 * would be another sum.
 */
#include "exec/cpu/ml/tree_layout.h"

#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "exec/cpu/vec_isa.h"

#define FEW_ROWS 4               /* fewer are quicker one by one */
#define KEYS_BYTES (16 << 10)    /* of a block of rows: half of a small first-level cache */
#define BLOCK_GROUPS_MAX 16

struct trees_state {
	const struct tree_layout *layout;
	struct split split; /* of rows */
	int64_t features, rows; /* rows of a block */
	bool sums;
};

/* Scratch of one thread. */
struct trees_room {
	void *keys, *score; /* score: [target][rows] */
	bool *voted;
	double *total;
	bool *any;
};

static size_t carve(const struct trees_state *s, struct trees_room *r, char *mem)
{
	const struct tree_layout *t = s->layout;
	size_t cells = (size_t)t->n_target * (size_t)s->rows;
	const size_t bytes[] = { (size_t)t->n_column * (size_t)s->rows * sizeof(uint64_t),
		cells * sizeof(double), cells, (size_t)t->n_target * sizeof(double),
		(size_t)t->n_target };
	size_t at[6] = { 0 };
	for (int i = 0; i < 5; i++)
		at[i + 1] = at[i] + round_up(bytes[i], ARENA_ALIGN_TENSOR);
	if (mem)
		*r = (struct trees_room){ mem + at[0], mem + at[1], (bool *)mem + at[2],
			(double *)(mem + at[3]), (bool *)mem + at[4] };
	return at[5];
}

#define KIND 32
#define STEP struct tree_step32
#define KEY uint32_t
#define REAL float
#define KEY_OF tree_key32
#include "exec/cpu/ml/tree_walk_t.h"

#define KIND 32_wide
#define STEP struct tree_step32_wide
#define KEY uint32_t
#define REAL float
#define KEY_OF tree_key32
#include "exec/cpu/ml/tree_walk_t.h"

#define KIND 64
#define STEP struct tree_step64
#define KEY uint64_t
#define REAL double
#define KEY_OF tree_key64
#include "exec/cpu/ml/tree_walk_t.h"

static int64_t block_rows(const struct tree_layout *t)
{
	int64_t key = t->kind == TREE_STEP64 ? sizeof(uint64_t) : sizeof(uint32_t);
	int64_t groups = KEYS_BYTES / (key * TREE_LANES * max_i64(t->n_column, 1));
	return TREE_LANES * max_i64(1, min_i64(groups, BLOCK_GROUPS_MAX));
}

enum err_code prepare_trees_fast(struct prep *p, struct kernel *ret, struct err *err)
{
	static const run_fn run[] = { [TREE_STEP32] = run_trees_32,
		[TREE_STEP32_WIDE] = run_trees_32_wide, [TREE_STEP64] = run_trees_64 };
	struct trees_state *s = kernel_state(p, ret, sizeof(*s));
	struct ml_rows rows = ml_rows(&p->in[0].shape);
	if (!s)
		return err_oom(err);
	TRY(tree_layout_get(p, &s->layout, err));
	const struct tree_layout *t = s->layout;
	TRY(tree_check_features(p, t->n_feature, err));
	s->features = rows.features;
	s->rows = block_rows(t);
	s->sums = t->finish.aggregate == TREE_SUM || t->finish.aggregate == TREE_AVERAGE;
	/* Units of whole groups. */
	s->split = split_work(p, ret, rows.rows, 0.5 * t->n_tree * (t->mean_depth + 1));
	if (s->split.per_unit < rows.rows) {
		s->split.per_unit = (int64_t)round_up((size_t)s->split.per_unit, TREE_LANES);
		ret->units = (rows.rows + s->split.per_unit - 1) / s->split.per_unit;
		ret->unit_cost_ns = s->split.per_unit * t->n_tree / 2;
	}
	ret->scratch_bytes = carve(s, NULL, NULL);
	ret->run = run[t->kind];
	return ERR_OK;
}
