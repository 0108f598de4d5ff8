/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving's messages in, replies out; no sockets. */
#include <check.h>
#include <stdio.h>
#include "support/arena_case.h"
#include "support/rpc_run.h"
#include "support/served.h"

Suite *suite_tfs(void);

#define PREDICT "/tensorflow.serving.PredictionService/Predict"
#define CLASSIFY "/tensorflow.serving.PredictionService/Classify"
#define REGRESS "/tensorflow.serving.PredictionService/Regress"
#define MULTI "/tensorflow.serving.PredictionService/MultiInference"
#define BYTES(lit) SLICE_LIT(lit)

static struct rpc_result r;

/* --- messages --- */

static struct buf new_buf(void)
{
	return buf_of(arena, 0);
}

static struct slice finished(struct buf *b)
{
	struct slice s;
	ck_assert_int_eq(buf_finish(b, &s, NULL), ERR_OK);
	return s;
}

static void put_spec(struct buf *b, const char *model, const char *signature)
{
	struct buf spec = new_buf();
	wire_put_bytes(&spec, 1, slice_of(model));
	wire_put_bytes(&spec, 3, slice_of(signature));
	wire_put_message(b, 1, &spec);
}

struct proto {
	int dtype;
	struct shape shape;
	uint32_t field; /* of the elements; 0: none */
	struct slice elements;
};

static struct buf tensor(const struct proto *p)
{
	struct buf b = new_buf(), shape = new_buf();
	wire_put_uint(&b, 1, (uint64_t)p->dtype);
	for (int i = 0; i < p->shape.rank; i++) {
		struct buf dim = new_buf();
		wire_put_uint(&dim, 1, (uint64_t)p->shape.dim[i]);
		wire_put_message(&shape, 2, &dim);
	}
	wire_put_message(&b, 2, &shape);
	wire_put_bytes(&b, p->field, p->elements);
	return b;
}

static struct buf entry(const char *key, const struct buf *value)
{
	struct buf b = new_buf();
	wire_put_bytes(&b, 1, slice_of(key));
	wire_put_message(&b, 2, value);
	return b;
}

/* A PredictRequest of one input, whose output alone is asked for. */
static struct slice predict_message(const char *model, const char *signature, const char *input,
	const char *output, const struct buf *value)
{
	struct buf b = new_buf(), e = entry(input, value);
	put_spec(&b, model, signature);
	wire_put_message(&b, 2, &e);
	wire_put_bytes(&b, 3, slice_of(output));
	return finished(&b);
}

static void echo(struct request *q)
{
	for (int i = 0; i < q->sig->n_in; i++)
		if (q->in[i].data)
			q->out[i] = q->in[i];
}

static struct rpc_opts opts = { .method = PREDICT, .fill = echo };

static enum err_code run_one(const struct proto *p, const char *name)
{
	struct buf value = tensor(p);
	rpc_run(&opts, predict_message("many", "wire", name, name, &value), &r);
	return r.code;
}

static const struct tensor *input(const char *name)
{
	return &r.call->request->in[signature_find_in(r.call->request->sig, slice_of(name))];
}

/* --- tensors --- */

#define MINUS_2 "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
#define ALL_ONES "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
#define F32_1 "\x00\x00\x80\x3f"
#define F32_M2 "\x00\x00\x00\xc0"
#define F64_1 "\0\0\0\0\0\0\xf0\x3f"
#define F64_M2 "\0\0\0\0\0\0\x00\xc0"

