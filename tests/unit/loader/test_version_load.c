/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/warmup_impl.h"
#include "support/onnx_text.h"
#include "support/tempdir.h"

static struct tempdir dir;
static struct arena *arena;
static struct version_conf conf;
static struct version *version;
static struct err err;

static void setup(void)
{
	dir = tempdir_new();
	arena = arena_new(4096, 0);
	conf = (struct version_conf){ .model = "m", .number = 3, .backend = &cpu_backend,
		.max_batch = 8, .threads = 1 };
	version = NULL;
}

static void teardown(void)
{
	version_free(version);
	arena_free(arena);
	tempdir_free(&dir);
}

static void given_model(const char *text)
{
	struct slice bytes = onnx_text_pack(arena, &onnx_text_model(arena, text)->base);
	tempdir_put(&dir, "model.onnx", bytes.ptr, bytes.len);
}

static enum err_code load(void)
{
	version_free(version); /* a test may load more than one */
	version = NULL;
	return version_load(dir.fd, NULL, &conf, &version, &err);
}

static struct signature *loads(const char *text)
{
	given_model(text);
	enum err_code rc = load();
	ck_assert_msg(rc == ERR_OK, "%s", err.msg);
	return &version->sig[0];
}

static void is_unbatched(const struct signature *s, const char *why)
{
	ck_assert(!s->batchable);
	ck_assert_int_eq(s->max_batch, 1);
	ck_assert_str_eq(s->why_not_batchable, why);
}

#define RELU "opset 13\nin x float32 [N,4]\nnode Relu x -> y\nout y float32 [N,4]\n"

/* -- a load ---------------------------------------------------------------------------------- */

START_TEST(a_version_has_its_interface_and_its_figures)
{
	const struct signature *s = loads(RELU "meta owner me\n");
	ck_assert_str_eq(s->name, "serving_default");
	ck_assert_str_eq(s->in[0].name, "x");
	ck_assert_int_eq(s->in[0].type.dtype, DTYPE_F32);
	ck_assert_str_eq(s->in[0].dim_name[0], "N");
	ck_assert_int_eq(s->out[0].shape.dim[1], 4);
	ck_assert_str_eq(version->prop[0].key, "owner");
	ck_assert_str_eq(version->platform, "onnx_onnxv1");
	ck_assert_int_eq(version->number, 3);
	ck_assert_uint_gt(version->memory_bytes, 0);
	ck_assert_ptr_null(version->warning);
	ck_assert_ptr_eq(version_signature(version, SLICE_LIT("")), s);
	ck_assert_ptr_null(version_signature(version, SLICE_LIT("other")));
}
END_TEST

static int seen_states;

static void on_state(void *ctx, enum version_state s)
{
	(void)ctx;
	seen_states = seen_states * 10 + (int)s;
}

START_TEST(a_load_tells_how_far_it_is)
{
	seen_states = 0;
	conf.on_state = on_state;
	loads(RELU);
	ck_assert_int_eq(
		seen_states, VERSION_LOADING * 100 + VERSION_COMPILING * 10 + VERSION_WARMING);
}
END_TEST

START_TEST(m29_a_cancelled_load_ends)
{
	atomic_bool cancel = true;
	conf.cancel = &cancel;
	given_model(RELU);
	ck_assert_int_eq(load(), ERR_CANCELLED);
}
END_TEST

