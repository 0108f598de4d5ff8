/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h -- a pull reader over one JSON document in memory, and writing strings
 *
 * Life of a request: listen -> [DECODE] -> signature check -> ...
 *
 * The caller asks for what it expects, value by value; no tree is built. Strict (RFC 8259):
 * UTF-8 is checked, lone surrogates, control characters, depth beyond JSON_DEPTH_MAX and
 * anything after the document are errors. Errors stick: after the first one every call
 * does nothing and says "no"; ask json_error() once, at the end.
 *
 *	json_init(&j, body, arena, false);
 *	json_enter_object(&j);
 *	while (json_member(&j, &key))
 *		if (slice_is(key, "id"))
 *			json_string(&j, &id);
 *		else
 *			json_skip(&j);
 *	json_end(&j);
 *	rc = json_error(&j, err);
 *
 * Ownership: borrows the document; strings without escapes point into it, others live in
 *            the arena.
 * Threads:   one at a time. Memory: the arena, for strings with escapes. No recursion.
 */
#pragma once

#include "base/buf.h"
#include "base/number.h"

#define JSON_DEPTH_MAX 64

enum json_kind {
	JSON_NONE, /* an error, or the end */
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER, /* NaN and the infinities too, where they are allowed */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json {
	const char *at, *end;
	const char *begin;   /* of the document: offsets in messages count from here */
	const char *error;   /* static; NULL: none so far */
	bool refused;        /* it is no error of the JSON */
	size_t error_at;
	struct arena *arena;
	uint64_t is_object;  /* a bit per open container, the innermost lowest */
	int depth;
	bool fresh;          /* the innermost container was entered and has no element yet */
	bool allow_nan;
};

/* allow_nan: NaN, Infinity, -Infinity, Inf and -Inf are numbers. */
void json_init(struct json *j, struct slice doc, struct arena *arena, bool allow_nan);

/* A reader of one value of `outer`'s document, as json_skip() and json_skim() return it. */
void json_init_value(struct json *j, struct slice raw, const struct json *outer);

/* What stands next; reads nothing but space. */
enum json_kind json_peek(struct json *j);

bool json_enter_array(struct json *j);
bool json_enter_object(struct json *j);
/* True: at the next element. False: the array is left behind, or error. */
bool json_next(struct json *j);
/* The same for objects; key as json_string(). */
bool json_member(struct json *j, struct slice *ret_key);

/* Each reads one value of that kind; anything else is an error ("expected a string"). */
bool json_string(struct json *j, struct slice *ret);
bool json_bool(struct json *j, bool *ret);
bool json_null(struct json *j);
/* A number; NaN and the infinities give false without an error: see json_special(). */
bool json_number(struct json *j, struct number *ret);
/* NaN or an infinity, where allowed: true and read. Else nothing was read. */
bool json_special(struct json *j, double *ret);
bool json_i64(struct json *j, int64_t *ret);

/* Reads over one value of any kind, checking all of it. ret_raw may be NULL. */
bool json_skip(struct json *j, struct slice *ret_raw);

/* Finds the end of one value without checking what is inside, as fast as memory: for a
   value that is read later, with json_init_value(), which then finds what is wrong.
   *ret_commas: as many as are in it, so it has no more than that + 1 elements. */
bool json_skim(struct json *j, struct slice *ret_raw, size_t *ret_commas);

/* Nothing but space follows. */
bool json_end(struct json *j);

/* Makes it an error, of the value just read or next, unless there is one. Text is static. */
void json_fail(struct json *j, const char *text);
/* The same of what is JSON, but not what is wanted: only text is said of it. */
void json_refuse(struct json *j, const char *text);

/* ERR_OK, or INVALID_ARGUMENT "JSON Parse error: <text> at offset: N", or json_refuse()'s text. */
MUST_CHECK enum err_code json_error(const struct json *j, struct err *err);

/* Writing. A string is quoted and escaped; bytes that are no UTF-8 become U+FFFD. */
void json_put_string(struct buf *b, struct slice str);
void json_put_cstr(struct buf *b, const char *str);
void json_put_i64(struct buf *b, int64_t v);
void json_put_u64(struct buf *b, uint64_t v);
/* What is not finite becomes NaN, Infinity, -Infinity where allowed, else null. */
void json_put_f32(struct buf *b, float v, bool allow_nan);
void json_put_f64(struct buf *b, double v, bool allow_nan);
