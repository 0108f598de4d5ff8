/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

size_t utf8_decode(const char *ptr, size_t len, uint32_t *ret)
{
	/* By length of the form: its lead byte, and the least value that needs it. */
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 } };
	const uint8_t *p = (const uint8_t *)ptr;
	if (len == 0)
		return 0;
	size_t n = 0;
	while (n < 4 && (p[0] & forms[n].mask) != forms[n].lead)
		n++;
	if (n == 4 || len < n + 1)
		return 0;
	uint32_t c = p[0] & (uint8_t)~forms[n].mask;
	for (size_t i = 1; i <= n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < forms[n].least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n + 1;
}

size_t utf8_encode(uint32_t c, char *to)
{
	char *w = to;
	if (c < 0x80) {
		*w++ = (char)c;
	} else if (c < 0x800) {
		*w++ = (char)(0xc0 | c >> 6);
		*w++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*w++ = (char)(0xe0 | c >> 12);
		*w++ = (char)(0x80 | (c >> 6 & 0x3f));
		*w++ = (char)(0x80 | (c & 0x3f));
	} else {
		*w++ = (char)(0xf0 | c >> 18);
		*w++ = (char)(0x80 | (c >> 12 & 0x3f));
		*w++ = (char)(0x80 | (c >> 6 & 0x3f));
		*w++ = (char)(0x80 | (c & 0x3f));
	}
	return (size_t)(w - to);
}

bool utf8_is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 ||
		character == 0x2029;
}

bool utf8_is_valid(struct slice text)
{
	uint32_t c;
	for (size_t at = 0, n; at < text.len; at += n) {
		n = utf8_decode(text.ptr + at, text.len - at, &c);
		if (n == 0)
			return false;
	}
	return true;
}

enum err_code utf8_check_name(
	struct slice name, size_t bytes_max, const char *what, struct err *err)
{
	if (name.len == 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s is empty", what);
	if (name.len > bytes_max)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"%s has %zu bytes, at most %zu are allowed", what, name.len, bytes_max);
	uint32_t c;
	for (size_t at = 0, n; at < name.len; at += n) {
		n = utf8_decode(name.ptr + at, name.len - at, &c);
		if (n == 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"%s is no valid UTF-8 at byte %zu", what, at);
		if (utf8_is_control(c))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"%s has a control character (U+%04X) at byte %zu", what, c, at);
	}
	return ERR_OK;
}
