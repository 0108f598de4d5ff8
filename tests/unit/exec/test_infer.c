/* SPDX-License-Identifier: Apache-2.0 */
/* What the infer functions make of whole small graphs: shapes, names, complaints. */
#include <stdio.h>
#include <string.h>
#include "support/graph_case.h"

START_TEST(elementwise_shapes_broadcast)
{
	expect_shape(MODEL_NODE(g, OP_ADD, f32(shape_of(4, 1, 3)), f32(shape_of(5, 1))), "[4,5,3]");
}
END_TEST

START_TEST(elementwise_refuses_two_types)
{
	expect_error(MODEL_NODE(g, OP_ADD, f32(shape_of(4)), i64(shape_of(4))),
		"input 0 is float32 and input 1 is int64");
}
END_TEST

START_TEST(elementwise_refuses_what_does_not_broadcast)
{
	expect_error(MODEL_NODE(g, OP_MUL, f32(shape_of(4)), f32(shape_of(3))), "do not broadcast");
}
END_TEST

START_TEST(a_type_that_the_operator_lacks_is_named)
{
	expect_error(MODEL_NODE(g, OP_SQRT, i64(shape_of(4))),
		"input 0 is int64, it must be float32, float16, float64 or bfloat16");
}
END_TEST

START_TEST(matmul_has_numpy_shapes)
{
	static const struct {
		struct shape a, b;
		const char *out;
	} cases[] = {
		{ { 2, { 2, 3 } }, { 2, { 3, 4 } }, "[2,4]" },
		{ { 1, { 3 } }, { 2, { 3, 4 } }, "[4]" },
		{ { 2, { 2, 3 } }, { 1, { 3 } }, "[2]" },
		{ { 1, { 3 } }, { 1, { 3 } }, "[]" },
		{ { 4, { 7, 1, 2, 3 } }, { 3, { 5, 3, 4 } }, "[7,5,2,4]" },
		{ { 3, { 0, 2, 3 } }, { 2, { 3, 4 } }, "[0,2,4]" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		teardown();
		setup();
		expect_shape(
			MODEL_NODE(g, OP_MATMUL, f32(cases[i].a), f32(cases[i].b)), cases[i].out);
	}
}
END_TEST

START_TEST(gemm_names_the_dimensions_that_differ)
{
	int32_t y = MODEL_NODE(g, OP_GEMM, f32(shape_of(2, 3)), f32(shape_of(3, 4)));
	model_attr_int(g, "transB", 1);
	expect_error(y, "their inner dimensions are 3 and 4");
}
END_TEST

/* kernel 3: in, stride, dilation, pads, auto_pad, ceil_mode -> out */
struct window_case {
	int64_t in, stride, dilation, begin, end;
	const char *auto_pad;
	int ceil_mode;
	const char *out;
};

static const struct window_case windows[] = {
	{ 5, 1, 1, 0, 0, "NOTSET", 0, "[1,1,3]" },
	{ 5, 2, 1, 1, 1, "NOTSET", 0, "[1,1,3]" },
	{ 7, 1, 3, 0, 0, "NOTSET", 0, "[1,1,1]" },
	{ 6, 2, 1, 0, 0, "NOTSET", 0, "[1,1,2]" },
	{ 6, 2, 1, 0, 0, "NOTSET", 1, "[1,1,3]" },
	/* the third window would start in the right padding */
	{ 4, 3, 1, 1, 2, "NOTSET", 1, "[1,1,2]" },
	{ 6, 2, 1, 0, 0, "VALID", 0, "[1,1,2]" },
	{ 6, 2, 1, 0, 0, "VALID", 1, "[1,1,2]" },
	{ 6, 2, 1, 0, 0, "SAME_UPPER", 0, "[1,1,3]" },
	{ 7, 2, 1, 0, 0, "SAME_LOWER", 0, "[1,1,4]" },
};

START_TEST(pools_have_an_output_for_each_window)
{
	const struct window_case *c = &windows[_i];
	int32_t y = MODEL_NODE(g, OP_MAX_POOL, f32(shape_of(1, 1, c->in)));
	MODEL_ATTR_INTS(g, "kernel_shape", 3);
	MODEL_ATTR_INTS(g, "strides", c->stride);
	MODEL_ATTR_INTS(g, "dilations", c->dilation);
	MODEL_ATTR_INTS(g, "pads", c->begin, c->end);
	model_attr_string(g, "auto_pad", c->auto_pad);
	model_attr_int(g, "ceil_mode", c->ceil_mode);
	expect_shape(y, c->out);
}
END_TEST

START_TEST(conv_counts_groups_and_pads)
{
	int32_t y = MODEL_NODE(g, OP_CONV, f32(shape_of(2, 6, 9, 8)), f32(shape_of(8, 3, 3, 3)),
		f32(shape_of(8)));
	model_attr_int(g, "group", 2);
	MODEL_ATTR_INTS(g, "pads", 1, 0, 1, 0);
	expect_shape(y, "[2,8,9,6]");
}
END_TEST

START_TEST(conv_keeps_the_name_of_a_dimension_that_it_keeps)
{
	int64_t h = graph_symbol(g, SLICE_LIT("h"));
	int32_t x = f32(shape_of(1, 4, h, h));
	int32_t same = MODEL_NODE(g, OP_CONV, x, f32(shape_of(4, 4, 3, 3)));
	MODEL_ATTR_INTS(g, "pads", 1, 1, 1, 1);
	int32_t half = MODEL_NODE(g, OP_CONV, same, f32(shape_of(4, 4, 3, 3)));
	MODEL_ATTR_INTS(g, "pads", 1, 1, 1, 1);
	MODEL_ATTR_INTS(g, "strides", 2, 2);
	int32_t other = MODEL_NODE(g, OP_CONV, x, f32(shape_of(4, 4, 1, 1)));
	MODEL_ATTR_INTS(g, "strides", 2, 2);
	int32_t y = MODEL_NODE(g, OP_ADD, half, other);
	expect_shape(y, "[1,4,?,?]");
	ck_assert_int_eq(g->value[same].shape.dim[2], h);
	ck_assert_int_ne(g->value[half].shape.dim[2], DIM_UNKNOWN);
	ck_assert_int_ne(g->value[half].shape.dim[2], h);
	ck_assert(shape_equal(&g->value[half].shape, &g->value[other].shape));
	ck_assert(shape_equal(&g->value[half].shape, &g->value[y].shape));
}
END_TEST

struct bad_attr {
	const char *name;
	int64_t v;
	const char *words;
};

/* M20 */
static const struct bad_attr bad_conv[] = {
	{ "strides", 0, "strides[0] is 0" },
	{ "dilations", 0, "dilations[0] is 0" },
	{ "strides", -1, "strides[0] is -1" },
	{ "kernel_shape", 0, "kernel_shape[0] is 0" },
	{ "kernel_shape", 5, "kernel_shape[0] is 5, weights W are [4,2,3,3]" },
};

START_TEST(m20_conv_attributes)
{
	const struct bad_attr *b = &bad_conv[_i];
	int32_t y = MODEL_NODE(g, OP_CONV, f32(shape_of(1, 2, 8, 8)), f32(shape_of(4, 2, 3, 3)));
	MODEL_ATTR_INTS(g, b->name, b->v, b->v);
	expect_error(y, b->words);
}
END_TEST

START_TEST(m20_conv_pads)
{
	int32_t y = MODEL_NODE(g, OP_CONV, f32(shape_of(1, 2, 8, 8)), f32(shape_of(4, 2, 3, 3)));
	MODEL_ATTR_INTS(g, "pads", 0, -1, 0, 0);
	expect_error(y, "pads[1] is -1");
}
END_TEST

START_TEST(m20_conv_group_divides_channels)
{
	int32_t y = MODEL_NODE(g, OP_CONV, f32(shape_of(1, 4, 8, 8)), f32(shape_of(5, 2, 3, 3)));
	model_attr_int(g, "group", 2);
	expect_error(y, "group 2 must divide");
}
END_TEST

START_TEST(m20_conv_channels_agree)
{
	expect_error(
		MODEL_NODE(g, OP_CONV, f32(shape_of(1, 3, 8, 8)), f32(shape_of(4, 2, 3, 3))),
		"input X is [1,3,8,8], but weights W are [4,2,3,3]");
}
END_TEST

START_TEST(m20_conv_kernel_fits)
{
	expect_error(
		MODEL_NODE(g, OP_CONV, f32(shape_of(1, 2, 2, 8)), f32(shape_of(4, 2, 3, 3))),
		"the kernel spans 3 of spatial axis 0, more than the padded input's 2");
}
END_TEST

START_TEST(m20_pool_kernel_zero)
{
	int32_t y = MODEL_NODE(g, OP_AVERAGE_POOL, f32(shape_of(1, 2, 8, 8)));
	MODEL_ATTR_INTS(g, "kernel_shape", 0, 0);
	expect_error(y, "kernel_shape[0] is 0");
}
END_TEST

START_TEST(m20_softmax_axis)
{
	int32_t y = MODEL_NODE(g, OP_SOFTMAX, f32(shape_of(2, 3)));
	model_attr_int(g, "axis", 2);
	expect_error(y, "axis is 2, it must be in [-2,1]");
}
END_TEST

START_TEST(m20_perm_is_a_permutation)
{
	int32_t y = MODEL_NODE(g, OP_TRANSPOSE, f32(shape_of(2, 3, 4)));
	MODEL_ATTR_INTS(g, "perm", 0, 2, 2);
	expect_error(y, "perm[2] is 2: perm is no permutation");
}
END_TEST

START_TEST(m20_slice_step_zero)
{
	expect_error(MODEL_NODE(g, OP_SLICE, f32(shape_of(9)), MODEL_INTS(g, 0), MODEL_INTS(g, 9),
			     MODEL_INTS(g, 0), MODEL_INTS(g, 0)),
		"steps[0] is 0");
}
END_TEST

START_TEST(m20_epsilon_negative)
{
	int32_t c = f32(shape_of(3));
	int32_t y = MODEL_NODE(g, OP_BATCH_NORM, f32(shape_of(2, 3, 4)), c, c, c, c);
	model_attr_float(g, "epsilon", -1e-5f);
	expect_error(y, "epsilon is -1e-05");
}
END_TEST

START_TEST(one_axis_may_ask_for_too_much_of_another)
{
	int32_t y = MODEL_NODE(g, OP_RESIZE, f32(shape_of(1, INT64_C(1) << 40)), VALUE_NONE,
		VALUE_NONE, MODEL_INTS(g, INT64_C(1) << 48, 1));
	model_attr_string(g, "keep_aspect_ratio_policy", "not_smaller");
	expect_error(y, "sizes[1] is 1: axis 1 of size 1099511627776 becomes 3.");
}
END_TEST

START_TEST(m20_resize_scale_zero)
{
	expect_error(MODEL_NODE(g, OP_RESIZE, f32(shape_of(1, 1, 4, 4)), VALUE_NONE,
			     model_floats(g, shape_of(4), (float[]){ 1, 1, 0, 2 })),
		"scales[2] is 0");
}
END_TEST

START_TEST(m20_gather_index_out_of_range)
{
	expect_error(MODEL_NODE(g, OP_GATHER, f32(shape_of(4, 2)), MODEL_INTS(g, 0, 4)),
		"index 4 is out of range for a dimension of 4");
}
END_TEST

START_TEST(m14_a_product_of_dimensions_that_overflows)
{
	expect_error(MODEL_NODE(g, OP_EXPAND, f32(shape_of(1, 1)),
			     MODEL_INTS(g, INT64_C(1) << 40, INT64_C(1) << 40)),
		"too large");
}
END_TEST

/* start, end, step of an axis of 10 -> count */
static const int64_t slices[][4] = {
	{ 0, 10, 1, 10 },
	{ 2, 5, 1, 3 },
	{ -3, INT64_MAX, 1, 3 },
	{ 0, -1, 2, 5 },
	{ 9, 0, -1, 9 },
	{ INT64_MAX, INT64_MIN, -1, 10 },
	{ 20, 5, -2, 2 },
	{ 5, 2, 1, 0 },
	{ 0, 10, INT64_MAX, 1 },
	{ 9, INT64_MIN, INT64_MIN, 1 },
};

START_TEST(slices_have_what_lies_between_their_ends)
{
	const int64_t *c = slices[_i];
	char want[32];
	snprintf(want, sizeof(want), "[3,%lld]", (long long)c[3]);
	expect_shape(MODEL_NODE(g, OP_SLICE, f32(shape_of(3, 10)), MODEL_INTS(g, c[0]),
		       MODEL_INTS(g, c[1]), MODEL_INTS(g, -1), MODEL_INTS(g, c[2])),
		want);
}
END_TEST

START_TEST(reshape_zero_copies_and_minus_one_fills)
{
	expect_shape(MODEL_NODE(g, OP_RESHAPE, f32(shape_of(2, 6, 4)), MODEL_INTS(g, 0, -1, 3)),
		"[2,8,3]");
}
END_TEST

START_TEST(reshape_keeps_a_batch_dimension_that_cancels)
{
	int64_t n = graph_symbol(g, SLICE_LIT("batch"));
	int32_t y = MODEL_NODE(g, OP_RESHAPE, f32(shape_of(n, 6, 4)), MODEL_INTS(g, -1, 24));
	expect_shape(y, "[?,24]");
	ck_assert_int_eq(g->value[y].shape.dim[0], n);
}
END_TEST

START_TEST(reshape_refuses_another_number_of_elements)
{
	expect_error(MODEL_NODE(g, OP_RESHAPE, f32(shape_of(2, 6)), MODEL_INTS(g, 5, 3)),
		"input is [2,6], which cannot be reshaped to [5,3]");
}
END_TEST

START_TEST(reshape_refuses_a_remainder)
{
	expect_error(MODEL_NODE(g, OP_RESHAPE, f32(shape_of(2, 6)), MODEL_INTS(g, 5, -1)),
		"no number at 1 makes shape");
}
END_TEST

START_TEST(a_computed_shape_keeps_names_and_numbers)
{
	int64_t n = graph_symbol(g, SLICE_LIT("batch"));
	int32_t x = f32(shape_of(n, 6, 4));
	int32_t dim = MODEL_NODE(g, OP_GATHER, MODEL_NODE(g, OP_SHAPE, x),
		model_int64s(g, SHAPE_SCALAR, (int64_t[]){ 0 }));
	int32_t list = MODEL_NODE(g, OP_CONCAT,
		MODEL_NODE(g, OP_UNSQUEEZE, dim, MODEL_INTS(g, 0)), MODEL_INTS(g, 2, -1));
	model_attr_int(g, "axis", 0);
	int32_t y = MODEL_NODE(g, OP_RESHAPE, x, list);
	expect_shape(y, "[?,2,12]");
	ck_assert_int_eq(g->value[y].shape.dim[0], n);
}
END_TEST

START_TEST(an_unnamed_dimension_of_an_input_is_equal_to_itself)
{
	int32_t x = f32(shape_of(DIM_UNKNOWN, 8));
	int32_t y = MODEL_NODE(g, OP_ADD, MODEL_NODE(g, OP_RELU, x), x);
	expect_shape(y, "[?,8]");
	ck_assert_int_eq(g->value[y].shape.dim[0], graph_symbol(g, SLICE_LIT("?v0.0")));
}
END_TEST

START_TEST(reductions_follow_their_axes)
{
	expect_shape(MODEL_NODE(g, OP_REDUCE_MEAN, f32(shape_of(2, 3, 4)), MODEL_INTS(g, -1, 0)),
		"[1,3,1]");
}
END_TEST

START_TEST(reductions_without_axes_take_all)
{
	int32_t y = MODEL_NODE(g, OP_REDUCE_SUM, f32(shape_of(2, 3, 4)));
	model_attr_int(g, "keepdims", 0);
	expect_shape(y, "[]");
}
END_TEST

START_TEST(split_shares_evenly_with_a_smaller_last)
{
	int32_t y = MODEL_NODE_OUT(g, OP_SPLIT, 3, f32(shape_of(7, 2)));
	model_attr_int(g, "num_outputs", 3);
	model_output(g, y);
	expect_shape(y + 2, "[1,2]");
	ck_assert_str_eq(SHAPE_TEXT(&g->value[y].shape), "[3,2]");
}
END_TEST

struct einsum_case {
	const char *equation;
	struct shape a, b;
	const char *out;
};

static const struct einsum_case einsums[] = {
	{ "ij,jk->ik", { 2, { 2, 3 } }, { 2, { 3, 4 } }, "[2,4]" },
	{ "ij,jk", { 2, { 2, 3 } }, { 2, { 3, 4 } }, "[2,4]" },
	{ " b i j , b j k -> b i k", { 3, { 5, 2, 3 } }, { 3, { 5, 3, 4 } }, "[5,2,4]" },
	{ "...ij,...jk", { 4, { 7, 1, 2, 3 } }, { 3, { 5, 3, 4 } }, "[7,5,2,4]" },
	{ "ii,j->j", { 2, { 3, 3 } }, { 1, { 9 } }, "[9]" },
	{ "i,i->", { 1, { 3 } }, { 1, { 3 } }, "[]" },
	{ "ba,c", { 2, { 2, 3 } }, { 1, { 4 } }, "[3,2,4]" },
};

START_TEST(einsum_equations_say_the_shape)
{
	const struct einsum_case *c = &einsums[_i];
	int32_t y = MODEL_NODE(g, OP_EINSUM, f32(c->a), f32(c->b));
	model_attr_string(g, "equation", c->equation);
	expect_shape(y, c->out);
}
END_TEST

static const struct einsum_case bad_einsums[] = {
	{ "ij->ik", { 2, { 2, 3 } }, { 2, { 3, 4 } }, "fewer terms" },
	{ "ij,jk,k->i", { 2, { 2, 3 } }, { 2, { 3, 4 } }, "more terms" },
	{ "ij,jk->iz", { 2, { 2, 3 } }, { 2, { 3, 4 } }, "letter that no input has" },
	{ "ij,jk->ii", { 2, { 2, 3 } }, { 2, { 3, 4 } }, "letter twice" },
	{ "ij,jk", { 2, { 2, 3 } }, { 2, { 5, 4 } }, "dimension 0 of input 1 is 5" },
	{ "i,jk", { 2, { 2, 3 } }, { 2, { 5, 4 } }, "does not have its input's rank" },
	{ "......ij,jk", { 2, { 2, 3 } }, { 2, { 5, 4 } }, "two ellipses" },
	{ "i?,jk", { 2, { 2, 3 } }, { 2, { 5, 4 } }, "rank" },
	{ "", { 2, { 2, 3 } }, { 2, { 5, 4 } }, "rank" },
};

START_TEST(nonsense_equations_are_refused)
{
	const struct einsum_case *c = &bad_einsums[_i];
	int32_t y = MODEL_NODE(g, OP_EINSUM, f32(c->a), f32(c->b));
	model_attr_string(g, "equation", c->equation);
	expect_error(y, c->out);
}
END_TEST

static struct graph *branch(const char *name, enum op_id op)
{
	struct graph *body = model_body(g, name);
	model_output(body, MODEL_NODE(body, op, model_capture(body)));
	return body;
}

START_TEST(if_branches_see_what_they_capture)
{
	int32_t cond = model_input(g, "cond", DTYPE_BOOL, SHAPE_SCALAR);
	int32_t x = f32(shape_of(3, 4));
	struct graph *then_branch = branch("then", OP_RELU);
	int32_t y = MODEL_NODE(g, OP_IF, cond, x, x);
	model_attr_graph(g, "then_branch", then_branch);
	model_attr_graph(g, "else_branch", branch("else", OP_NEG));
	expect_shape(y, "[3,4]");
	ck_assert_int_eq(then_branch->value[then_branch->output[0]].type.dtype, DTYPE_F32);
}
END_TEST

START_TEST(if_branches_give_one_type)
{
	int32_t cond = model_input(g, "cond", DTYPE_BOOL, SHAPE_SCALAR);
	int32_t x = f32(shape_of(3, 4)), y = MODEL_NODE(g, OP_IF, cond, x, x);
	model_attr_graph(g, "then_branch", branch("then", OP_RELU));
	model_attr_graph(g, "else_branch", branch("else", OP_SHAPE));
	expect_error(y, "output 0 is float32 in then_branch, int64 in else_branch");
}
END_TEST

/* 2^32 + 6 is 6 as int32, which a Reshape may be told. */
START_TEST(a_number_that_its_type_wraps_is_not_known)
{
	int32_t large = MODEL_NODE(g, OP_CAST, MODEL_INTS(g, (INT64_C(1) << 32) + 6));
	model_attr_int(g, "to", DTYPE_I32);
	int32_t list = MODEL_NODE(g, OP_CAST, large);
	model_attr_int(g, "to", DTYPE_I64);
	expect_shape(MODEL_NODE(g, OP_RESHAPE, f32(shape_of(2, 3)), list), "[?]");
}
END_TEST

START_TEST(if_branches_have_no_inputs_of_their_own)
{
	int32_t cond = model_input(g, "cond", DTYPE_BOOL, SHAPE_SCALAR);
	int32_t x = f32(shape_of(3, 4)), y = MODEL_NODE(g, OP_IF, cond, x, x);
	struct graph *then_branch = branch("then", OP_RELU);
	model_input(then_branch, "own", DTYPE_F32, shape_of(3, 4));
	model_attr_graph(g, "then_branch", then_branch);
	model_attr_graph(g, "else_branch", branch("else", OP_NEG));
	expect_error(y, "then_branch has 1 inputs and else_branch 0, they must have none");
}
END_TEST

/* A Loop that makes of v, which begins as x, v op other. */
static int32_t loop_of(struct shape declared, enum op_id op, int32_t x, int32_t other)
{
	struct graph *body = model_body(g, "body");
	model_input(body, "round", DTYPE_I64, SHAPE_SCALAR);
	int32_t go = model_input(body, "go", DTYPE_BOOL, SHAPE_SCALAR);
	int32_t v = model_input(body, "v", DTYPE_F32, declared);
	int32_t made = MODEL_NODE(body, op, v, model_capture(body));
	if (op == OP_CONCAT)
		model_attr_int(body, "axis", 0);
	model_output(body, go);
	model_output(body, made);
	model_output(body, v);
	int32_t y = MODEL_NODE_OUT(g, OP_LOOP, 2, i64(SHAPE_SCALAR), VALUE_NONE, x, other);
	model_attr_graph(g, "body", body);
	model_output(g, y);
	model_output(g, y + 1);
	check_and_infer();
	return y;
}

static int32_t loop(enum op_id op, int32_t x, int32_t other)
{
	return loop_of(shape_of(DIM_UNKNOWN, DIM_UNKNOWN), op, x, other);
}

START_TEST(what_comes_out_of_a_loop_as_it_went_in_keeps_its_shape)
{
	int64_t rows = graph_symbol(g, SLICE_LIT("rows"));
	int32_t x = f32(shape_of(rows, 4)), y = loop(OP_ADD, x, f32(shape_of(rows, 4)));
	ck_assert(shape_equal(&g->value[y].shape, &g->value[x].shape));
	ck_assert_int_eq(g->value[y + 1].shape.rank, 3);
	ck_assert_int_eq(g->value[y + 1].shape.dim[1], rows);
}
END_TEST

START_TEST(what_grows_in_a_loop_is_of_no_known_size)
{
	int64_t rows = graph_symbol(g, SLICE_LIT("rows"));
	int32_t y = loop(OP_CONCAT, f32(shape_of(rows, 4)), f32(shape_of(1, 4)));
	ck_assert_int_eq(g->value[y].shape.rank, 2);
	ck_assert_int_ne(g->value[y].shape.dim[0], rows);
	ck_assert_int_lt(g->value[y].shape.dim[0], 0);
	ck_assert_int_ne(g->value[y + 1].shape.dim[1], rows);
}
END_TEST

/* As torchvision's Mask R-CNN has it. */
START_TEST(what_a_loop_declares_of_the_first_round_gives_way)
{
	int32_t y = loop_of(shape_of(0, 4), OP_CONCAT, f32(shape_of(0, 4)), f32(shape_of(1, 4)));
	const struct graph *body = node_graph(&g->node[g->value[y].producer], "body");
	const struct shape *carried = &body->value[body->input[2]].shape;
	ck_assert_int_eq(carried->dim[0], DIM_UNKNOWN);
	ck_assert_int_eq(carried->dim[1], 4);
	ck_assert_int_lt(g->value[y].shape.dim[0], 0);
}
END_TEST

/* No round need be run. */
START_TEST(a_loop_whose_first_round_would_fail_is_sound)
{
	loop(OP_MATMUL, f32(shape_of(2, 3)), f32(shape_of(4, 4)));
}
END_TEST

START_TEST(a_declared_output_that_differs_is_refused)
{
	int32_t y = MODEL_NODE(g, OP_RELU, f32(shape_of(3, 4)));
	g->value[y].shape = shape_of(3, 5);
	model_output(g, y);
	ck_assert_int_eq(infer_graph(g, &err), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, "is declared as [3,5], its node gives [3,4]") != NULL, "%s",
		err.msg);
}
END_TEST

