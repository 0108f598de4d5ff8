/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes that are no trees: what is said of each. */
#include <check.h>
#include <string.h>
#include "exec/infer/ml/tree_model.h"
#include "support/models.h"

/* A root, its two children, which are leaves; and what a case changes of it. */
struct lists {
	int n, n_votes;
	int64_t tree[4], node[4], feature[4], yes[4], no[4], vote_node[4], target[4];
	const char *mode[4];
	float weight[4];
};

static const struct lists good = { 3, 2, .node = { 0, 1, 2 }, .yes = { 1 }, .no = { 2 },
	.mode = { "BRANCH_LEQ", "LEAF", "LEAF", "LEAF" }, .vote_node = { 1, 2 },
	.weight = { 1, 2 } };

static struct graph *g;
static struct arena *arena;
static struct err err;

static void setup(void)
{
	g = model_new();
	arena = arena_new(1 << 12, 0);
}

static void teardown(void)
{
	arena_free(arena);
	model_free(g);
}

static const struct node *node_of(const struct lists *l)
{
	static const int64_t zero[4];
	static const float values[4];
	struct slice mode[4];
	for (int i = 0; i < l->n; i++)
		mode[i] = slice_of(l->mode[i]);
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(2, 3));
	int32_t y = MODEL_NODE(g, OP_TREE_REGRESSOR, x);
	model_attr_ints(g, "nodes_treeids", l->n, l->tree);
	model_attr_ints(g, "nodes_nodeids", l->n, l->node);
	model_attr_ints(g, "nodes_featureids", l->n, l->feature);
	model_attr_ints(g, "nodes_truenodeids", l->n, l->yes);
	model_attr_ints(g, "nodes_falsenodeids", l->n, l->no);
	model_attr_floats(g, "nodes_values", l->n, values);
	model_attr_strings(g, "nodes_modes", l->n, mode);
	model_attr_ints(g, "target_treeids", l->n_votes, zero);
	model_attr_ints(g, "target_nodeids", l->n_votes, l->vote_node);
	model_attr_ints(g, "target_ids", l->n_votes, l->target);
	model_attr_floats(g, "target_weights", l->n_votes, l->weight);
	return &g->node[g->value[y].producer];
}

static void expect_refused(const struct lists *l, const char *says)
{
	struct tree_model *m;

	enum err_code rc = tree_model_new(node_of(l), arena, &m, &err);

	ck_assert_int_eq(rc, ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, says);
}

START_TEST(children_stand_beside_each_other_and_leaves_have_their_votes)
{
	struct tree_model *m;

	ck_assert_int_eq(tree_model_new(node_of(&good), arena, &m, &err), ERR_OK);

	ck_assert_int_eq(m->n_tree, 1);
	ck_assert_int_eq(m->n_node, 3);
	ck_assert_int_eq(m->node[0].first, 1);
	ck_assert_int_eq(m->node[2].mode, TREE_LEAF);
	ck_assert_double_eq(m->vote[m->node[2].first].weight, 2);
}
END_TEST

START_TEST(names_need_not_be_in_order)
{
	struct lists l = good;
	struct tree_model *m;
	l.node[0] = 7;
	l.node[1] = l.yes[0] = l.vote_node[0] = 9;
	l.node[2] = l.no[0] = l.vote_node[1] = -4;

	ck_assert_int_eq(tree_model_new(node_of(&l), arena, &m, &err), ERR_OK);

	ck_assert_double_eq(m->vote[m->node[1].first].weight, 1);
	ck_assert_double_eq(m->vote[m->node[2].first].weight, 2);
}
END_TEST

START_TEST(names_in_order_may_have_gaps_and_nodes_several_weights)
{
	struct lists l = good;
	struct tree_model *m;
	l.n_votes = 3;
	l.node[1] = l.yes[0] = l.vote_node[0] = l.vote_node[1] = 90;
	l.node[2] = l.no[0] = l.vote_node[2] = 700;
	l.weight[2] = 3;

	ck_assert_int_eq(tree_model_new(node_of(&l), arena, &m, &err), ERR_OK);

	ck_assert_int_eq(m->node[1].n, 2);
	ck_assert_double_eq(m->vote[m->node[1].first].weight, 1);
	ck_assert_double_eq(m->vote[m->node[1].first + 1].weight, 2);
	ck_assert_double_eq(m->vote[m->node[2].first].weight, 3);
}
END_TEST

START_TEST(a_node_is_there_once)
{
	struct lists l = good;
	l.node[2] = 1;
	expect_refused(&l, "node 1 of tree 0 is there twice");
}
END_TEST

START_TEST(a_child_is_there)
{
	struct lists l = good;
	l.no[0] = 5;
	expect_refused(&l, "node 0 of tree 0 has a child 5, which is not there");
}
END_TEST

START_TEST(a_child_is_of_the_same_tree)
{
	struct lists l = good;
	l.tree[2] = 1;
	expect_refused(&l, "node 0 of tree 0 has a child 2, which is not there");
}
END_TEST

START_TEST(a_cycle_is_no_tree)
{
	struct lists l = good;
	l.no[0] = 0;
	expect_refused(&l, "node 0 is reached on two ways: that is no tree");
}
END_TEST

START_TEST(a_node_that_two_share_is_no_tree)
{
	struct lists l = good;
	l.no[0] = 1;
	expect_refused(&l, "node 1 is reached on two ways: that is no tree");
}
END_TEST

START_TEST(a_leaf_has_a_weight)
{
	struct lists l = good;
	l.vote_node[1] = 1;
	expect_refused(&l, "leaf 2 has no weight");
}
END_TEST

START_TEST(a_weight_is_for_a_node_and_a_target)
{
	struct lists l = good, k = good;
	l.vote_node[1] = 3;
	expect_refused(&l, "weight 1 is for node 3 of tree 0, which is not there");
	k.target[0] = 1;
	expect_refused(&k, "weight 0 is for target 1 of 1");
}
END_TEST

START_TEST(a_feature_is_none_below_zero)
{
	struct lists l = good;
	l.feature[0] = -1;
	expect_refused(&l, "node 0 asks for feature -1, which cannot be");
}
END_TEST

START_TEST(a_mode_is_one_that_there_is)
{
	struct lists l = good;
	l.mode[0] = "BRANCH_MEMBER";
	expect_refused(&l, "nodes_modes[0] is 'BRANCH_MEMBER', there is no such mode");
}
END_TEST

Suite *suite_tree_model(void);
Suite *suite_tree_model(void)
{
	Suite *s = suite_create("tree_model");
	TCase *t = tcase_create("trees");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, children_stand_beside_each_other_and_leaves_have_their_votes);
	tcase_add_test(t, names_need_not_be_in_order);
	tcase_add_test(t, names_in_order_may_have_gaps_and_nodes_several_weights);
	tcase_add_test(t, a_node_is_there_once);
	tcase_add_test(t, a_child_is_there);
	tcase_add_test(t, a_child_is_of_the_same_tree);
	tcase_add_test(t, a_cycle_is_no_tree);
	tcase_add_test(t, a_node_that_two_share_is_no_tree);
	tcase_add_test(t, a_leaf_has_a_weight);
	tcase_add_test(t, a_weight_is_for_a_node_and_a_target);
	tcase_add_test(t, a_feature_is_none_below_zero);
	tcase_add_test(t, a_mode_is_one_that_there_is);
	suite_add_tcase(s, t);
	return s;
}
