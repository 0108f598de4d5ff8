/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reorders, and weights packed by one.
 */
#include "exec/cpu/onednn/onednn_op.h"

#include <string.h>
#include "exec/packs.h"

static bool make_reorder(struct onednn_op *op, onednn_md_ref from, onednn_md_ref to)
{
	dnnl_primitive_attr_t attr = NULL;
	bool ok = onednn_attr_new(&attr) &&
		  dnnl_reorder_primitive_desc_create(&op->pd, from, onednn_engine(), to,
			  onednn_engine(), attr) == dnnl_success;
	if (attr)
		dnnl_primitive_attr_destroy(attr);
	return ok;
}

enum err_code onednn_reorder(struct prep *p, const struct onednn_image *from,
	const struct onednn_image *to, struct onednn_op **ret, struct err *err)
{
	struct onednn_op *op = NULL;
	enum err_code rc = onednn_op_new(p, &op, err);
	if (rc != ERR_OK)
		return rc;
	onednn_md mds[2] = { 0 };
	bool ok = onednn_image_md(&mds[0], from) && onednn_image_md(&mds[1], to) &&
		  make_reorder(op, onednn_md_see(&mds[0]), onednn_md_see(&mds[1]));
	onednn_md_done(&mds[0]);
	onednn_md_done(&mds[1]);
	rc = ok ? onednn_op_finish(op, err) : err_oom(err);
	if (rc == ERR_OK)
		*ret = op;
	return rc;
}

/* -- weights --------------------------------------------------------------------------------- */

#define FORM_MAX 40

struct pack_key {
	const float *source;
	size_t bytes;
	int64_t dim[ONEDNN_WEIGHTS_RANK_MAX];
	int64_t tag;
	int64_t form[FORM_MAX];
};

struct pack {
	const float *source;
	struct onednn_op *reorder;
	void *scratch;
};

static void fill(void *dst, void *ctx)
{
	struct pack *k = ctx;
	onednn_run(k->reorder, &(struct onednn_args){ .src = k->source, .dst = dst,
		.scratch = k->scratch });
}

static enum err_code make_pack(
	struct prep *p, const struct onednn_op *op, struct pack *ret, struct err *err)
{
	enum err_code rc = onednn_op_new(p, &ret->reorder, err);
	if (rc != ERR_OK)
		return rc;
	onednn_md from = { 0 };
	bool ok = onednn_md_init(
			  &from, op->weights_rank, op->weights_dim, dnnl_f32, op->weights_tag) &&
		  make_reorder(ret->reorder, onednn_md_see(&from), op->md[PORT_WEIGHTS]);
	onednn_md_done(&from);
	rc = ok ? onednn_op_finish(ret->reorder, err) : err_oom(err);
	if (rc != ERR_OK)
		return rc;
	ret->scratch = arena_alloc_aligned(
		p->arena, onednn_scratch_bytes(ret->reorder) + 1, ARENA_ALIGN_TENSOR);
	return ret->scratch ? ERR_OK : err_oom(err);
}

enum err_code onednn_pack(struct prep *p, const struct onednn_op *op, const float *weights,
	const void **ret, struct err *err)
{
	onednn_md_ref to = op->md[PORT_WEIGHTS];
	struct pack_key key; /* compared as bytes, padding and all */
	memset(&key, 0, sizeof(key));
	key.source = weights;
	key.bytes = dnnl_memory_desc_get_size(to);
	key.tag = op->weights_tag;
	memcpy(key.dim, op->weights_dim, sizeof(key.dim));
	onednn_md_form(to, key.form, FORM_MAX);

	*ret = packs_look(p->packs, &key, sizeof(key), key.bytes);
	if (*ret)
		return ERR_OK;
	struct prep own = *p; /* the reorder is not needed afterwards, and may take much scratch */
	own.arena = arena_new(1 << 16, 0);
	if (!own.arena)
		return err_oom(err);
	struct pack k = { .source = weights };
	enum err_code rc = make_pack(&own, op, &k, err);
	if (rc == ERR_OK)
		rc = packs_get(p->packs, &key, sizeof(key), key.bytes, fill, &k, ret, err);
	arena_free(own.arena);
	return rc;
}
