/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trees.h -- what becomes of the votes of a row
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/ml/ml.h"
#include "exec/infer/ml/tree_model.h"

/* How votes become an output. Sums are of floats, in the order of the trees, unless X is
   float64: then a batch, a row alone and ONNX Runtime agree to the last bit. */
struct tree_finish {
	const double *base;     /* n_base of them */
	struct ml_labels labels;
	int32_t n_base, n_target, n_tree;
	enum tree_aggregate aggregate;
	enum ml_post post;
	bool is_classifier, one_score, no_negative;
	int32_t scored;
	bool f64;
};

/* score[n_target] and whether anybody voted for it, to row `row` of the outputs. score is
   used up. */
void tree_finish_row(const struct tree_finish *f, const struct kernel_args *a, int64_t row,
	double *score, const bool *voted);

/* X has all features that the trees ask for; at load that may not have been known. */
MUST_CHECK enum err_code
tree_check_features(const struct prep *p, int32_t n_feature, struct err *err);

/* From the model, for a plan. */
MUST_CHECK enum err_code tree_finish_init(
	struct tree_finish *f, struct prep *p, const struct tree_model *m, struct err *err);

/* One more vote for a target. */
static inline double tree_add(
	double score, bool voted, double weight, enum tree_aggregate how, bool f64)
{
	if (!voted)
		return weight;
	if (how == TREE_MIN)
		return weight < score ? weight : score;
	if (how == TREE_MAX)
		return weight > score ? weight : score;
	return f64 ? score + weight : (double)((float)score + (float)weight);
}
