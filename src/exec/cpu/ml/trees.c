/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree ensembles: the reference, which walks the model as it is, and what becomes of votes.
 */
#include "exec/cpu/ml/trees.h"

#include <math.h>
#include <string.h>

/* -- votes to outputs ------------------------------------------------------------------------ */

enum err_code
tree_finish_init(struct tree_finish *f, struct prep *p, const struct tree_model *m, struct err *err)
{
	int32_t n_base = m->base ? (int32_t)tensor_count(m->base) : 0;
	double *base = prep_alloc(p, (size_t)n_base * sizeof(*base));
	if (!base)
		return err_oom(err);
	for (int32_t i = 0; i < n_base; i++)
		base[i] = tensor_float(m->base, i);
	*f = (struct tree_finish){ .base = base, .labels = m->labels, .n_base = n_base,
		.n_target = m->n_target, .n_tree = m->n_tree, .aggregate = m->aggregate,
		.post = m->post, .is_classifier = m->is_classifier, .one_score = m->one_score,
		.no_negative = m->no_negative, .scored = m->scored,
		.f64 = p->in[0].dtype == DTYPE_F64 };
	return ERR_OK;
}

enum err_code tree_check_features(const struct prep *p, int32_t n_feature, struct err *err)
{
	char label[NODE_LABEL_MAX];
	if (n_feature <= ml_rows(&p->in[0].shape).features)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "%s: input 0 is %s, the trees ask for feature %d",
		node_label(p->graph, p->node, label, sizeof(label)), SHAPE_TEXT(&p->in[0].shape),
		n_feature - 1);
}

static double rounded(const struct tree_finish *f, double x)
{
	return f->f64 ? x : (double)(float)x;
}

static void put_scores(
	const struct kernel_args *a, int out, int64_t row, const double *score, int64_t n)
{
	if (!args_has_out(a, out))
		return;
	if (a->out[out].dtype == DTYPE_F64)
		memcpy((double *)a->out[out].data + row * n, score, (size_t)n * sizeof(*score));
	else
		ml_put_floats((float *)a->out[out].data + row * n, score, n);
}

/* All votes are for one of two classes: its score says both. Where they are for the first,
   it stands for the second all the same: that is how converters write binary models. */
static void finish_one_score(const struct tree_finish *f, const struct kernel_args *a, int64_t row,
	const double *score)
{
	double both[2] = { 0, score[f->scored] };
	double s = both[1];
	if (f->n_base)
		s = rounded(f, s + f->base[f->n_base == 2 ? f->scored : 0]);
	ml_put_label(&a->out[0], row, &f->labels, s > (f->no_negative ? 0.5 : 0));
	if (f->scored == 0) {
		bool logistic = f->post == ML_POST_LOGISTIC;
		ml_put_two(both, s,
			f->no_negative && !logistic ? ML_SECOND_COMPLEMENT : ML_SECOND_OPPOSITE,
			f->post);
	} else {
		both[1] = s;
		ml_transform(both, 2, f->post);
	}
	put_scores(a, 1, row, both, 2);
}

/* The best of those classes that got a vote. */
static int64_t best_class(const struct tree_finish *f, const double *score, const bool *voted)
{
	int64_t best = -1;
	for (int32_t i = 0; i < f->n_target; i++)
		if ((voted[i] || f->n_base) && (best < 0 || score[i] > score[best]))
			best = i;
	return best < 0 ? 0 : best;
}

static void add_base(const struct tree_finish *f, double *score, const bool *voted)
{
	for (int32_t i = 0; i < f->n_target; i++) {
		if (!voted[i])
			score[i] = 0;
		if (f->aggregate == TREE_AVERAGE)
			score[i] = rounded(f, score[i] / f->n_tree);
		if (f->n_base)
			score[i] = rounded(f, score[i] + f->base[f->n_base == 1 ? 0 : i]);
	}
}

