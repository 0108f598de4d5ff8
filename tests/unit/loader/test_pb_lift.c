/* SPDX-License-Identifier: Apache-2.0 */
/* Files, whose big raw_data is read past protobuf-c, against the same bytes from memory. */
#include <check.h>
#include <string.h>
#include "loader/onnx/onnx.h"
#include "loader/onnx/pb_lift.h"
#include "support/onnx_text.h"
#include "support/tempdir.h"

#define BIG_BYTES 100000

static struct arena *arena;
static struct tempdir dir;
static uint8_t big[BIG_BYTES];

static void setup(void)
{
	arena = arena_new(0, 0);
	dir = tempdir_new();
	for (int i = 0; i < BIG_BYTES; i++)
		big[i] = (uint8_t)(i * 31 + 7);
}

static void teardown(void)
{
	tempdir_free(&dir);
	arena_free(arena);
}

/* v = w; z = a Constant: of 100000 bytes each. The one deep below is of a node's attribute. */
static Onnx__ModelProto *given_model(void)
{
	Onnx__ModelProto *m = onnx_text_model(arena,
		"opset 13\ninit w uint8 [8]\nnode Identity w -> v\nnode Identity w -> z\n"
		"out v uint8 [100000]\nout z uint8 [100000]\n");
	Onnx__TensorProto *t = m->graph->initializer[0];
	t->dims[0] = BIG_BYTES;
	t->raw_data = (ProtobufCBinaryData){ BIG_BYTES, big };
	t->has_raw_data = 1;
	Onnx__AttributeProto *a = ARENA_NEW(arena, Onnx__AttributeProto);
	onnx__attribute_proto__init(a);
	a->name = (char *)"value";
	a->has_type = 1;
	a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
	a->t = t;
	Onnx__NodeProto *constant = m->graph->node[1];
	constant->op_type = (char *)"Constant";
	constant->n_input = 0;
	constant->attribute = ARENA_ARRAY(arena, Onnx__AttributeProto *, 1);
	constant->attribute[0] = a;
	constant->n_attribute = 1;
	return m;
}

struct outcome {
	enum err_code rc;
	struct onnx_model model;
	struct err err;
};

static struct outcome read_file(struct slice bytes)
{
	struct outcome o = { 0 };
	tempdir_put(&dir, "m.onnx", bytes.ptr, bytes.len);
	o.rc = onnx_read(dir.fd, "m.onnx", NULL, arena, &o.model, &o.err);
	return o;
}

static struct outcome read_memory(struct slice bytes)
{
	struct outcome o = { 0 };
	o.rc = onnx_parse(bytes, dir.fd, NULL, arena, &o.model, &o.err);
	return o;
}

static void expect_as_from_memory(struct slice bytes)
{
	struct outcome file = read_file(bytes), memory = read_memory(bytes);
	ck_assert_msg(file.rc == memory.rc, "file: %s, memory: %s", file.err.msg, memory.err.msg);
	ck_assert_str_eq(file.err.msg, memory.err.msg);
}

START_TEST(big_bytes_are_read_to_where_they_stay)
{
	struct slice bytes = onnx_text_pack(arena, &given_model()->base);
	size_t before = arena_used_bytes(arena);

	struct outcome o = read_file(bytes);

	ck_assert_msg(o.rc == ERR_OK, "%s", o.err.msg);
	const struct graph *g = o.model.graph;
	int n = 0;
	for (int i = 0; i < g->n_value; i++) {
		const struct tensor *t = g->value[i].constant;
		if (!t)
			continue;
		n++;
		ck_assert_uint_eq((uintptr_t)t->data % 64, 0);
		ck_assert_mem_eq(t->data, big, BIG_BYTES);
	}
	ck_assert_int_eq(n, 2);
	ck_assert_uint_lt(arena_used_bytes(arena) - before, 2 * BIG_BYTES + 8192);
}
END_TEST

START_TEST(M1_what_is_cut_off_is_refused_in_the_same_words)
{
	struct slice bytes = onnx_text_pack(arena, &given_model()->base);
	for (size_t n = 1; n < bytes.len; n += n < 300 || n + 300 > bytes.len ? 1 : 997)
		expect_as_from_memory((struct slice){ bytes.ptr, n });
}
END_TEST

