/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How images lie: what the library calls a layout, and where their bytes are.
 */
#include "exec/cpu/onednn/onednn_op.h"

#include <string.h>
#include "exec/cpu/cpu.h"

#define IMAGE_RANK_MAX 5 /* 1, C, D, H, W */

static dnnl_format_tag_t tag_of(enum layout layout, bool volume)
{
	switch (layout) {
	case LAYOUT_NCHW16C: return volume ? dnnl_nCdhw16c : dnnl_nChw16c;
	case LAYOUT_NCHW8C: return volume ? dnnl_nCdhw8c : dnnl_nChw8c;
	case LAYOUT_NHWC: return volume ? dnnl_ndhwc : dnnl_nhwc;
	default: return volume ? dnnl_ncdhw : dnnl_nchw;
	}
}

dnnl_data_type_t onednn_type(bool bf16)
{
	return bf16 ? dnnl_bf16 : dnnl_f32;
}

bool onednn_image_md(onednn_md *d, const struct onednn_image *i)
{
	int64_t part[IMAGE_RANK_MAX] = { 1, i->c }, all[IMAGE_RANK_MAX];
	int rank = 2;
	if (i->d)
		part[rank++] = i->d;
	part[rank++] = i->h;
	part[rank++] = i->w;
	memcpy(all, part, sizeof(all));
	if (i->plane && i->h == 1) /* a part of a row, too, may be one of a long row */
		all[rank - 1] = i->plane;
	else if (i->plane)
		all[rank - 2] = i->plane / i->w;
	return onednn_md_init(d, rank, all, onednn_type(i->bf16), tag_of(i->layout, i->d)) &&
	       (!i->plane || onednn_md_narrow(d, rank, part));
}

static int64_t block_of(enum layout layout)
{
	return layout == LAYOUT_NCHW16C ? 16 : layout == LAYOUT_NCHW8C ? 8 : 1;
}

static size_t element(const struct onednn_image *i)
{
	return i->bf16 ? sizeof(uint16_t) : sizeof(float);
}

int64_t onednn_image_pixels(const struct onednn_image *i)
{
	return max_i64(i->d, 1) * i->h * i->w;
}

size_t onednn_image_bytes(const struct onednn_image *i)
{
	int64_t block = block_of(i->layout);
	return (size_t)((i->c + block - 1) / block * block * onednn_image_pixels(i)) * element(i);
}

size_t onednn_image_at(const struct onednn_image *i, int64_t channel, int64_t row)
{
	int64_t at = i->layout == LAYOUT_NHWC
			     ? row * i->w * i->c + channel
			     : channel * onednn_image_pixels(i) + row * i->w * block_of(i->layout);
	return (size_t)at * element(i);
}
