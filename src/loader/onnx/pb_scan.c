/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/onnx/pb_scan.h"

#include <stdint.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/utf8.h"

#define FIELD_NUMBER_MAX ((1u << 29) - 1)
#define VARINT_BYTES_MAX 10

/* What protobuf-c allocates per thing: rounded up by the allocator, and a note of 40
   bytes per field while a message is being read. */
#define ALLOC_OVERHEAD 16
#define SCANNED_FIELD_BYTES 40

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct frame {
	const ProtobufCMessageDescriptor *desc;
	const uint8_t *end;
	uint64_t seen; /* the first 64 singular fields, by index: twice is refused */
	const ProtobufCFieldDescriptor *last; /* found: repeated fields come one after the other */
};

struct scan {
	const struct pb_limits *limits;
	const uint8_t *start, *at;
	struct frame stack[PB_DEPTH_MAX];
	int depth;
	size_t messages;
	size_t memory;
	size_t memory_max;
	struct err *err;
};

static enum err_code bad(const struct scan *s, const char *what)
{
	return err_set(s->err, ERR_INVALID_ARGUMENT, "byte %zu, in %s: %s",
		(size_t)(s->at - s->start), s->stack[s->depth - 1].desc->short_name, what);
}

static bool read_varint(struct scan *s, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;
	for (int i = 0; i < VARINT_BYTES_MAX && s->at + i < end; i++) {
		uint8_t b = s->at[i];
		if (i == VARINT_BYTES_MAX - 1 && b > 1)
			return false;
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80)) {
			s->at += i + 1;
			*ret = v;
			return true;
		}
	}
	return false;
}

/* false: the estimate went over the limit. */
static bool charge(struct scan *s, size_t bytes)
{
	return !add_overflows(s->memory, bytes, &s->memory) && s->memory <= s->memory_max;
}

static enum err_code too_big(const struct scan *s)
{
	return err_set(s->err, ERR_RESOURCE_EXHAUSTED,
		"unpacking it would take more than %zu bytes", s->memory_max);
}

static enum err_code scan_string(struct scan *s, const ProtobufCFieldDescriptor *f, size_t len)
{
	if (s->limits->free_text && strcmp(f->name, s->limits->free_text) == 0)
		return ERR_OK;
	if (len > PB_STRING_MAX)
		return bad(s, "string of more than 1 MiB");
	struct slice text = { (const char *)s->at, len };
	return utf8_is_valid(text) && !memchr(text.ptr, '\0', len)
		       ? ERR_OK
		       : bad(s, "string is not UTF-8 or has a NUL");
}

/* Bytes that one element of a repeated field takes in memory. */
static size_t element_bytes(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM: return 4;
	case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
	default: return 8;
	}
}

/* Wire size of one packed element; 0: varints. */
static size_t fixed_bytes(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT: return 4;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE: return 8;
	default: return 0;
	}
}

static enum err_code
scan_packed(struct scan *s, const ProtobufCFieldDescriptor *f, const uint8_t *end)
{
	size_t fixed = fixed_bytes(f->type), n = 0, left = (size_t)(end - s->at);
	if (fixed) {
		if (left % fixed)
			return bad(s, "packed field with a part of an element");
		n = left / fixed;
		s->at = end;
	} else {
		for (uint64_t v; s->at < end; n++)
			if (!read_varint(s, end, &v))
				return bad(s, "bad varint");
	}
	size_t bytes;
	if (mul_overflows(n, element_bytes(f), &bytes) || !charge(s, bytes))
		return too_big(s);
	return ERR_OK;
}

static enum err_code
enter_message(struct scan *s, const ProtobufCFieldDescriptor *f, const uint8_t *end)
{
	const ProtobufCMessageDescriptor *desc = f->descriptor;
	if (s->depth == PB_DEPTH_MAX)
		return bad(s, "messages are nested deeper than 64");
	if (++s->messages > s->limits->messages_max)
		return err_set(s->err, ERR_RESOURCE_EXHAUSTED, "more than %zu messages in it",
			s->limits->messages_max);
	if (!charge(s, desc->sizeof_message + ALLOC_OVERHEAD))
		return too_big(s);
	s->stack[s->depth++] = (struct frame){ .desc = desc, .end = end };
	return ERR_OK;
}

