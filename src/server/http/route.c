/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/route.h"

#include <string.h>
#include "base/parse.h"

#define PATH_MAX_BYTES 1024
#define NAME_MAX_BYTES 128

static const struct route routes[] = {
#define ROUTE(id, method, pattern, flags, handle, encode) \
	{ ROUTE_##id, METHOD_##method, pattern, flags, handle, encode },
#include "server/http/routes.def"
#undef ROUTE
};

const struct route *route_at(enum route_id id)
{
	return &routes[id];
}

unsigned route_method(const char *name)
{
	static const struct {
		const char *name;
		enum method method;
	} methods[] = {
		{ "POST", METHOD_POST }, { "GET", METHOD_GET }, { "HEAD", METHOD_HEAD },
		{ "OPTIONS", METHOD_OPTIONS }, { "PUT", METHOD_OTHER }, { "DELETE", METHOD_OTHER },
		{ "PATCH", METHOD_OTHER }, { "TRACE", METHOD_OTHER }, { "CONNECT", METHOD_OTHER },
	};
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (strcmp(name, methods[i].name) == 0)
			return methods[i].method;
	return 0;
}

struct captures {
	struct slice model, version, label, region;
};

/* Where the part of a path goes that stands at a pattern's {m}, {v}, {l} or {r}. */
static struct slice *capture_of(struct captures *c, char letter)
{
	switch (letter) {
	case 'm': return &c->model;
	case 'v': return &c->version;
	case 'l': return &c->label;
	default: return &c->region;
	}
}

static bool match(const char *pattern, struct slice path, struct captures *ret)
{
	const char *p = path.ptr, *end = path.ptr + path.len;
	struct captures c = { 0 };
	for (; *pattern; pattern++) {
		if (*pattern != '{') {
			if (p == end || *p++ != *pattern)
				return false;
			continue;
		}
		const char *first = p;
		while (p < end && *p != '/' && *p != ':')
			p++;
		struct slice part = { first, (size_t)(p - first) };
		if (part.len == 0)
			return false;
		*capture_of(&c, pattern[1]) = part;
		pattern += 2; /* now at '}' */
	}
	*ret = c;
	return p == end;
}

static bool is_clean(struct slice path)
{
	static const char regions[] = "/v2/systemsharedmemory/region/";
	bool may_escape = path.len >= sizeof(regions) - 1 &&
			  memcmp(path.ptr, regions, sizeof(regions) - 1) == 0;
	for (size_t i = 0; i < path.len; i++) {
		char ch = path.ptr[i], low = ch | 0x20;
		if (!((ch >= '-' && ch <= ':') || (low >= 'a' && low <= 'z') || ch == '_' ||
			    ch == '~' || (ch == '%' && may_escape)))
			return false;
	}
	return true;
}

/* Methods of all rows with this path, as Allow wants them. */
static const char *allow_of(struct slice path)
{
	static const char *const text[] = { NULL, "GET, HEAD, OPTIONS", "POST, OPTIONS",
		"GET, HEAD, POST, OPTIONS" };
	unsigned methods = 0;
	struct captures c;
	for (size_t i = 0; i < ROUTE_COUNT_; i++)
		if (match(routes[i].pattern, path, &c))
			methods |= routes[i].method;
	return text[methods];
}

bool route_name_is_valid(struct slice name)
{
	if (name.len == 0 || name.len > NAME_MAX_BYTES || slice_is(name, ".") ||
		slice_is(name, ".."))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char ch = name.ptr[i], low = ch | 0x20;
		if (!((ch >= '0' && ch <= '9') || (low >= 'a' && low <= 'z') || ch == '.' ||
			    ch == '_' || ch == '-'))
			return false;
	}
	return true;
}

/* What the row captured, checked. */
static int take_captures(struct call *c, const struct captures *got, const char **ret_msg)
{
	if (got->model.len && !route_name_is_valid(got->model)) {
		*ret_msg = "there is no model of that name";
		return 404;
	}
	c->model = got->model;
	c->region = got->region;
	c->spec = (struct version_spec){ .pick = VERSION_PICK_LATEST };
	if (got->version.len) {
		if (!parse_i64(got->version, 0, INT64_MAX, &c->spec.number)) {
			*ret_msg = "a version is a decimal number without leading zeros";
			return 400;
		}
		c->spec.pick = VERSION_PICK_NUMBER;
		c->has_spec = true;
	} else if (got->label.len) {
		c->spec.pick = VERSION_PICK_LABEL;
		c->spec.label = got->label;
		c->has_spec = true;
	}
	return 0;
}

static const struct route *find_row(struct slice path, unsigned method, struct captures *ret)
{
	unsigned as = method == METHOD_HEAD ? METHOD_GET : method;
	for (size_t i = 0; i < ROUTE_COUNT_; i++)
		if (routes[i].method == as && match(routes[i].pattern, path, ret))
			return &routes[i];
	return NULL;
}

int route_find(struct call *c, unsigned method, const char **ret_msg)
{
	struct slice path = c->target;
	struct captures got;
	const char *query = memchr(path.ptr, '?', path.len);
	if (query)
		path.len = (size_t)(query - path.ptr);
	if (path.len > PATH_MAX_BYTES) {
		*ret_msg = "the path is too long";
		return 414;
	}
	if (path.len == 0 || path.ptr[0] != '/' || !is_clean(path)) {
		*ret_msg = "the path is not made of [A-Za-z0-9._~:/-]";
		return 400;
	}
	c->route = find_row(path, method, &got);
	if (!c->route) {
		c->reply.allow = allow_of(path);
		*ret_msg = c->reply.allow ? "Method Not Allowed" : "Not Found";
		return c->reply.allow ? 405 : 404;
	}
	return take_captures(c, &got, ret_msg);
}