/* Two elements of each type. */
static const struct {
	const char *name;
	int dtype;
	uint32_t field;
	struct slice typed, content;
} types[] = {
	{ "float32", 1, 5, BYTES(F32_1 F32_M2), BYTES(F32_1 F32_M2) },
	{ "float64", 2, 6, BYTES(F64_1 F64_M2), BYTES(F64_1 F64_M2) },
	{ "int8", 6, 7, BYTES("\x05" MINUS_2), BYTES("\x05\xfe") },
	{ "int16", 5, 7, BYTES("\xac\x02" MINUS_2), BYTES("\x2c\x01\xfe\xff") },
	{ "int32", 3, 7, BYTES("\xac\x02" MINUS_2), BYTES("\x2c\x01\0\0\xfe\xff\xff\xff") },
	{ "int64", 9, 10, BYTES("\xac\x02" MINUS_2),
		BYTES("\x2c\x01\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff") },
	{ "uint8", 4, 7, BYTES("\x05\xfe\x01"), BYTES("\x05\xfe") },
	{ "uint16", 17, 7, BYTES("\xac\x02\xff\xff\x03"), BYTES("\x2c\x01\xff\xff") },
	{ "uint32", 22, 16, BYTES("\xac\x02\xff\xff\xff\xff\x0f"),
		BYTES("\x2c\x01\0\0\xff\xff\xff\xff") },
	{ "uint64", 23, 17, BYTES("\xac\x02" ALL_ONES),
		BYTES("\x2c\x01\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff") },
	{ "bool", 10, 11, BYTES("\x01\x00"), BYTES("\x01\x00") },
	{ "float16", 19, 13, BYTES("\x80\x78\x80\x80\x03"), BYTES("\x00\x3c\x00\xc0") },
	{ "bfloat16", 14, 13, BYTES("\x80\x7f\x80\x80\x03"), BYTES("\x80\x3f\x00\xc0") },
	{ "complex64", 8, 9, BYTES(F32_1 F32_M2 F32_M2 F32_1), BYTES(F32_1 F32_M2 F32_M2 F32_1) },
	{ "complex128", 18, 12, BYTES(F64_1 F64_M2 F64_M2 F64_1),
		BYTES(F64_1 F64_M2 F64_M2 F64_1) },
	{ "float8e5m2", 24, 18, BYTES("\x3c\xc0"), BYTES("\x3c\xc0") },
};
#define TYPES (int)(sizeof(types) / sizeof(types[0]))
#define CONTENT 4

/* What was read is right, and the reply begins with the very same map entry. */
static void comes_and_goes(int i, uint32_t field, struct slice elements, size_t piece_bytes)
{
	struct proto p = { types[i].dtype, shape_of(2), field, elements };
	struct buf value = tensor(&p), e = entry(types[i].name, &value), b = new_buf();
	wire_put_message(&b, 1, &e);
	struct slice want = finished(&b);
	opts.tensor_content = field == CONTENT;
	opts.piece_bytes = piece_bytes;
	ck_assert_msg(run_one(&p, types[i].name) == ERR_OK, "%s: %s", types[i].name, r.err.msg);
	ck_assert_mem_eq(input(types[i].name)->data, types[i].content.ptr, types[i].content.len);
	ck_assert_uint_gt(r.reply.len, want.len);
	ck_assert_mem_eq(r.reply.ptr, want.ptr, want.len);
	rpc_done(&r);
	opts = (struct rpc_opts){ .method = PREDICT, .fill = echo };
}

START_TEST(every_type_comes_and_goes_in_both_forms)
{
	for (size_t piece = 0; piece < 4; piece++) {
		comes_and_goes(_i, types[_i].field, types[_i].typed, piece);
		comes_and_goes(_i, CONTENT, types[_i].content, piece);
	}
}
END_TEST

/* The elements of a packed field, each in a field of its own. */
static void put_unpacked(struct buf *b, int i)
{
	struct wire w = wire_over(&types[i].typed, 1);
	while (w.left) {
		char unit[8];
		bool wide = types[i].field == 6 || types[i].field == 12;
		bool fixed = wide || types[i].field == 5 || types[i].field == 9;
		if (fixed) {
			wire_copy(&w, unit, wide ? 8 : 4);
			wire_put_tag(b, types[i].field, wide ? WIRE_FIXED64 : WIRE_FIXED32);
			buf_bytes(b, unit, wide ? 8 : 4);
		} else {
			wire_put_tag(b, types[i].field, WIRE_VARINT);
			wire_put_varint(b, wire_raw_varint(&w));
		}
	}
}

START_TEST(a_field_that_is_not_packed_is_the_same)
{
	struct proto p = { types[_i].dtype, shape_of(2), 0, SLICE_LIT("") };
	struct buf value = tensor(&p);
	if (types[_i].field == 18)
		return; /* no repeated field */
	put_unpacked(&value, _i);
	rpc_run(&opts, predict_message("many", "wire", types[_i].name, types[_i].name, &value), &r);
	ck_assert_msg(r.code == ERR_OK, "%s: %s", types[_i].name, r.err.msg);
	ck_assert_mem_eq(input(types[_i].name)->data, types[_i].content.ptr, types[_i].content.len);
	rpc_done(&r);
}
END_TEST