/* A length-delimited field that lies between s->at and end. */
static enum err_code
scan_delimited(struct scan *s, const ProtobufCFieldDescriptor *f, const uint8_t *end)
{
	size_t len = (size_t)(end - s->at);
	if (f && f->type == PROTOBUF_C_TYPE_MESSAGE)
		return enter_message(s, f, end);
	if (f && f->type == PROTOBUF_C_TYPE_STRING) {
		enum err_code rc = scan_string(s, f, len);
		if (rc != ERR_OK)
			return rc;
	} else if (f && f->type != PROTOBUF_C_TYPE_BYTES) {
		return f->label == PROTOBUF_C_LABEL_REPEATED ? scan_packed(s, f, end)
							     : bad(s, "a number has a length");
	}
	s->at = end;
	return charge(s, len + 1 + ALLOC_OVERHEAD) ? ERR_OK : too_big(s);
}

static enum err_code scan_value(struct scan *s, const ProtobufCFieldDescriptor *f, unsigned wire)
{
	const uint8_t *end = s->stack[s->depth - 1].end;
	size_t left = (size_t)(end - s->at);
	uint64_t v;
	switch (wire) {
	case WIRE_VARINT:
		return read_varint(s, end, &v) ? ERR_OK : bad(s, "bad varint");
	case WIRE_64:
	case WIRE_32:
		if (left < (wire == WIRE_64 ? 8u : 4u))
			return bad(s, "cut off in a number");
		s->at += wire == WIRE_64 ? 8 : 4;
		return ERR_OK;
	case WIRE_LEN:
		if (!read_varint(s, end, &v))
			return bad(s, "bad length");
		if (v > (size_t)(end - s->at))
			return bad(s, "a length goes beyond the end");
		return scan_delimited(s, f, s->at + v);
	default:
		return bad(s, "groups and unknown wire types are not allowed");
	}
}

static int by_number(const void *key, const void *elem)
{
	uint32_t a = *(const uint32_t *)key, b = ((const ProtobufCFieldDescriptor *)elem)->id;
	return a < b ? -1 : a > b;
}

/* NULL: unknown. */
static const ProtobufCFieldDescriptor *find_field(struct frame *top, uint32_t number)
{
	if (!top->last || top->last->id != number)
		top->last = bsearch(&number, top->desc->fields, top->desc->n_fields,
			sizeof(*top->last), by_number);
	return top->last;
}

static enum err_code scan_field(struct scan *s)
{
	struct frame *top = &s->stack[s->depth - 1];
	uint64_t tag;
	if (!read_varint(s, top->end, &tag))
		return bad(s, "bad tag");
	uint32_t number = tag >> 3 > FIELD_NUMBER_MAX ? 0 : (uint32_t)(tag >> 3);
	if (number == 0)
		return bad(s, "bad field number");
	const ProtobufCFieldDescriptor *f = find_field(top, number);
	size_t memory = SCANNED_FIELD_BYTES;
	if (f && f->label == PROTOBUF_C_LABEL_REPEATED) {
		memory += element_bytes(f);
	} else if (f) {
		size_t index = (size_t)(f - top->desc->fields);
		uint64_t bit = index < 64 ? UINT64_C(1) << index : 0;
		if (top->seen & bit)
			return bad(s, "a field that is there once comes twice");
		top->seen |= bit;
	} else {
		memory += sizeof(ProtobufCMessageUnknownField) + ALLOC_OVERHEAD;
	}
	if (!charge(s, memory))
		return too_big(s);
	return scan_value(s, f, tag & 7);
}

enum err_code pb_scan(const ProtobufCMessageDescriptor *root, struct slice bytes,
	const struct pb_limits *limits, size_t *ret_bytes, struct err *err)
{
	const uint8_t *start = (const uint8_t *)bytes.ptr;
	struct scan s = { .limits = limits, .start = start, .at = start, .depth = 1, .err = err };
	s.stack[0] = (struct frame){ .desc = root, .end = start + bytes.len };
	if (mul_overflows(bytes.len, PB_UNPACK_RATIO, &s.memory_max) ||
		add_overflows(s.memory_max, PB_UNPACK_SLACK, &s.memory_max) ||
		s.memory_max > limits->unpack_bytes_max)
		s.memory_max = limits->unpack_bytes_max;
	if (!charge(&s, root->sizeof_message))
		return too_big(&s);
	while (s.depth > 0) {
		if (s.at == s.stack[s.depth - 1].end) {
			s.depth--;
			continue;
		}
		enum err_code rc = scan_field(&s);
		if (rc != ERR_OK)
			return rc;
	}
	*ret_bytes = s.memory;
	return ERR_OK;
}
