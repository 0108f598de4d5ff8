/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_jpeg.c -- JPEG, by libjpeg-turbo
 *
 * libjpeg reports errors by a jump out of its call. Of what it only warns, data that is cut
 * off or does not fit its markers is an error here: it would be grey otherwise. Scans are
 * counted, since a small progressive file can have any number over the whole image.
 */
#include <config.h>

#include "exec/cpu/image/image.h"

#if HAVE_LIBJPEG

#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>

#define SCANS_MAX 200

struct reader {
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr errors;
	struct jpeg_progress_mgr progress;
	jmp_buf broken;
	struct image *m;
	uint8_t *inks; /* a row of cyan, magenta, yellow, black */
};

static struct reader *reader_of(j_common_ptr jpeg)
{
	return jpeg->client_data;
}

static void on_error(j_common_ptr jpeg)
{
	longjmp(reader_of(jpeg)->broken, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
	int code = jpeg->err->msg_code;
	if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
		on_error(jpeg);
}

static void on_output(j_common_ptr jpeg)
{
	(void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
	if (((j_decompress_ptr)jpeg)->input_scan_number > SCANS_MAX)
		on_error(jpeg);
}

static void set_up(struct reader *r)
{
	struct slice file = r->m->file;
	r->jpeg.err = jpeg_std_error(&r->errors);
	r->errors.error_exit = on_error;
	r->errors.emit_message = on_message;
	r->errors.output_message = on_output;
	r->jpeg.client_data = r;
	jpeg_create_decompress(&r->jpeg);
	r->progress.progress_monitor = on_progress;
	r->jpeg.progress = &r->progress;
	jpeg_mem_src(&r->jpeg, (const unsigned char *)file.ptr, file.len);
}

/* What is left of white when both inks are taken away; Adobe's files have them inverted. */
static void mix_inks(const struct reader *r, uint8_t *to)
{
	uint8_t flip = r->jpeg.saw_Adobe_marker ? 0 : 255;
	const uint8_t *from = r->inks;
	for (int64_t x = 0; x < r->m->width; x++, from += 4, to += 3) {
		unsigned white = from[3] ^ flip;
		for (int i = 0; i < 3; i++)
			to[i] = (uint8_t)(((from[i] ^ flip) * white + 127) / 255);
	}
}

static bool is_ink(J_COLOR_SPACE space)
{
	return space == JCS_CMYK || space == JCS_YCCK;
}

/* Jumps when the file is broken. */
static bool read_image(struct reader *r)
{
	struct jpeg_decompress_struct *jpeg = &r->jpeg;
	jpeg_read_header(jpeg, TRUE);
	if (!image_begin(r->m, jpeg->image_width, jpeg->image_height))
		return false;
	bool inks = is_ink(jpeg->jpeg_color_space);
	jpeg->out_color_space = inks ? JCS_CMYK : JCS_RGB;
	r->inks = inks ? image_alloc(r->m, (size_t)r->m->width, 4) : NULL;
	if (inks && !r->inks)
		return false;
	jpeg_start_decompress(jpeg);
	while (jpeg->output_scanline < jpeg->output_height) {
		uint8_t *to = image_row(r->m, jpeg->output_scanline);
		JSAMPROW row = inks ? r->inks : to;
		jpeg_read_scanlines(jpeg, &row, 1);
		if (inks)
			mix_inks(r, to);
	}
	return true;
}

bool image_jpeg(struct image *m)
{
	struct reader r = { .m = m };
	bool ok = setjmp(r.broken) == 0;
	if (ok) {
		set_up(&r);
		ok = read_image(&r);
	} else {
		image_fail(m, "the JPEG is cut off or broken");
	}
	jpeg_destroy_decompress(&r.jpeg);
	return ok;
}

#else

bool image_jpeg(struct image *m)
{
	return image_fail(m, "it is a JPEG, and this build has no libjpeg");
}

#endif