START_TEST(what_a_model_declares_of_shapes_gives_way)
{
	int32_t y = MODEL_NODE(g, OP_RELU, f32(shape_of(3, 4)));
	const char *doubt;
	g->value[y].shape = shape_of(3);
	model_output(g, y);
	ck_assert_int_eq(infer_model(g, &doubt, &err), ERR_OK);
	ck_assert_ptr_nonnull(strstr(doubt, "is declared as [3], its node gives [3,4]"));
	ck_assert_int_eq(g->value[y].shape.rank, 2);
	ck_assert_int_eq(infer_model(g, &doubt, &err), ERR_OK);
	ck_assert_ptr_null(doubt);
	g->value[y].type.dtype = DTYPE_I64;
	ck_assert_int_eq(infer_model(g, &doubt, &err), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(stft_takes_a_window_whose_length_has_a_name)
{
	int64_t n = graph_symbol(g, SLICE_LIT("n"));
	int32_t signal = f32(shape_of(1, 9, 1)), window = f32(shape_of(n));
	expect_shape(MODEL_NODE(g, OP_STFT, signal, MODEL_INTS(g, 1), window), "[1,?,?,2]");
}
END_TEST

START_TEST(stft_refuses_frames_of_no_points)
{
	int32_t signal = f32(shape_of(1, 9, 1)), length = MODEL_INTS(g, -3);
	expect_error(MODEL_NODE(g, OP_STFT, signal, MODEL_INTS(g, 1), VALUE_NONE, length),
		"frames have -3 points, at least 1 is needed");
}
END_TEST

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

Suite *suite_infer(void);
Suite *suite_infer(void)
{
	Suite *s = suite_create("infer");
	TCase *t = tcase_create("shapes");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, stft_takes_a_window_whose_length_has_a_name);
	tcase_add_test(t, stft_refuses_frames_of_no_points);
	tcase_add_test(t, elementwise_shapes_broadcast);
	tcase_add_test(t, elementwise_refuses_two_types);
	tcase_add_test(t, elementwise_refuses_what_does_not_broadcast);
	tcase_add_test(t, a_type_that_the_operator_lacks_is_named);
	tcase_add_test(t, matmul_has_numpy_shapes);
	tcase_add_test(t, gemm_names_the_dimensions_that_differ);
	tcase_add_loop_test(t, pools_have_an_output_for_each_window, 0, COUNT(windows));
	tcase_add_test(t, conv_counts_groups_and_pads);
	tcase_add_test(t, conv_keeps_the_name_of_a_dimension_that_it_keeps);
	tcase_add_loop_test(t, slices_have_what_lies_between_their_ends, 0, COUNT(slices));
	tcase_add_test(t, reshape_zero_copies_and_minus_one_fills);
	tcase_add_test(t, reshape_keeps_a_batch_dimension_that_cancels);
	tcase_add_test(t, reshape_refuses_another_number_of_elements);
	tcase_add_test(t, reshape_refuses_a_remainder);
	tcase_add_test(t, a_computed_shape_keeps_names_and_numbers);
	tcase_add_test(t, an_unnamed_dimension_of_an_input_is_equal_to_itself);
	tcase_add_test(t, reductions_follow_their_axes);
	tcase_add_test(t, reductions_without_axes_take_all);
	tcase_add_test(t, split_shares_evenly_with_a_smaller_last);
	tcase_add_loop_test(t, einsum_equations_say_the_shape, 0, COUNT(einsums));
	tcase_add_loop_test(t, nonsense_equations_are_refused, 0, COUNT(bad_einsums));
	tcase_add_test(t, if_branches_see_what_they_capture);
	tcase_add_test(t, if_branches_give_one_type);
	tcase_add_test(t, if_branches_have_no_inputs_of_their_own);
	tcase_add_test(t, a_number_that_its_type_wraps_is_not_known);
	tcase_add_test(t, what_comes_out_of_a_loop_as_it_went_in_keeps_its_shape);
	tcase_add_test(t, what_grows_in_a_loop_is_of_no_known_size);
	tcase_add_test(t, what_a_loop_declares_of_the_first_round_gives_way);
	tcase_add_test(t, a_loop_whose_first_round_would_fail_is_sound);
	tcase_add_test(t, a_declared_output_that_differs_is_refused);
	tcase_add_test(t, what_a_model_declares_of_shapes_gives_way);
	suite_add_tcase(s, t);

	TCase *bad = tcase_create("bad input");
	tcase_add_checked_fixture(bad, setup, teardown);
	tcase_add_loop_test(bad, m20_conv_attributes, 0, COUNT(bad_conv));
	tcase_add_test(bad, m20_conv_pads);
	tcase_add_test(bad, m20_conv_group_divides_channels);
	tcase_add_test(bad, m20_conv_channels_agree);
	tcase_add_test(bad, m20_conv_kernel_fits);
	tcase_add_test(bad, m20_pool_kernel_zero);
	tcase_add_test(bad, m20_softmax_axis);
	tcase_add_test(bad, m20_perm_is_a_permutation);
	tcase_add_test(bad, m20_slice_step_zero);
	tcase_add_test(bad, m20_epsilon_negative);
	tcase_add_test(bad, m20_resize_scale_zero);
	tcase_add_test(bad, one_axis_may_ask_for_too_much_of_another);
	tcase_add_test(bad, m20_gather_index_out_of_range);
	tcase_add_test(bad, m14_a_product_of_dimensions_that_overflows);
	suite_add_tcase(s, bad);
	return s;
}