START_TEST(M1_what_is_changed_is_refused_or_read_as_from_memory)
{
	struct slice bytes = onnx_text_pack(arena, &given_model()->base);
	char *copy = arena_strndup(arena, bytes.ptr, bytes.len);
	const char *payload = memmem(bytes.ptr, bytes.len, big, BIG_BYTES);
	size_t head = (size_t)(payload - bytes.ptr);
	for (size_t at = 0; at < head; at++)
		for (int bit = 0; bit < 8; bit++) {
			copy[at] ^= (char)(1 << bit);
			expect_as_from_memory((struct slice){ copy, bytes.len });
			copy[at] ^= (char)(1 << bit);
		}
}
END_TEST

START_TEST(sizes_are_checked_against_the_shape)
{
	Onnx__ModelProto *m = given_model();
	m->graph->initializer[0]->dims[0]--;

	expect_as_from_memory(onnx_text_pack(arena, &m->base));
}
END_TEST

START_TEST(raw_data_twice_is_refused)
{
	Onnx__ModelProto *m = given_model();
	struct slice once = onnx_text_pack(arena, &m->base);
	ProtobufCMessageUnknownField again = { .tag = 9, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED };
	const char *payload = memmem(once.ptr, once.len, big, BIG_BYTES);
	again.data = (uint8_t *)payload - 3; /* with its length */
	again.len = BIG_BYTES + 3;
	m->graph->initializer[0]->base.n_unknown_fields = 1;
	m->graph->initializer[0]->base.unknown_fields = &again;
	struct slice twice = onnx_text_pack(arena, &m->base);

	ck_assert_int_eq(read_file(twice).rc, ERR_INVALID_ARGUMENT);
	expect_as_from_memory(twice);
}
END_TEST

/* Each number is a field: a list is far longer than what is looked at at a time, and its memory
   becomes the graph's. */
START_TEST(long_lists_of_a_node_come_whole)
{
	enum { N = 20000 };
	Onnx__ModelProto *m = onnx_text_model(arena,
		"opset 17\nopset ai.onnx.ml 2\nin x int64 [2]\n"
		"node ai.onnx.ml:LabelEncoder x -> y keys_int64s=[1] values_int64s=[2]\nout y int64 [2]\n");
	for (int k = 0; k < 2; k++) {
		Onnx__AttributeProto *a = m->graph->node[0]->attribute[k];
		a->ints = ARENA_ARRAY(arena, int64_t, N);
		a->n_ints = N;
		for (int64_t i = 0; i < N; i++)
			a->ints[i] = (i * i * i) << (10 * k);
	}
	struct outcome o = read_file(onnx_text_pack(arena, &m->base));

	ck_assert_msg(o.rc == ERR_OK, "%s", o.err.msg);
	const struct node *n = &o.model.graph->node[0];
	for (int k = 0; k < 2; k++) {
		ck_assert_int_eq(n->attr[k].n, N);
		for (int64_t i = 0; i < N; i++)
			ck_assert_int_eq(n->attr[k].ints[i], (i * i * i) << (10 * k));
	}
}
END_TEST

/* Else a tensor could take another one's bytes. */
START_TEST(a_file_cannot_name_pieces_itself)
{
	static const unsigned types[] = { PROTOBUF_C_WIRE_TYPE_64BIT, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED };
	for (int i = 0; i < 2; i++) {
		Onnx__ModelProto *m = given_model();
		Onnx__TensorProto thief = *m->graph->initializer[0];
		uint8_t index[8] = { types[i] == PROTOBUF_C_WIRE_TYPE_64BIT ? 0 : 7 };
		ProtobufCMessageUnknownField f = { PB_LIFT_FIELD, types[i], sizeof(index), index };
		thief.has_raw_data = 0;
		thief.base.n_unknown_fields = 1;
		thief.base.unknown_fields = &f;
		m->graph->node[1]->attribute[0]->t = &thief;
		struct slice bytes = onnx_text_pack(arena, &m->base);

		ck_assert_int_eq(read_file(bytes).rc, ERR_INVALID_ARGUMENT);
		expect_as_from_memory(bytes);
	}
}
END_TEST

Suite *suite_pb_lift(void);
Suite *suite_pb_lift(void)
{
	Suite *s = suite_create("pb_lift");
	TCase *t = tcase_create("pb_lift");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, big_bytes_are_read_to_where_they_stay);
	tcase_add_test(t, M1_what_is_cut_off_is_refused_in_the_same_words);
	tcase_add_test(t, M1_what_is_changed_is_refused_or_read_as_from_memory);
	tcase_add_test(t, sizes_are_checked_against_the_shape);
	tcase_add_test(t, raw_data_twice_is_refused);
	tcase_add_test(t, a_file_cannot_name_pieces_itself);
	tcase_add_test(t, long_lists_of_a_node_come_whole);
	suite_add_tcase(s, t);
	return s;
}
