/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/ops.h"

#include <assert.h>
#include "exec/attrs.h"
#include "exec/infer/infer.h"

static const struct op_info infos[OP_COUNT_] = {
	[OP_NONE] = { "NONE", "?", DOMAIN_SIGNET, 0, 0, 0, 0, 0, 0, NULL, attrs_none, NULL },
#define OP(id, domain, name, since, in_min, in_max, out_min, out_max, flags, infer_fn_, attrs_) \
	[OP_##id] = { #id, name, DOMAIN_##domain, since, in_min, in_max, out_min, out_max, flags, \
		infer_fn_, attrs_, NULL },
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

static const struct op_info *custom[OP_CUSTOM_MAX];
static int n_custom;

const struct op_info *op_info(enum op_id op)
{
	unsigned i = (unsigned)op;
	if (i >= OP_COUNT_ && i - OP_COUNT_ < (unsigned)n_custom)
		return custom[i - OP_COUNT_];
	return &infos[i < OP_COUNT_ ? op : OP_NONE];
}

void op_register(const struct op_info *row)
{
	assert(n_custom < OP_CUSTOM_MAX);
	custom[n_custom++] = row;
}

int op_custom_count(void)
{
	return n_custom;
}

bool op_domain_is_known(struct slice domain)
{
	for (int i = 0; i < DOMAIN_CUSTOM; i++)
		if (slice_is(domain, domain_names[i]))
			return true;
	return domain.len == 0;
}

const char *op_domain_of(const struct op_info *op)
{
	return op->domain == DOMAIN_CUSTOM ? op->custom_domain : domain_names[op->domain];
}

const char *op_domain_name(enum op_domain domain)
{
	return domain_names[domain];
}

enum op_id op_find(struct slice domain, struct slice name)
{
	if (domain.len == 0)
		domain = slice_of(domain_names[DOMAIN_ONNX]);
	for (int i = 1; i < OP_COUNT_ + n_custom; i++) {
		const struct op_info *op = op_info((enum op_id)i);
		if (slice_is(name, op->name) && slice_is(domain, op_domain_of(op)))
			return (enum op_id)i;
	}
	return OP_NONE;
}
