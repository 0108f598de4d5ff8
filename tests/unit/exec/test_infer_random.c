/* SPDX-License-Identifier: Apache-2.0 */
/*
 * M20 for every operator: nodes drawn from the table with random types, shapes, known
 * values and attributes are inferred or refused by name, and nothing else happens. Runs
 * under the sanitizers find more than the asserts here.
 */
#include <check.h>
#include <string.h>
#include "exec/attrs.h"
#include "exec/infer/infer.h"
#include "support/models.h"
#include "support/odd.h"

#define TRIES 300 /* per operator */
#define EXTRA_MAX 3 /* inputs and outputs of variadic operators */

static int32_t odd_value(struct graph *g)
{
	static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F32, DTYPE_F32, DTYPE_I64, DTYPE_I64,
		DTYPE_BOOL, DTYPE_F16, DTYPE_U8, DTYPE_STRING, DTYPE_UNDEFINED };
	if (odd_draw(3) == 0)
		return odd_constant(g);
	int32_t v = model_input(g, "x", dtypes[odd_draw(10)], odd_shape());
	g->value[v].type.is_sequence = odd_draw(30) == 0;
	return v;
}

static uint32_t between(int min, int max)
{
	int most = max == ARITY_ANY ? min + EXTRA_MAX : max;
	return (uint32_t)min + odd_draw((uint32_t)(most - min) + 1);
}

static void try_node(enum op_id op)
{
	struct graph *g = model_new();
	struct err err;
	const struct op_info *info = op_info(op);
	int32_t in[16] = { 0 };
	uint32_t n_in = between(info->in_min, info->in_max);
	graph_symbol(g, SLICE_LIT("n"));
	graph_symbol(g, SLICE_LIT("m"));
	ck_assert_uint_lt(n_in, 16);
	for (uint32_t i = 0; i < n_in; i++)
		in[i] = i >= (uint32_t)info->in_min && odd_draw(4) == 0 ? VALUE_NONE : odd_value(g);
	uint32_t n_out = between(info->out_min > 0 ? info->out_min : 1, info->out_max);
	model_output(g, model_node(g, op, (int)n_out, (int)n_in, in));
	for (const struct attr_spec *s = info->attrs; s->name; s++)
		if (s->required || odd_draw(2))
			odd_attr(g, s->name, (enum attr_kind)s->kind);
	if (graph_check(g, &err) == ERR_OK && infer_graph(g, &err) != ERR_OK) {
		ck_assert_msg(err.code == ERR_INVALID_ARGUMENT || err.code == ERR_UNIMPLEMENTED,
			"%s: %s", err_name(err.code), err.msg);
		ck_assert_msg(
			strstr(err.msg, info->name) != NULL || strstr(err.msg, "'body'") != NULL,
			"'%s' does not name %s", err.msg, info->name);
	}
	model_free(g);
}

START_TEST(M20_odd_nodes_are_inferred_or_refused_by_name)
{
	odd_seed(77u + (uint32_t)_i);
	for (int k = 0; k < TRIES; k++)
		try_node((enum op_id)_i);
}
END_TEST

Suite *suite_infer_random(void);
Suite *suite_infer_random(void)
{
	Suite *s = suite_create("infer_random");
	TCase *t = tcase_create("random");
	tcase_add_loop_test(t, M20_odd_nodes_are_inferred_or_refused_by_name, 1, OP_COUNT_);
	suite_add_tcase(s, t);
	return s;
}
