/* SPDX-License-Identifier: Apache-2.0 */
/* Models as wholes: scopes, bodies, functions, versions, and what is refused: rows M2, M3,
   M5 to M13, M15, M21, M22 of the bad inputs. */
#include <check.h>
#include <stdlib.h>
#include "loader/onnx/onnx.h"
#include "loader/version.h"
#include "support/arena_case.h"
#include "support/onnx_text.h"

static struct onnx_model model;

static enum err_code parse_proto(const Onnx__ModelProto *m)
{
	return onnx_parse(onnx_text_pack(arena, &m->base), -1, NULL, arena, &model, &err);
}

static enum err_code parse(const char *text)
{
	return parse_proto(onnx_text_model(arena, text));
}

static void expect_graph(const char *text, const char *graph)
{
	ck_assert_msg(parse(text) == ERR_OK, "%s\n%s", text, err.msg);
	ck_assert_str_eq(onnx_text_graph(arena, model.graph), graph);
}

static void expect_refused(const char *text, enum err_code code, const char *says)
{
	enum err_code rc = parse(text);
	ck_assert_msg(rc == code, "%s\nis %d, not %d: %s", text, rc, code, err.msg);
	ck_assert_msg(strstr(err.msg, says), "%s\nsays: %s", text, err.msg);
}

#define HEAD "opset 17\nin x float32 [N,4]\n"

static const char small_model[] = HEAD
	"init w float32 [4,2] 1 2 3 4 5 6 7 8\ninit b float32 [2] 1 2\nmeta author nobody\n"
	"node MatMul x,w -> p\nnode Add p,b -> q\nnode Constant - -> k value_float=0.5\n"
	"node Mul q,k -> r\nnode Relu r -> y\nout y float32 [N,2]\n";

/* -- what is read ------------------------------------------------------------------------------ */

START_TEST(a_model_becomes_a_graph)
{
	expect_graph(small_model,
		"MatMul(x, w) -> p\nAdd(p, b) -> q\nMul(q, k) -> r\nRelu(r) -> y\n");
	const struct graph *g = model.graph;
	ck_assert_int_eq(model.ir_version, 8);
	ck_assert_int_eq(model.opset, 17);
	ck_assert_int_eq(model.n_prop, 1);
	ck_assert_str_eq(model.prop[0].value, "nobody");
	ck_assert_int_eq(g->n_input, 1);
	const struct gvalue *x = &g->value[g->input[0]];
	ck_assert_int_eq(x->type.dtype, DTYPE_F32);
	ck_assert_int_eq(x->shape.dim[0], g->value[g->output[0]].shape.dim[0]);
	ck_assert_str_eq(g->symbol[DIM_SYMBOL_INDEX(x->shape.dim[0])], "N");
	ck_assert_int_eq(x->shape.dim[1], 4);
}
END_TEST

START_TEST(an_opset_import_may_be_there_twice_if_it_says_the_same)
{
	expect_graph(HEAD "opset 17\nnode Relu x -> y\nout y\n", "Relu(x) -> y\n");
	expect_graph(HEAD "opset ai.onnx 17\nnode Relu x -> y\nout y\n", "Relu(x) -> y\n");
}
END_TEST

/* tf2onnx writes such. */
START_TEST(microsofts_domain_needs_no_import)
{
	expect_graph(
		HEAD "node com.microsoft:QuickGelu x -> y\nout y\n", "Swish(x) alpha=1.702 -> y\n");
}
END_TEST

START_TEST(an_initializer_of_an_inputs_name_makes_it_constant)
{
	expect_graph(
		"ir 3\nopset 7\nin x float32 [4]\nin w float32 [4]\ninit w float32 [4] 1 2 3 4\n"
		"node Add x,w -> y\nout y\n",
		"Add(x, w) -> y\n");
	ck_assert_int_eq(model.graph->n_input, 1);
	expect_refused("ir 8\nopset 7\nin w float32 [5]\ninit w float32 [4] 1 2 3 4\n"
		       "node Relu w -> y\nout y\n",
		ERR_INVALID_ARGUMENT, "the input of that name is not");
	expect_refused("ir 8\nopset 7\nin w int32 [4]\ninit w float32 [4] 1 2 3 4\n"
		       "node Relu w -> y\nout y\n",
		ERR_INVALID_ARGUMENT, "the input of that name is not");
}
END_TEST

