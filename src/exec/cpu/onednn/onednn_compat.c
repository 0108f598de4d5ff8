/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/onednn/onednn_compat.h"

#include <string.h>

/* The library's arrays of dimensions have a fixed length. */
struct dims {
	dnnl_dims_t v;
};

static struct dims dims_of(int n, const int64_t *from)
{
	struct dims d = { { 0 } };
	memcpy(d.v, from, (size_t)n * sizeof(*from));
	return d;
}

#if DNNL_VERSION_MAJOR >= 3

bool onednn_md_init(
	onednn_md *d, int rank, const int64_t *dim, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
	return dnnl_memory_desc_create_with_tag(d, rank, dims_of(rank, dim).v, type, tag) ==
	       dnnl_success;
}

bool onednn_md_narrow(onednn_md *d, int rank, const int64_t *dim)
{
	onednn_md part = NULL;
	bool ok = dnnl_memory_desc_create_submemory(
			  &part, *d, dims_of(rank, dim).v, (dnnl_dims_t){ 0 }) == dnnl_success;
	dnnl_memory_desc_destroy(*d);
	*d = part;
	return ok;
}

void onednn_md_done(onednn_md *d)
{
	if (*d)
		dnnl_memory_desc_destroy(*d);
}

bool onednn_append_eltwise(dnnl_post_ops_t po, dnnl_alg_kind_t alg, float alpha, float beta)
{
	if (alg == dnnl_eltwise_hardswish)
		alpha = 1.0f / 6, beta = 0.5f;
	return dnnl_post_ops_append_eltwise(po, alg, alpha, beta) == dnnl_success;
}

bool onednn_append_sum(dnnl_post_ops_t po)
{
	return dnnl_post_ops_append_sum(po, 1, 0, dnnl_data_type_undef) == dnnl_success;
}

void onednn_md_form(onednn_md_ref d, int64_t *ret, int max)
{
	dnnl_dim_t *v[4] = { 0 };
	int ndims = 0, inner = 0;
	dnnl_memory_desc_query(d, dnnl_query_ndims_s32, &ndims);
	dnnl_memory_desc_query(d, dnnl_query_padded_dims, &v[0]);
	dnnl_memory_desc_query(d, dnnl_query_strides, &v[1]);
	dnnl_memory_desc_query(d, dnnl_query_inner_nblks_s32, &inner);
	dnnl_memory_desc_query(d, dnnl_query_inner_blks, &v[2]);
	dnnl_memory_desc_query(d, dnnl_query_inner_idxs, &v[3]);
	int at = 0;
	for (int k = 0; k < 4; k++)
		for (int i = 0; v[k] && i < (k < 2 ? ndims : inner) && at < max; i++)
			ret[at++] = v[k][i];
}

#else

bool onednn_md_init(
	onednn_md *d, int rank, const int64_t *dim, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
	return dnnl_memory_desc_init_by_tag(d, rank, dims_of(rank, dim).v, type, tag) ==
	       dnnl_success;
}

bool onednn_md_narrow(onednn_md *d, int rank, const int64_t *dim)
{
	const onednn_md all = *d;
	return dnnl_memory_desc_init_submemory(d, &all, dims_of(rank, dim).v, (dnnl_dims_t){ 0 }) ==
	       dnnl_success;
}

void onednn_md_done(onednn_md *d)
{
	(void)d;
}

bool onednn_append_eltwise(dnnl_post_ops_t po, dnnl_alg_kind_t alg, float alpha, float beta)
{
	return dnnl_post_ops_append_eltwise(po, 1, alg, alpha, beta) == dnnl_success;
}

bool onednn_append_sum(dnnl_post_ops_t po)
{
	return dnnl_post_ops_append_sum(po, 1) == dnnl_success;
}

void onednn_md_form(onednn_md_ref d, int64_t *ret, int max)
{
	const dnnl_blocking_desc_t *b = &d->format_desc.blocking;
	int at = 0;
	for (int i = 0; i < d->ndims && at + 2 <= max; i++) {
		ret[at++] = d->padded_dims[i];
		ret[at++] = b->strides[i];
	}
	for (int i = 0; i < b->inner_nblks && at + 2 <= max; i++) {
		ret[at++] = b->inner_blks[i];
		ret[at++] = b->inner_idxs[i];
	}
}

#endif

/* Along h, w and perhaps d, in the library's order, which begins with d. */
static struct dims spatial_of(const struct onednn_conv *c, const int64_t *from, int64_t more)
{
	struct dims d = { { 0 } };
	int at = 0;
	if (c->src.d)
		d.v[at++] = from[2] + more;
	d.v[at++] = from[0] + more;
	d.v[at++] = from[1] + more;
	return d;
}

bool onednn_conv_pd(const struct onednn_conv *c, const struct onednn_conv_mds *m,
	const int64_t *pad_end, const_dnnl_primitive_attr_t attr, dnnl_engine_t engine,
	dnnl_primitive_desc_t *ret)
{
	struct dims stride = spatial_of(c, c->stride, 0), begin = spatial_of(c, c->pad_begin, 0),
		    end = spatial_of(c, pad_end, 0);
	/* The library counts the holes, not the distance. */
	struct dims holes = spatial_of(c, c->dilation, -1);
	dnnl_alg_kind_t alg = c->transposed ? dnnl_deconvolution_direct : dnnl_convolution_direct;
	onednn_md_ref bias = c->bias ? onednn_md_see(&m->bias) : NULL;
#if DNNL_VERSION_MAJOR >= 3
	return (c->transposed ? dnnl_deconvolution_forward_primitive_desc_create
			      : dnnl_convolution_forward_primitive_desc_create)(ret, engine,
		       dnnl_forward_inference, alg, m->src, m->weights, bias, m->dst, stride.v,
		       holes.v, begin.v, end.v, attr) == dnnl_success;
#else
	dnnl_convolution_desc_t d; /* the deconvolution's is the same type */
	return (c->transposed ? dnnl_dilated_deconvolution_forward_desc_init
			      : dnnl_dilated_convolution_forward_desc_init)(&d,
		       dnnl_forward_inference, alg, &m->src, &m->weights, bias, &m->dst, stride.v,
		       holes.v, begin.v, end.v) == dnnl_success &&
	       dnnl_primitive_desc_create(ret, &d, attr, engine, NULL) == dnnl_success;
#endif
}
