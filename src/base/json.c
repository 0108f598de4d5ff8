/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INVARIANTS
 *   1. begin <= at <= end; error set implies at == end, so that every reader stops.
 *   2. depth <= JSON_DEPTH_MAX, and is_object has one bit per open container.
 *   3. Between calls the reader stands before a value (after json_next() or json_member()
 *      said true), or behind one.
 */
#include "base/json_scan.h"

#include <math.h>

_Static_assert(JSON_DEPTH_MAX <= 64, "is_object has 64 bits");

void json_init(struct json *j, struct slice doc, struct arena *arena, bool allow_nan)
{
	*j = (struct json){ .at = doc.ptr, .begin = doc.ptr, .end = doc.ptr + doc.len,
		.arena = arena, .allow_nan = allow_nan };
}

void json_init_value(struct json *j, struct slice raw, const struct json *outer)
{
	*j = (struct json){ .at = raw.ptr, .begin = outer->begin, .end = raw.ptr + raw.len,
		.arena = outer->arena, .allow_nan = outer->allow_nan };
}

void json_fail(struct json *j, const char *text)
{
	if (j->error)
		return;
	j->error = text;
	j->error_at = (size_t)(j->at - j->begin);
	j->at = j->end;
}

void json_refuse(struct json *j, const char *text)
{
	j->refused |= !j->error;
	json_fail(j, text);
}

enum err_code json_error(const struct json *j, struct err *err)
{
	if (!j->error)
		return ERR_OK;
	if (j->refused)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s", j->error);
	return err_set(err, ERR_INVALID_ARGUMENT, "JSON Parse error: %s at offset: %zu", j->error,
		j->error_at);
}

enum json_kind json_peek(struct json *j)
{
	json_skip_space(j);
	if (j->at == j->end) {
		json_fail(j, "the document ends where a value is expected");
		return JSON_NONE;
	}
	switch (*j->at) {
	case '{': return JSON_OBJECT;
	case '[': return JSON_ARRAY;
	case '"': return JSON_STRING;
	case 't':
	case 'f': return JSON_BOOL;
	case 'n': return JSON_NULL;
	case '-':
	case '0' ... '9': return JSON_NUMBER;
	case 'N':
	case 'I':
		if (j->allow_nan)
			return JSON_NUMBER;
		break;
	default: break;
	}
	json_fail(j, "no JSON value begins like this");
	return JSON_NONE;
}

/* --- containers --- */

static bool enter(struct json *j, enum json_kind kind, const char *otherwise)
{
	if (json_peek(j) != kind) {
		json_fail(j, otherwise);
		return false;
	}
	if (j->depth == JSON_DEPTH_MAX) {
		json_fail(j, "nested deeper than 64 levels");
		return false;
	}
	j->at++;
	j->depth++;
	j->is_object = j->is_object << 1 | (kind == JSON_OBJECT);
	j->fresh = true;
	return true;
}

bool json_enter_array(struct json *j)
{
	return enter(j, JSON_ARRAY, "expected an array");
}

bool json_enter_object(struct json *j)
{
	return enter(j, JSON_OBJECT, "expected an object");
}

/* Behind the comma, or at the first element; false: the container was closed. */
static bool next_element(struct json *j, char close, const char *otherwise)
{
	bool fresh = j->fresh;
	j->fresh = false;
	json_skip_space(j);
	if (j->at == j->end) {
		json_fail(j, otherwise);
		return false;
	}
	if (*j->at == close) {
		j->at++;
		j->depth--;
		j->is_object >>= 1;
		return false;
	}
	if (fresh)
		return true;
	if (*j->at != ',') {
		json_fail(j, otherwise);
		return false;
	}
	j->at++;
	return true;
}

bool json_next(struct json *j)
{
	return next_element(j, ']', "expected ',' or ']'");
}

