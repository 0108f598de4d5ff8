/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How images lie: what the library calls a layout, and where their bytes are.
 */
#include "exec/cpu/onednn/onednn_op.h"

#define IMAGE_RANK 4

static dnnl_format_tag_t tag_of(enum layout layout)
{
	switch (layout) {
	case LAYOUT_NCHW16C: return dnnl_nChw16c;
	case LAYOUT_NCHW8C: return dnnl_nChw8c;
	case LAYOUT_NHWC: return dnnl_nhwc;
	default: return dnnl_nchw;
	}
}

dnnl_data_type_t onednn_type(bool bf16)
{
	return bf16 ? dnnl_bf16 : dnnl_f32;
}

bool onednn_image_md(onednn_md *d, const struct onednn_image *i)
{
	int64_t part[IMAGE_RANK] = { 1, i->c, i->h, i->w }, all[IMAGE_RANK] = { 1, i->c, i->h, i->w };
	if (i->plane && i->h == 1) /* a part of a row, too, may be one of a long row */
		all[3] = i->plane;
	else if (i->plane)
		all[2] = i->plane / i->w;
	return onednn_md_init(d, IMAGE_RANK, all, onednn_type(i->bf16), tag_of(i->layout)) &&
	       (!i->plane || onednn_md_narrow(d, IMAGE_RANK, part));
}

static int64_t block_of(enum layout layout)
{
	return layout == LAYOUT_NCHW16C ? 16 : layout == LAYOUT_NCHW8C ? 8 : 1;
}

static size_t element(const struct onednn_image *i)
{
	return i->bf16 ? sizeof(uint16_t) : sizeof(float);
}

size_t onednn_image_bytes(const struct onednn_image *i)
{
	int64_t block = block_of(i->layout);
	return (size_t)((i->c + block - 1) / block * block * i->h * i->w) * element(i);
}

size_t onednn_image_at(const struct onednn_image *i, int64_t channel, int64_t row)
{
	int64_t at = i->layout == LAYOUT_NHWC ? row * i->w * i->c + channel
					      : channel * i->h * i->w + row * i->w * block_of(i->layout);
	return (size_t)at * element(i);
}
