/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_jp2.c -- JPEG 2000, as files (JP2) and bare codestreams, by OpenJPEG
 *
 * Three components or more are red, green, blue, or luma and chroma when the file says so;
 * fewer are grey first. Components may be coarser than the image, and of any precision.
 */
#include <config.h>

#include "exec/cpu/image/image.h"

#if HAVE_OPENJPEG

#include <openjpeg.h>

/* OpenJPEG holds each sample in 4 bytes, some of them twice. */
#define SAMPLES_MAX IMAGE_PIXELS_MAX
#define COMPONENTS_MAX 4

struct file {
	struct slice bytes;
	size_t at;
};

static OPJ_SIZE_T on_read(void *to, OPJ_SIZE_T n, void *ctx)
{
	struct file *f = ctx;
	size_t left = f->bytes.len - f->at, count = n < left ? n : left;
	if (count == 0)
		return (OPJ_SIZE_T)-1;
	memcpy(to, f->bytes.ptr + f->at, count);
	f->at += count;
	return count;
}

static OPJ_OFF_T on_skip(OPJ_OFF_T n, void *ctx)
{
	struct file *f = ctx;
	size_t left = f->bytes.len - f->at;
	if (n < 0 || left == 0)
		return -1;
	size_t count = (uint64_t)n < left ? (size_t)n : left;
	f->at += count;
	return (OPJ_OFF_T)count;
}

static OPJ_BOOL on_seek(OPJ_OFF_T at, void *ctx)
{
	struct file *f = ctx;
	if (at < 0 || (uint64_t)at > f->bytes.len)
		return OPJ_FALSE;
	f->at = (size_t)at;
	return OPJ_TRUE;
}

static opj_stream_t *open_stream(struct file *f)
{
	opj_stream_t *s = opj_stream_default_create(OPJ_TRUE);
	if (!s)
		return NULL;
	opj_stream_set_user_data(s, f, NULL);
	opj_stream_set_user_data_length(s, f->bytes.len);
	opj_stream_set_read_function(s, on_read);
	opj_stream_set_skip_function(s, on_skip);
	opj_stream_set_seek_function(s, on_seek);
	return s;
}

/* -- samples ----------------------------------------------------------------------------------- */

/* The component's sample at a pixel of the image, as 0 .. 255. */
static int sample(const opj_image_comp_t *c, int64_t x, int64_t y)
{
	int64_t cx = x / c->dx, cy = y / c->dy;
	cx = cx < c->w ? cx : (int64_t)c->w - 1;
	cy = cy < c->h ? cy : (int64_t)c->h - 1;
	int64_t v = c->data[cy * c->w + cx], most = (INT64_C(1) << c->prec) - 1;
	v += c->sgnd ? INT64_C(1) << (c->prec - 1) : 0;
	v = v < 0 ? 0 : v > most ? most : v;
	return (int)(c->prec > 8 ? v >> (c->prec - 8) : c->prec == 8 ? v : v * 255 / most);
}

static uint8_t clamp(double v)
{
	return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

/* ITU-R BT.601, full range. */
static void put_luma(uint8_t *to, int luma, int blue, int red)
{
	double cb = blue - 128, cr = red - 128;
	image_put(to, clamp(luma + 1.402 * cr), clamp(luma - 0.344136 * cb - 0.714136 * cr),
		clamp(luma + 1.772 * cb));
}

static bool usable(const opj_image_t *image)
{
	bool ok = image->numcomps > 0;
	for (uint32_t i = 0; ok && i < image->numcomps; i++) {
		const opj_image_comp_t *c = &image->comps[i];
		ok = c->data && c->w && c->h && c->dx && c->dy && c->prec >= 1 && c->prec <= 31;
	}
	return ok;
}

static bool put_pixels(struct image *m, const opj_image_t *image)
{
	const opj_image_comp_t *c = image->comps;
	if (!usable(image))
		return image_fail(m, "the JPEG 2000 image is broken");
	bool luma = image->color_space == OPJ_CLRSPC_SYCC, grey = image->numcomps < 3;
	for (int64_t y = 0; y < m->height; y++)
		for (int64_t x = 0; x < m->width; x++) {
			uint8_t *to = image_row(m, y) + 3 * x;
			int v[3];
			for (int i = 0; i < 3; i++)
				v[i] = sample(&c[grey ? 0 : i], x, y);
			if (luma && !grey)
				put_luma(to, v[0], v[1], v[2]);
			else
				image_put(to, (uint8_t)v[0], (uint8_t)v[1], (uint8_t)v[2]);
		}
	return true;
}

/* -- decoding ---------------------------------------------------------------------------------- */

static bool read_image(struct image *m, opj_codec_t *codec, opj_stream_t *stream, opj_image_t **ret)
{
	opj_dparameters_t params;
	opj_set_default_decoder_parameters(&params);
	if (!opj_setup_decoder(codec, &params) || !opj_read_header(stream, codec, ret))
		return image_fail(m, "the JPEG 2000 image is cut off or broken");
	const opj_image_t *image = *ret;
	if (image->x1 <= image->x0 || image->y1 <= image->y0)
		return image_fail(m, "the JPEG 2000 image is broken");
	if (!image_begin(m, image->x1 - image->x0, image->y1 - image->y0))
		return false;
	if (image->numcomps > COMPONENTS_MAX ||
		m->width * m->height * image->numcomps > SAMPLES_MAX)
		return image_fail(m, "it has more samples than are allowed (4 components, 2^26)");
	if (!opj_decode(codec, stream, *ret) || !opj_end_decompress(codec, stream))
		return image_fail(m, "the JPEG 2000 image is cut off or broken");
	return put_pixels(m, *ret);
}

bool image_jp2(struct image *m)
{
	struct file f = { .bytes = m->file };
	bool bare = (uint8_t)m->file.ptr[0] == 0xff, ok = false;
	opj_stream_t *stream = open_stream(&f);
	opj_codec_t *codec = opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
	opj_image_t *image = NULL;
	if (stream && codec)
		ok = read_image(m, codec, stream, &image);
	else
		image_fail(m, "there is no memory for it");
	opj_image_destroy(image);
	opj_destroy_codec(codec);
	opj_stream_destroy(stream);
	return ok;
}

#else

bool image_jp2(struct image *m)
{
	return image_fail(m, "it is JPEG 2000, and this build has no OpenJPEG");
}

#endif
