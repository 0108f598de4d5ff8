/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. A symbol is found by its components, from the outside in: in each scope the child
 * of that name is the next scope. Which fields of a scope are children, and what scope each
 * of them is, stands in one table. Bytes are our own build's: what is malformed is not found.
 */
#include "server/grpc/descriptors.h"

#include <assert.h>
#include "server/grpc/wire.h"

static const unsigned char set[] = {
#include "proto/descriptors.h"
};

/* FileDescriptorSet; FileDescriptorProto; all others have their name in field 1 as well. */
enum { SET_FILE = 1 };
enum { NAME = 1, FILE_PACKAGE = 2, FILE_IMPORT = 3 };

enum scope { SCOPE_FILE, SCOPE_MESSAGE, SCOPE_ENUM, SCOPE_SERVICE, SCOPE_LEAF };

static const struct child {
	enum scope of;
	uint32_t field;
	enum scope is;
} children[] = {
	{ SCOPE_FILE, 4, SCOPE_MESSAGE },
	{ SCOPE_FILE, 5, SCOPE_ENUM },
	{ SCOPE_FILE, 6, SCOPE_SERVICE },
	{ SCOPE_FILE, 7, SCOPE_LEAF }, /* extension */
	{ SCOPE_MESSAGE, 2, SCOPE_LEAF }, /* field */
	{ SCOPE_MESSAGE, 3, SCOPE_MESSAGE },
	{ SCOPE_MESSAGE, 4, SCOPE_ENUM },
	{ SCOPE_MESSAGE, 6, SCOPE_LEAF }, /* extension */
	{ SCOPE_MESSAGE, 8, SCOPE_LEAF }, /* oneof */
	{ SCOPE_ENUM, 2, SCOPE_LEAF },
	{ SCOPE_SERVICE, 2, SCOPE_LEAF }, /* method */
};

struct node {
	enum scope scope;
	struct wire body;
};

static struct wire over(const struct slice *bytes)
{
	return wire_over(bytes, 1);
}

/* In one piece, so nothing is copied. */
static struct slice bytes_of(struct wire w)
{
	return wire_bytes(&w, NULL);
}

/* A text field; "" when it is not there. */
static struct slice text_of(struct wire w, uint32_t field)
{
	struct wire text;
	return wire_find(&w, field, &text) ? bytes_of(text) : SLICE_LIT("");
}

/* --- files --- */

static const struct slice whole = { (const char *)set, sizeof(set) };

int descriptors_count(void)
{
	struct wire w = over(&whole), file;
	int n = 0;
	while (wire_find(&w, SET_FILE, &file))
		n++;
	assert(n <= DESCRIPTORS_FILES_MAX);
	return n;
}

static bool file_at(int i, struct wire *ret)
{
	struct wire w = over(&whole);
	bool found = i >= 0;
	for (int k = 0; k <= i && found; k++)
		found = wire_find(&w, SET_FILE, ret);
	return found;
}

struct slice descriptors_file(int i)
{
	struct wire file;
	return file_at(i, &file) ? bytes_of(file) : SLICE_LIT("");
}

int descriptors_find_file(struct slice name)
{
	struct wire file;
	for (int i = 0; file_at(i, &file); i++)
		if (slice_eq(text_of(file, NAME), name))
			return i;
	return -1;
}

void descriptors_mark_imports(int file, bool needed[DESCRIPTORS_FILES_MAX])
{
	needed[file] = true;
	/* A file stands behind what it imports: one walk downwards sees all. */
	for (int i = file; i >= 0; i--) {
		struct wire body, import;
		if (!needed[i] || !file_at(i, &body))
			continue;
		while (wire_find(&body, FILE_IMPORT, &import)) {
			int k = descriptors_find_file(bytes_of(import));
			if (k >= 0)
				needed[k] = true;
		}
	}
}

/* --- symbols --- */

static bool find_child(const struct node *in, struct slice name, struct node *ret);

/* A value of an enum is known by its name beside the enum. In an enum are leaves alone, so
   this goes no deeper. */
static bool has_value(struct wire body, struct slice name)
{
	struct node as_scope = { SCOPE_ENUM, body }, value;
	return find_child(&as_scope, name, &value);
}

static bool is_child(const struct child *c, struct wire body, struct slice name, struct node *ret)
{
	if (slice_eq(text_of(body, NAME), name)) {
		*ret = (struct node){ c->is, body };
		return true;
	}
	if (c->is != SCOPE_ENUM || !has_value(body, name))
		return false;
	*ret = (struct node){ SCOPE_LEAF, body };
	return true;
}

static bool find_child(const struct node *in, struct slice name, struct node *ret)
{
	for (size_t i = 0; i < sizeof(children) / sizeof(*children); i++) {
		struct wire w = in->body, body;
		if (children[i].of != in->scope)
			continue;
		while (wire_find(&w, children[i].field, &body))
			if (is_child(&children[i], body, name, ret))
				return true;
	}
	return false;
}

/* Cuts the first component off. */
static struct slice take_component(struct slice *rest)
{
	const char *dot = memchr(rest->ptr, '.', rest->len);
	struct slice one = { rest->ptr, dot ? (size_t)(dot - rest->ptr) : rest->len };
	size_t gone = one.len + (dot != NULL);
	*rest = (struct slice){ rest->ptr + gone, rest->len - gone };
	return one;
}

/* "package.rest" to rest. */
static bool take_package(struct slice *rest, struct slice package)
{
	if (package.len == 0)
		return true;
	if (rest->len <= package.len || memcmp(rest->ptr, package.ptr, package.len) != 0 ||
		rest->ptr[package.len] != '.')
		return false;
	*rest = (struct slice){ rest->ptr + package.len + 1, rest->len - package.len - 1 };
	return true;
}

static bool find_in_file(struct wire file, struct slice rest, struct node *ret)
{
	struct node at = { SCOPE_FILE, file };
	if (!take_package(&rest, text_of(file, FILE_PACKAGE)) || rest.len == 0 ||
		rest.ptr[rest.len - 1] == '.')
		return false;
	while (rest.len) {
		struct node child;
		if (!find_child(&at, take_component(&rest), &child))
			return false;
		at = child;
	}
	*ret = at;
	return true;
}

static int find(struct slice symbol, struct node *ret)
{
	struct wire file;
	for (int i = 0; file_at(i, &file); i++)
		if (find_in_file(file, symbol, ret))
			return i;
	return -1;
}

int descriptors_find_symbol(struct slice symbol)
{
	struct node node;
	return find(symbol, &node);
}

bool descriptors_has_message(struct slice symbol)
{
	struct node node;
	return find(symbol, &node) >= 0 && node.scope == SCOPE_MESSAGE;
}