START_TEST(m36_a_load_that_needs_more_memory_than_is_left_is_refused)
{
	conf.memory_bytes_max = 20000;
	given_model("in x float32 [N,100]\nopset 13\ninit one float32 [1] 1\n"
		    "node ConstantOfShape s -> w\ninit s int64 [2] 100 100\n"
		    "node MatMul x,w -> y\nout y float32 [N,100]\n");
	ck_assert_int_eq(load(), ERR_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(a_file_that_is_no_model_is_refused)
{
	tempdir_put_str(&dir, "model.onnx", "not a model");
	ck_assert_int_ne(load(), ERR_OK);
	ck_assert_ptr_null(version);
}
END_TEST

/* -- warm-up --------------------------------------------------------------------------------- */

START_TEST(models_of_others_are_told_what_becomes_of_them)
{
	tempdir_put(&dir, "model.pt", "PK", 2);
	ck_assert_int_eq(load(), ERR_NOT_FOUND);
	ck_assert_str_eq(err.msg,
		"there is no model.signet and no model.onnx; model.pt has to be exported, "
		"by torch.onnx.export");
	ck_assert_int_eq(
		version_load(dir.fd, "model.pt", &conf, &version, &err), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, "model.pt has to be exported, by torch.onnx.export: "), "%s",
		err.msg);
}
END_TEST

START_TEST(a_batch_is_proved_and_its_latencies_learnt)
{
	const struct signature *s = loads(RELU);
	ck_assert_msg(s->batchable, "%s", s->why_not_batchable);
	ck_assert_int_eq(s->max_batch, 8);
	for (int n = 1; n <= 8; n++)
		ck_assert_int_gt(s->latency_ns[n], 0);
}
END_TEST

START_TEST(the_largest_of_the_best_sizes_is_a_part)
{
	/* Sizes 1, 2, 4, 6 are run. */
	ck_assert_int_eq(warmup_best_part((int64_t[]){ 0, 100, 200, 0, 500, 0, 900 }, 6), 2);
	ck_assert_int_eq(warmup_best_part((int64_t[]){ 0, 100, 150, 0, 200, 0, 240 }, 6), 6);
	ck_assert_int_eq(warmup_best_part((int64_t[]){ 0, 100, 206, 0, 480, 0, 900 }, 6), 2);
	ck_assert_int_eq(warmup_best_part((int64_t[]){ 0, 100 }, 1), 1);
}
END_TEST

START_TEST(rows_that_see_each_other_fail_the_proof)
{
	is_unbatched(loads("opset 13\nin x float32 [N,4]\ninit a int64 [1] 0\n"
			   "node ReduceMean x -> m axes=[0] keepdims=1\n"
			   "node Sub x,m -> y\nout y float32 [N,4]\n"),
		"output 'y', element 0 of row 0 is not the same in a batch as alone");
}
END_TEST

/* The columns with a number that is not 0: all of them with the sample, so that the proof alone
   would let it pass. */
#define WIDE \
	"opset 17\nin x float32 [N,3]\ninit one int64 [1] 1\nnode ReduceMax x -> m axes=[0] " \
		"keepdims=0\n" \
	"node Cast m -> c to=9\nnode Compress x,c -> y axis=1\n"

START_TEST(outputs_as_wide_as_data_says_are_no_batch)
{
	is_unbatched(loads(WIDE "out y float32 [N,W]\n"),
		"dimension 1 of output 'y' depends on data, so a row's answer would depend on "
		"its company");
}
END_TEST

START_TEST(what_depends_on_data_inside_may_be_a_batch)
{
	const struct signature *s = loads(WIDE "node ReduceSum y,one -> z\nout z float32 [N,1]\n");
	ck_assert_msg(s->batchable, "%s", s->why_not_batchable);
}
END_TEST

/* As language models with a cache are exported: the mask is as long as both together. */
#define DECODER \
	"opset 13\nin x float32 [N,S,4]\nin mask float32 [N,T]\nin past float32 [N,1,P,4]\n" \
	"init one int64 [1] 1\nnode Squeeze past,one -> p\nnode Concat p,x -> seen axis=1\n" \
	"node Unsqueeze mask,one -> m\nnode MatMul m,seen -> y\nout y float32 [N,1,4]\n"

START_TEST(a_mask_over_past_and_present_is_sampled_as_their_sum)
{
	const struct signature *s = loads(DECODER);
	ck_assert_msg(s->batchable, "%s", s->why_not_batchable);
}
END_TEST

START_TEST(what_has_no_rows_is_served_unbatched_and_says_why)
{
	is_unbatched(loads("opset 13\nin x float32 [1,4]\nnode Relu x -> y\nout y float32 [1,4]\n"),
		"dimension 0 of input 'x' is fixed at 1");
}
END_TEST

START_TEST(inputs_of_different_lengths_are_no_batch)
{
	is_unbatched(loads("opset 13\nin x float32 [N,4]\nin z float32 [M,4]\nnode Relu x -> y\n"
			   "node Relu z -> u\nout y float32 [N,4]\nout u float32 [M,4]\n"),
		"dimension 0 is 'N' for input 'x' and 'M' for input 'z'");
}
END_TEST

/* As tf2onnx and PyTorch name what they do not know. */
START_TEST(an_output_may_call_the_rows_otherwise)
{
	const struct signature *s = loads("opset 13\nin x float32 [N,4]\ninit a int64 [2] -1 2\n"
					  "init b int64 [2] -1 4\nnode Reshape x,a -> r\nnode "
					  "Reshape r,b -> y\nout y float32 [M,4]\n");
	ck_assert_msg(s->batchable, "%s", s->why_not_batchable);
	is_unbatched(loads("opset 13\nin x float32 [N,4]\ninit a int64 [2] -1 2\n"
			   "node Reshape x,a -> y\nout y float32 [M,2]\n"),
		"output 'y' is [2,2] for one row and [6,2] for 3");
}
END_TEST

/* tf2onnx and Paddle2ONNX number what they do not know; a shape that says more is heeded. */
START_TEST(numbered_names_tell_no_inputs_apart)
{
	const struct signature *s =
		loads("opset 13\nin x float32 [unk__12,4]\nin z float32 [unk__13,4]\n"
		      "in w float32 [DynamicDimension.0,4]\nnode Sum x,z,w -> y\nout y float32 "
		      "[unk__14,4]\n");
	ck_assert_msg(s->batchable, "%s", s->why_not_batchable);
	is_unbatched(loads("opset 13\nin x float32 [unk__N,4]\nin z float32 [unk__M,4]\nnode Relu "
			   "x -> y\n"
			   "node Relu z -> u\nout y float32\nout u float32\n"),
		"dimension 0 is 'unk__N' for input 'x' and 'unk__M' for input 'z'");
}
END_TEST

START_TEST(configuration_may_forbid_batches)
{
	conf.batch_dim = "none";
	is_unbatched(loads(RELU), "the configuration says so");
}
END_TEST

START_TEST(configuration_may_name_the_batch_dimension)
{
	conf.batch_dim = "M";
	is_unbatched(loads(RELU), "dimension 0 is 'N' and not 'M', which is configured");
}
END_TEST

START_TEST(m37_outputs_that_are_not_finite_fail_the_load)
{
	given_model("opset 13\nin x float32 [N,4]\ninit z float32 [1] 0\nnode Mul x,z -> o\n"
		    "node Div o,z -> y\nout y float32 [N,4]\n");
	ck_assert_int_eq(load(), ERR_INTERNAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "output 'y': element 0 of [1,4] is"));
}
END_TEST

