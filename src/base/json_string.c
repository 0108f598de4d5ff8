/* SPDX-License-Identifier: Apache-2.0 */
/* Strings of a JSON document: checked, and with their escapes resolved. */
#include "base/json_scan.h"

#include "base/utf8.h"

const char *json_scan_string(struct json *j, bool *ret_escapes)
{
	const char *p = j->at;
	uint32_t character;
	*ret_escapes = false;
	for (;;) {
		p = json_skip_plain(p, j->end);
		if (p == j->end) {
			j->at = p;
			json_fail(j, "the document ends inside a string");
			return NULL;
		}
		size_t n = 2;
		if (*p == '"')
			return p;
		if (*p == '\\') {
			*ret_escapes = true;
			n = j->end - p >= 2 ? 2 : 1;
		} else if ((unsigned char)*p < ' ') {
			j->at = p;
			json_fail(j, "a control character inside a string");
			return NULL;
		} else if ((n = utf8_decode(p, (size_t)(j->end - p), &character)) == 0) {
			j->at = p;
			json_fail(j, "a string is not valid UTF-8");
			return NULL;
		}
		p += n;
	}
}

static int hex4(const char *p, const char *end)
{
	if (end - p < 4)
		return -1;
	int v = 0;
	for (int i = 0; i < 4; i++) {
		int c = p[i], low = c | 0x20;
		int digit = c >= '0' && c <= '9'     ? c - '0' :
			    low >= 'a' && low <= 'f' ? low - 'a' + 10 :
						       -1;
		if (digit < 0)
			return -1;
		v = v << 4 | digit;
	}
	return v;
}

/* The code point of "\uXXXX" (or a pair of them) at *at, which moves behind it; -1: bad. */
static long unicode_escape(const char **at, const char *end)
{
	int high = hex4(*at + 2, end);
	if (high < 0 || (high & 0xfc00) == 0xdc00)
		return -1;
	*at += 6;
	if ((high & 0xfc00) != 0xd800)
		return high;
	if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return -1;
	int low = hex4(*at + 2, end);
	if ((low & ~0x3ff) != 0xdc00)
		return -1;
	*at += 6;
	return 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
}

/* [p, end) with its escapes resolved, to w, which has room for as much; NULL: error. */
static char *unescape(struct json *j, const char *p, const char *end, char *w)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	while (p < end) {
		const char *slash = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((slash ? slash : end) - p);
		memcpy(w, p, plain);
		w += plain;
		p += plain;
		if (p == end)
			break;
		const char *known = p[1] ? strchr(from, p[1]) : NULL;
		if (known) {
			*w++ = to[known - from];
			p += 2;
			continue;
		}
		long c = p[1] == 'u' ? unicode_escape(&p, end) : -1;
		if (c < 0) {
			j->at = p;
			json_fail(j, "a bad escape or a lone surrogate inside a string");
			return NULL;
		}
		w += utf8_encode((uint32_t)c, w);
	}
	return w;
}

bool json_string(struct json *j, struct slice *ret)
{
	json_skip_space(j);
	if (j->at == j->end || *j->at != '"') {
		(void)json_peek(j); /* may know better what is wrong */
		json_fail(j, "expected a string");
		return false;
	}
	bool escapes;
	const char *first = ++j->at;
	const char *quote = json_scan_string(j, &escapes);
	if (!quote)
		return false;
	struct slice s = { first, (size_t)(quote - first) };
	if (escapes) {
		/* Every escape is at least as long as what it stands for. */
		char *w = arena_alloc(j->arena, s.len);
		if (!w) {
			json_fail(j, "no memory for a string");
			return false;
		}
		char *end = unescape(j, first, quote, w);
		if (!end)
			return false;
		s = (struct slice){ w, (size_t)(end - w) };
	}
	j->at = quote + 1;
	*ret = s;
	return true;
}