START_TEST(a_short_field_is_filled_with_its_last_value)
{
	static const float want[][3] = { { 1, -2, -2 }, { 1, 1, 1 }, { 0, 0, 0 } };
	const struct slice sent[] = { BYTES(F32_1 F32_M2), BYTES(F32_1), BYTES("") };
	for (int i = 0; i < 3; i++) {
		struct proto p = { 1, shape_of(3), 5, sent[i] };
		ck_assert_int_eq(run_one(&p, "float32"), ERR_OK);
		ck_assert_mem_eq(input("float32")->data, want[i], sizeof(want[i]));
		rpc_done(&r);
	}
}
END_TEST

START_TEST(strings_are_bytes_and_are_filled_too)
{
	static const char *const want[][2] = { { "a\0b", "a\0b" }, { "", "" } };
	for (int i = 0; i < 2; i++) {
		struct proto p = { 7, shape_of(2), 8, i ? SLICE_LIT("") : BYTES("a\0b") };
		ck_assert_int_eq(run_one(&p, "string"), ERR_OK);
		const struct slice *s = input("string")->data;
		for (int k = 0; k < 2; k++)
			ck_assert(slice_eq(s[k], (struct slice){ want[i][k], i ? 0 : 3 }));
		rpc_done(&r);
	}
}
END_TEST

START_TEST(a_scalar_has_no_shape)
{
	struct buf value = new_buf();
	wire_put_uint(&value, 1, 1);
	wire_put_bytes(&value, 5, BYTES(F32_1));
	rpc_run(&opts, predict_message("many", "wire", "float32", "float32", &value), &r);
	ck_assert_str_eq(r.err.msg, "input 'float32': shape [] has 0 dimensions, signature says 1");
	rpc_done(&r);
}
END_TEST

/* --- what is refused --- */

#define PARSING "tensor parsing error: float32: "