START_TEST(sizes_are_guessed_until_they_fit)
{
	/* 128 = 2 * 64: only the second guess for a sequence can be reshaped so. */
	const struct signature *s =
		loads("opset 13\nin x float32 [N,L]\ninit s int64 [2] -1 64\n"
		      "node Reshape x,s -> r\nnode ReduceSum r -> y keepdims=0\n"
		      "out y float32 []\n");
	ck_assert_ptr_null(version->warning);
	is_unbatched(s, "output 'y' has no dimension 0");
}
END_TEST

START_TEST(inputs_that_cannot_be_made_up_are_a_warning)
{
	/* 1009 is prime and among no guesses. */
	const struct signature *s = loads("opset 13\nin x float32 [1,L]\ninit s int64 [2] -1 1009\n"
					  "node Reshape x,s -> y\nout y float32 [K,1009]\n");
	ck_assert(!s->batchable);
	ck_assert_ptr_nonnull(version->warning);
	ck_assert_ptr_nonnull(strstr(version->warning, "could not be warmed up"));
}
END_TEST

/* -- golden examples ------------------------------------------------------------------------- */

static void given_tensor(const char *path, const char *name, const float *v, int n)
{
	int64_t dims[] = { 1, n };
	Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;
	t.name = (char *)name;
	t.data_type = DTYPE_F32;
	t.has_data_type = true;
	t.dims = dims;
	t.n_dims = 2;
	t.float_data = (float *)v;
	t.n_float_data = (size_t)n;
	struct slice bytes = onnx_text_pack(arena, &t.base);
	tempdir_put(&dir, path, bytes.ptr, bytes.len);
}

