/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/fused.h"

static const struct row {
	uint64_t types;
	enum fused_form form;
} rows[OP_COUNT_] = {
#define FUSED_OP(op, types, form) [OP_##op] = { types, FUSED_##form },
#include "exec/fused.def"
#undef FUSED_OP
};

enum fused_form fused_form(enum op_id op)
{
	return op < OP_COUNT_ ? rows[op].form : FUSED_NONE;
}

static bool is_of(const struct graph *g, int32_t v, uint64_t types)
{
	const struct type *t = &g->value[v].type;
	return type_is_tensor(t) && dtype_in(t->dtype, types);
}

bool fused_takes(const struct graph *g, const struct node *n)
{
	enum fused_form form = fused_form(n->op);
	int first = form == FUSED_WHERE; /* input 0 is the condition */
	if (form == FUSED_NONE || n->n_out != 1 || n->n_in > FUSED_INPUTS_MAX ||
		!is_of(g, n->in[first], rows[n->op].types))
		return false;
	/* Pow may have an exponent of another type. */
	for (int32_t k = first + 1; k < n->n_in; k++)
		if (n->in[k] != VALUE_NONE &&
			!is_of(g, n->in[k], UINT64_C(1) << g->value[n->in[first]].type.dtype))
			return false;
	/* Max of one operand is a copy. */
	return (form != FUSED_FOLD || n->n_in > 1) &&
	       (form != FUSED_CAST || is_of(g, n->out[0], rows[OP_CAST].types));
}
