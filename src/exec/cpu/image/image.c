/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/image/image.h"

#include <string.h>

bool image_fail(struct image *m, const char *why)
{
	m->why = why;
	return false;
}

void *image_alloc(struct image *m, size_t count, size_t size)
{
	void *mem = arena_calloc(m->arena, count, size);
	if (!mem)
		image_fail(m, "there is no memory for it");
	return mem;
}

bool image_begin(struct image *m, uint64_t width, uint64_t height)
{
	if (width == 0 || height == 0)
		return image_fail(m, "it has no pixels");
	if (width > (uint64_t)IMAGE_PIXELS_MAX || height > (uint64_t)IMAGE_PIXELS_MAX / width)
		return image_fail(m, "it has more pixels than are allowed (2^26)");
	m->width = (int64_t)width;
	m->height = (int64_t)height;
	size_t bytes = (size_t)(m->width * m->height) * 3;
	m->rgb = arena_alloc_aligned(m->arena, bytes, ARENA_ALIGN_TENSOR);
	if (!m->rgb)
		return image_fail(m, "there is no memory for it");
	memset(m->rgb, 0, bytes);
	return true;
}

/* -- which format ------------------------------------------------------------------------------ */

static bool starts(struct slice file, size_t at, struct slice with)
{
	return file.len >= at + with.len && memcmp(file.ptr + at, with.ptr, with.len) == 0;
}

/* How files begin; of PNM any digit from 1 to 7 follows. */
static const struct {
	struct slice magic;
	size_t at;
	bool (*decode)(struct image *m);
} formats[] = {
	{ SLICE_LIT("\xff\xd8\xff"), 0, image_jpeg },
	{ SLICE_LIT("\x89PNG\r\n\x1a\n"), 0, image_png },
	{ SLICE_LIT("BM"), 0, image_bmp },
	{ SLICE_LIT("P"), 0, image_pnm },
	{ SLICE_LIT("WEBP"), 8, image_webp },
	{ SLICE_LIT("II*\0"), 0, image_tiff },
	{ SLICE_LIT("MM\0*"), 0, image_tiff },
	{ SLICE_LIT("\0\0\0\x0cjP  \r\n\x87\n"), 0, image_jp2 },
	{ SLICE_LIT("\xff\x4f\xff\x51"), 0, image_jp2 },
};

bool image_decode(struct image *m)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (starts(m->file, formats[i].at, formats[i].magic))
			return formats[i].decode(m);
	return image_fail(m, "its format is not known");
}
