/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_walk_t.h -- walks of one kind of step: included with KIND (for names), STEP, KEY, REAL
 * (what scores are added up in) and KEY_OF
 */

#define NAME_(stem, kind) stem##_##kind
#define NAME2(stem, kind) NAME_(stem, kind)
#define NAME(stem) NAME2(stem, KIND)

/* Beyond this depth leaves are often reached long before the end. */
#define CHECKED_DEPTH 12

/* One step of all lanes, and whether any moved. Where a lane is is an address, and at the end
   perhaps beyond all steps: so it is a number, not a pointer. */
#define STEP_LANES(key_of_lane) \
	do { \
		UNROLL for (int l = 0; l < TREE_LANES; l++) { \
			const STEP *s = (const STEP *)at[l]; \
			size_t by = (size_t)s->next + (s->threshold < (key_of_lane)); \
			at[l] += by * sizeof(STEP); \
			moved |= by; \
		} \
	} while (0)

/* Eight rows through one tree; keys are [column][lane]. */
static inline __attribute__((always_inline)) void
NAME(walk_rows)(const STEP *step, int32_t depth, uint32_t root, const KEY *keys, uint32_t *ret)
{
	uintptr_t at[TREE_LANES], moved = 0;
	UNROLL for (int l = 0; l < TREE_LANES; l++)
		at[l] = (uintptr_t)(step + root);
	int32_t d = 0;
	for (; d < depth && d < CHECKED_DEPTH; d++)
		STEP_LANES(keys[(size_t)s->column * TREE_LANES + (size_t)l]);
	for (moved = 1; d < depth && moved; d++) {
		moved = 0;
		STEP_LANES(keys[(size_t)s->column * TREE_LANES + (size_t)l]);
	}
	UNROLL for (int l = 0; l < TREE_LANES; l++)
		ret[l] = (uint32_t)((at[l] - (uintptr_t)step) / sizeof(STEP));
}

/* One row through eight trees; keys are [column]. */
static inline __attribute__((always_inline)) void NAME(walk_trees)(
	const STEP *step, int32_t depth, const uint32_t *root, const KEY *keys, uint32_t *ret)
{
	uintptr_t at[TREE_LANES], moved = 0;
	UNROLL for (int l = 0; l < TREE_LANES; l++)
		at[l] = (uintptr_t)(step + root[l]);
	int32_t d = 0;
	for (; d < depth && d < CHECKED_DEPTH; d++)
		STEP_LANES(keys[s->column]);
	for (moved = 1; d < depth && moved; d++) {
		moved = 0;
		STEP_LANES(keys[s->column]);
	}
	UNROLL for (int l = 0; l < TREE_LANES; l++)
		ret[l] = (uint32_t)((at[l] - (uintptr_t)step) / sizeof(STEP));
}

/* -- keys ------------------------------------------------------------------------------------ */

static inline REAL NAME(feature)(const struct tensor *x, int64_t i)
{
	return x->dtype == DTYPE_F32 ? (REAL)((const float *)x->data)[i]
	       : x->dtype == DTYPE_F64 ? (REAL)((const double *)x->data)[i]
				       : (REAL)tensor_float(x, i);
}

static inline KEY NAME(key)(const struct tree_layout *t, const struct tree_column *c, REAL x)
{
	if (isnan(x))
		return c->is_set ? !c->nan_first : c->nan_first ? 0 : (KEY)-1;
	if (!c->is_set)
		return KEY_OF(x);
	bool found = false;
	for (int32_t i = 0; i < c->n && !found; i++)
		found = t->member[c->first + i] == (double)x;
	return found == c->is_not;
}

/* n rows from `row` on, at most `lanes`; other lanes get the last row's keys once more. */
static void NAME(make_keys)(const struct tree_layout *t, const struct tensor *x, int64_t features,
	int64_t row, int64_t n, int lanes, KEY *keys)
{
	for (int32_t c = 0; c < t->n_column; c++)
		for (int l = 0; l < lanes; l++) {
			int64_t r = row + (l < n ? l : n - 1);
			keys[c * lanes + l] = NAME(key)(t, &t->column[c],
				NAME(feature)(x, r * features + t->column[c].feature));
		}
}

/* -- votes ----------------------------------------------------------------------------------- */

/* Scores lie as [target][rows]. */
static inline void NAME(vote_for)(
	const struct trees_state *s, struct trees_room *m, int64_t at, REAL weight)
{
	REAL *score = (REAL *)m->score + at;
	if (s->sums)
		*score += weight;
	else
		*score = (REAL)tree_add((double)*score, m->voted[at], (double)weight,
			s->layout->finish.aggregate, true);
	m->voted[at] = true;
}