bool json_member(struct json *j, struct slice *ret_key)
{
	if (!next_element(j, '}', "expected ',' or '}'"))
		return false;
	json_skip_space(j);
	if (j->at == j->end || *j->at != '"') {
		json_fail(j, "expected a key in quotes");
		return false;
	}
	if (!json_string(j, ret_key))
		return false;
	json_skip_space(j);
	if (j->at == j->end || *j->at != ':') {
		json_fail(j, "expected ':'");
		return false;
	}
	j->at++;
	return true;
}

/* --- scalars --- */

/* A value may be followed by space, a comma, a closing bracket or the end. */
static bool word(struct json *j, const char *text)
{
	size_t len = strlen(text);
	if ((size_t)(j->end - j->at) < len || memcmp(j->at, text, len) != 0)
		return false;
	if (j->at + len < j->end) {
		char c = j->at[len];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
			return false;
	}
	j->at += len;
	return true;
}

bool json_bool(struct json *j, bool *ret)
{
	if (json_peek(j) == JSON_BOOL) {
		bool is_true = word(j, "true");
		if (is_true || word(j, "false")) {
			*ret = is_true;
			return true;
		}
	}
	json_fail(j, "expected true or false");
	return false;
}

bool json_null(struct json *j)
{
	if (json_peek(j) == JSON_NULL && word(j, "null"))
		return true;
	json_fail(j, "expected null");
	return false;
}

bool json_number(struct json *j, struct number *ret)
{
	json_skip_space(j);
	const char *end = number_scan(j->at, j->end, ret);
	if (!end) {
		json_fail(j, "expected a number");
		return false;
	}
	j->at = end;
	return true;
}

bool json_special(struct json *j, double *ret)
{
	json_skip_space(j);
	if (!j->allow_nan || j->at == j->end)
		return false;
	if (word(j, "NaN"))
		*ret = (double)NAN;
	else if (word(j, "Infinity") || word(j, "Inf"))
		*ret = (double)INFINITY;
	else if (word(j, "-Infinity") || word(j, "-Inf"))
		*ret = -(double)INFINITY;
	else
		return false;
	return true;
}

bool json_i64(struct json *j, int64_t *ret)
{
	struct number n;
	const char *at = j->at;
	if (!json_number(j, &n))
		return false;
	if (number_to_i64(&n, INT64_MIN, INT64_MAX, ret))
		return true;
	j->at = at;
	json_fail(j, "expected an integer of 64 bits");
	return false;
}

/* --- values of any kind --- */

/* Reads a scalar, or enters a container. */
static bool skip_one(struct json *j)
{
	struct slice str;
	struct number n;
	double special;
	bool b, escapes;
	switch (json_peek(j)) {
	case JSON_OBJECT: return json_enter_object(j);
	case JSON_ARRAY: return json_enter_array(j);
	case JSON_BOOL: return json_bool(j, &b);
	case JSON_NULL: return json_null(j);
	case JSON_NUMBER: return json_special(j, &special) || json_number(j, &n);
	case JSON_STRING: {
		const char *quote;
		const char *first = j->at++;
		quote = json_scan_string(j, &escapes);
		if (!quote)
			return false;
		j->at = first;
		if (escapes)
			return json_string(j, &str);
		j->at = quote + 1;
		return true;
	}
	case JSON_NONE: break;
	}
	return false;
}

bool json_skip(struct json *j, struct slice *ret_raw)
{
	struct slice key;
	int outside = j->depth;
	json_skip_space(j);
	const char *first = j->at;
	do {
		if (!skip_one(j))
			return false;
		/* Behind a value: close what ends here, or go on to the next element. */
		while (j->depth > outside &&
			!(j->is_object & 1 ? json_member(j, &key) : json_next(j)))
			if (j->error)
				return false;
	} while (j->depth > outside);
	if (ret_raw)
		*ret_raw = (struct slice){ first, (size_t)(j->at - first) };
	return !j->error;
}

bool json_end(struct json *j)
{
	json_skip_space(j);
	if (j->at != j->end)
		json_fail(j, "something follows the document");
	return !j->error;
}
