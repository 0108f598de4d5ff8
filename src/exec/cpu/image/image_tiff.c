/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_tiff.c -- TIFF, by libtiff's reader of any image as red, green, blue, alpha
 *
 * The first image of the file, turned the way its orientation says.
 */
#include <config.h>

#include "exec/cpu/image/image.h"

#if HAVE_LIBTIFF

#include <tiffio.h>

/* Of one allocation of the library: a strip, a tile, a table. */
#define TIFF_BYTES_MAX ((tmsize_t)512 << 20)

struct file {
	struct slice bytes;
	uint64_t at;
};

static tmsize_t on_read(thandle_t handle, void *to, tmsize_t n)
{
	struct file *f = handle;
	if (n < 0 || f->at >= f->bytes.len)
		return 0;
	size_t left = f->bytes.len - f->at, count = (size_t)n < left ? (size_t)n : left;
	memcpy(to, f->bytes.ptr + f->at, count);
	f->at += count;
	return (tmsize_t)count;
}

static tmsize_t on_write(thandle_t handle, void *from, tmsize_t n)
{
	(void)handle, (void)from, (void)n;
	return -1;
}

/* Beyond the end is a place, at which nothing is read. */
static toff_t on_seek(thandle_t handle, toff_t offset, int whence)
{
	struct file *f = handle;
	f->at = whence == SEEK_CUR   ? f->at + offset
		: whence == SEEK_END ? f->bytes.len + offset
				     : offset;
	return f->at;
}

static int on_close(thandle_t handle)
{
	(void)handle;
	return 0;
}

static toff_t on_size(thandle_t handle)
{
	return ((struct file *)handle)->bytes.len;
}

/* The whole file is in memory: the library may read it there. */
static int on_map(thandle_t handle, void **at, toff_t *size)
{
	struct file *f = handle;
	*at = (void *)f->bytes.ptr;
	*size = f->bytes.len;
	return 1;
}

static void on_unmap(thandle_t handle, void *at, toff_t size)
{
	(void)handle, (void)at, (void)size;
}

/* Messages are nobody's to read; the handler says that they are dealt with. */
static int on_message(TIFF *tiff, void *ctx, const char *module, const char *fmt, va_list ap)
{
	(void)tiff, (void)ctx, (void)module, (void)fmt, (void)ap;
	return 1;
}

static TIFF *open_tiff(struct file *f)
{
	TIFFOpenOptions *opts = TIFFOpenOptionsAlloc();
	if (!opts)
		return NULL;
	TIFFOpenOptionsSetErrorHandlerExtR(opts, on_message, NULL);
	TIFFOpenOptionsSetWarningHandlerExtR(opts, on_message, NULL);
	TIFFOpenOptionsSetMaxSingleMemAlloc(opts, TIFF_BYTES_MAX);
	TIFF *tiff = TIFFClientOpenExt("image", "r", f, on_read, on_write, on_seek, on_close,
		on_size, on_map, on_unmap, opts);
	TIFFOpenOptionsFree(opts);
	return tiff;
}

static bool read_image(struct image *m, TIFF *tiff)
{
	uint32_t width = 0, height = 0;
	TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
	TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
	if (!image_begin(m, width, height))
		return false;
	uint32_t *raster = image_alloc(m, (size_t)(m->width * m->height), sizeof(*raster));
	if (!raster)
		return false;
	if (!TIFFReadRGBAImageOriented(tiff, width, height, raster, ORIENTATION_TOPLEFT, 1))
		return image_fail(
			m, "the TIFF is cut off, broken or of a kind that is not supported");
	for (int64_t i = 0, n = m->width * m->height; i < n; i++)
		image_put(m->rgb + 3 * i, (uint8_t)TIFFGetR(raster[i]),
			(uint8_t)TIFFGetG(raster[i]), (uint8_t)TIFFGetB(raster[i]));
	return true;
}

bool image_tiff(struct image *m)
{
	struct file f = { .bytes = m->file };
	TIFF *tiff = open_tiff(&f);
	if (!tiff)
		return image_fail(m, "the TIFF is cut off or broken");
	bool ok = read_image(m, tiff);
	TIFFClose(tiff);
	return ok;
}

#else

bool image_tiff(struct image *m)
{
	return image_fail(m, "it is a TIFF, and this build has no libtiff 4.5");
}

#endif
