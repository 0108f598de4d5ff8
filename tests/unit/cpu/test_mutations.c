/* SPDX-License-Identifier: Apache-2.0 */
/*
 * M20 once more, with kernels: valid nodes of every operator (tests/ops) made wrong in an
 * attribute, a type, a shape, their arity or a value are refused by name or give a result.
 * They never crash, hang or want memory without end. Under the sanitizers this finds more
 * than the asserts here.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/infer/infer.h"
#include "exec/packs.h"
#include "exec/run/program.h"
#include "ops/op_mutant.h"
#include "support/models.h"
#include "support/odd.h"
#include "support/tensors.h"

#define TRIES 48 /* per operator */
#define MEMORY_MAX ((size_t)64 << 20) /* of a run; what wants more is refused */

static enum err_code run_graph(const struct graph *g, const struct tensor *in, struct err *err)
{
	struct arena *arena = arena_new(1 << 16, MEMORY_MAX);
	struct packs *packs = packs_new();
	struct program *p = NULL;
	struct program_conf conf = { .backend = &cpu_backend, .packs = packs, .threads = 1,
		.dynamic_bytes_max = MEMORY_MAX };
	struct run_opts opts = { .arena = arena, .output = odd_output, .output_ctx = arena };
	enum err_code rc = program_new(g, &conf, &p, err);
	if (rc == ERR_OK)
		rc = program_run(p, in, &opts, err);
	program_free(p);
	packs_free(packs);
	arena_free(arena);
	return rc;
}

static void expect_named(
	const struct op_mutant *m, enum op_id op, enum err_code rc, const struct err *err)
{
	ck_assert_msg(rc == ERR_INVALID_ARGUMENT || rc == ERR_UNIMPLEMENTED ||
			      rc == ERR_RESOURCE_EXHAUSTED || rc == ERR_FAILED_PRECONDITION,
		"%s, %s: %s: %s", op_info(op)->name, m->what, err_name(rc), err->msg);
	/* Of a body it may be another node that is wrong now. */
	bool named = strstr(err->msg, op_info(op)->name) ||
		     (op_info(op)->flags & OP_CONTROL && strstr(err->msg, "node '"));
	ck_assert_msg(named || rc == ERR_RESOURCE_EXHAUSTED, "%s, %s: '%s' names no node",
		op_info(op)->name, m->what, err->msg);
}

static void try_mutant(struct op_mutant *m, enum op_id op)
{
	struct tensor in[OP_CASE_IO_MAX];
	struct err err;
	for (uint32_t steps = 1 + odd_draw(2); steps > 0; steps--)
		op_mutant_step(m);
	op_mutant_settle(m, in);
	enum err_code rc = graph_check(m->g, &err);
	if (rc == ERR_OK)
		rc = infer_graph(m->g, &err);
	if (rc == ERR_OK)
		rc = run_graph(m->g, in, &err);
	if (rc != ERR_OK)
		expect_named(m, op, rc, &err);
	op_mutant_done(m);
}

/* The k-th case of the operator, in one of its types; false: it has none. */
static bool given_mutant(struct op_mutant *m, enum op_id op, int k)
{
	int n = 0, at = 0;
	enum dtype dtype = DTYPE_UNDEFINED + 1;
	if (op_info(op)->flags & OP_CONTROL) {
		op_mutant_init_control(m, op);
		return true;
	}
	for (int i = 0; i < op_cases_count; i++)
		n += op_cases[i].op == op;
	if (!n)
		return false;
	for (k %= n; op_cases[at].op != op || k-- > 0;)
		at++;
	for (uint32_t skip = odd_draw(4); !dtype_in(dtype, op_cases[at].types) || skip-- > 0;)
		dtype = dtype + 1 < DTYPE_TENSOR ? dtype + 1 : DTYPE_UNDEFINED + 1;
	ck_assert(op_mutant_init(m, &op_cases[at], dtype));
	return true;
}

START_TEST(M20_mutated_nodes_run_or_are_refused_by_name)
{
	struct op_mutant m;
	odd_seed(4711u * (uint32_t)_i);
	for (int k = 0; k < TRIES; k++) {
		ck_assert_msg(given_mutant(&m, (enum op_id)_i, k), "%s has no case",
			op_info((enum op_id)_i)->name);
		try_mutant(&m, (enum op_id)_i);
	}
}
END_TEST

/* More of them found these two. */
START_TEST(attention_of_two_types_is_refused)
{
	struct graph *g = model_new();
	struct tensor in[3];
	struct err err;
	for (int i = 0; i < 3; i++) {
		in[i] = tensors_new(i == 2 ? DTYPE_F64 : DTYPE_F32, shape_of(1, 1, 2, 4));
		tensors_fill(&in[i], TENSORS_ANY, 1);
		model_input(g, arena_printf(g->arena, "in%d", i), in[i].dtype, in[i].shape);
	}
	model_output(g, MODEL_NODE(g, OP_ATTENTION, g->input[0], g->input[1], g->input[2]));
	ck_assert_int_eq(infer_graph(g, &err), ERR_OK);
	ck_assert_int_eq(run_graph(g, in, &err), ERR_UNIMPLEMENTED);
	for (int i = 0; i < 3; i++)
		tensors_free(&in[i]);
	model_free(g);
}
END_TEST

START_TEST(a_pad_beyond_all_memory_is_refused)
{
	struct graph *g = model_new();
	float one = 1;
	struct tensor in = { .data = &one, .dtype = DTYPE_F32, .shape = shape_of(1) };
	struct err err;
	int32_t x = model_input(g, "x", DTYPE_F32, shape_of(1));
	model_output(g, MODEL_NODE(g, OP_PAD, x, MODEL_INTS(g, 0, INT64_C(1) << 31)));
	ck_assert_int_eq(infer_graph(g, &err), ERR_OK);
	ck_assert_int_eq(run_graph(g, &in, &err), ERR_RESOURCE_EXHAUSTED);
	model_free(g);
}
END_TEST

START_TEST(there_are_more_than_5000)
{
	ck_assert_int_gt((OP_COUNT_ - 1) * TRIES, 5000);
}
END_TEST

Suite *suite_mutations(void);
Suite *suite_mutations(void)
{
	Suite *s = suite_create("mutations");
	TCase *t = tcase_create("mutations");
	tcase_add_loop_test(t, M20_mutated_nodes_run_or_are_refused_by_name, 1, OP_COUNT_);
	tcase_add_test(t, attention_of_two_types_is_refused);
	tcase_add_test(t, a_pad_beyond_all_memory_is_refused);
	tcase_add_test(t, there_are_more_than_5000);
	suite_add_tcase(s, t);
	return s;
}