START_TEST(every_form_of_constant_is_read)
{
	static const struct {
		const char *attr;
		enum dtype dtype;
		int rank;
		double first;
	} rows[] = { { "value_int=3", DTYPE_I64, 0, 3 }, { "value_ints=[4,5]", DTYPE_I64, 1, 4 },
		{ "value_float=1.5", DTYPE_F32, 0, 1.5 },
		{ "value_floats=[2.5,1.0]", DTYPE_F32, 1, 2.5 }, { "value=$w", DTYPE_F32, 1, 7 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(parse(arena_printf(arena,
				      HEAD "init w float32 [1] 7\nnode Constant - -> c %s\n"
					   "node Relu c -> y\nout y\n",
				      rows[i].attr)) == ERR_OK,
			"%s: %s", rows[i].attr, err.msg);
		const struct node *n = &model.graph->node[0];
		const struct tensor *t = model.graph->value[n->in[0]].constant;
		ck_assert_int_eq(t->dtype, rows[i].dtype);
		ck_assert_int_eq(t->shape.rank, rows[i].rank);
		ck_assert(tensor_float(t, 0) == rows[i].first);
	}
	ck_assert_int_eq(parse(HEAD "node Constant - -> c value_string=\"hi\"\nnode Identity c -> "
				    "y\nout y string\n"),
		ERR_OK);
	const struct tensor *t = model.graph->value[model.graph->node[0].in[0]].constant;
	ck_assert(slice_is(*(struct slice *)t->data, "hi"));
}
END_TEST

#define IF_MODEL \
	"opset 17\nin c bool []\nin x float32 [4]\ninit k float32 [4] 1 2 3 4\n" \
	"body yes\nnode Add x,k -> a\nout a\nend\n" \
	"body no\nnode Mul h,h -> b\nout b\nend\n" \
	"node Relu x -> h\nnode If c -> y then_branch=@yes else_branch=@no\nout y float32 [4]\n"

START_TEST(a_body_may_declare_its_output_of_an_empty_type)
{
	Onnx__TypeProto nothing = ONNX__TYPE_PROTO__INIT;
	Onnx__ModelProto *m = onnx_text_model(arena, IF_MODEL);
	Onnx__NodeProto *n = m->graph->node[1];
	for (size_t i = 0; i < n->n_attribute; i++)
		n->attribute[i]->g->output[0]->type = &nothing;
	ck_assert_msg(parse_proto(m) == ERR_OK, "%s", err.msg);
	/* Not so those of the main graph, which are the interface. */
	m->graph->output[0]->type = &nothing;
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "has no type"));
}
END_TEST

START_TEST(a_body_says_what_it_captures)
{
	/* x by the first, h by the second; k is a constant and is shared. */
	expect_graph(IF_MODEL, "Relu(x) -> h\nIf(c, x, h) then_branch=@yes else_branch=@no -> y\n");
	const struct node *n = &model.graph->node[1];
	const struct graph *yes = node_graph(n, "then_branch"), *no = node_graph(n, "else_branch");
	ck_assert_int_eq(yes->n_capture, 1);
	ck_assert_int_eq(no->n_capture, 1);
	ck_assert_str_eq(yes->value[yes->capture[0]].name, "x");
	ck_assert_str_eq(onnx_text_graph(arena, yes), "Add(x, k) -> a\n");
	ck_assert_ptr_eq(yes->parent, model.graph);
	ck_assert_ptr_eq(yes->value[yes->node[0].in[1]].constant,
		model.graph->value[graph_find_value(model.graph, SLICE_LIT("k"))].constant);
}
END_TEST

