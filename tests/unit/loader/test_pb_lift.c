/* SPDX-License-Identifier: Apache-2.0 */
/* Files, whose big raw_data and long lists are read past protobuf-c, against the same bytes from
   memory. */
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

static void expect_same_list(const struct attr *a, const struct attr *b)
{
	ck_assert(a->kind == b->kind && a->n == b->n);
	for (int i = 0; i < a->n; i++)
		switch (a->kind) {
		case ATTR_INTS: ck_assert_int_eq(a->ints[i], b->ints[i]); break;
		case ATTR_FLOATS:
			ck_assert_mem_eq(&a->floats[i], &b->floats[i], sizeof(float));
			break;
		case ATTR_STRINGS: ck_assert(slice_eq(a->strings[i], b->strings[i])); break;
		default: break;
		}
}

static void expect_same_lists(const struct graph *a, const struct graph *b)
{
	ck_assert_int_eq(a->n_node, b->n_node);
	for (int i = 0; i < a->n_node; i++) {
		ck_assert_int_eq(a->node[i].n_attr, b->node[i].n_attr);
		for (int k = 0; k < a->node[i].n_attr; k++)
			expect_same_list(&a->node[i].attr[k], &b->node[i].attr[k]);
	}
}

/* Returns what both say. */
static enum err_code expect_as_from_memory(struct slice bytes)
{
	struct arena *outer = arena;
	arena = arena_new(0, 0);
	struct outcome file = read_file(bytes), memory = read_memory(bytes);
	ck_assert_msg(file.rc == memory.rc, "file: %s, memory: %s", file.err.msg, memory.err.msg);
	if (file.rc == ERR_OK)
		expect_same_lists(file.model.graph, memory.model.graph);
	else
		ck_assert_str_eq(file.err.msg, memory.err.msg);
	arena_free(arena);
	arena = outer;
	return file.rc;
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
	ProtobufCMessageUnknownField again = { .tag = 9,
		.wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED };
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

/* -- lists ------------------------------------------------------------------------------------- */

/* Each element is a field: a list of so many is longer than what is looked at at a time. */
#define N 20000

static int64_t int_of(int64_t i)
{
	return i % 7 ? i * i * i : -i; /* of 1 to 10 bytes */
}

/* Lists of N strings, floats and ints. */
static Onnx__ModelProto *given_lists(void)
{
	Onnx__ModelProto *m = onnx_text_model(arena,
		"opset 17\nopset ai.onnx.ml 2\nin x string [2]\n"
		"node ai.onnx.ml:LabelEncoder x -> z keys_strings=[a] values_floats=[1.5]\n"
		"node ai.onnx.ml:LabelEncoder x -> y keys_strings=[a] values_int64s=[1]\nout y "
		"int64 [2]\n");
	Onnx__AttributeProto *strings = m->graph->node[0]->attribute[0];
	Onnx__AttributeProto *floats = m->graph->node[0]->attribute[1];
	Onnx__AttributeProto *ints = m->graph->node[1]->attribute[1];
	strings->strings = ARENA_ARRAY(arena, ProtobufCBinaryData, N);
	floats->floats = ARENA_ARRAY(arena, float, N);
	ints->ints = ARENA_ARRAY(arena, int64_t, N);
	strings->n_strings = floats->n_floats = ints->n_ints = N;
	for (int i = 0; i < N; i++) {
		const char *word = i % 3 ? "LEAF" : arena_printf(arena, "word %d", i);
		strings->strings[i] =
			(ProtobufCBinaryData){ i % 5 ? strlen(word) : 0, (uint8_t *)word };
		floats->floats[i] = (float)i / 3;
		ints->ints[i] = int_of(i);
	}
	return m;
}

START_TEST(long_lists_of_nodes_come_whole_and_take_no_more_than_they_need)
{
	struct slice bytes = onnx_text_pack(arena, &given_lists()->base);
	size_t before = arena_used_bytes(arena);

	struct outcome o = read_file(bytes);

	ck_assert_msg(o.rc == ERR_OK, "%s", o.err.msg);
	ck_assert_uint_lt(arena_used_bytes(arena) - before, N * (16 + 4 + 8) + N / 3 * 16 + 16384);
	const struct node *n = o.model.graph->node;
	ck_assert_int_eq(n[0].attr[0].n, N);
	ck_assert_int_eq(n[0].attr[1].n, N);
	ck_assert_int_eq(n[1].attr[1].n, N);
	for (int i = 0; i < N; i++) {
		const char *word = i % 3 ? "LEAF" : arena_printf(arena, "word %d", i);
		ck_assert(slice_is(n[0].attr[0].strings[i], i % 5 ? word : ""));
		ck_assert(n[0].attr[1].floats[i] == (float)i / 3);
		ck_assert_int_eq(n[1].attr[1].ints[i], int_of(i));
	}
}
END_TEST

START_TEST(M1_lists_that_are_cut_off_are_refused_in_the_same_words)
{
	struct slice bytes = onnx_text_pack(arena, &given_lists()->base);
	for (size_t n = 1; n < bytes.len; n += n < 120 || n + 40 > bytes.len ? 1 : 6999)
		expect_as_from_memory((struct slice){ bytes.ptr, n });
}
END_TEST

START_TEST(M1_lists_that_are_changed_are_refused_or_read_as_from_memory)
{
	struct slice bytes = onnx_text_pack(arena, &given_lists()->base);
	char *copy = arena_strndup(arena, bytes.ptr, bytes.len);
	for (size_t at = 0; at < bytes.len; at += at < 100 || at + 60 > bytes.len ? 1 : 6999) {
		int bit = 1 << at % 8;
		copy[at] ^= (char)bit;
		expect_as_from_memory((struct slice){ copy, bytes.len });
		copy[at] ^= (char)bit;
	}
}
END_TEST

/* More of a field than the message has, behind it. */
static struct slice lists_with(
	Onnx__AttributeProto *a, ProtobufCMessageUnknownField *more, Onnx__ModelProto *m)
{
	a->base.n_unknown_fields = more ? 1 : 0;
	a->base.unknown_fields = more;
	return onnx_text_pack(arena, &m->base);
}

START_TEST(lists_in_other_forms_are_read_as_from_memory)
{
	uint8_t numbers[] = { 4, 1, 2, 3, 4 }, *many = arena_calloc(arena, 1, BIG_BYTES + 4);
	ProtobufCMessageUnknownField again = { 8, PROTOBUF_C_WIRE_TYPE_VARINT, 1, numbers };
	ProtobufCMessageUnknownField packed = { 8, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, 5,
		numbers };
	ProtobufCMessageUnknownField all_packed = { 8, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
		BIG_BYTES + 3, many };
	ProtobufCMessageUnknownField wrong = { 8, PROTOBUF_C_WIRE_TYPE_32BIT, 4, numbers };
	Onnx__ModelProto *m = given_lists();
	Onnx__AttributeProto *ints = m->graph->node[1]->attribute[1];
	memcpy(many, "\xa0\x8d\x06", 3); /* 100000 */
	for (int n = N; n >= 0; n -= N / 2) { /* 0: none before */
		ints->n_ints = (size_t)n;
		ck_assert_int_eq(expect_as_from_memory(lists_with(ints, &again, m)), ERR_OK);
		ck_assert_int_eq(expect_as_from_memory(lists_with(ints, &packed, m)), ERR_OK);
		ck_assert_int_eq(expect_as_from_memory(lists_with(ints, &all_packed, m)), ERR_OK);
		ck_assert_int_eq(
			expect_as_from_memory(lists_with(ints, &wrong, m)), ERR_INVALID_ARGUMENT);
	}
}
END_TEST

/* The first window has no whole element of it, or a later one. */
START_TEST(lists_with_a_very_long_string_are_read_as_from_memory)
{
	Onnx__ModelProto *m = given_lists();
	ProtobufCBinaryData *strings = m->graph->node[0]->attribute[0]->strings;
	static const int places[] = { 0, 1, N / 2, N - 1 };
	for (int i = 0; i < 4; i++) {
		ProtobufCBinaryData was = strings[places[i]];
		strings[places[i]] = (ProtobufCBinaryData){ BIG_BYTES, big };
		ck_assert_int_eq(expect_as_from_memory(onnx_text_pack(arena, &m->base)), ERR_OK);
		strings[places[i]] = was;
	}
}
END_TEST

/* What stands for it in the skeleton would be longer than it is. */
START_TEST(a_short_list_of_a_long_attribute_stays)
{
	Onnx__ModelProto *m = given_lists();
	Onnx__AttributeProto *ints = m->graph->node[1]->attribute[1];
	memset(big, 'x', BIG_BYTES - 1);
	big[BIG_BYTES - 1] = '\0';
	ints->doc_string = (char *)big;
	for (size_t n = 0; n < 20; n++) {
		ints->n_ints = n;
		ck_assert_int_eq(expect_as_from_memory(onnx_text_pack(arena, &m->base)), ERR_OK);
	}
}
END_TEST

START_TEST(two_lists_of_an_attribute_are_refused)
{
	static const size_t lengths[] = { 1, N };
	Onnx__ModelProto *m = given_lists();
	Onnx__AttributeProto *ints = m->graph->node[1]->attribute[1];
	ints->floats = m->graph->node[0]->attribute[1]->floats;
	for (int i = 0; i < 4; i++) {
		ints->n_ints = lengths[i % 2];
		ints->n_floats = lengths[i / 2];
		ck_assert_int_eq(expect_as_from_memory(onnx_text_pack(arena, &m->base)),
			ERR_INVALID_ARGUMENT);
	}
}
END_TEST

START_TEST(lists_do_not_take_more_memory_than_is_allowed)
{
	struct slice bytes = onnx_text_pack(arena, &given_lists()->base);
	struct outcome o = { 0 };
	tempdir_put(&dir, "m.onnx", bytes.ptr, bytes.len);
	for (size_t limit = 50000; limit <= 4 << 20; limit *= 2) {
		struct onnx_limits limits = { .memory_bytes_max = limit };
		size_t before = arena_used_bytes(arena);
		o.rc = onnx_read(dir.fd, "m.onnx", &limits, arena, &o.model, &o.err);
		ck_assert(o.rc == ERR_OK || o.rc == ERR_RESOURCE_EXHAUSTED);
		ck_assert_uint_le(arena_used_bytes(arena) - before, limit);
	}
	ck_assert_int_eq(o.rc, ERR_OK);
}
END_TEST

/* Else a tensor could take another one's bytes. */
START_TEST(a_file_cannot_name_pieces_itself)
{
	static const unsigned types[] = { PROTOBUF_C_WIRE_TYPE_64BIT,
		PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED };
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
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, big_bytes_are_read_to_where_they_stay);
	tcase_add_test(t, M1_what_is_cut_off_is_refused_in_the_same_words);
	tcase_add_test(t, M1_what_is_changed_is_refused_or_read_as_from_memory);
	tcase_add_test(t, sizes_are_checked_against_the_shape);
	tcase_add_test(t, raw_data_twice_is_refused);
	tcase_add_test(t, a_file_cannot_name_pieces_itself);
	tcase_add_test(t, long_lists_of_nodes_come_whole_and_take_no_more_than_they_need);
	tcase_add_test(t, M1_lists_that_are_cut_off_are_refused_in_the_same_words);
	tcase_add_test(t, M1_lists_that_are_changed_are_refused_or_read_as_from_memory);
	tcase_add_test(t, lists_in_other_forms_are_read_as_from_memory);
	tcase_add_test(t, lists_with_a_very_long_string_are_read_as_from_memory);
	tcase_add_test(t, a_short_list_of_a_long_attribute_stays);
	tcase_add_test(t, two_lists_of_an_attribute_are_refused);
	tcase_add_test(t, lists_do_not_take_more_memory_than_is_allowed);
	suite_add_tcase(s, t);
	return s;
}
