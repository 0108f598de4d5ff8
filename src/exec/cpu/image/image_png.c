/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_png.c -- PNG, by libpng, without its ideas of gamma and background: samples as they
 * stand, of 16 bits the upper ones
 */
#include <config.h>

#include "exec/cpu/image/image.h"

#if HAVE_LIBPNG

#include <setjmp.h>
#include <png.h>

#define CHUNK_BYTES_MAX (8u << 20)

struct reader {
	struct image *m;
	struct cursor file;
	png_structp png;
	png_infop info;
	jmp_buf broken;
};

static void on_error(png_structp png, png_const_charp text)
{
	struct reader *r = png_get_error_ptr(png);
	(void)text;
	longjmp(r->broken, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
	(void)png, (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t bytes)
{
	struct reader *r = png_get_io_ptr(png);
	const void *from = cursor_take(&r->file, bytes);
	if (!from)
		png_error(png, "cut off");
	memcpy(to, from, bytes);
}

static void set_up(struct reader *r)
{
	png_set_read_fn(r->png, r, on_read);
	png_set_user_limits(r->png, (png_uint_32)IMAGE_PIXELS_MAX, (png_uint_32)IMAGE_PIXELS_MAX);
	png_set_chunk_malloc_max(r->png, CHUNK_BYTES_MAX);
	png_set_chunk_cache_max(r->png, 100);
	png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
}

/* Whatever it is, rows of 8-bit red, green, blue come out. */
static void ask_for_rgb(struct reader *r)
{
	png_set_expand(r->png);
	png_set_strip_16(r->png);
	png_set_gray_to_rgb(r->png);
	png_set_strip_alpha(r->png);
	png_set_interlace_handling(r->png);
	png_read_update_info(r->png, r->info);
}

/* Jumps when the file is broken. */
static bool read_image(struct reader *r)
{
	set_up(r);
	png_read_info(r->png, r->info);
	if (!image_begin(r->m, png_get_image_width(r->png, r->info),
		    png_get_image_height(r->png, r->info)))
		return false;
	ask_for_rgb(r);
	if (png_get_rowbytes(r->png, r->info) != (size_t)r->m->width * 3)
		return image_fail(r->m, "it is a PNG of a kind that is not supported");
	png_bytep *row = image_alloc(r->m, (size_t)r->m->height, sizeof(*row));
	if (!row)
		return false;
	for (int64_t y = 0; y < r->m->height; y++)
		row[y] = image_row(r->m, y);
	png_read_image(r->png, row);
	return true;
}

bool image_png(struct image *m)
{
	struct reader r = { .m = m, .file = cursor_of(m->file.ptr, m->file.len) };
	bool ok = false;
	if (setjmp(r.broken) == 0) {
		r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
		r.info = r.png ? png_create_info_struct(r.png) : NULL;
		ok = r.info ? read_image(&r) : image_fail(m, "there is no memory for it");
	} else {
		ok = image_fail(m, "the PNG is cut off or broken");
	}
	png_destroy_read_struct(&r.png, &r.info, NULL);
	return ok;
}

#else

bool image_png(struct image *m)
{
	return image_fail(m, "it is a PNG, and this build has no libpng");
}

#endif
