/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_bmp.c -- Windows bitmaps: 1, 4, 8, 16, 24 and 32 bits, palettes, run lengths, masks
 *
 * Rows stand from the bottom up, unless the height is negative, each padded to 4 bytes.
 */
#include "exec/cpu/image/image.h"

#include "base/checked.h"

enum compression { BMP_RGB, BMP_RLE8, BMP_RLE4, BMP_BITFIELDS, BMP_ALPHA_BITFIELDS = 6 };

struct bmp {
	struct image *m;
	uint32_t pixels_at, compression, bits, n_color;
	bool top_down;
	uint32_t mask[3];        /* of 16 and 32 bits: red, green, blue */
	uint8_t palette[256][3]; /* colors that are not there are black */
	struct cursor data;
};

static bool broken(struct bmp *b)
{
	return image_fail(b->m, "the BMP is cut off or broken");
}

/* -- header ------------------------------------------------------------------------------------ */

static void read_palette(struct bmp *b, struct cursor *c, int entry_bytes)
{
	uint32_t most = 1u << b->bits;
	uint32_t n = b->n_color && b->n_color < most ? b->n_color : most;
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *e = cursor_take(c, (size_t)entry_bytes);
		if (!e) /* as far as the file has them */
			return;
		image_put(b->palette[i], e[2], e[1], e[0]);
	}
}

static bool read_core(struct bmp *b, struct cursor *c, uint64_t *width, uint64_t *height)
{
	*width = cursor_u16(c);
	*height = cursor_u16(c);
	cursor_skip(c, 2);
	b->bits = cursor_u16(c);
	return !c->failed || broken(b);
}

/* Masks stand in the header, or behind the oldest one. */
static void read_masks(struct bmp *b, struct cursor *c)
{
	if (b->bits == 16)
		memcpy(b->mask, (uint32_t[]){ 0x7c00, 0x03e0, 0x001f }, sizeof(b->mask));
	else
		memcpy(b->mask, (uint32_t[]){ 0xff0000, 0xff00, 0xff }, sizeof(b->mask));
	if (b->compression != BMP_BITFIELDS && b->compression != BMP_ALPHA_BITFIELDS)
		return;
	for (int i = 0; i < 3; i++)
		b->mask[i] = cursor_u32(c);
	b->compression = BMP_RGB;
}

static bool read_info(
	struct bmp *b, struct cursor *c, uint32_t header, uint64_t *width, uint64_t *height)
{
	struct cursor rest = cursor_sub(c, header - 4);
	int64_t w = (int32_t)cursor_u32(&rest), h = (int32_t)cursor_u32(&rest);
	cursor_skip(&rest, 2);
	b->bits = cursor_u16(&rest);
	b->compression = cursor_u32(&rest);
	cursor_skip(&rest, 12);
	b->n_color = cursor_u32(&rest);
	cursor_skip(&rest, 4);
	if (rest.failed || w <= 0 || h == 0)
		return broken(b);
	read_masks(b, header > 40 ? &rest : c);
	b->top_down = h < 0;
	*width = (uint64_t)w;
	*height = (uint64_t)(h < 0 ? -h : h);
	return !(rest.failed || c->failed) || broken(b);
}

static bool check_kind(struct bmp *b)
{
	bool plain = b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 ||
		     b->bits == 24 || b->bits == 32;
	bool runs = (b->compression == BMP_RLE8 && b->bits == 8) ||
		    (b->compression == BMP_RLE4 && b->bits == 4);
	if ((b->compression == BMP_RGB && plain) || (runs && !b->top_down))
		return true;
	return image_fail(b->m, "it is a BMP of a kind that is not supported");
}

static bool read_header(struct bmp *b, uint64_t *width, uint64_t *height)
{
	struct cursor c = cursor_of(b->m->file.ptr, b->m->file.len);
	cursor_skip(&c, 10); /* "BM", the file's size, four bytes of nothing */
	b->pixels_at = cursor_u32(&c);
	uint32_t header = cursor_u32(&c);
	if (c.failed || (header != 12 && header < 40) || header > 4096)
		return broken(b);
	bool ok = header == 12 ? read_core(b, &c, width, height)
			       : read_info(b, &c, header, width, height);
	if (!ok || !check_kind(b))
		return false;
	if (b->bits <= 8)
		read_palette(b, &c, header == 12 ? 3 : 4);
	b->data = cursor_of(b->m->file.ptr, b->m->file.len);
	cursor_skip(&b->data, b->pixels_at);
	return !b->data.failed || broken(b);
}