static inline void NAME(vote)(
	const struct trees_state *s, struct trees_room *m, int64_t row, int32_t tree, uint32_t leaf)
{
	const struct tree_layout *t = s->layout;
	if (t->one_vote) {
		NAME(vote_for)(s, m, t->target[tree] * s->rows + row,
			((const REAL *)t->weight)[leaf]);
		return;
	}
	const struct tree_vote *v = t->vote + t->votes[leaf].first;
	for (const struct tree_vote *end = v + t->votes[leaf].n; v < end; v++)
		NAME(vote_for)(s, m, v->target * s->rows + row, (REAL)v->weight);
}

static void NAME(finish)(const struct trees_state *s, struct trees_room *m,
	const struct kernel_args *a, int64_t row, int64_t n)
{
	const struct tree_layout *t = s->layout;
	for (int64_t r = 0; r < n; r++) {
		for (int32_t k = 0; k < t->n_target; k++) {
			m->total[k] = (double)((const REAL *)m->score)[k * s->rows + r];
			m->any[k] = m->voted[k * s->rows + r];
		}
		tree_finish_row(&t->finish, a, row + r, m->total, m->any);
	}
}

/* -- rows ------------------------------------------------------------------------------------ */

static void NAME(block_by_trees)(const struct trees_state *s, struct trees_room *m,
	const struct tensor *x, int64_t row, int64_t n)
{
	const struct tree_layout *t = s->layout;
	KEY *keys = m->keys;
	uint32_t at[TREE_LANES];
	int64_t groups = (n + TREE_LANES - 1) / TREE_LANES;
	for (int64_t g = 0; g < groups; g++)
		NAME(make_keys)(t, x, s->features, row + g * TREE_LANES, n - g * TREE_LANES,
			TREE_LANES, keys + g * TREE_LANES * t->n_column);
	for (int32_t i = 0; i < t->n_tree; i++)
		for (int64_t g = 0; g < groups; g++) {
			NAME(walk_rows)(t->step, t->depth[i / TREE_LANES], t->root[i],
				keys + g * TREE_LANES * t->n_column, at);
			for (int l = 0; l < TREE_LANES; l++)
				NAME(vote)(s, m, g * TREE_LANES + l, i, at[l] - t->leaf[i]);
		}
}

static void NAME(row_by_row)(const struct trees_state *s, struct trees_room *m,
	const struct tensor *x, int64_t row, int64_t n)
{
	const struct tree_layout *t = s->layout;
	KEY *keys = m->keys;
	uint32_t at[TREE_LANES], root[TREE_LANES];
	for (int64_t r = 0; r < n; r++) {
		NAME(make_keys)(t, x, s->features, row + r, 1, 1, keys);
		for (int32_t i = 0; i < t->n_tree; i += TREE_LANES) {
			int32_t lanes = t->n_tree - i < TREE_LANES ? t->n_tree - i : TREE_LANES;
			const uint32_t *from = t->root + i;
			if (lanes < TREE_LANES) {
				for (int l = 0; l < TREE_LANES; l++)
					root[l] = t->root[i + (l < lanes ? l : 0)];
				from = root;
			}
			NAME(walk_trees)(t->step, t->depth[i / TREE_LANES], from, keys, at);
			for (int l = 0; l < lanes; l++)
				NAME(vote)(s, m, r, i + l, at[l] - t->leaf[i + l]);
		}
	}
}

static void NAME(run_trees)(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct trees_state *s = a->state;
	struct trees_room m;
	int64_t from, to;
	carve(s, &m, a->scratch);
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from, n; row < to; row += n) {
		n = min_i64(s->rows, to - row);
		memset(m.score, 0, (size_t)(s->layout->n_target * s->rows) * sizeof(REAL));
		memset(m.voted, 0, (size_t)(s->layout->n_target * s->rows) * sizeof(bool));
		if (n < FEW_ROWS)
			NAME(row_by_row)(s, &m, &a->in[0], row, n);
		else
			NAME(block_by_trees)(s, &m, &a->in[0], row, n);
		NAME(finish)(s, &m, a, row, n);
	}
}

#undef NAME_
#undef NAME2
#undef NAME
#undef STEP_LANES
#undef CHECKED_DEPTH
#undef KIND
#undef STEP
#undef KEY
#undef REAL
#undef KEY_OF
