/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/typed.h"

#include <string.h>
#include "base/buf.h"

/* How elements of a type lie in a field. */
enum form {
	FORM_NONE,    /* not at all */
	FORM_FIXED,   /* as in memory: 4 bytes each, 8, or a string of them */
	FORM_WHOLE,   /* varints; float16 and bfloat16 as the number that their bits are */
	FORM_STRINGS,
};

static enum form form_of(enum dtype dtype)
{
	if (dtype_in(dtype, T_REAL | T(C64) | T(C128) | T_F8))
		return FORM_FIXED;
	if (dtype_in(dtype, T_INT | T_UINT | T(BOOL) | T_HALF))
		return FORM_WHOLE;
	return dtype == DTYPE_STRING ? FORM_STRINGS : FORM_NONE;
}

struct typed typed_into(struct tensor *t)
{
	return (struct typed){ .t = t, .room = tensor_bytes(t) };
}

/* Room for the next n bytes; NULL: there is none. */
static void *take_room(struct typed *d, size_t n)
{
	if (n > d->room - d->at) {
		d->too_many = true;
		return NULL;
	}
	char *to = (char *)d->t->data + d->at;
	d->at += n;
	return to;
}

static bool fits(enum dtype dtype, uint64_t v)
{
	int bits = (int)dtype_bytes(dtype) * 8;
	if (bits == 64)
		return true;
	if (dtype_info(dtype)->class != DTYPE_CLASS_INT)
		return v >> bits == 0;
	int64_t half = INT64_C(1) << (bits - 1);
	return (int64_t)v >= -half && (int64_t)v < half;
}

static void put_whole(struct typed *d, uint64_t v)
{
	size_t n = dtype_bytes(d->t->dtype);
	void *to = take_room(d, n);
	if (d->t->dtype == DTYPE_BOOL)
		v = v != 0;
	else
		d->out_of_range |= !fits(d->t->dtype, v);
	if (to)
		memcpy(to, &v, n); /* little-endian, as the machine is */
}

static void put_string(struct typed *d, struct wire *w, struct arena *arena)
{
	struct slice s = wire_bytes(w, arena), *to = take_room(d, sizeof(s));
	if (to)
		*to = s;
	w->bad |= !s.ptr;
}

/* What a fixed field is made of; complex numbers are two of them. */
static size_t unit_bytes(enum dtype dtype)
{
	if (dtype == DTYPE_F64 || dtype == DTYPE_C128)
		return 8;
	return dtype_in(dtype, T_F8) ? 1 : 4;
}

static void put_fixed(struct typed *d, struct wire *w, size_t n)
{
	wire_copy(w, take_room(d, n), n);
	w->bad |= n % unit_bytes(d->t->dtype) != 0;
}

static void read_one(struct typed *d, struct wire *w, enum wire_type type)
{
	size_t unit = unit_bytes(d->t->dtype);
	enum wire_type want = unit == 8 ? WIRE_FIXED64 : unit == 4 ? WIRE_FIXED32 : WIRE_BYTES;
	if (form_of(d->t->dtype) == FORM_WHOLE)
		put_whole(d, wire_varint(w, type));
	else if (form_of(d->t->dtype) == FORM_FIXED && type == want)
		put_fixed(d, w, unit);
	else
		w->bad = true;
}

void typed_read(struct typed *d, struct wire *w, enum wire_type type, struct arena *arena)
{
	if (type != WIRE_BYTES) {
		read_one(d, w, type);
		return;
	}
	struct wire inner = wire_message(w, type);
	if (form_of(d->t->dtype) == FORM_STRINGS)
		put_string(d, &inner, arena);
	else if (form_of(d->t->dtype) == FORM_FIXED)
		put_fixed(d, &inner, inner.left);
	else
		while (inner.left && !d->too_many)
			put_whole(d, wire_raw_varint(&inner));
	w->bad |= inner.bad;
}

/* Bits of any element of up to 8 bytes, a signed one's sign in all of them. */
static uint64_t bits_of(const struct tensor *t, int64_t i)
{
	uint64_t v = 0;
	if (dtype_info(t->dtype)->class == DTYPE_CLASS_INT)
		return (uint64_t)tensor_int(t, i);
	size_t n = dtype_bytes(t->dtype);
	memcpy(&v, (const char *)t->data + (size_t)i * n, n);
	return v;
}

struct slice typed_packed(const struct tensor *t, struct arena *arena)
{
	struct buf b = buf_of(arena, 0);
	struct slice s = { 0 };
	/* A bool is its own varint. */
	if (form_of(t->dtype) == FORM_FIXED || t->dtype == DTYPE_BOOL)
		return (struct slice){ t->data, tensor_bytes(t) };
	for (int64_t i = 0; i < tensor_count(t); i++)
		wire_put_varint(&b, bits_of(t, i));
	if (buf_finish(&b, &s, NULL) != ERR_OK)
		return (struct slice){ 0 };
	return s;
}
