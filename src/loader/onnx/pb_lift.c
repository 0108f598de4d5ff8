/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INVARIANTS
 *
 * 1. The skeleton is never longer than what was read: a field that is lifted takes 13 bytes
 *    instead of more. So its room is as large as the file, of which only what is
 *    written is ever touched.
 * 2. A message's length keeps the bytes it had: a smaller number is written with leading
 *    zeros, which protobuf allows.
 */
#include "loader/onnx/pb_lift.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "loader/onnx/pb_scan.h"

#define WINDOW_BYTES ((size_t)64 << 10)
#define LENGTH_BYTES_MAX 5 /* protobuf-c's */
#define HEAD_BYTES_MAX 20  /* of a field: tag and length, or number */

struct frame {
	const ProtobufCMessageDescriptor *desc;
	uint64_t end;      /* in the file */
	size_t length_at;  /* in the skeleton */
	size_t length_bytes;
	bool seen;   /* a field of those that are lifted */
	bool lifted; /* it was */
};

struct lift {
	const struct pb_lift_conf *conf;
	int fd;
	const char *file;
	uint64_t at, end; /* in the file */
	uint64_t kept;    /* up to here the skeleton has it, or need not */
	uint8_t *window;
	uint64_t window_at;
	size_t window_bytes;
	uint8_t *out;
	size_t out_bytes;
	struct frame stack[PB_DEPTH_MAX];
	int depth;
	struct arena *arena;
	struct pb_piece *piece;
	size_t n, cap;
	size_t list_bytes;
	struct err *err;
};

static enum err_code odd(const struct lift *l)
{
	return err_set(l->err, ERR_INVALID_ARGUMENT, "%s: an odd field at byte %llu", l->file,
		(unsigned long long)l->at);
}

/* -- reading ------------------------------------------------------------------------------- */

/* What has been passed, as the file has it, goes to the skeleton: in one piece for many fields. */
static enum err_code keep(struct lift *l, uint64_t to)
{
	uint8_t *out = l->out + l->out_bytes;
	uint64_t from = l->kept, bytes = to - from;
	if (bytes == 0)
		return ERR_OK;
	l->out_bytes += bytes;
	l->kept = to;
	if (from < l->window_at || to > l->window_at + l->window_bytes)
		return file_read_at(l->fd, l->file, from, out, bytes, l->err);
	memcpy(out, l->window + (from - l->window_at), bytes);
	return ERR_OK;
}

static enum err_code move_window(struct lift *l)
{
	uint64_t left = l->end - l->at;
	l->window_at = l->at;
	l->window_bytes = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
	return file_read_at(l->fd, l->file, l->at, l->window, l->window_bytes, l->err);
}

/* Brings the next field's head into the window. */
static enum err_code look(struct lift *l)
{
	uint64_t have = l->window_at + l->window_bytes;
	if (l->at >= l->window_at &&
		(l->at + HEAD_BYTES_MAX <= have || (have == l->end && l->at <= have)))
		return ERR_OK;
	TRY(keep(l, l->at));
	return move_window(l);
}

