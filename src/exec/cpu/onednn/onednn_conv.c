/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions, with a sum and an activation as the library's post-ops.
 */
#include "exec/cpu/onednn/onednn_op.h"

#include <string.h>

static bool append_act(dnnl_post_ops_t po, const struct onednn_act *a)
{
	switch (a->kind) {
	case ACT_NONE: return true;
	case ACT_RELU: return onednn_append_eltwise(po, dnnl_eltwise_relu, 0, 0);
	case ACT_LEAKY_RELU: return onednn_append_eltwise(po, dnnl_eltwise_relu, a->alpha, 0);
	case ACT_CLIP: return onednn_append_eltwise(po, dnnl_eltwise_clip, a->alpha, a->beta);
	case ACT_SIGMOID: return onednn_append_eltwise(po, dnnl_eltwise_logistic, 0, 0);
	case ACT_TANH: return onednn_append_eltwise(po, dnnl_eltwise_tanh, 0, 0);
	case ACT_HARD_SIGMOID:
		return onednn_append_eltwise(po, dnnl_eltwise_linear, a->alpha, a->beta) &&
		       onednn_append_eltwise(po, dnnl_eltwise_clip, 0, 1);
	case ACT_HARD_SWISH: return onednn_append_eltwise(po, dnnl_eltwise_hardswish, 0, 0);
	case ACT_SWISH: return onednn_append_eltwise(po, dnnl_eltwise_swish, a->alpha, 0);
	case ACT_GELU: return onednn_append_eltwise(po, dnnl_eltwise_gelu_erf, 0, 0);
	case ACT_GELU_TANH: return onednn_append_eltwise(po, dnnl_eltwise_gelu_tanh, 0, 0);
	case ACT_COUNT_: break;
	}
	return false;
}

static bool add_post_ops(dnnl_primitive_attr_t attr, const struct onednn_conv *c)
{
	dnnl_post_ops_t po = NULL;
	bool ok = dnnl_post_ops_create(&po) == dnnl_success && (!c->sum || onednn_append_sum(po)) &&
		  append_act(po, &c->act) &&
		  dnnl_primitive_attr_set_post_ops(attr, po) == dnnl_success;
	if (po)
		dnnl_post_ops_destroy(po);
	return ok;
}

/* The library wants O before I; ONNX's transposed convolution has them the other way. */
static void describe_weights(struct onednn_op *op, const struct onednn_conv *c)
{
	int at = 0;
	if (c->group > 1)
		op->weights_dim[at++] = c->group;
	op->weights_dim[at++] = c->dst.c / c->group;
	op->weights_dim[at++] = c->src.c / c->group;
	if (c->src.d)
		op->weights_dim[at++] = c->kernel[2];
	op->weights_dim[at++] = c->kernel[0];
	op->weights_dim[at++] = c->kernel[1];
	op->weights_rank = at;
	static const dnnl_format_tag_t tag[2][2][2] = { /* of volumes; transposed; in groups */
		{ { dnnl_oihw, dnnl_goihw }, { dnnl_iohw, dnnl_giohw } },
		{ { dnnl_oidhw, dnnl_goidhw }, { dnnl_iodhw, dnnl_giodhw } },
	};
	op->weights_tag = tag[c->src.d > 0][c->transposed][c->group > 1];
}

/* The padding at the end that makes the sizes exact; negative where the last rows of the
   input are read by nobody. */
static int64_t pad_end(const struct onednn_conv *c, int i)
{
	int64_t in = (const int64_t[]){ c->src.h, c->src.w, c->src.d }[i];
	int64_t out = (const int64_t[]){ c->dst.h, c->dst.w, c->dst.d }[i];
	int64_t extent = c->dilation[i] * (c->kernel[i] - 1) + 1;
	if (c->transposed)
		return (in - 1) * c->stride[i] + extent - out - c->pad_begin[i];
	return (out - 1) * c->stride[i] + extent - in - c->pad_begin[i];
}

static bool make_conv(struct onednn_op *op, const struct onednn_conv *c)
{
	struct onednn_conv_mds m = { 0 };
	dnnl_primitive_attr_t attr = NULL;
	bool ok = onednn_image_md(&m.src, &c->src) && onednn_image_md(&m.dst, &c->dst) &&
		  onednn_md_init(&m.weights, op->weights_rank, op->weights_dim,
			  onednn_type(c->src.bf16), dnnl_format_tag_any) &&
		  onednn_md_init(&m.bias, 1, &c->dst.c, dnnl_f32, dnnl_x) &&
		  onednn_attr_new(&attr) && add_post_ops(attr, c) &&
		  onednn_conv_pd(c, &m, (int64_t[]){ pad_end(c, 0), pad_end(c, 1), pad_end(c, 2) },
			  attr, onednn_engine(), &op->pd);
	onednn_md_done(&m.src);
	onednn_md_done(&m.weights);
	onednn_md_done(&m.bias);
	onednn_md_done(&m.dst);
	if (attr)
		dnnl_primitive_attr_destroy(attr);
	return ok;
}

enum err_code onednn_conv(struct prep *p, const struct onednn_conv *c, struct onednn_op **ret,
	struct err *err)
{
	struct onednn_op *op = NULL;
	enum err_code rc = onednn_op_new(p, &op, err);
	if (rc != ERR_OK)
		return rc;
	describe_weights(op, c);
	if (!make_conv(op, c) || strncmp(onednn_impl(op), "ref", 3) == 0)
		return prep_refuse(err, "oneDNN has no fast code for this convolution");
	rc = onednn_op_finish(op, err);
	if (rc == ERR_OK)
		*ret = op;
	return rc;
}
