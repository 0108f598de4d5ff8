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

#define TRIES 300 /* per operator */
#define EXTRA_MAX 3 /* inputs and outputs of variadic operators */

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 10) % below;
}

static int64_t odd_int(void)
{
	static const int64_t odd[] = { 0, 1, -1, 2, 3, -2, 4, 7, 1 << 20, INT32_MAX, INT64_MAX,
		INT64_MIN, INT64_C(1) << 40, -12 };
	return odd[draw(draw(2) ? 5 : 14)];
}

static struct shape odd_shape(void)
{
	static const int64_t dims[] = { 1, 2, 3, 4, 4, 8, 0, DIM_UNKNOWN, DIM_SYMBOL(0), DIM_SYMBOL(1),
		INT64_C(1) << 31, INT64_C(1) << 47, INT64_MAX };
	struct shape s = { .rank = (int)draw(6) };
	if (draw(12) == 0)
		s.rank = draw(2) ? RANK_MAX : RANK_UNKNOWN;
	for (int i = 0; i < s.rank; i++)
		s.dim[i] = dims[draw(draw(6) ? 6 : 13)];
	return s;
}

/* A small constant list or scalar of integers or floats, of values of all kinds. */
static int32_t odd_constant(struct graph *g)
{
	struct shape s = draw(3) ? shape_of((int64_t)draw(6)) : SHAPE_SCALAR;
	if (draw(3) == 0)
		return model_floats(g, s, (float[]){ 2, 0, -1, 1e30f, 0.5f, 1 });
	int64_t v[6];
	for (int i = 0; i < 6; i++)
		v[i] = odd_int();
	return model_int64s(g, s, v);
}

static int32_t odd_value(struct graph *g)
{
	static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F32, DTYPE_F32, DTYPE_I64, DTYPE_I64,
		DTYPE_BOOL, DTYPE_F16, DTYPE_U8, DTYPE_STRING, DTYPE_UNDEFINED };
	if (draw(3) == 0)
		return odd_constant(g);
	int32_t v = model_input(g, "x", dtypes[draw(10)], odd_shape());
	g->value[v].type.is_sequence = draw(30) == 0;
	return v;
}

static const char *odd_word(void)
{
	static const char *const words[] = { "", "none", "SAME_UPPER", "VALID", "linear", "cubic",
		"tf_crop_and_resize", "reflect", "ij,jk->ik", "...i,...j", "->", "tanh", "add", "CRD",
		"not_larger", "\xff" };
	return words[draw(16)];
}

static struct graph *odd_body(struct graph *g)
{
	struct graph *body = model_body(g, "body");
	for (uint32_t i = draw(4); i > 0; i--)
		model_input(body, "b", DTYPE_F32, odd_shape());
	int32_t v = odd_constant(body);
	for (uint32_t i = draw(4); i > 0; i--)
		model_output(body, v);
	return body;
}

static void odd_attr(struct graph *g, const struct attr_spec *spec)
{
	int64_t list[6];
	for (int i = 0; i < 6; i++)
		list[i] = odd_int();
	switch ((enum attr_kind)spec->kind) {
	case ATTR_INT: model_attr_int(g, spec->name, odd_int()); break;
	case ATTR_FLOAT: model_attr_float(g, spec->name, draw(2) ? -1.0f : 0.5f); break;
	case ATTR_STRING: model_attr_string(g, spec->name, odd_word()); break;
	case ATTR_INTS: model_attr_ints(g, spec->name, (int)draw(6), list); break;
	case ATTR_FLOATS: model_attr_floats(g, spec->name, (int)draw(4), (const float[]){ -1, 0.5f, 3, 0 }); break;
	case ATTR_STRINGS: {
		struct slice words[6];
		for (int i = 0; i < 6; i++)
			words[i] = slice_of(draw(2) ? "tanh" : odd_word());
		model_attr_strings(g, spec->name, (int)draw(6) + 1, words);
		break;
	}
	case ATTR_GRAPH: model_attr_graph(g, spec->name, odd_body(g)); break;
	case ATTR_TENSOR: {
		int32_t v = odd_constant(g);
		model_attr_tensor(g, spec->name, g->value[v].constant);
		break;
	}
	default: break; /* no operator of the table has another kind yet */
	}
}

static uint32_t between(int min, int max)
{
	int most = max == ARITY_ANY ? min + EXTRA_MAX : max;
	return (uint32_t)min + draw((uint32_t)(most - min) + 1);
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
		in[i] = i >= (uint32_t)info->in_min && draw(4) == 0 ? VALUE_NONE : odd_value(g);
	uint32_t n_out = between(info->out_min > 0 ? info->out_min : 1, info->out_max);
	model_output(g, model_node(g, op, (int)n_out, (int)n_in, in));
	for (const struct attr_spec *s = info->attrs; s->name; s++)
		if (s->required || draw(2))
			odd_attr(g, s);
	if (graph_check(g, &err) == ERR_OK && infer_graph(g, &err) != ERR_OK) {
		ck_assert_msg(err.code == ERR_INVALID_ARGUMENT || err.code == ERR_UNIMPLEMENTED,
			"%s: %s", err_name(err.code), err.msg);
		ck_assert_msg(strstr(err.msg, info->name) != NULL || strstr(err.msg, "'body'") != NULL,
			"'%s' does not name %s", err.msg, info->name);
	}
	model_free(g);
}

START_TEST(M20_odd_nodes_are_inferred_or_refused_by_name)
{
	seed = 77u + (uint32_t)_i;
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
