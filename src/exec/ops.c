/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/ops.h"

#include "exec/attrs.h"
#include "exec/infer/infer.h"

static const struct op_info infos[OP_COUNT_] = {
	[OP_NONE] = { "NONE", "?", DOMAIN_SIGNET, 0, 0, 0, 0, 0, 0, NULL, attrs_none },
#define OP(id, domain, name, since, in_min, in_max, out_min, out_max, flags, infer_fn_, attrs_) \
	[OP_##id] = { #id, name, DOMAIN_##domain, since, in_min, in_max, out_min, out_max, flags, \
		infer_fn_, attrs_ },
#include "exec/ops.def"
#undef OP
};

static const char *const domain_names[DOMAIN_COUNT_] = {
	[DOMAIN_ONNX] = "ai.onnx",
	[DOMAIN_ML] = "ai.onnx.ml",
	[DOMAIN_MS] = "com.microsoft",
	[DOMAIN_TRAINING] = "ai.onnx.preview.training",
	[DOMAIN_PREVIEW] = "ai.onnx.preview",
	[DOMAIN_SIGNET] = "signet",
};

const struct op_info *op_info(enum op_id op)
{
	return &infos[(unsigned)op < OP_COUNT_ ? op : OP_NONE];
}

const char *op_domain_name(enum op_domain domain)
{
	return domain_names[domain];
}

enum op_id op_find(struct slice domain, struct slice name)
{
	if (domain.len == 0)
		domain = slice_of(domain_names[DOMAIN_ONNX]);
	for (int i = 1; i < OP_COUNT_; i++)
		if (slice_is(name, infos[i].name) && slice_is(domain, domain_names[infos[i].domain]))
			return (enum op_id)i;
	return OP_NONE;
}
