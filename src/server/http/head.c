/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/head.h"

#include <microhttpd.h>
#include <string.h>
#include <strings.h>
#include "base/parse.h"

struct reading {
	struct head *head;
	int status;
	const char *msg;
	bool fatal;
	int lengths, codings, types, json_lens;
};

static void refuse(struct reading *r, int status, bool fatal, const char *msg)
{
	if (r->status && (r->fatal || !fatal))
		return; /* the first counts, but a fatal one goes before one that is not */
	r->status = status;
	r->msg = msg;
	r->fatal = fatal;
}

static bool slice_eq_nocase(struct slice a, struct slice b)
{
	return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static inline bool slice_is_nocase(struct slice s, const char *str)
{
	return slice_eq_nocase(s, slice_of(str));
}

static struct slice trim(struct slice s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s.ptr++, s.len--;
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static void on_host(struct reading *r, struct slice value)
{
	(void)value;
	if (++r->head->hosts > 1)
		refuse(r, 400, true, "more than one Host header");
}

static void on_length(struct reading *r, struct slice value)
{
	if (++r->lengths > 1)
		refuse(r, 400, true, "more than one Content-Length header");
	else if (!parse_u64(value, UINT64_MAX, &r->head->length))
		refuse(r, 400, true, "Content-Length is not a number");
	r->head->has_length = true;
}

static void on_transfer_encoding(struct reading *r, struct slice value)
{
	if (++r->codings > 1)
		refuse(r, 400, true, "more than one Transfer-Encoding header");
	else if (!slice_is_nocase(value, "chunked"))
		refuse(r, 501, true, "Transfer-Encoding is not supported but for 'chunked'");
	r->head->chunked = true;
}

static void on_content_type(struct reading *r, struct slice value)
{
	if (++r->types > 1)
		refuse(r, 400, false, "more than one Content-Type header");
	r->head->content_type = value;
}

static void on_content_encoding(struct reading *r, struct slice value)
{
	if (r->head->coding != INFLATE_IDENTITY)
		refuse(r, 415, false, "Content-Encoding is given twice");
	else if (slice_is_nocase(value, "gzip") || slice_is_nocase(value, "x-gzip"))
		r->head->coding = INFLATE_GZIP;
	else if (slice_is_nocase(value, "deflate"))
		r->head->coding = INFLATE_DEFLATE;
	else if (value.len && !slice_is_nocase(value, "identity"))
		refuse(r, 415, false, "Content-Encoding is none of gzip, deflate, identity");
}

static void on_json_len(struct reading *r, struct slice value)
{
	if (++r->json_lens > 1)
		refuse(r, 400, false, "more than one Inference-Header-Content-Length header");
	else if (!parse_i64(value, 0, INT64_MAX, &r->head->json_len))
		refuse(r, 400, false, "Inference-Header-Content-Length is not a number of bytes");
}

static void on_expect(struct reading *r, struct slice value)
{
	r->head->expects_continue = slice_is_nocase(value, "100-continue");
	if (!r->head->expects_continue)
		refuse(r, 417, true, "Expect is not supported but for '100-continue'");
}

static void on_accept(struct reading *r, struct slice value)
{
	static const char openmetrics[] = "application/openmetrics-text";
	if (memmem(value.ptr, value.len, openmetrics, sizeof(openmetrics) - 1))
		r->head->wants_openmetrics = true;
}

static void on_origin(struct reading *r, struct slice value)
{
	r->head->origin = value;
}

static void on_asked_method(struct reading *r, struct slice value)
{
	r->head->is_preflight = value.len > 0;
}

static void on_asked_headers(struct reading *r, struct slice value)
{
	r->head->asked_headers = value;
}

/* A hint of the proxy before us, not part of the protocol: what is no number is ignored. */
static void on_timeout_ms(struct reading *r, struct slice value)
{
	uint64_t ms;
	if (parse_u64(value, INT64_MAX / 1000000, &ms))
		r->head->timeout_us = (int64_t)ms * 1000;
}

#define NAME(lit) { (lit), sizeof(lit) - 1 }
static const struct {
	struct slice name;
	void (*on)(struct reading *r, struct slice value);
} known[] = {
	{ NAME("Host"), on_host },
	{ NAME("Content-Length"), on_length },
	{ NAME("Content-Type"), on_content_type },
	{ NAME("Transfer-Encoding"), on_transfer_encoding },
	{ NAME("Content-Encoding"), on_content_encoding },
	{ NAME("Inference-Header-Content-Length"), on_json_len },
	{ NAME("Expect"), on_expect },
	{ NAME("Accept"), on_accept },
	{ NAME("Origin"), on_origin },
	{ NAME("Access-Control-Request-Method"), on_asked_method },
	{ NAME("Access-Control-Request-Headers"), on_asked_headers },
	{ NAME("x-envoy-expected-rq-timeout-ms"), on_timeout_ms },
};

/* Of the visible characters, those that stand in no token. */
static const bool separates[128] = { ['"'] = true, ['('] = true, [')'] = true, [','] = true,
	['/'] = true, [':'] = true, [';'] = true, ['<'] = true, ['='] = true, ['>'] = true,
	['?'] = true, ['@'] = true, ['['] = true, ['\\'] = true, [']'] = true, ['{'] = true,
	['}'] = true };

static bool is_token(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];
		if (c <= ' ' || c >= 0x7f || separates[c])
			return false;
	}
	return name.len > 0;
}

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *key,
	size_t key_len, const char *value, size_t value_len)
{
	struct reading *r = ctx;
	(void)kind;
	struct slice name = { key, key_len };
	if (!is_token(name)) {
		refuse(r, 400, true, "a header name has a character that no name has");
		return MHD_YES;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (slice_eq_nocase(name, known[i].name)) {
			known[i].on(r,
				trim((struct slice){ value ? value : "", value ? value_len : 0 }));
			break;
		}
	return MHD_YES;
}

int head_read(struct MHD_Connection *mhd, struct head *ret, const char **ret_msg, bool *ret_fatal)
{
	*ret = (struct head){ .json_len = -1 };
	struct reading r = { .head = ret };
	MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, on_header, &r);
	if (ret->has_length && ret->chunked)
		refuse(&r, 400, true, "Content-Length and Transfer-Encoding at once");
	*ret_msg = r.msg;
	*ret_fatal = r.fatal;
	return r.status;
}

