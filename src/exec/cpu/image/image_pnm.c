/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_pnm.c -- Netpbm's formats: P1 to P6 in text and binary, P7 of one to four channels
 */
#include "exec/cpu/image/image.h"

struct pnm {
	struct image *m;
	struct cursor c;
	int kind; /* 1 .. 7 */
	uint64_t width, height, depth, most;
};

static bool broken(struct pnm *p)
{
	return image_fail(p->m, "the PNM is cut off or broken");
}

/* -- text -------------------------------------------------------------------------------------- */

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Spaces, and comments to the end of their line. */
static void skip_spaces(struct cursor *c)
{
	bool comment = false;
	while (cursor_left(c) && (comment || *c->at == '#' || is_space(*c->at))) {
		comment = (comment || *c->at == '#') && *c->at != '\n';
		c->at++;
	}
}

/* A decimal number of at most 9 digits after spaces. */
static bool read_number(struct cursor *c, uint64_t *ret)
{
	int digits = 0;
	*ret = 0;
	skip_spaces(c);
	for (; cursor_left(c) && *c->at >= '0' && *c->at <= '9' && digits < 10; c->at++, digits++)
		*ret = *ret * 10 + (uint64_t)(*c->at - '0');
	return digits > 0 && digits < 10;
}

static bool take_word(struct cursor *c, const char *word)
{
	size_t n = strlen(word);
	if (cursor_left(c) < n || memcmp(c->at, word, n) != 0)
		return false;
	c->at += n;
	return true;
}

/* -- header ------------------------------------------------------------------------------------ */

/* "WIDTH 3\n" ... "ENDHDR\n", in any order. */
static bool read_pam_header(struct pnm *p)
{
	for (;;) {
		uint64_t *to = NULL;
		skip_spaces(&p->c);
		if (take_word(&p->c, "ENDHDR"))
			return true;
		if (take_word(&p->c, "TUPLTYPE")) {
			while (cursor_left(&p->c) && *p->c.at != '\n')
				p->c.at++;
			continue;
		}
		if (take_word(&p->c, "WIDTH"))
			to = &p->width;
		else if (take_word(&p->c, "HEIGHT"))
			to = &p->height;
		else if (take_word(&p->c, "DEPTH"))
			to = &p->depth;
		else if (take_word(&p->c, "MAXVAL"))
			to = &p->most;
		if (!to || !read_number(&p->c, to))
			return false;
	}
}

static bool read_header(struct pnm *p)
{
	bool bits = p->kind == 1 || p->kind == 4, ok;
	p->most = 1;
	p->depth = p->kind == 3 || p->kind == 6 ? 3 : 1;
	if (p->kind == 7)
		ok = read_pam_header(p);
	else
		ok = read_number(&p->c, &p->width) && read_number(&p->c, &p->height) &&
		     (bits || read_number(&p->c, &p->most));
	if (!ok || p->depth < 1 || p->depth > 4 || p->most < 1 || p->most > 65535)
		return broken(p);
	/* One space ends the header of a binary file. */
	if (p->kind >= 4 && (cursor_left(&p->c) == 0 || !is_space(*p->c.at++)))
		return broken(p);
	return true;
}

/* -- samples ----------------------------------------------------------------------------------- */

static uint8_t scale(const struct pnm *p, uint64_t v)
{
	v = v > p->most ? p->most : v;
	return (uint8_t)(p->most == 255 ? v : (v * 255 + p->most / 2) / p->most);
}

/* One bit of P1; no spaces are needed between them. 1 is black. */
static bool read_bit(struct cursor *c, uint64_t *ret)
{
	skip_spaces(c);
	if (cursor_left(c) == 0 || (*c->at != '0' && *c->at != '1'))
		return false;
	*ret = *c->at++ == '0';
	return true;
}

static bool read_sample(struct pnm *p, uint64_t *ret)
{
	if (p->kind == 1)
		return read_bit(&p->c, ret);
	if (p->kind < 4)
		return read_number(&p->c, ret);
	*ret = cursor_u8(&p->c);
	if (p->most > 255)
		*ret = *ret << 8 | cursor_u8(&p->c);
	return !p->c.failed;
}

static bool read_pixel(struct pnm *p, uint8_t *to)
{
	uint64_t v[4] = { 0 };
	for (uint64_t i = 0; i < p->depth; i++)
		if (!read_sample(p, &v[i]))
			return false;
	if (p->depth < 3) /* grey, and perhaps alpha */
		v[1] = v[2] = v[0];
	image_put(to, scale(p, v[0]), scale(p, v[1]), scale(p, v[2]));
	return true;
}

/* P4: eight pixels a byte, rows of whole bytes. */
static bool read_packed(struct pnm *p)
{
	const struct image *m = p->m;
	for (int64_t y = 0; y < m->height; y++) {
		const uint8_t *row = cursor_take(&p->c, (size_t)(m->width + 7) / 8);
		if (!row)
			return broken(p);
		for (int64_t x = 0; x < m->width; x++)
			memset(image_row(m, y) + x * 3, row[x / 8] >> (7 - x % 8) & 1 ? 0 : 255, 3);
	}
	return true;
}

bool image_pnm(struct image *m)
{
	struct pnm p = { .m = m, .c = cursor_of(m->file.ptr, m->file.len) };
	cursor_skip(&p.c, 1);
	p.kind = cursor_u8(&p.c) - '0';
	if (p.kind < 1 || p.kind > 7)
		return image_fail(m, "its format is not known");
	if (!read_header(&p) || !image_begin(m, p.width, p.height))
		return false;
	if (p.kind == 4)
		return read_packed(&p);
	for (int64_t i = 0, n = m->width * m->height; i < n; i++)
		if (!read_pixel(&p, m->rgb + 3 * i))
			return broken(&p);
	return true;
}