/* -- rows as they are -------------------------------------------------------------------------- */

/* The masked bits as a number up to 255. */
static uint8_t channel(uint32_t pixel, uint32_t mask)
{
	if (mask == 0)
		return 0;
	int low = __builtin_ctz(mask);
	uint64_t most = mask >> low, v = (pixel & mask) >> low;
	return (uint8_t)(most ? (v * 255 + most / 2) / most : 0);
}

static void put_masked(const struct bmp *b, uint8_t *at, uint32_t pixel)
{
	image_put(at, channel(pixel, b->mask[0]), channel(pixel, b->mask[1]),
		channel(pixel, b->mask[2]));
}

static void put_row(const struct bmp *b, const uint8_t *src, uint8_t *dst)
{
	uint32_t bits = b->bits;
	for (int64_t x = 0; x < b->m->width; x++, dst += 3) {
		const uint8_t *p = src + x * bits / 8;
		switch (bits) {
		case 16: put_masked(b, dst, (uint32_t)(p[0] | p[1] << 8)); break;
		case 24: image_put(dst, p[2], p[1], p[0]); break;
		case 32:
			put_masked(b, dst,
				(uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
					(uint32_t)p[3] << 24);
			break;
		default: {
			int shift = (int)(8 - bits - x * bits % 8);
			memcpy(dst, b->palette[p[0] >> shift & ((1 << bits) - 1)], 3);
		}
		}
	}
}

static bool read_rows(struct bmp *b)
{
	const struct image *m = b->m;
	size_t stride = (((size_t)m->width * b->bits + 31) / 32) * 4;
	for (int64_t y = 0; y < m->height; y++) {
		const uint8_t *row = cursor_take(&b->data, stride);
		if (!row)
			return broken(b);
		put_row(b, row, image_row(m, b->top_down ? y : m->height - 1 - y));
	}
	return true;
}

/* -- run lengths ------------------------------------------------------------------------------- */

struct pen {
	int64_t x, y; /* y from below */
};

static void put_index(const struct bmp *b, struct pen *p, unsigned index)
{
	const struct image *m = b->m;
	if (p->x < m->width && p->y < m->height)
		memcpy(image_row(m, m->height - 1 - p->y) + p->x * 3, b->palette[index], 3);
	p->x++;
}

/* n pixels whose indices stand one after the other, padded to two bytes. */
static void put_literal(struct bmp *b, struct pen *p, unsigned n)
{
	unsigned per_byte = b->bits == 8 ? 1 : 2, bytes = (n + per_byte - 1) / per_byte;
	const uint8_t *src = cursor_take(&b->data, bytes + bytes % 2);
	for (unsigned i = 0; src && i < n; i++)
		put_index(b, p, per_byte == 1 ? src[i] : i % 2 ? src[i / 2] & 15 : src[i / 2] >> 4);
}

static void put_run(struct bmp *b, struct pen *p, unsigned n, unsigned value)
{
	for (unsigned i = 0; i < n; i++)
		put_index(b, p, b->bits == 8 ? value : i % 2 ? value & 15 : value >> 4);
}

/* Pixels that no run reaches stay black. */
static bool read_runs(struct bmp *b)
{
	struct pen p = { 0, 0 };
	while (p.y < b->m->height) {
		unsigned n = cursor_u8(&b->data), value = cursor_u8(&b->data);
		if (b->data.failed)
			return broken(b);
		if (n) {
			put_run(b, &p, n, value);
		} else if (value == 0) {
			p = (struct pen){ 0, p.y + 1 };
		} else if (value == 1) {
			return true;
		} else if (value == 2) {
			p.x += cursor_u8(&b->data);
			p.y += cursor_u8(&b->data);
		} else {
			put_literal(b, &p, value);
		}
	}
	return true;
}

bool image_bmp(struct image *m)
{
	struct bmp b = { .m = m };
	uint64_t width = 0, height = 0;
	if (!read_header(&b, &width, &height) || !image_begin(m, width, height))
		return false;
	return b.compression == BMP_RGB ? read_rows(&b) : read_runs(&b);
}