static const struct {
	const char *id;
	struct proto p;
	const char *message;
} bad_tensors[] = {
	{ "G5", { 1, { 1, { 2 } }, CONTENT, BYTES("\0\0\0") },
		PARSING "tensor_content has 3 bytes, dtype DT_FLOAT and shape [2] take 8" },
	{ "G5", { 1, { 1, { 2 } }, 5, BYTES(F32_1 F32_1 F32_1) },
		PARSING "it has more elements than its shape [2]" },
	{ "G5", { 1, { 1, { 2 } }, 5, BYTES("\0\0\0") },
		PARSING "the message is not a well-formed TensorProto" },
	{ "G5", { 1, { 1, { 2 } }, 7, BYTES("\x01\x02") },
		PARSING "its elements are not in the field of its dtype DT_FLOAT" },
	{ "G5", { 6, { 1, { 2 } }, 7, BYTES("\x80\x01") },
		PARSING "an element does not fit its dtype; shape [2]" },
	{ "G5", { 19, { 1, { 2 } }, 13, BYTES("\x80\x80\x04") },
		PARSING "an element does not fit its dtype; shape [2]" },
	{ "G5", { 8, { 1, { 2 } }, 9, BYTES(F32_1) },
		PARSING "the message is not a well-formed TensorProto" },
	{ "G5", { 7, { 1, { 2 } }, CONTENT, BYTES("ab") },
		PARSING "strings do not come in tensor_content" },
	{ "G5", { 20, { 1, { 2 } }, 0, BYTES("") }, PARSING "dtype DT_INVALID (20) is not served" },
	{ "G5", { 0, { 1, { 2 } }, 5, BYTES(F32_1) },
		PARSING "dtype DT_INVALID (0) is not served" },
	{ "G5", { -1, { 1, { 2 } }, 5, BYTES(F32_1) },
		PARSING "dtype DT_INVALID (18446744073709551615) is not served" },
	{ "G5", { 2, { 1, { 2 } }, 6, BYTES(F64_1) },
		"input 'float32' is float64, signature says float32" },
	{ "G7", { 1, { 1, { -1 } }, 5, BYTES(F32_1) },
		PARSING "a shape has at most 12 dimensions, none negative or unknown" },
	{ "G7", { 1, { 2, { INT64_C(1) << 40, INT64_C(1) << 40 } }, 5, BYTES(F32_1) },
		PARSING "shape [1099511627776,1099511627776] has too many elements" },
	{ "G7", { 1, { 1, { INT64_C(1) << 40 } }, 5, BYTES(F32_1) },
		PARSING
		"shape [1099511627776] takes 4398046511104 bytes, 1048576 are the most that may "
		"be filled up" },
	{ "G7", { 1, { 1, { 262145 } }, 5, BYTES(F32_1) },
		PARSING
		"shape [262145] takes 1048580 bytes, 1048576 are the most that may be filled up" },
	{ "G4", { 1, { 1, { 2 } }, 11, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
		PARSING "its elements are not in the field of its dtype DT_FLOAT" },
	{ "G4", { 9, { 1, { 2 } }, 10, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
		PARSING "the message is not a well-formed TensorProto" },
};

START_TEST(a_bad_tensor_is_refused_by_name_and_rule)
{
	enum err_code rc = run_one(&bad_tensors[_i].p, "float32");
	ck_assert_msg(rc == ERR_INVALID_ARGUMENT, "%s: %d", bad_tensors[_i].id, rc);
	ck_assert_str_eq(r.err.msg, bad_tensors[_i].message);
	rpc_done(&r);
}
END_TEST

START_TEST(G7_a_shape_of_many_dimensions)
{
	struct buf value = new_buf(), shape = new_buf(), dim = new_buf();
	wire_put_uint(&value, 1, 1);
	wire_put_uint(&dim, 1, 1);
	for (int i = 0; i < 100000; i++)
		wire_put_message(&shape, 2, &dim);
	wire_put_message(&value, 2, &shape);
	rpc_run(&opts, predict_message("many", "wire", "float32", "float32", &value), &r);
	ck_assert_str_eq(
		r.err.msg, PARSING "a shape has at most 12 dimensions, none negative or unknown");
	rpc_done(&r);
}
END_TEST

static const struct {
	const char *id;
	struct slice message;
	enum err_code code;
	const char *text;
} bad_messages[] = {
	{ "G4", BYTES("\x00"), ERR_INVALID_ARGUMENT,
		"the message is not a well-formed PredictRequest" },
	{ "G4", BYTES("\x0b\x0c"), ERR_INVALID_ARGUMENT,
		"the message is not a well-formed PredictRequest" },
	{ "G4", BYTES("\x0a\x05\x0a\x03one\x12\x04\x0a\x01x"), ERR_INVALID_ARGUMENT,
		"the message is not a well-formed PredictRequest" },
	{ "G4", BYTES("\x0a\x05\x0a\x03one\x12\x05\x0a\x01x\x12\x07"), ERR_INVALID_ARGUMENT,
		"the message is not a well-formed PredictRequest" },
	{ "G4", BYTES("\x0a\x05\x0a\x03one\x1a\x02\xff\xfe"), ERR_INVALID_ARGUMENT,
		"input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. "
		"Missing but required: {x}." },
	{ "G6", BYTES(""), ERR_INVALID_ARGUMENT, "Missing ModelSpec" },
	{ "G6", BYTES("\x0a\x00"), ERR_INVALID_ARGUMENT, "ModelSpec has no name specified." },
	{ "G6", BYTES("\x0a\x05\x0a\x03" "a\0b"), ERR_INVALID_ARGUMENT,
		"the message is not a well-formed PredictRequest" },
	{ "G6", BYTES("\x0a\x04\x0a\x02\xff\xfe"), ERR_INVALID_ARGUMENT,
		"the message is not a well-formed PredictRequest" },
	{ "G6", BYTES("\x0a\x06\x0a\x04" "none"), ERR_NOT_FOUND,
		"Servable not found for request: Latest(none)" },
	{ "G6", BYTES("\x0a\x09\x0a\x03one\x12\x02\x08\x05"), ERR_NOT_FOUND,
		"Servable not found for request: Specific(one, 5)" },
	{ "G6", BYTES("\x0a\x12\x0a\x03one\x12\x0b\x08" ALL_ONES), ERR_NOT_FOUND,
		"Servable not found for request: Specific(one, -1)" },
	{ "G6", BYTES("\x0a\x0a\x0a\x03one\x22\x03new"), ERR_INVALID_ARGUMENT,
		"Unrecognized servable version label: new" },
	{ "G6", BYTES("\x0a\x08\x0a\x03one\x1a\x01s"), ERR_FAILED_PRECONDITION,
		"Serving signature key \"s\" not found." },
	{ "G8", BYTES("\x0a\x05\x0a\x03one\x12\x05\x0a\x01q\x12\x00"), ERR_INVALID_ARGUMENT,
		"input size does not match signature: 1!=1 len({q}) != len({x}). Sent extra: {q}. "
		"Missing but required: {x}." },
};

START_TEST(a_bad_message_is_refused_as_the_original_refuses_it)
{
	rpc_run(&opts, bad_messages[_i].message, &r);
	ck_assert_msg(
		r.code == bad_messages[_i].code, "%s, row %d: %d", bad_messages[_i].id, _i, r.code);
	ck_assert_str_eq(r.err.msg, bad_messages[_i].text);
	rpc_done(&r);
}
END_TEST

static const struct proto two_floats = { 1, { 2, { 1, 2 } }, 5, BYTES(F32_1 F32_M2) };

START_TEST(a_label_stands_for_its_version_and_the_reply_says_which)
{
	struct buf b = new_buf(), spec = new_buf(), value = tensor(&two_floats);
	struct buf e = entry("x", &value);
	wire_put_bytes(&spec, 1, SLICE_LIT("one"));
	wire_put_bytes(&spec, 4, SLICE_LIT("stable"));
	wire_put_message(&b, 1, &spec);
	wire_put_message(&b, 2, &e);
	rpc_run(&opts, finished(&b), &r);
	ck_assert_msg(r.code == ERR_OK, "%s", r.err.msg);
	/* model_spec { name: "one" version { value: 3 } signature_name: "serving_default" } */
	const struct slice want =
		BYTES("\x12\x1a\x0a\x03one\x12\x02\x08\x03\x1a\x0fserving_default");
	ck_assert_mem_eq(r.reply.ptr + r.reply.len - want.len, want.ptr, want.len);
	rpc_done(&r);
}
END_TEST

START_TEST(outputs_are_filtered_by_name)
{
	static const struct {
		const char *a, *b, *text;
	} rows[] = {
		{ "y", "y", "duplicate output tensor alias: y" },
		{ "y", "z", "output tensor alias not found in signature: z" },
	};
	for (int i = 0; i < 2; i++) {
		struct buf value = tensor(&two_floats), b = new_buf();
		struct slice head = predict_message("one", "", "x", rows[i].a, &value);
		buf_slice(&b, head);
		wire_put_bytes(&b, 3, slice_of(rows[i].b));
		rpc_run(&opts, finished(&b), &r);
		ck_assert_int_eq(r.code, ERR_INVALID_ARGUMENT);
		ck_assert_str_eq(r.err.msg, rows[i].text);
		rpc_done(&r);
	}
}
END_TEST

START_TEST(G8_an_input_is_given_once)
{
	struct buf value = tensor(&two_floats), b = new_buf(), e = entry("x", &value);
	buf_slice(&b, predict_message("one", "", "x", "y", &value));
	wire_put_message(&b, 2, &e);
	rpc_run(&opts, finished(&b), &r);
	ck_assert_str_eq(r.err.msg, "tensor parsing error: x: it is given twice");
	rpc_done(&r);
}
END_TEST

START_TEST(G4_every_beginning_of_a_request_is_answered)
{
	struct buf value = tensor(&two_floats);
	struct slice all = predict_message("one", "", "x", "y", &value);
	for (size_t n = 0; n < all.len; n++) {
		rpc_run(&opts, (struct slice){ all.ptr, n }, &r);
		ck_assert(r.code == ERR_OK || r.err.msg[0]);
		rpc_done(&r);
	}
}
END_TEST

START_TEST(G4_a_million_empty_submessages_take_no_memory)
{
	struct buf value = tensor(&two_floats), b = new_buf();
	buf_slice(&b, predict_message("one", "", "x", "y", &value));
	for (int i = 0; i < 1000000; i++)
		buf_bytes(&b, "\x12\x00", 2);
	struct slice all = finished(&b);
	rpc_run(&opts, all, &r);
	ck_assert_int_eq(r.code, ERR_INVALID_ARGUMENT);
	ck_assert_uint_lt(arena_held_bytes(r.call->request->arena), 1 << 20);
	rpc_done(&r);
}
END_TEST

/* --- classify and regress --- */

/* Example { f: floats, n: number } of the model "judge". */
static struct buf example(struct slice floats, uint64_t number)
{
	struct buf b = new_buf(), features = new_buf(), f = new_buf(), n = new_buf(),
		   list = new_buf();
	wire_put_bytes(&list, 1, floats);
	wire_put_message(&f, 2, &list);
	struct buf e = entry("f", &f);
	wire_put_message(&features, 1, &e);
	list = new_buf();
	wire_put_tag(&list, 1, WIRE_VARINT);
	wire_put_varint(&list, number);
	wire_put_message(&n, 3, &list);
	e = entry("n", &n);
	wire_put_message(&features, 1, &e);
	wire_put_message(&b, 1, &features);
	return b;
}

static void put_input(struct buf *b)
{
	struct buf input = new_buf(), list = new_buf(), one = example(BYTES(F32_1 F32_M2), 7);
	wire_put_message(&list, 1, &one);
	one = example(BYTES(F32_M2 F32_1), 300);
	wire_put_message(&list, 1, &one);
	wire_put_message(&input, 1, &list);
	wire_put_message(b, 2, &input);
}

static void judge(struct request *q)
{
	for (int i = 0; i < q->sig->n_out; i++) {
		struct tensor *t = &q->out[i];
		for (int64_t k = 0; t->data && k < tensor_count(t); k++) {
			if (t->dtype == DTYPE_F32)
				((float *)t->data)[k] = (float)k;
			else if (t->dtype == DTYPE_F64)
				((double *)t->data)[k] = (double)k;
			else if (t->dtype == DTYPE_STRING)
				((struct slice *)t->data)[k] = (struct slice){ &"abcdef"[k], 1 };
		}
	}
}

static void run_judge(const char *method, const char *signature)
{
	struct buf b = new_buf();
	put_spec(&b, "judge", signature);
	put_input(&b);
	rpc_run(&(struct rpc_opts){ .method = method, .fill = judge, .piece_bytes = 3 },
		finished(&b), &r);
}

START_TEST(examples_are_classified)
{
	run_judge(CLASSIFY, "");
	ck_assert_msg(r.code == ERR_OK, "%s", r.err.msg);
	const struct slice want = BYTES(
		"\x0a\x3b"
		"\x0a\x19\x0a\x03\x0a\x01" "a\x0a\x08\x0a\x01" "b\x15\x00\x00\x80\x3f"
		"\x0a\x08\x0a\x01" "c\x15\x00\x00\x00\x40");
	ck_assert_mem_eq(r.reply.ptr, want.ptr, want.len);
	ck_assert_mem_eq(r.call->request->in[0].data, F32_1 F32_M2 F32_M2 F32_1, 16);
	ck_assert_int_eq(tensor_int(&r.call->request->in[1], 1), 300);
	rpc_done(&r);
}
END_TEST

START_TEST(examples_are_regressed)
{
	run_judge(REGRESS, "value");
	ck_assert_msg(r.code == ERR_OK, "%s", r.err.msg);
	const struct slice want = BYTES("\x0a\x09\x0a\x00\x0a\x05\x0d\x00\x00\x80\x3f\x12");
	ck_assert_mem_eq(r.reply.ptr, want.ptr, want.len);
	rpc_done(&r);
}
END_TEST

START_TEST(a_signature_that_cannot_is_said_to)
{
	static const struct {
		const char *method, *signature, *text;
	} rows[] = {
		{ CLASSIFY, "none",
			"signature 'none' cannot classify: it has no output 'scores' of "
				    "floats, nor just one of two dimensions" },
		{ REGRESS, "none", "signature 'none' cannot regress: it has no output 'outputs' of "
				   "floats, nor just one output of floats" },
		{ REGRESS, "both", "Expected output Tensor shape to be either [batch_size] or "
				   "[batch_size, 1] but got [2,3]" },
	};
	for (int i = 0; i < 3; i++) {
		run_judge(rows[i].method, rows[i].signature);
		ck_assert_int_eq(r.code, ERR_INVALID_ARGUMENT);
		ck_assert_str_eq(r.err.msg, rows[i].text);
		rpc_done(&r);
	}
}
END_TEST

static void put_task(struct buf *b, const char *signature, const char *method)
{
	struct buf task = new_buf();
	put_spec(&task, "judge", signature);
	wire_put_bytes(&task, 2, slice_of(method));
	wire_put_message(b, 1, &task);
}

START_TEST(several_tasks_are_answered_in_their_order)
{
	struct buf b = new_buf();
	uint32_t field;
	enum wire_type type;
	int n = 0;
	put_task(&b, "value", "tensorflow/serving/regress");
	put_input(&b);
	put_task(&b, "both", "tensorflow/serving/classify");
	put_task(&b, "", "tensorflow/serving/classify");
	rpc_run(&(struct rpc_opts){ .method = MULTI, .fill = judge }, finished(&b), &r);
	ck_assert_msg(r.code == ERR_OK, "%s", r.err.msg);
	struct wire w = wire_over(&r.reply, 1);
	for (; wire_next(&w, &field, &type); n++) {
		struct wire one = wire_message(&w, type);
		ck_assert(wire_next(&one, &field, &type) && field == 1);
		wire_skip(&one, type);
		ck_assert(wire_next(&one, &field, &type) && field == (n == 0 ? 3 : 2));
	}
	ck_assert_int_eq(n, 3);
	rpc_done(&r);
}
END_TEST

START_TEST(tasks_that_do_not_go_together_are_refused)
{
	static const struct {
		const char *signature, *method, *text;
	} rows[] = {
		{ "", "tensorflow/serving/regress",
			"Duplicate evaluation of signature: serving_default" },
		{ "both", "tensorflow/serving/predict",
			"Unsupported signature method_name: tensorflow/serving/predict" },
		{ "nothing", "tensorflow/serving/classify",
			"Serving signature key \"nothing\" not found." },
	};
	for (int i = 0; i < 3; i++) {
		struct buf b = new_buf();
		put_task(&b, "serving_default", "tensorflow/serving/classify");
		put_task(&b, rows[i].signature, rows[i].method);
		put_input(&b);
		rpc_run(&(struct rpc_opts){ .method = MULTI, .fill = judge }, finished(&b), &r);
		ck_assert_str_eq(r.err.msg, rows[i].text);
		rpc_done(&r);
	}
}
END_TEST

#define LOOP(t, test, rows) tcase_add_loop_test(t, test, 0, (int)(sizeof(rows) / sizeof(rows[0])))

Suite *suite_tfs(void)
{
	Suite *s = suite_create("tfs");
	TCase *t = tcase_create("tensors");
	tcase_add_checked_fixture(t, setup, teardown);
	LOOP(t, every_type_comes_and_goes_in_both_forms, types);
	LOOP(t, a_field_that_is_not_packed_is_the_same, types);
	tcase_add_test(t, a_short_field_is_filled_with_its_last_value);
	tcase_add_test(t, strings_are_bytes_and_are_filled_too);
	tcase_add_test(t, a_scalar_has_no_shape);
	LOOP(t, a_bad_tensor_is_refused_by_name_and_rule, bad_tensors);
	tcase_add_test(t, G7_a_shape_of_many_dimensions);
	suite_add_tcase(s, t);
	t = tcase_create("predict");
	tcase_add_checked_fixture(t, setup, teardown);
	LOOP(t, a_bad_message_is_refused_as_the_original_refuses_it, bad_messages);
	tcase_add_test(t, a_label_stands_for_its_version_and_the_reply_says_which);
	tcase_add_test(t, outputs_are_filtered_by_name);
	tcase_add_test(t, G8_an_input_is_given_once);
	tcase_add_test(t, G4_every_beginning_of_a_request_is_answered);
	tcase_add_test(t, G4_a_million_empty_submessages_take_no_memory);
	suite_add_tcase(s, t);
	t = tcase_create("classify");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, examples_are_classified);
	tcase_add_test(t, examples_are_regressed);
	tcase_add_test(t, a_signature_that_cannot_is_said_to);
	tcase_add_test(t, several_tasks_are_answered_in_their_order);
	tcase_add_test(t, tasks_that_do_not_go_together_are_refused);
	suite_add_tcase(s, t);
	return s;
}
