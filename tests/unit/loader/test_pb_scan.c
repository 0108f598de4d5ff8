/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include "loader/onnx/pb_mem.h"
#include "loader/onnx/pb_scan.h"
#include "onnx.pb-c.h"

static const struct pb_limits limits = { 1000000, SIZE_MAX, "doc_string" };
static struct err err;
static size_t estimate;

static enum err_code scan(const char *bytes, size_t len)
{
	return pb_scan(&onnx__model_proto__descriptor, (struct slice){ bytes, len }, &limits,
		&estimate, &err);
}

#define SCAN(lit) scan(lit, sizeof(lit) - 1)

/* Wraps what is in buf (len bytes at its end) into field `tag` again and again. */
static struct slice nest(char *buf, size_t size, const char *tags, int times)
{
	size_t at = size;
	for (int i = 0; i < times; i++) {
		size_t len = size - at;
		char head[8];
		int n = 0;
		head[n++] = tags[i % 3];
		for (; len > 0x7f; len >>= 7)
			head[n++] = (char)(len | 0x80);
		head[n++] = (char)len;
		at -= (size_t)n;
		memcpy(buf + at, head, (size_t)n);
	}
	return (struct slice){ buf + at, size - at };
}

START_TEST(empty_and_plain_messages_pass)
{
	ck_assert_int_eq(SCAN(""), ERR_OK);
	ck_assert_int_eq(SCAN("\x08\x07\x12\x01x"), ERR_OK);
	/* A field that we do not know is skipped whatever its kind. */
	ck_assert_int_eq(SCAN("\xf8\x07\x01\xfa\x07\x02zz\xf9\x07xxxxxxxx\xfd\x07xxxx"), ERR_OK);
}
END_TEST

static const struct {
	const char *bytes;
	size_t len;
	const char *says;
} broken[] = {
#define ROW(lit, says) { lit, sizeof(lit) - 1, says }
	ROW("\x00", "field number"),                          /* tag 0 */
	ROW("\x80\x80\x80\x80\x80\x01", "field number"),      /* beyond 2^29 */
	ROW("\x0b\x0c", "groups"),                            /* group */
	ROW("\x0e", "groups"),                                /* wire type 6 */
	ROW("\x08", "varint"),                                /* cut off */
	ROW("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "varint"), /* beyond 64 bits */
	ROW("\x12\x05xxxx", "beyond the end"),
	ROW("\x12\xff\xff\xff\xff\x0fx", "beyond the end"),   /* 4 GiB - 1 */
	ROW("\x08\x01\x08\x01", "twice"),
	ROW("\x12\x02\xc3\x28", "UTF-8"),
	ROW("\x12\x02\xc0\x80", "UTF-8"),                     /* overlong NUL */
	ROW("\x12\x03\xed\xa0\x80", "UTF-8"),                 /* surrogate */
	ROW("\x12\x03x\0y", "NUL"),
	ROW("\x0a\x01\x01", "a number has a length"),
	ROW("\x3a\x07\x2a\x05\x22\x04xxx", "beyond"), /* inner length over outer's end */
	ROW("\x3a\x07\x2a\x05\x22\x03xxx", "part of an element"), /* float_data of 3 bytes */
#undef ROW
};

START_TEST(M1_what_is_no_message_is_refused)
{
	ck_assert_int_eq(scan(broken[_i].bytes, broken[_i].len), ERR_INVALID_ARGUMENT);
	ck_assert_msg(strstr(err.msg, broken[_i].says), "row %d says: %s", _i, err.msg);
}
END_TEST

START_TEST(free_text_may_be_anything)
{
	ck_assert_int_eq(SCAN("\x32\x02\xc3\x28"), ERR_OK);
}
END_TEST

START_TEST(M5_nesting_stops_at_64)
{
	/* From the inside: graph (7 in the model), node (1), attribute (5), its graph (6). */
	static char buf[1 << 20];
	const char tags[] = { 0x32, 0x2a, 0x0a };
	struct slice body = nest(buf + 8, sizeof(buf) - 8, tags, 60);
	char *at = (char *)body.ptr;
	size_t len = body.len;
	*--at = (char)(len >> 7);
	*--at = (char)(len | 0x80);
	*--at = 0x3a;
	ck_assert_int_eq(scan(at, len + 3), ERR_OK);

	body = nest(buf + 8, sizeof(buf) - 8, tags, 66);
	at = (char *)body.ptr;
	len = body.len;
	*--at = (char)(len >> 7);
	*--at = (char)(len | 0x80);
	*--at = 0x3a;
	ck_assert_int_eq(scan(at, len + 3), ERR_INVALID_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "nested deeper"));
}
END_TEST