/* From the window; at most most bytes long. */
static bool take_varint(struct lift *l, size_t most, uint64_t *ret)
{
	uint64_t v = 0, have = l->window_at + l->window_bytes;
	for (size_t i = 0; i < most && l->at < have; i++) {
		uint8_t b = l->window[l->at - l->window_at];
		l->at++;
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* -- the skeleton ------------------------------------------------------------------------------ */

static void put_varint(uint8_t *to, size_t bytes, uint64_t v)
{
	for (size_t i = 0; i < bytes; i++, v >>= 7)
		to[i] = (uint8_t)((v & 0x7f) | (i + 1 < bytes ? 0x80 : 0));
}

/* What stands from begin to end is a piece instead. */
static enum err_code add_piece(
	struct lift *l, uint64_t begin, uint64_t end, const struct pb_piece *what)
{
	uint64_t index = l->n;
	TRY(keep(l, begin));
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		struct pb_piece *piece = ARENA_ARRAY(l->arena, struct pb_piece, cap);
		if (!piece)
			return err_oom(l->err);
		if (l->n)
			memcpy(piece, l->piece, l->n * sizeof(*piece));
		l->piece = piece;
		l->cap = cap;
	}
	l->piece[l->n++] = *what;
	uint8_t *out = l->out + l->out_bytes;
	put_varint(out, LENGTH_BYTES_MAX, (uint64_t)PB_LIFT_FIELD << 3 | 1);
	memcpy(out + LENGTH_BYTES_MAX, &index, sizeof(index));
	l->out_bytes += LENGTH_BYTES_MAX + sizeof(index);
	l->kept = l->at = end;
	l->stack[l->depth - 1].lifted = true;
	return ERR_OK;
}

/* Its contents begin at l->at, its tag at begin. */
static enum err_code lift_bytes(struct lift *l, uint64_t begin, uint64_t bytes)
{
	const struct pb_piece piece = { .offset = l->at, .bytes = (size_t)bytes };
	return add_piece(l, begin, l->at + bytes, &piece);
}

/* From l->at on; ends where the message does, at another field, or at an element that no
   window holds. */
static enum err_code take_elements(struct lift *l, struct pb_list *list)
{
	uint64_t end = l->stack[l->depth - 1].end;
	for (;;) {
		uint64_t have = l->window_at + l->window_bytes;
		const uint8_t *at = l->window + (l->at - l->window_at);
		l->at += pb_list_take(list, at, (size_t)((have < end ? have : end) - l->at));
		if (have >= end || l->at == l->window_at)
			return ERR_OK;
		TRY(move_window(l));
	}
}

/* The first element's tag is at begin, in the window. A list that is short after all is left where
   it is, and l->at at its begin. */
static enum err_code lift_list(struct lift *l, uint64_t begin, const struct pb_lift_field *f)
{
	struct pb_list list;
	struct pb_piece piece = { .kind = f->kind };
	l->at = begin;
	if (!pb_list_init(&list, f->kind, f->number, l->stack[l->depth - 1].end - begin,
		    l->conf->list_bytes_max - l->list_bytes, l->conf->lists))
		return ERR_OK;
	enum err_code rc = take_elements(l, &list);
	uint64_t end = l->at;
	if (rc != ERR_OK || end - begin < PB_LIFT_BYTES_MIN) {
		pb_list_drop(&list);
		l->at = begin;
		return rc;
	}
	piece.n = list.n;
	TRY(pb_list_done(&list, &piece.data, l->err));
	l->list_bytes += list.mem->bytes;
	return add_piece(l, begin, end, &piece);
}

static enum err_code leave(struct lift *l)
{
	const struct frame *top = &l->stack[--l->depth];
	TRY(keep(l, l->at));
	if (top->length_bytes)
		put_varint(l->out + top->length_at, top->length_bytes,
			l->out_bytes - top->length_at - top->length_bytes);
	return ERR_OK;
}

/* -- the walk ---------------------------------------------------------------------------------- */

static int by_number(const void *key, const void *elem)
{
	uint32_t a = *(const uint32_t *)key, b = ((const ProtobufCFieldDescriptor *)elem)->id;
	return a < b ? -1 : a > b;
}

static enum err_code enter(struct lift *l, const ProtobufCMessageDescriptor *desc,
	uint64_t length_from, uint64_t bytes)
{
	if (l->depth == PB_DEPTH_MAX)
		return odd(l);
	enum err_code rc = keep(l, l->at);
	size_t length_bytes = (size_t)(l->at - length_from);
	l->stack[l->depth++] = (struct frame){ .desc = desc, .end = l->at + bytes,
		.length_at = l->out_bytes - length_bytes, .length_bytes = length_bytes };
	return rc;
}

/* NULL: it is not to be lifted. */
static const struct pb_lift_field *find_lifted(const struct lift *l, uint32_t number)
{
	const struct frame *top = &l->stack[l->depth - 1];
	for (int i = 0; i < l->conf->n_field; i++) {
		const struct pb_lift_field *f = &l->conf->field[i];
		if (f->message == top->desc && f->number == number)
			return f;
	}
	return NULL;
}

/* A field with a length; begin is where its tag stands. */
static enum err_code walk_delimited(
	struct lift *l, uint64_t begin, uint32_t number, const struct pb_lift_field *lifted)
{
	const struct frame *top = &l->stack[l->depth - 1];
	const ProtobufCFieldDescriptor *f =
		bsearch(&number, top->desc->fields, top->desc->n_fields, sizeof(*f), by_number);
	uint64_t length_from = l->at, bytes;
	if (!take_varint(l, LENGTH_BYTES_MAX, &bytes) || l->at > top->end ||
		bytes > top->end - l->at)
		return odd(l);
	if (f && f->type == PROTOBUF_C_TYPE_MESSAGE)
		return enter(l, f->descriptor, length_from, bytes);
	if (lifted && lifted->kind == PB_BYTES && bytes >= l->conf->least_bytes)
		return lift_bytes(l, begin, bytes);
	l->at += bytes;
	return ERR_OK;
}

static bool begins_list(
	const struct lift *l, uint64_t begin, uint64_t tag, const struct pb_lift_field *f)
{
	return f->kind != PB_BYTES && tag == pb_list_tag(f->kind, f->number) &&
	       l->stack[l->depth - 1].end - begin >= l->conf->least_bytes;
}

static enum err_code walk_field(struct lift *l)
{
	struct frame *top = &l->stack[l->depth - 1];
	uint64_t begin = l->at, tag, v;
	enum err_code rc = look(l);
	if (rc != ERR_OK)
		return rc;
	if (!take_varint(l, LENGTH_BYTES_MAX, &tag) || tag >> 3 == 0 || tag >> 3 > PB_LIFT_FIELD)
		return odd(l);
	const struct pb_lift_field *lifted = find_lifted(l, (uint32_t)(tag >> 3));
	if (lifted) {
		bool is_first = !top->seen;
		if (top->lifted || (!is_first && lifted->kind == PB_BYTES))
			return odd(l);
		top->seen = true;
		if (is_first && begins_list(l, begin, tag, lifted))
			return lift_list(l, begin, lifted);
	}
	switch (tag & 7) {
	case 0:
		if (!take_varint(l, 10, &v))
			return odd(l);
		break;
	case 1: l->at += 8; break;
	case 2: rc = walk_delimited(l, begin, (uint32_t)(tag >> 3), lifted); break;
	case 5: l->at += 4; break;
	default: return odd(l);
	}
	if (rc != ERR_OK || (tag & 7) == 2)
		return rc;
	if (l->at > top->end)
		return odd(l);
	if (tag >> 3 == PB_LIFT_FIELD) { /* ours alone */
		rc = keep(l, begin);
		l->kept = l->at;
	}
	return rc;
}

static enum err_code walk(struct lift *l)
{
	enum err_code rc = ERR_OK;
	l->stack[l->depth++] = (struct frame){ .desc = l->conf->root, .end = l->end };
	while (l->depth > 0 && rc == ERR_OK) {
		rc = l->at == l->stack[l->depth - 1].end ? leave(l) : walk_field(l);
	}
	return rc;
}

enum err_code pb_lift(int fd, const char *file, size_t file_bytes, const struct pb_lift_conf *conf,
	struct arena *arena, struct pb_lifted *ret, struct err *err)
{
	struct lift l = { .conf = conf, .fd = fd, .file = file, .end = file_bytes, .arena = arena,
		.window = arena_alloc(arena, WINDOW_BYTES), .err = err };
	struct file_mem skeleton;
	if (!l.window)
		return err_oom(err);
	enum err_code rc = file_mem_new(file_bytes, &skeleton, err);
	if (rc != ERR_OK)
		return rc;
	l.out = skeleton.ptr;
	rc = walk(&l);
	if (rc != ERR_OK) {
		file_mem_free(&skeleton);
		return rc;
	}
	*ret = (struct pb_lifted){ skeleton, l.out_bytes, l.piece, l.n };
	return ERR_OK;
}

struct pb_piece *pb_lifted_piece(const struct pb_lifted *l, const ProtobufCMessage *m)
{
	for (unsigned i = 0; i < m->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *f = &m->unknown_fields[i];
		uint64_t index;
		if (f->tag != PB_LIFT_FIELD || f->wire_type != PROTOBUF_C_WIRE_TYPE_64BIT)
			continue;
		memcpy(&index, f->data, sizeof(index));
		return index < l->n ? &l->piece[index] : NULL;
	}
	return NULL;
}
