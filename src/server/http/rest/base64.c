/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/rest/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool base64_decode(struct slice text, struct arena *arena, struct slice *ret)
{
	size_t len = text.len;
	for (int pads = 0; pads < 2 && text.len % 4 == 0 && len && text.ptr[len - 1] == '='; pads++)
		len--;
	if (len % 4 == 1)
		return false;
	char *out = arena_alloc(arena, len / 4 * 3 + 3), *w = out;
	if (!out)
		return false;
	uint32_t bits = 0;
	int n_bits = 0;
	for (size_t i = 0; i < len; i++) {
		int v = value_of(text.ptr[i]);
		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			*w++ = (char)(bits >> n_bits);
		}
	}
	*ret = (struct slice){ out, (size_t)(w - out) };
	return true;
}

void base64_put(struct buf *b, struct slice bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.ptr;
	size_t groups = bytes.len / 3, rest = bytes.len % 3;
	char *w = buf_reserve(b, (groups + 1) * 4);
	if (!w)
		return;
	char *first = w;
	for (size_t i = 0; i < groups; i++, p += 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		*w++ = alphabet[v >> 18];
		*w++ = alphabet[v >> 12 & 63];
		*w++ = alphabet[v >> 6 & 63];
		*w++ = alphabet[v & 63];
	}
	if (rest) {
		uint32_t v = (uint32_t)p[0] << 16 | (rest == 2 ? (uint32_t)p[1] << 8 : 0);
		*w++ = alphabet[v >> 18];
		*w++ = alphabet[v >> 12 & 63];
		*w++ = rest == 2 ? alphabet[v >> 6 & 63] : '=';
		*w++ = '=';
	}
	b->len += (size_t)(w - first);
}