/* A JSON body is UTF-8, whatever else a charset says. */
static bool charset_is_utf8(struct slice parameters)
{
	static const char name[] = "charset=";
	const char *end = parameters.ptr + parameters.len;
	for (const char *p = parameters.ptr; end - p > (ptrdiff_t)sizeof(name) - 1; p++)
		if (strncasecmp(p, name, sizeof(name) - 1) == 0) {
			struct slice value = { p + sizeof(name) - 1,
				(size_t)(end - p) - (sizeof(name) - 1) };
			const char *semicolon = memchr(value.ptr, ';', value.len);
			if (semicolon)
				value.len = (size_t)(semicolon - value.ptr);
			value = trim(value);
			return slice_is_nocase(value, "utf-8") ||
			       slice_is_nocase(value, "\"utf-8\"") ||
			       slice_is_nocase(value, "utf8") || slice_is_nocase(value, "us-ascii");
		}
	return true;
}

enum head_type head_type(const struct head *h)
{
	struct slice type = h->content_type, rest = { "", 0 };
	if (type.len == 0)
		return HEAD_TYPE_JSON;
	const char *semicolon = memchr(type.ptr, ';', type.len);
	if (semicolon) {
		rest = (struct slice){ semicolon, type.len - (size_t)(semicolon - type.ptr) };
		type.len = (size_t)(semicolon - type.ptr);
		type = trim(type);
	}
	if (slice_is_nocase(type, "application/octet-stream"))
		return HEAD_TYPE_BINARY;
	/* What curl -d says unless told otherwise; TensorFlow Serving's own examples do. */
	if (slice_is_nocase(type, "application/x-www-form-urlencoded"))
		return HEAD_TYPE_JSON;
	if (slice_is_nocase(type, "application/json") && charset_is_utf8(rest))
		return HEAD_TYPE_JSON;
	return HEAD_TYPE_OTHER;
}
