/* SPDX-License-Identifier: Apache-2.0 */
/* image_webp.c -- WebP, by libwebp */
#include <config.h>

#include "exec/cpu/image/image.h"

#if HAVE_LIBWEBP

#include <webp/decode.h>

bool image_webp(struct image *m)
{
	WebPBitstreamFeatures is;
	const uint8_t *data = (const uint8_t *)m->file.ptr;
	if (WebPGetFeatures(data, m->file.len, &is) != VP8_STATUS_OK)
		return image_fail(m, "the WebP is cut off or broken");
	if (is.has_animation)
		return image_fail(m, "it is an animated WebP, which is not supported");
	if (!image_begin(m, (uint64_t)is.width, (uint64_t)is.height))
		return false;
	size_t stride = (size_t)m->width * 3, bytes = stride * (size_t)m->height;
	if (!WebPDecodeRGBInto(data, m->file.len, m->rgb, bytes, (int)stride))
		return image_fail(m, "the WebP is cut off or broken");
	return true;
}

#else

bool image_webp(struct image *m)
{
	return image_fail(m, "it is a WebP, and this build has no libwebp");
}

#endif