START_TEST(M6_four_million_empty_nodes_are_refused_before_they_are_unpacked)
{
	size_t n = 4000000, len = 2 * n + 5;
	char *bytes = calloc(1, len);
	memcpy(bytes, "\x3a\x80\xa4\xe8\x03", 5); /* graph of 8000000 bytes */
	for (size_t i = 5; i < len; i += 2)
		bytes[i] = 0x0a;

	ck_assert_int_eq(scan(bytes, len), ERR_RESOURCE_EXHAUSTED);

	free(bytes);
}
END_TEST

START_TEST(the_estimate_covers_what_unpacking_takes)
{
	/* A graph of nodes with names, attributes and packed data. */
	Onnx__AttributeProto attr = ONNX__ATTRIBUTE_PROTO__INIT,
			     *attrs[3] = { &attr, &attr, &attr };
	int64_t ints[100] = { 1, 300, -1 };
	attr.name = "some_attribute";
	attr.ints = ints;
	attr.n_ints = 100;
	Onnx__NodeProto node = ONNX__NODE_PROTO__INIT, *nodes[200];
	node.name = "a node";
	node.attribute = attrs;
	node.n_attribute = 3;
	for (int i = 0; i < 200; i++)
		nodes[i] = &node;
	Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
	graph.node = nodes;
	graph.n_node = 200;
	Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
	model.graph = &graph;
	size_t len = onnx__model_proto__get_packed_size(&model);
	uint8_t *bytes = malloc(len);
	onnx__model_proto__pack(&model, bytes);
	ck_assert_int_eq(scan((char *)bytes, len), ERR_OK);

	struct pb_mem mem;
	ck_assert_int_eq(pb_mem_init(&mem, SIZE_MAX, &err), ERR_OK);
	Onnx__ModelProto *back = onnx__model_proto__unpack(&mem.allocator, len, bytes);

	ck_assert_ptr_nonnull(back);
	ck_assert_uint_le(arena_used_bytes(mem.small) + mem.big_bytes, estimate);
	pb_mem_done(&mem);
	free(bytes);
}
END_TEST

START_TEST(big_pieces_can_be_adopted_and_the_rest_is_freed)
{
	struct pb_mem mem;
	struct arena *arena = arena_new(0, 0);
	ck_assert_int_eq(pb_mem_init(&mem, 10 << 20, &err), ERR_OK);
	char *kept = mem.allocator.alloc(&mem, 1 << 20),
	     *freed = mem.allocator.alloc(&mem, 1 << 20);
	char *left = mem.allocator.alloc(&mem, 1 << 20), *small = mem.allocator.alloc(&mem, 10);
	ck_assert_ptr_nonnull(left);
	ck_assert_int_eq((uintptr_t)kept % 64, 0);

	ck_assert_int_eq(pb_mem_adopt(&mem, kept, arena), ERR_OK);
	ck_assert_int_eq(pb_mem_adopt(&mem, kept, arena), ERR_OK);
	mem.allocator.free(&mem, freed);
	mem.allocator.free(&mem, small);
	ck_assert_ptr_null(mem.allocator.alloc(&mem, 10 << 20)); /* beyond the budget */
	pb_mem_done(&mem);

	kept[0] = kept[(1 << 20) - 1] = 1;
	ck_assert_uint_ge(arena_used_bytes(arena), 1 << 20);
	arena_free(arena);
}
END_TEST

START_TEST(what_is_freed_serves_the_next_of_its_size_and_goes_when_room_is_short)
{
	struct pb_mem mem;
	ck_assert_int_eq(pb_mem_init(&mem, 10 << 20, &err), ERR_OK);
	void *first = mem.allocator.alloc(&mem, 3 << 20), *other;
	mem.allocator.free(&mem, first);

	ck_assert_ptr_eq(mem.allocator.alloc(&mem, 3 << 20), first);
	mem.allocator.free(&mem, first);
	other = mem.allocator.alloc(&mem, 9 << 20); /* not beside the free one */
	ck_assert_ptr_nonnull(other);
	mem.allocator.free(&mem, other);
	pb_mem_trim(&mem);
	ck_assert_uint_eq(mem.big_bytes, 0);
	pb_mem_done(&mem);
}
END_TEST

Suite *suite_pb_scan(void);
Suite *suite_pb_scan(void)
{
	Suite *s = suite_create("pb_scan");
	TCase *t = tcase_create("pb_scan");
	tcase_add_test(t, empty_and_plain_messages_pass);
	tcase_add_loop_test(t, M1_what_is_no_message_is_refused, 0,
		(int)(sizeof(broken) / sizeof(broken[0])));
	tcase_add_test(t, free_text_may_be_anything);
	tcase_add_test(t, M5_nesting_stops_at_64);
	tcase_add_test(t, M6_four_million_empty_nodes_are_refused_before_they_are_unpacked);
	tcase_add_test(t, the_estimate_covers_what_unpacking_takes);
	tcase_add_test(t, big_pieces_can_be_adopted_and_the_rest_is_freed);
	tcase_add_test(t, what_is_freed_serves_the_next_of_its_size_and_goes_when_room_is_short);
	suite_add_tcase(s, t);
	return s;
}
