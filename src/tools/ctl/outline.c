/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl/outline.h"

#include <string.h>
#include "base/buf.h"
#include "base/utf8.h"

#define DEPTH_MAX 32
#define PATH_BYTES_MAX 512
#define SPACE " \t\r\n"

struct reader {
	const char *at, *end;
	int line;
	struct arena *arena;
	struct frame {
		char closer; /* '}', '>' or ']'; 0: the file itself */
		size_t path_len; /* of what is around it */
	} stack[DEPTH_MAX];
	int depth;
	char path[PATH_BYTES_MAX];
	size_t path_len;
	outline_fn on_item;
	void *ctx;
	struct err *err;
};

static bool is_at(const struct reader *r, const char *any)
{
	return r->at < r->end && *r->at && strchr(any, *r->at);
}

static void skip(struct reader *r, const char *any)
{
	for (; is_at(r, any) || is_at(r, "#"); r->at++) {
		r->line += *r->at == '\n';
		if (*r->at != '#')
			continue;
		const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
		r->at = end ? end - 1 : r->end - 1;
	}
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("_.+-/", c));
}

static struct slice word(struct reader *r)
{
	const char *from = r->at;
	while (r->at < r->end && is_word(*r->at))
		r->at++;
	return (struct slice){ from, (size_t)(r->at - from) };
}

/* -- strings --------------------------------------------------------------------------------- */

/* Digits of the base, at most n of them. */
static uint32_t digits(struct reader *r, int base, int n)
{
	static const char all[] = "0123456789abcdef";
	uint32_t value = 0;
	for (const char *d; n > 0 && r->at < r->end; n--, r->at++) {
		d = memchr(all, *r->at | (*r->at >= 'A' ? 0x20 : 0), (size_t)base);
		if (!d)
			break;
		value = value * (uint32_t)base + (uint32_t)(d - all);
	}
	return value;
}

/* Behind the backslash. What has no meaning stands for itself. */
static void escape(struct reader *r, struct buf *to)
{
	static const char from[] = "nrtbf", control[] = "\n\r\t\b\f";
	char utf8[4];
	const char *known = *r->at ? strchr(from, *r->at) : NULL;
	if (*r->at >= '0' && *r->at <= '7') {
		buf_char(to, (char)digits(r, 8, 3));
	} else if (*r->at == 'u') {
		r->at++;
		buf_bytes(to, utf8, utf8_encode(digits(r, 16, 4), utf8));
	} else {
		buf_char(to, known ? control[known - from] : *r->at);
		r->at++;
	}
}

static enum err_code quoted(struct reader *r, struct buf *to)
{
	char quote = *r->at++;
	while (r->at < r->end && *r->at != quote && *r->at != '\n') {
		char c = *r->at++;
		if (c == '\\' && r->at < r->end)
			escape(r, to);
		else
			buf_char(to, c);
	}
	if (!is_at(r, "\"'"))
		return err_set(r->err, ERR_INVALID_ARGUMENT, "a string does not end on its line");
	r->at++;
	return ERR_OK;
}

/* One string, or several that follow each other: they are one. */
static enum err_code strings(struct reader *r, struct slice *ret)
{
	struct buf b = buf_of(r->arena, 0);
	while (is_at(r, "\"'")) {
		TRY(quoted(r, &b));
		skip(r, SPACE);
	}
	return buf_finish(&b, ret, r->err);
}

/* -- messages and lists ---------------------------------------------------------------------- */

static enum err_code tell(struct reader *r, enum outline_kind kind, struct slice value)
{
	const struct outline_item item = { kind, r->path, value };
	return r->on_item(r->ctx, &item, r->err);
}

static void cut_path(struct reader *r, size_t len)
{
	r->path_len = len;
	r->path[len] = '\0';
}

static enum err_code push(struct reader *r, size_t path_len)
{
	if (r->depth + 1 == DEPTH_MAX)
		return err_set(r->err, ERR_INVALID_ARGUMENT, "more than %d levels", DEPTH_MAX);
	char opener = *r->at++, closer = '}';
	if (opener == '[')
		closer = ']';
	else if (opener == '<')
		closer = '>';
	r->stack[++r->depth] = (struct frame){ closer, path_len };
	return opener == '[' || !r->path_len ? ERR_OK : tell(r, OUTLINE_OPEN, SLICE_LIT(""));
}

static enum err_code pop(struct reader *r)
{
	const struct frame *f = &r->stack[r->depth--];
	r->at++;
	if (f->closer != ']' && r->path_len)
		TRY(tell(r, OUTLINE_CLOSE, SLICE_LIT("")));
	cut_path(r, f->path_len);
	return ERR_OK;
}

/* path_len: what the path is again behind the value. */
static enum err_code value(struct reader *r, size_t path_len)
{
	struct slice text;
	if (is_at(r, "{<["))
		return push(r, path_len);
	if (is_at(r, "\"'"))
		TRY(strings(r, &text));
	else if ((text = word(r)).len == 0)
		return err_set(
			r->err, ERR_INVALID_ARGUMENT, "a value is missing behind '%s'", r->path);
	TRY(tell(r, OUTLINE_VALUE, text));
	cut_path(r, path_len);
	return ERR_OK;
}

/* "name: value", "name { ... }", ""name": value". */
static enum err_code member(struct reader *r)
{
	size_t before = r->path_len;
	struct slice name;
	if (is_at(r, "\"'"))
		TRY(strings(r, &name));
	else
		name = word(r);
	if (name.len == 0 || memchr(name.ptr, '\0', name.len))
		return err_set(r->err, ERR_INVALID_ARGUMENT, "a name is expected");
	if (name.len + 2 > PATH_BYTES_MAX - before)
		return err_set(r->err, ERR_INVALID_ARGUMENT, "names of more than %d bytes",
			PATH_BYTES_MAX);
	if (before)
		r->path[r->path_len++] = '.';
	memcpy(r->path + r->path_len, name.ptr, name.len);
	cut_path(r, r->path_len + name.len);
	skip(r, SPACE);
	if (is_at(r, ":"))
		r->at++;
	else if (!is_at(r, "{<["))
		return err_set(
			r->err, ERR_INVALID_ARGUMENT, "':' or '{' is missing behind '%s'", r->path);
	skip(r, SPACE);
	return value(r, before);
}

static enum err_code read_all(struct reader *r)
{
	skip(r, SPACE);
	if (is_at(r, "{")) /* JSON */
		TRY(push(r, 0));
	for (skip(r, SPACE ",;"); r->at < r->end; skip(r, SPACE ",;")) {
		char closer = r->stack[r->depth].closer;
		if (closer && *r->at == closer)
			TRY(pop(r));
		else if (closer == ']')
			TRY(value(r, r->path_len));
		else
			TRY(member(r));
	}
	if (r->depth)
		return err_set(r->err, ERR_INVALID_ARGUMENT,
			"'%c' is missing at the end of the file", r->stack[r->depth].closer);
	return ERR_OK;
}

enum err_code outline_read(struct slice text, struct arena *arena, outline_fn on_item, void *ctx,
	struct err *err)
{
	struct err own;
	struct reader r = { .at = text.ptr, .end = text.ptr + text.len, .line = 1, .arena = arena,
		.on_item = on_item, .ctx = ctx, .err = err ? err : &own };
	return read_all(&r) == ERR_OK ? ERR_OK : err_prefix(r.err, "line %d", r.line);
}
