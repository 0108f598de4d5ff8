/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_case.h -- the fixture of tests about one small graph
 *
 * For the file of such tests alone, which includes it once: g is new for each case.
 */
#pragma once

#include <check.h>
#include <string.h>
#include "exec/infer/infer.h"
#include "exec/pass/passes.h"
#include "support/model_run.h"
#include "support/models.h"

static struct graph *g;
static struct err err;

static void setup(void)
{
	g = model_new();
}

static void teardown(void)
{
	model_free(g);
}

/* One more input, with a name by its number. */
static inline int32_t f32(struct shape s)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	return model_input(g, names[g->n_input], DTYPE_F32, s);
}

static inline int32_t i64(struct shape s)
{
	static const char *const names[] = { "i", "j", "k", "l", "m", "n" };
	return model_input(g, names[g->n_input], DTYPE_I64, s);
}

static inline void check_and_infer(void)
{
	ck_assert_msg(graph_check(g, &err) == ERR_OK, "%s", err.msg);
	ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);
}

static inline void run_passes(const struct passes_opts *opts)
{
	ck_assert_msg(passes_run(g, opts, &err) == ERR_OK, "%s", err.msg);
}

/* Those that the CPU wants. */
static inline void run_cpu_passes(void)
{
	run_passes(&(struct passes_opts){ .backend = &cpu_backend });
}

static inline void expect_shape(int32_t v, const char *shape)
{
	model_output(g, v);
	check_and_infer();
	ck_assert_str_eq(SHAPE_TEXT(&g->value[v].shape), shape);
}

/* Inference refuses v's node, which it names, in these words. */
static inline void expect_error(int32_t v, const char *words)
{
	model_output(g, v);
	ck_assert_int_eq(infer_graph(g, &err), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, words) != NULL, "'%s' has no '%s'", err.msg, words);
	ck_assert_msg(strncmp(err.msg, "node '", 6) == 0, "no node is named: '%s'", err.msg);
}

/* The graph computes the same after rewrite() as before. */
static inline void expect_same_results(void (*rewrite)(void))
{
	struct arena *arena = arena_new(1 << 16, 0);
	check_and_infer();
	struct model_results before = model_run(g, 7, arena);
	rewrite();
	struct model_results after = model_run(g, 7, arena);
	ck_assert_int_eq(after.n, before.n);
	for (int i = 0; i < after.n; i++)
		ck_assert_int_eq(
			model_first_difference(&after.t[i], &before.t[i], 1e-5, 1e-6), -1);
	arena_free(arena);
}

/* So many nodes are left by the passes, and the results are the same. */
static inline void expect_nodes(int nodes)
{
	expect_same_results(run_cpu_passes);
	ck_assert_int_eq(model_count(g, OP_NONE), nodes);
}