START_TEST(a_capture_passes_through_the_bodies_between)
{
	expect_graph(
		"opset 17\nin c bool []\nin x float32 [4]\n"
		"body in1\nnode Relu x -> a\nout a\nend\nbody in2\nnode Neg x -> a\nout a\nend\n"
		"body out1\nnode If c -> b then_branch=@in1 else_branch=@in2\nout b\nend\n"
		"body out2\nnode Abs c2 -> b\nout b\nend\n"
		"node Exp x -> c2\nnode If c -> y then_branch=@out1 else_branch=@out2\nout y\n",
		"Exp(x) -> c2\nIf(c, c, x, c2) then_branch=@out1 else_branch=@out2 -> y\n");
	const struct graph *out1 = node_graph(&model.graph->node[1], "then_branch");
	ck_assert_int_eq(out1->n_capture, 2);
	/* x once for each of the inner bodies, through one capture. */
	ck_assert_str_eq(onnx_text_graph(arena, out1),
		"If(c, x, x) then_branch=@in1 else_branch=@in2 -> b\n");
}
END_TEST

#define CALLS(functions, nodes) \
	"opset 17\nopset me 1\nin x float32 [4]\nin z float32 [4]\n" functions nodes "out y\n"

START_TEST(functions_are_inlined)
{
	expect_graph(CALLS("function me AddAbs a,b -> d\nopset 17\nnode Add a,b -> t\nnode Abs t "
			   "-> d\nend\n",
			     "node me:AddAbs x,z -> y\n"),
		"Add(x, z) -> %0\nAbs(%0) -> y\n");
	ck_assert_str_eq(model.graph->node[0].name, "AddAbs/");
	/* Twice, and by another function; names inside do not meet. */
	expect_graph(
		CALLS("function me F a -> d\nopset 17\nnode Abs a -> t\nnode Neg t -> d\nend\n"
		      "function me G a -> d\nopset me 1\nnode me:F a -> t\nnode me:F t -> d\nend\n",
			"node me:G x -> t\nnode Relu t -> y\n"),
		"Abs(x) -> %0\nNeg(%0) -> %1\nAbs(%1) -> %2\nNeg(%2) -> t\nRelu(t) -> y\n");
}
END_TEST

START_TEST(a_function_may_pass_an_input_on_and_use_its_own_opset)
{
	expect_graph(CALLS("function me F a -> d,e\nopset 12\nnode Softmax a -> d axis=0\n"
			   "node Identity a -> t\nend\nfunction me P a -> a\nend\n",
			     "node me:P x -> p\nnode Relu p -> y\n"),
		"Identity(x) -> p\nRelu(p) -> y\n");
	expect_graph(CALLS("function me F a -> d\nopset 12\nnode Squeeze a -> d axes=[0]\nend\n",
			     "node me:F x -> y\n"),
		"Squeeze(x, {0}) -> y\n");
}
END_TEST

START_TEST(an_input_that_a_call_leaves_out_is_absent_inside)
{
	expect_graph(CALLS("function me F a,lo,hi -> d\nopset 17\nnode Clip a,lo,hi -> d\nend\n",
			     "node me:F x,_,z -> p\nnode me:F p -> y\n"),
		"Clip(x, _, z) -> p\nClip(p) -> y\n");
}
END_TEST

START_TEST(attributes_of_a_call_reach_the_body)
{
	expect_graph(CALLS("function me F a -> d k l=7\nopset 17\nnode Concat a,a -> t axis=&k\n"
			   "node Flatten t -> u axis=&l\nnode Flatten u -> d axis=&absent\nend\n"
			   "function me G a -> d q\nopset me 1\nnode me:F a -> d k=&q l=1\nend\n",
			     "node me:F x -> t k=1\nnode me:G t -> y q=0\n"),
		"Concat(x, x) axis=1 -> %0\nFlatten(%0) axis=7 -> %1\nFlatten(%1) -> t\n"
		"Concat(t, t) axis=0 -> %2\nFlatten(%2) axis=1 -> %3\nFlatten(%3) -> y\n");
	expect_refused(CALLS("function me F a -> d k\nopset 17\nnode Abs a -> d\nend\n",
			       "node me:F x -> y\n"),
		ERR_INVALID_ARGUMENT, "'k' is missing");
}
END_TEST

