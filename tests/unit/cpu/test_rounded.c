/* SPDX-License-Identifier: Apache-2.0 */
/* What stays in bfloat16 between the steps of a plan, and what does not. */
#include <check.h>
#include <string.h>
#include "exec/backend.h"
#include "exec/cpu/cpu.h"
#include "exec/infer/infer.h"
#include "exec/packs.h"
#include "exec/run/program.h"
#include "support/models.h"

static struct graph *g;
static int32_t x;
static struct err err;

static void setup(void)
{
	g = model_new();
	x = model_input(g, "x", DTYPE_F32, shape_of(1, 32, 9, 9));
}

static void teardown(void)
{
	model_free(g);
}

/* Of as many channels as it gets. */
static int32_t convolved(int32_t v, int64_t group)
{
	int32_t y =
		MODEL_NODE(g, OP_CONV, v, model_floats(g, shape_of(32, 32 / group, 3, 3), NULL));
	model_attr_int(g, "group", group);
	MODEL_ATTR_INTS(g, "pads", 1, 1, 1, 1);
	return y;
}

/* Nothing is timed: convolutions are tiles of bfloat16 if they can be. */
static enum err_code prepare(
	struct prep *p, struct kernel *ret, bool *ret_want_plain, struct err *e)
{
	*ret_want_plain = false;
	enum err_code rc =
		p->node->op == OP_CONV ? prepare_conv_tiles_bf16(p, ret, e) : ERR_UNIMPLEMENTED;
	return rc == ERR_UNIMPLEMENTED ? cpu_prepare(p, ret, ret_want_plain, e) : rc;
}

static void append(void *ctx, const struct step_text *step)
{
	char *all = ctx;
	const char *out = strstr(step->shapes, "-> ");
	strcat(strcat(strcat(all, step->op), strstr(out, "bf16") ? ":bf16" : ""), " ");
}

static void then_steps_are(enum precision precision, const char *want)
{
	char got[400] = "";
	struct backend backend = cpu_backend;
	struct program *p;
	struct packs *packs = packs_new();
	backend.prepare = prepare;
	struct program_conf conf = { .backend = &backend, .packs = packs, .precision = precision,
		.threads = 1 };
	struct tensor in = { .dtype = DTYPE_F32, .shape = shape_of(1, 32, 9, 9) };
	ck_assert_msg(infer_graph(g, &err) == ERR_OK, "%s", err.msg);
	ck_assert_msg(program_new(g, &conf, &p, &err) == ERR_OK, "%s", err.msg);
	ck_assert_msg(program_explain(p, &in, append, got, &err) == ERR_OK, "%s", err.msg);
	ck_assert_str_eq(got, want);
	program_free(p);
	packs_free(packs);
}

START_TEST(convolutions_and_pools_pass_it_on)
{
	int32_t pool = MODEL_NODE(g, OP_MAX_POOL, convolved(x, 1));
	MODEL_ATTR_INTS(g, "kernel_shape", 2, 2);
	model_output(g, MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL, convolved(pool, 1)));
	then_steps_are(PRECISION_BF16, "Conv:bf16 MaxPool:bf16 Conv:bf16 GlobalAveragePool ");
	then_steps_are(PRECISION_FAST, "Conv MaxPool Conv GlobalAveragePool ");
}
END_TEST

START_TEST(outputs_of_the_graph_are_as_they_were)
{
	int32_t y = convolved(x, 1);
	model_output(g, y);
	model_output(g, convolved(y, 1));
	then_steps_are(PRECISION_BF16, "Conv Conv copy copy ");
}
END_TEST

START_TEST(one_who_does_not_take_it_is_enough)
{
	int32_t y = convolved(x, 1);
	model_output(g, MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL, convolved(y, 1)));
	model_output(g, MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL, MODEL_NODE(g, OP_SIGMOID, y)));
	then_steps_are(
		PRECISION_BF16, "Conv Conv:bf16 GlobalAveragePool Sigmoid GlobalAveragePool ");
}
END_TEST

START_TEST(groups_do_not_take_it)
{
	model_output(g, MODEL_NODE(g, OP_GLOBAL_AVERAGE_POOL, convolved(convolved(x, 1), 32)));
	then_steps_are(PRECISION_BF16, "Conv Conv GlobalAveragePool ");
}
END_TEST

/* What is added to a convolution is of its layout, whoever reads the sum. */
START_TEST(sums_are_as_what_is_added)
{
	int32_t first = convolved(x, 1), w = model_floats(g, shape_of(32, 32, 1, 1), NULL);
	int32_t sum = MODEL_NODE(g, OP_FUSED_CONV, convolved(first, 1), w, VALUE_NONE, first);
	model_output(g, MODEL_NODE(g, OP_SIGMOID, sum));
	then_steps_are(PRECISION_BF16, "Conv:bf16 Conv:bf16 FusedConv Sigmoid copy ");
}
END_TEST

Suite *suite_rounded(void);
Suite *suite_rounded(void)
{
	Suite *s = suite_create("rounded");
	TCase *t = tcase_create("rounded");
	tcase_add_checked_fixture(t, setup, teardown);
	if (cpu_features() & CPU_BF16) {
		tcase_add_test(t, convolutions_and_pools_pass_it_on);
		tcase_add_test(t, outputs_of_the_graph_are_as_they_were);
		tcase_add_test(t, one_who_does_not_take_it_is_enough);
		tcase_add_test(t, groups_do_not_take_it);
		tcase_add_test(t, sums_are_as_what_is_added);
	}
	suite_add_tcase(s, t);
	return s;
}
