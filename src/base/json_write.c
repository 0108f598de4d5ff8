/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_scan.h"

#include <math.h>
#include "base/utf8.h"

void json_put_string(struct buf *b, struct slice str)
{
	static const char hex[] = "0123456789abcdef";
	const char *p = str.ptr, *end = str.ptr + str.len;
	uint32_t character;
	buf_char(b, '"');
	while (p < end) {
		const char *plain = json_skip_plain(p, end);
		buf_bytes(b, p, (size_t)(plain - p));
		p = plain;
		if (p == end)
			break;
		unsigned char c = (unsigned char)*p;
		size_t n = utf8_decode(p, (size_t)(end - p), &character);
		if (n > 1)
			buf_bytes(b, p, n);
		else if (n == 0)
			buf_str(b, "\\ufffd");
		else if (c == '"' || c == '\\')
			buf_bytes(b, (char[]){ '\\', (char)c }, 2);
		else
			buf_bytes(b, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
		p += n ? n : 1;
	}
	buf_char(b, '"');
}

void json_put_cstr(struct buf *b, const char *str)
{
	json_put_string(b, slice_of(str));
}

void json_put_i64(struct buf *b, int64_t v)
{
	char *to = buf_reserve(b, NUMBER_TEXT_MAX);
	if (to)
		b->len += number_format_i64(to, v);
}

void json_put_u64(struct buf *b, uint64_t v)
{
	char *to = buf_reserve(b, NUMBER_TEXT_MAX);
	if (to)
		b->len += number_format_u64(to, v);
}

static const char *special_text(double v, bool allow_nan)
{
	if (!allow_nan)
		return "null";
	return isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity";
}

void json_put_f32(struct buf *b, float v, bool allow_nan)
{
	char *to = buf_reserve(b, NUMBER_TEXT_MAX);
	if (!isfinite(v))
		buf_str(b, special_text(v, allow_nan));
	else if (to)
		b->len += number_format_f32(to, v);
}

void json_put_f64(struct buf *b, double v, bool allow_nan)
{
	char *to = buf_reserve(b, NUMBER_TEXT_MAX);
	if (!isfinite(v))
		buf_str(b, special_text(v, allow_nan));
	else if (to)
		b->len += number_format_f64(to, v);
}