START_TEST(big_constants_of_a_function_are_shared_by_its_calls)
{
	/* 20000 floats: big enough to be used where they were unpacked. */
	Onnx__ModelProto *m = onnx_text_model(arena,
		CALLS("function me F a -> d\nopset 17\nnode Constant - -> k value_floats=[1.0]\n"
		      "node Add a,k -> d\nend\n",
			"node me:F x -> t\nnode me:F t -> y\n"));
	Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;
	int64_t dim = 20000;
	t.dims = &dim;
	t.n_dims = 1;
	t.has_data_type = t.has_raw_data = 1;
	t.data_type = DTYPE_F32;
	t.raw_data = (ProtobufCBinaryData){ 80000, arena_calloc(arena, 1, 80000) };
	Onnx__AttributeProto *a = m->functions[0]->node[0]->attribute[0];
	onnx__attribute_proto__init(a);
	a->name = (char *)"value";
	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
	a->t = &t;
	ck_assert_msg(parse_proto(m) == ERR_OK, "%s", err.msg);
	const struct graph *g = model.graph;
	ck_assert_ptr_eq(g->value[g->node[0].in[1]].constant->data,
		g->value[g->node[1].in[1]].constant->data);
}
END_TEST

START_TEST(words_that_come_again_in_a_list_are_kept_once)
{
	expect_graph("opset 17\nopset ai.onnx.ml 2\nin x string [2]\n"
		     "node ai.onnx.ml:LabelEncoder x -> y keys_strings=[b,aa,b,c,d,e,aa,f] "
		     "values_int64s=[0,1,2,3,4,5,6,7]\nout y int64 [2]\n",
		"LabelEncoder(x) keys_strings=b,aa,b,c,d,e,aa,f values_int64s=0,1,2,3,4,5,6,7 -> "
		"y\n");
	const struct slice *key = model.graph->node[0].attr[0].strings;
	ck_assert_ptr_eq(key[0].ptr, key[2].ptr);
	ck_assert_ptr_ne(key[0].ptr, key[1].ptr);
	ck_assert_ptr_ne(key[1].ptr, key[6].ptr); /* too far back to be looked for */
}
END_TEST

START_TEST(M11_an_output_may_be_an_input_or_a_constant)
{
	expect_graph(HEAD "init k float32 [1] 1\nout x\nout k float32 [1]\n", "");
	ck_assert_int_eq(model.graph->output[0], model.graph->input[0]);
}
END_TEST

/* -- what is refused --------------------------------------------------------------------------- */

