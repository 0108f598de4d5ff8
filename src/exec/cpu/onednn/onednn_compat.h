/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onednn_compat.h -- what differs between oneDNN 2.x and 3.x
 *
 * Version 3 made opaque handles, which must be destroyed, of what were plain structs.
 *
 * Ownership: onednn_md_init() and onednn_md_narrow() make a descriptor that
 *            onednn_md_done() undoes; done() on zeroed memory is harmless.
 * Threads:   any.
 */
#pragma once

#include <oneapi/dnnl/dnnl.h>

#include "exec/cpu/onednn/onednn.h"

/* A memory descriptor of ours, and one that somebody else keeps (NULL: none). */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t onednn_md;
typedef const_dnnl_memory_desc_t onednn_md_ref;
#else
typedef dnnl_memory_desc_t onednn_md;
typedef const dnnl_memory_desc_t *onednn_md_ref;
#endif

static inline onednn_md_ref onednn_md_see(const onednn_md *d)
{
#if DNNL_VERSION_MAJOR >= 3
	return *d;
#else
	return d;
#endif
}

/* These are false where the library refuses or has no memory. */
bool onednn_md_init(
	onednn_md *d, int rank, const int64_t *dim, dnnl_data_type_t type, dnnl_format_tag_t tag);
/* Of d only what begins at its first element and has these dimensions. */
bool onednn_md_narrow(onednn_md *d, int rank, const int64_t *dim);
void onednn_md_done(onednn_md *d);

/* Strides and blocks, at most max numbers; ret comes zeroed. Equal forms, equal numbers. */
void onednn_md_form(onednn_md_ref d, int64_t *ret, int max);

bool onednn_append_eltwise(dnnl_post_ops_t po, dnnl_alg_kind_t alg, float alpha, float beta);
bool onednn_append_sum(dnnl_post_ops_t po);

/* What a convolution reads and writes; bias counts only where the convolution has one. */
struct onednn_conv_mds {
	onednn_md src, weights, bias, dst;
};

/* The caller destroys *ret. */
bool onednn_conv_pd(const struct onednn_conv *c, const struct onednn_conv_mds *m,
	const int64_t *pad_end, const_dnnl_primitive_attr_t attr, dnnl_engine_t engine,
	dnnl_primitive_desc_t *ret);
