/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h -- encoded images to rows of red, green, blue
 *
 * Life of a request: ... -> plan -> [KERNELS: ImageDecoder] -> encode
 *
 * image_decode() tells the format by the first bytes and asks its decoder, a file each:
 * BMP and PNM are ours, JPEG, PNG, WebP, TIFF and JPEG 2000 are libraries', which a build
 * may be without. A decoder learns the size from the header, calls image_begin(), which is
 * where a size from outside becomes memory, and fills m->rgb.
 *
 * Alpha is dropped, grey spread over the three channels, more than 8 bits cut to 8.
 *
 * Ownership: pixels and what else a decoder needs are the arena's; libraries allocate for
 *            themselves, in proportion to the size that image_begin() has let pass.
 * Threads:   any, each with an image of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/cursor.h"

/* A decoded image of more pixels is refused: 3 bytes each, up to 12 while decoding. */
#define IMAGE_PIXELS_MAX (INT64_C(1) << 26)

struct image {
	struct slice file;
	struct arena *arena;
	int64_t width, height;
	uint8_t *rgb;    /* height rows of width * 3 bytes */
	const char *why; /* after a failure: what is wrong with it, a static text */
};

/* false: m->why says why. */
MUST_CHECK bool image_decode(struct image *m);

/* For decoders: makes m->rgb; false when there are no such images, or not here. */
MUST_CHECK bool image_begin(struct image *m, uint64_t width, uint64_t height);

/* Memory for a decoder's use, zeroed; NULL: none, and m->why says so. */
void *image_alloc(struct image *m, size_t count, size_t size);

/* Sets m->why; returns false. */
bool image_fail(struct image *m, const char *why);

static inline uint8_t *image_row(const struct image *m, int64_t y)
{
	return m->rgb + y * m->width * 3;
}

static inline void image_put(uint8_t *at, uint8_t r, uint8_t g, uint8_t b)
{
	at[0] = r;
	at[1] = g;
	at[2] = b;
}

bool image_bmp(struct image *m);
bool image_pnm(struct image *m);
bool image_jpeg(struct image *m);
bool image_png(struct image *m);
bool image_webp(struct image *m);
bool image_tiff(struct image *m);
bool image_jp2(struct image *m);