static const struct refusal {
	const char *text;
	const char *says;
	enum err_code code;
} refusals[] = {
#define BAD(text, says) { text, says, ERR_INVALID_ARGUMENT }
#define NOT_YET(text, says) { text, says, ERR_UNIMPLEMENTED }
	/* M7, M8 */
	BAD(HEAD "node Add x,y -> y\nout y\n", "made by itself"),
	BAD(HEAD "node Add x,b -> a\nnode Relu a -> b\nout b\n", "topological order"),
	BAD(HEAD "node Relu a -> y\nnode Relu x -> a\nout y\n", "topological order"),
	/* M9 */
	BAD(CALLS("function me A a -> d\nopset me 1\nnode me:B a -> d\nend\n"
		  "function me B a -> d\nopset me 1\nnode me:A a -> d\nend\n",
		  "node me:A x -> y\n"),
		"calls itself"),
	BAD(CALLS("function me A a -> d\nopset me 1\nnode me:A a -> d\nend\n",
		"node me:A x -> y\n"), "calls itself"),
	BAD(CALLS("body t\nnode me:A x -> r\nout r\nend\n"
		  "function me A x -> d\nopset 17\nopset me 1\nnode Cast x -> c to=9\n"
		  "node If c -> d then_branch=@t else_branch=@t\nend\n", "node me:A x -> y\n"),
		"calls itself"),
	/* M10 */
	BAD(HEAD "node Relu x -> y\nnode Abs x -> y\nout y\n", "'y' is defined twice"),
	BAD(HEAD "node Relu x -> x\nout x\n", "'x' is defined twice"),
	BAD(HEAD "in x float32 [4]\nnode Relu x -> y\nout y\n", "'x' is defined twice"),
	BAD(HEAD "init w float32 [0]\ninit w float32 [0]\nnode Relu w -> y\nout y\n",
		"'w' is there twice"),
	BAD(HEAD "node Flatten x -> y axis=1 axis=1\nout y\n", "'axis' is there twice"),
	BAD(HEAD "node Relu x -> y\nout y\nout y\n", "'y' is there twice"),
	BAD(HEAD "meta a 1\nmeta a 2\nnode Relu x -> y\nout y\n", "'a' is there twice"),
	BAD(HEAD "opset 16\nnode Relu x -> y\nout y\n", "is there twice"),
	BAD(HEAD "opset ai.onnx 16\nnode Relu x -> y\nout y\n", "is there twice"),
	BAD(CALLS("function me A a -> a\nend\nfunction me A a -> a\nend\n", "node me:A x -> y\n"),
		"'A' is there twice"),
	/* M11 */
	BAD(HEAD "node Relu nothing -> y\nout y\n", "neither an input"),
	BAD(HEAD "node Relu x -> y\nout nothing\n", "made by no node"),
	BAD(HEAD "node Relu x -> y\n", "0 outputs"),
	BAD(HEAD "node Relu - -> -\nnode Relu x -> y\nout y\n", "has no outputs"),
	BAD(HEAD "node Relu x -> _\nnode Relu x -> y\nout y\n", "0 outputs"),
	BAD(HEAD "node Relu - -> y\nout y\n", "0 inputs"),
	BAD(HEAD "node Relu x,x -> y\nout y\n", "2 inputs"),
	BAD(HEAD "node Add x,_ -> y\nout y\n", "1 inputs"),
	BAD(HEAD "node Where _,x,x -> y\nout y\n", "required"),
	/* M12 */
	BAD(
		"ir 3\nopset 7\nin x float32 [4]\ninit w float32 [4] 1 2 3 4\nnode Add x,w -> "
		"y\nout y\n", "is no input"),
	BAD("ir 0\nopset 17\nin x float32 [4]\nnode Relu x -> y\nout y\n", "no IR version"),
	NOT_YET("ir 99\nopset 17\nin x float32 [4]\nnode Relu x -> y\nout y\n", "IR version 99"),
	NOT_YET("ir 2\nopset 17\nin x float32 [4]\nnode Relu x -> y\nout y\n", "IR version 2"),
	BAD("in x float32 [4]\nnode Relu x -> y\nout y\n", "imports no opset"),
	BAD("opset 0\nin x float32 [4]\nnode Relu x -> y\nout y\n", "opset import"),
	BAD("opset -1\nin x float32 [4]\nnode Relu x -> y\nout y\n", "opset import"),
	NOT_YET("opset 1000000000\nin x float32 [4]\nnode Relu x -> y\nout y\n", "opset 28"),
	BAD(HEAD "node com.example:Foo x -> y\nout y\n", "'com.example' is not imported"),
	NOT_YET(HEAD "opset com.example 1\nnode com.example:Foo x -> y\nout y\n", "'com.example'"),
	BAD("opset ai.onnx.ml 3\nin x float32 [4]\nnode Relu x -> y\nout y\n",
		"'ai.onnx' is not imported"),
	/* M13 */
	NOT_YET(HEAD "node Foo x -> y\nout y\n", "Foo of opset 17"),
	NOT_YET(HEAD "node Upsample x,x -> y\nout y\n", "Upsample of opset 17"),
	BAD(HEAD "node Flatten x -> y axis=1.5\nout y\n", "wrong type"),
	BAD(HEAD "node Concat x,x -> y\nout y\n", "'axis' is missing"),
	BAD(HEAD "node Flatten x -> y axes=1\nout y\n", "no attribute 'axes'"),
	BAD(HEAD "node Flatten x -> y axis=&k\nout y\n", "but is in none"),
	BAD(HEAD "node Constant - -> y\nout y\n", "must have one value"),
	BAD(HEAD "node Constant - -> y value_int=1 value_float=1.0\nout y\n",
		"must have one value"),
	BAD(HEAD "node Constant - -> y value_int=1.0\nout y\n", "must have one value"),
	BAD(HEAD "node Constant x -> y value_int=1\nout y\n", "must have one value"),
	BAD(HEAD "node Constant - -> y value_graph=1\nout y\n", "must have one value"),
	/* M14, M15: shapes of inputs */
	BAD("opset 17\nin x float32 [-2]\nnode Relu x -> y\nout y\n", "a dimension is -2"),
	NOT_YET("opset 17\nin x float32 [1,1,1,1,1,1,1,1,1,1,1,1,1]\nnode Relu x -> y\nout y\n",
		"13 dimensions"),
#undef BAD
#undef NOT_YET
};