void tree_finish_row(const struct tree_finish *f, const struct kernel_args *a, int64_t row,
	double *score, const bool *voted)
{
	if (f->one_score) {
		finish_one_score(f, a, row, score);
		return;
	}
	add_base(f, score, voted);
	if (f->is_classifier && f->n_target == 1) /* 1 or 0, whatever the label is */
		((int64_t *)a->out[0].data)[row] = score[0] > 0;
	else if (f->is_classifier)
		ml_put_label(&a->out[0], row, &f->labels, best_class(f, score, voted));
	ml_transform(score, f->n_target, f->post);
	put_scores(a, f->is_classifier, row, score, f->n_target);
}

/* -- the reference --------------------------------------------------------------------------- */

struct walk_state {
	const struct tree_model *model;
	struct tree_finish finish;
	struct split split;
	int64_t features;
	size_t voted_at; /* in scratch */
};

static bool is_member(const struct tree_model *m, const struct tree_node *n, double x)
{
	for (int32_t i = 0; i < n->n; i++)
		if (tensor_float(m->members, n->members + i) == x)
			return true;
	return false;
}

static bool holds(const struct tree_model *m, const struct tree_node *n, double x)
{
	if (isnan(x))
		return n->nan_holds;
	switch ((enum tree_mode)n->mode) {
	case TREE_LEQ: return x <= n->value;
	case TREE_LT: return x < n->value;
	case TREE_GTE: return x >= n->value;
	case TREE_GT: return x > n->value;
	case TREE_EQ: return x == n->value;
	case TREE_NEQ: return x != n->value;
	case TREE_MEMBER: return is_member(m, n, x);
	default: return false;
	}
}

/* Integers are compared as floats, as the specification's reference does. */
static double feature_of(const struct tensor *x, int64_t i)
{
	double v = tensor_float(x, i);
	return x->dtype == DTYPE_F64 ? v : (double)(float)v;
}

static void run_trees(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct walk_state *s = a->state;
	const struct tree_model *m = s->model;
	double *score = a->scratch;
	bool *voted = (bool *)a->scratch + s->voted_at;
	int64_t from, to;
	split_range(&s->split, begin, end, &from, &to);
	for (int64_t row = from; row < to; row++) {
		memset(voted, 0, (size_t)m->n_target * sizeof(*voted));
		memset(score, 0, (size_t)m->n_target * sizeof(*score));
		for (int32_t t = 0; t < m->n_tree; t++) {
			const struct tree_node *n = &m->node[m->root[t]];
			while (n->mode != TREE_LEAF) {
				double x = feature_of(&a->in[0], row * s->features + n->feature);
				n = &m->node[n->first + !holds(m, n, x)];
			}
			for (int32_t i = n->first; i < n->first + n->n; i++) {
				const struct tree_vote *v = &m->vote[i];
				score[v->target] = tree_add(score[v->target], voted[v->target],
					s->finish.f64 ? v->weight : (double)(float)v->weight,
					m->aggregate, s->finish.f64);
				voted[v->target] = true;
			}
		}
		tree_finish_row(&s->finish, a, row, score, voted);
	}
}

enum err_code prepare_trees(struct prep *p, struct kernel *ret, struct err *err)
{
	struct walk_state *s = kernel_state(p, ret, sizeof(*s));
	struct tree_model *m;
	struct ml_rows rows = ml_rows(&p->in[0].shape);
	if (!s)
		return err_oom(err);
	TRY(tree_model_new(p->node, p->arena, &m, err));
	TRY(tree_check_features(p, m->n_feature, err));
	TRY(tree_finish_init(&s->finish, p, m, err));
	s->model = m;
	s->features = rows.features;
	s->voted_at = (size_t)m->n_target * sizeof(double);
	s->split = split_work(p, ret, rows.rows, 50.0 * m->n_tree);
	ret->scratch_bytes = s->voted_at + (size_t)m->n_target;
	ret->run = run_trees;
	return ERR_OK;
}
