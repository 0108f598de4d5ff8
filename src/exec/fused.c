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

static bool is_one(const struct graph *g, int32_t v)
{
	const struct shape *s = &g->value[v].shape;
	return s->rank == 0 || (s->rank == 1 && s->dim[0] == 1);
}

static uint64_t type_of(const struct graph *g, int32_t v)
{
	return UINT64_C(1) << g->value[v].type.dtype;
}

/* One scale, of the type that is computed in, for all; a zero point of the quantized type. */
static bool takes_quantized(
	const struct graph *g, const struct node *n, int32_t real, int32_t whole)
{
	return n->n_in > 1 && is_of(g, whole, rows[OP_DEQUANTIZE].types) &&
	       is_of(g, real, rows[OP_QUANTIZE].types) && is_of(g, n->in[1], type_of(g, real)) &&
	       is_one(g, n->in[1]) &&
	       (!node_has_in(n, 2) || is_of(g, n->in[2], type_of(g, whole))) &&
	       !node_int(n, "block_size", 0) && !node_int(n, "precision", 0);
}

/* Pow may have an exponent of another type. */
static bool are_of_one_type(const struct graph *g, const struct node *n, int first)
{
	for (int32_t k = first + 1; k < n->n_in; k++)
		if (n->in[k] != VALUE_NONE && !is_of(g, n->in[k], type_of(g, n->in[first])))
			return false;
	return true;
}

bool fused_takes(const struct graph *g, const struct node *n)
{
	enum fused_form form = fused_form(n->op);
	int first = form == FUSED_WHERE; /* input 0 is the condition */
	if (form == FUSED_NONE || n->n_out != 1 || n->n_in > FUSED_INPUTS_MAX ||
		!is_of(g, n->in[first], rows[n->op].types))
		return false;
	switch (form) {
	case FUSED_QUANTIZE:
		return takes_quantized(g, n, n->in[0], n->out[0]) &&
		       is_of(g, n->out[0], T(I8) | T(U8));
	case FUSED_DEQUANTIZE:
		return takes_quantized(g, n, n->out[0], n->in[0]);
	case FUSED_CAST:
		return is_of(g, n->out[0], rows[OP_CAST].types);
	case FUSED_FOLD:
		return n->n_in > 1 && are_of_one_type(g, n, 0); /* Max of one operand is a copy */
	default:
		return are_of_one_type(g, n, first);
	}
}