START_TEST(M7_to_M15_models_that_are_wrong_are_refused)
{
	const struct refusal *r = &refusals[_i];
	expect_refused(r->text, r->code, r->says);
}
END_TEST

/* A chain of n functions, each calling the next `times` times. */
static const char *chain(int n, int times)
{
	char *text = arena_printf(arena, "opset 17\nopset me 1\nin x float32 [4]\n");
	for (int i = 0; i < n; i++) {
		text = arena_printf(
			arena, "%sfunction me F%d a -> d\nopset me 1\nopset 17\n", text, i);
		for (int k = 0; k + 1 < times; k++)
			text = arena_printf(arena, "%snode me:F%d a -> t%d\n", text, i + 1, k);
		text = arena_printf(arena, "%snode me:F%d a -> d\nend\n", text, i + 1);
	}
	return arena_printf(arena,
		"%sfunction me F%d a -> d\nopset 17\nnode Abs a -> d\nend\nnode me:F0 x -> y\nout "
		"y\n",
		text, n);
}

START_TEST(M9_calls_are_followed_to_64_levels)
{
	ck_assert_msg(parse(chain(63, 1)) == ERR_OK, "%s", err.msg);
	expect_refused(chain(65, 1), ERR_INVALID_ARGUMENT, "nested deeper than 64");
}
END_TEST

START_TEST(M9_calls_that_multiply_are_bounded)
{
	expect_refused(chain(30, 2), ERR_RESOURCE_EXHAUSTED, "more than 1000000 nodes");
}
END_TEST

START_TEST(M13_an_attribute_with_two_values_is_refused)
{
	Onnx__ModelProto *m = onnx_text_model(arena, HEAD "node Flatten x -> y axis=1\nout y\n");
	Onnx__AttributeProto *a = m->graph->node[0]->attribute[0];
	a->has_f = 1;
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "two values"));
	a->has_i = 0;
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "not of the type"));
	a->has_type = 0;
	a->type = 0;
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT); /* a float, by its field */
	a->has_f = 0;
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "no type"));
}
END_TEST

/* Fourteen bodies, each in the one before it. */
static Onnx__ModelProto *given_tower(void)
{
	char *text = arena_printf(arena, "opset 17\nin c bool []\nin x float32 [4]\n"
					 "body b0\nnode Relu x -> v\nout v\nend\n");
	for (int i = 1; i < 14; i++)
		text = arena_printf(arena,
			"%sbody b%d\nnode If c -> v then_branch=@b%d else_branch=@b0\nout v\nend\n",
			text, i, i - 1);
	return onnx_text_model(
		arena, arena_printf(arena,
			       "%snode If c -> y then_branch=@b13 else_branch=@b0\nout y\n", text));
}

START_TEST(M5_bodies_nested_too_deep_are_refused)
{
	Onnx__ModelProto *m = given_tower(), *more = given_tower();
	ck_assert_msg(parse_proto(m) == ERR_OK, "%s", err.msg);
	Onnx__GraphProto *lowest = m->graph;
	while (lowest->node[0]->n_attribute)
		lowest = lowest->node[0]->attribute[0]->g;

	lowest->node[0] = more->graph->node[0];

	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "nested deeper"));
}
END_TEST

/* -- damage ------------------------------------------------------------------------------------ */

START_TEST(M2_a_file_cut_off_anywhere_is_refused_or_whole)
{
	struct slice bytes = onnx_text_pack(arena, &onnx_text_model(arena, small_model)->base);
	size_t refused = 0, passed_at = 0;
	for (size_t n = 0; n < bytes.len; n++) {
		struct arena *own = arena_new(0, 0);
		struct slice part = { malloc(n + 1), n };
		memcpy((char *)part.ptr, bytes.ptr, n);
		if (onnx_parse(part, -1, NULL, own, &model, &err) != ERR_OK)
			refused++;
		else
			passed_at = n;
		free((char *)part.ptr);
		arena_free(own);
	}
	/* The one cut that leaves a model is the one before its metadata, the last field. */
	ck_assert_uint_eq(refused, bytes.len - 1);
	ck_assert_uint_eq(bytes.len - passed_at, 2 + 2 + 6 + 2 + 6);
}
END_TEST