START_TEST(a_version_that_answers_its_golden_example_is_loaded)
{
	given_tensor("golden/a/input_0.pb", "x", (float[]){ -1, 2, -3, 4 }, 4);
	given_tensor("golden/a/output_0.pb", "y", (float[]){ 0, 2, 0, 4 }, 4);
	loads(RELU);
}
END_TEST

START_TEST(m37_a_wrong_answer_to_a_golden_example_fails_the_load)
{
	given_tensor("golden/input_0.pb", "x", (float[]){ -1, 2, -3, 4 }, 4);
	given_tensor("golden/output_0.pb", "y", (float[]){ 0, 2, 1, 4 }, 4);
	given_model(RELU);
	ck_assert_int_eq(load(), ERR_FAILED_PRECONDITION);
	ck_assert_str_eq(err.msg, "golden: output 'y': element 2 is 0, expected 1");
}
END_TEST

START_TEST(m37_a_wrong_answer_of_any_type_is_told)
{
	uint8_t bytes[] = { 0x38, 0x40 }; /* 1 and 2 */
	int64_t dims[] = { 1, 2 };
	Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;
	t.name = "y";
	t.data_type = DTYPE_F8E4M3FN;
	t.has_data_type = true;
	t.dims = dims;
	t.n_dims = 2;
	t.raw_data = (ProtobufCBinaryData){ sizeof(bytes), bytes };
	t.has_raw_data = true;
	struct slice packed = onnx_text_pack(arena, &t.base);
	tempdir_put(&dir, "golden/output_0.pb", packed.ptr, packed.len);
	given_tensor("golden/input_0.pb", "x", (float[]){ 1, 1 }, 2);
	given_model(
		"opset 19\nin x float32 [N,2]\nnode Cast x -> y to=17\nout y float8e4m3fn [N,2]\n");
	ck_assert_int_eq(load(), ERR_FAILED_PRECONDITION);
	ck_assert_str_eq(err.msg, "golden: output 'y': element 1 is not the one expected");
}
END_TEST

START_TEST(m37_a_golden_example_of_another_shape_fails_the_load)
{
	given_tensor("warmup/input_0.pb", "x", (float[]){ 1, 2, 3 }, 3);
	given_model(RELU);
	ck_assert_int_eq(load(), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, "warmup: input 'x': dimension 1 is 3, signature says 4");
}
END_TEST

/* -- signatures ------------------------------------------------------------------------------ */

#define TWO \
	"opset 13\nin a float32 [N,4]\nin b float32 [N,4]\nnode Relu a -> mid\n" \
	"node Add mid,b -> sum\nnode Neg b -> neg\nout sum float32 [N,4]\nout neg float32 [N,4]\n"

START_TEST(a_signature_of_the_configuration_has_its_own_names_and_needs_only_its_inputs)
{
	struct signature_name_pair in[] = { { "value", "b" } }, out[] = { { "minus", "neg" } };
	struct signature_conf sig = { "negate", in, out, 1, 1 };
	conf.sig = &sig;
	conf.n_sig = 1;
	loads(TWO);
	ck_assert_int_eq(version->n_sig, 2);
	ck_assert_int_eq(version->sig[0].n_in, 2);
	const struct signature *s = version_signature(version, SLICE_LIT("negate"));
	ck_assert_ptr_nonnull(s);
	ck_assert_str_eq(s->in[0].name, "value");
	ck_assert_str_eq(s->out[0].name, "minus");
	ck_assert_int_eq(program_graph(s->program)->n_node, 1);
	ck_assert(s->batchable);
}
END_TEST

START_TEST(metadata_may_name_a_value_inside_the_graph)
{
	loads(TWO "meta signet.signature.half.inputs x=a\nmeta signet.signature.half.outputs "
		  "h=mid\n");
	const struct signature *s = version_signature(version, SLICE_LIT("half"));
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(s->n_in, 1);
	ck_assert_str_eq(s->out[0].value, "mid");
	ck_assert_int_eq(version->sig[0].n_out, 2);
}
END_TEST