START_TEST(M3_no_flipped_bit_does_harm)
{
	struct slice bytes = onnx_text_pack(arena, &onnx_text_model(arena, small_model)->base);
	char *copy = arena_alloc(arena, bytes.len);
	size_t refused = 0;
	for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
		struct arena *own = arena_new(0, (size_t)1 << 30);
		memcpy(copy, bytes.ptr, bytes.len);
		copy[bit / 8] ^= (char)(1 << bit % 8);
		if (onnx_parse((struct slice){ copy, bytes.len }, -1, NULL, own, &model, &err) !=
			ERR_OK)
			refused++;
		else
			ck_assert_int_eq(graph_check(model.graph, &err), ERR_OK);
		arena_free(own);
	}
	ck_assert_uint_gt(refused, bytes.len);
}
END_TEST

START_TEST(M3_bodies_and_functions_survive_flips_too)
{
	static const char *const texts[] = { IF_MODEL,
		CALLS("function me F a -> d k l=7\nopset 17\nnode Concat a,a -> t axis=&k\n"
		      "node Flatten t -> d axis=&l\nend\n",
			"node me:F x -> y k=1\n"),
		"opset 9\nin x float32 [2,3]\nnode Clip x -> c min=0.0 max=6.0\n"
		"node Softmax c -> s axis=0\nnode Slice s -> y axes=[1] starts=[0] ends=[2]\nout "
		"y\n" };
	struct slice bytes = onnx_text_pack(arena, &onnx_text_model(arena, texts[_i])->base);
	char *copy = arena_alloc(arena, bytes.len);
	for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
		struct arena *own = arena_new(0, (size_t)1 << 30);
		memcpy(copy, bytes.ptr, bytes.len);
		copy[bit / 8] ^= (char)(1 << bit % 8);
		if (onnx_parse((struct slice){ copy, bytes.len }, -1, NULL, own, &model, &err) ==
			ERR_OK)
			ck_assert_int_eq(graph_check(model.graph, &err), ERR_OK);
		arena_free(own);
	}
}
END_TEST

START_TEST(every_failed_allocation_is_an_error)
{
	struct slice bytes = onnx_text_pack(arena, &onnx_text_model(arena, IF_MODEL)->base);
	size_t ceiling = 64 << 10;
	struct arena *own = arena_new(1024, ceiling);
	ck_assert_int_eq(onnx_parse(bytes, -1, NULL, own, &model, &err), ERR_OK);
	size_t needed = arena_held_bytes(own);
	arena_free(own);
	for (size_t c = 1024; c < needed; c += 64) {
		own = arena_new(1024, c);
		ck_assert_int_eq(
			onnx_parse(bytes, -1, NULL, own, &model, &err), ERR_RESOURCE_EXHAUSTED);
		arena_free(own);
	}
}
END_TEST

START_TEST(a_memory_limit_is_kept_wherever_it_strikes)
{
	Onnx__ModelProto *m = onnx_text_model(arena, small_model);
	Onnx__TensorProto *w = m->graph->initializer[1];
	w->n_float_data = 0;
	w->has_raw_data = 1;
	w->raw_data = (ProtobufCBinaryData){ 1 << 20, arena_calloc(arena, 1, 1 << 20) };
	w->dims[0] = 1 << 18;
	struct slice bytes = onnx_text_pack(arena, &m->base);
	bool read = false;
	for (size_t max = 1 << 12; !read; max += 1 << 14) {
		const struct onnx_limits limits = { .memory_bytes_max = max };
		struct arena *own = arena_new(0, 0);
		enum err_code rc = onnx_parse(bytes, -1, &limits, own, &model, &err);
		read = rc == ERR_OK;
		ck_assert_msg(read || rc == ERR_RESOURCE_EXHAUSTED, "%zu: %s", max, err.msg);
		ck_assert_uint_lt(max, 4 << 20);
		arena_free(own);
	}
}
END_TEST

/* -- names and numbers ------------------------------------------------------------------------- */

START_TEST(M21_names_that_are_odd_are_kept_and_giant_ones_refused)
{
	char *giant = arena_calloc(arena, (1 << 20) + 1, 1);
	memset(giant, 'n', 1 << 20);
	Onnx__ModelProto *m = onnx_text_model(arena, HEAD "node Relu x -> y\nout y\n");
	m->graph->input[0]->name = giant;
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "longer than 1024"));
	m = onnx_text_model(arena, HEAD "node Relu x -> y\nout y\n");
	m->graph->node[0]->name = giant;
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);

	m = onnx_text_model(arena, HEAD "node Relu x -> y\nout y\n");
	m->graph->input[0]->name = m->graph->node[0]->input[0] = (char *)"../\"\\\n\x1b[0m";
	ck_assert_int_eq(parse_proto(m), ERR_OK);
	m->graph->input[0]->name = (char *)"";
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);
	m->graph->input[0]->name = (char *)"\xff\xfe";
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(M22_too_many_of_a_kind_are_refused)
{
	Onnx__ModelProto *m = onnx_text_model(arena, HEAD "node Max x -> y\nout y\n");
	size_t n = 100000;
	char **in = ARENA_ARRAY(arena, char *, n);
	Onnx__ValueInfoProto **infos = ARENA_ARRAY(arena, Onnx__ValueInfoProto *, n);
	for (size_t i = 0; i < n; i++) {
		in[i] = (char *)"x";
		infos[i] = m->graph->input[0];
	}
	m->graph->node[0]->input = in;
	m->graph->node[0]->n_input = n;
	ck_assert_int_eq(parse_proto(m), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "at most 16384"));
	m->graph->node[0]->n_input = 1;
	m->graph->input = infos;
	m->graph->n_input = n;
	ck_assert_int_eq(parse_proto(m), ERR_RESOURCE_EXHAUSTED);
}
END_TEST

Suite *suite_onnx(void);
Suite *suite_onnx(void)
{
	Suite *s = suite_create("onnx");
	TCase *t = tcase_create("onnx");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_model_becomes_a_graph);
	tcase_add_test(t, an_opset_import_may_be_there_twice_if_it_says_the_same);
	tcase_add_test(t, microsofts_domain_needs_no_import);
	tcase_add_test(t, an_initializer_of_an_inputs_name_makes_it_constant);
	tcase_add_test(t, every_form_of_constant_is_read);
	tcase_add_test(t, a_body_may_declare_its_output_of_an_empty_type);
	tcase_add_test(t, a_body_says_what_it_captures);
	tcase_add_test(t, a_capture_passes_through_the_bodies_between);
	tcase_add_test(t, functions_are_inlined);
	tcase_add_test(t, a_function_may_pass_an_input_on_and_use_its_own_opset);
	tcase_add_test(t, an_input_that_a_call_leaves_out_is_absent_inside);
	tcase_add_test(t, attributes_of_a_call_reach_the_body);
	tcase_add_test(t, big_constants_of_a_function_are_shared_by_its_calls);
	tcase_add_test(t, M11_an_output_may_be_an_input_or_a_constant);
	tcase_add_loop_test(t, M7_to_M15_models_that_are_wrong_are_refused, 0,
		(int)(sizeof(refusals) / sizeof(refusals[0])));
	tcase_add_test(t, M9_calls_are_followed_to_64_levels);
	tcase_add_test(t, M9_calls_that_multiply_are_bounded);
	tcase_add_test(t, words_that_come_again_in_a_list_are_kept_once);
	tcase_add_test(t, M13_an_attribute_with_two_values_is_refused);
	tcase_add_test(t, M5_bodies_nested_too_deep_are_refused);
	tcase_add_test(t, M2_a_file_cut_off_anywhere_is_refused_or_whole);
	tcase_add_test(t, M3_no_flipped_bit_does_harm);
	tcase_add_loop_test(t, M3_bodies_and_functions_survive_flips_too, 0, 3);
	tcase_add_test(t, every_failed_allocation_is_an_error);
	tcase_add_test(t, a_memory_limit_is_kept_wherever_it_strikes);
	tcase_add_test(t, M21_names_that_are_odd_are_kept_and_giant_ones_refused);
	tcase_add_test(t, M22_too_many_of_a_kind_are_refused);
	suite_add_tcase(s, t);
	return s;
}