START_TEST(an_input_that_no_output_needs_may_be_listed)
{
	loads(TWO "meta signet.signature.n.inputs b,a\nmeta signet.signature.n.outputs neg\n");
	const struct signature *s = version_signature(version, SLICE_LIT("n"));
	ck_assert_int_eq(program_graph(s->program)->n_input, 2);
	ck_assert_str_eq(s->in[0].name, "b");
}
END_TEST

static void refuses(const char *text, const char *why)
{
	given_model(text);
	ck_assert_int_eq(load(), ERR_INVALID_ARGUMENT);
	ck_assert_str_eq(err.msg, why);
}

START_TEST(signatures_that_say_nothing_sensible_are_refused)
{
	refuses(TWO "meta signet.signature.s.inputs a\n",
		"metadata 'signet.signature.s.inputs' has no counterpart "
		"'signet.signature.s.outputs'");
	refuses(TWO "meta signet.signature.s.inputs c\nmeta signet.signature.s.outputs neg\n",
		"signature 's': the graph has no input 'c'");
	refuses(TWO "meta signet.signature.s.inputs b\nmeta signet.signature.s.outputs nix\n",
		"signature 's': the graph has no value 'nix'");
	refuses(TWO "meta signet.signature.s.inputs b\nmeta signet.signature.s.outputs sum\n",
		"signature 's': its outputs need input 'a', which it does not list");
	refuses(TWO "meta signet.signature.s.inputs b,b\nmeta signet.signature.s.outputs neg\n",
		"signature 's': input 'b' stands there twice");
	refuses(TWO "meta signet.signature.s.inputs b\nmeta signet.signature.s.outputs y=\n",
		"metadata 'signet.signature.s.outputs' has an empty name");
}
END_TEST

Suite *suite_version_load(void);
Suite *suite_version_load(void)
{
	Suite *s = suite_create("version_load");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_version_has_its_interface_and_its_figures);
	tcase_add_test(t, a_load_tells_how_far_it_is);
	tcase_add_test(t, m29_a_cancelled_load_ends);
	tcase_add_test(t, m36_a_load_that_needs_more_memory_than_is_left_is_refused);
	tcase_add_test(t, a_file_that_is_no_model_is_refused);
	tcase_add_test(t, models_of_others_are_told_what_becomes_of_them);
	tcase_add_test(t, a_batch_is_proved_and_its_latencies_learnt);
	tcase_add_test(t, rows_that_see_each_other_fail_the_proof);
	tcase_add_test(t, a_mask_over_past_and_present_is_sampled_as_their_sum);
	tcase_add_test(t, what_has_no_rows_is_served_unbatched_and_says_why);
	tcase_add_test(t, outputs_as_wide_as_data_says_are_no_batch);
	tcase_add_test(t, what_depends_on_data_inside_may_be_a_batch);
	tcase_add_test(t, inputs_of_different_lengths_are_no_batch);
	tcase_add_test(t, the_largest_of_the_best_sizes_is_a_part);
	tcase_add_test(t, an_output_may_call_the_rows_otherwise);
	tcase_add_test(t, numbered_names_tell_no_inputs_apart);
	tcase_add_test(t, configuration_may_forbid_batches);
	tcase_add_test(t, configuration_may_name_the_batch_dimension);
	tcase_add_test(t, m37_outputs_that_are_not_finite_fail_the_load);
	tcase_add_test(t, sizes_are_guessed_until_they_fit);
	tcase_add_test(t, inputs_that_cannot_be_made_up_are_a_warning);
	tcase_add_test(t, a_version_that_answers_its_golden_example_is_loaded);
	tcase_add_test(t, m37_a_wrong_answer_to_a_golden_example_fails_the_load);
	tcase_add_test(t, m37_a_wrong_answer_of_any_type_is_told);
	tcase_add_test(t, m37_a_golden_example_of_another_shape_fails_the_load);
	tcase_add_test(
		t, a_signature_of_the_configuration_has_its_own_names_and_needs_only_its_inputs);
	tcase_add_test(t, metadata_may_name_a_value_inside_the_graph);
	tcase_add_test(t, an_input_that_no_output_needs_may_be_listed);
	tcase_add_test(t, signatures_that_say_nothing_sensible_are_refused);
	suite_add_tcase(s, t);
	return s;
}
