/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_type.c -- TypeProto: what a file says of its inputs and outputs
 */
#include "loader/onnx/onnx_reader.h"

static enum err_code
read_dim(struct graph *g, const Onnx__TensorShapeProto__Dimension *d, int64_t *ret, struct err *err)
{
	if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
		/* Some exporters write -1 for a dimension that they do not know. */
		if (d->dim_value < -1)
			return err_set(err, ERR_INVALID_ARGUMENT, "a dimension is %lld",
				(long long)d->dim_value);
		*ret = d->dim_value;
		return ERR_OK;
	}
	*ret = DIM_UNKNOWN;
	if (d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM ||
		!d->dim_param[0])
		return ERR_OK;
	enum err_code rc = onnx_check_name(d->dim_param, "dimension", err);
	if (rc != ERR_OK)
		return rc;
	*ret = graph_symbol(g, slice_of(d->dim_param));
	if (*ret == DIM_UNKNOWN)
		return err_oom(err);
	if (DIM_SYMBOL_INDEX(*ret) >= ONNX_SYMBOLS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "more than %d named dimensions",
			ONNX_SYMBOLS_MAX);
	return ERR_OK;
}

static enum err_code read_shape(struct graph *g, const Onnx__TensorShapeProto *p, struct shape *ret,
	struct err *err)
{
	*ret = SHAPE_UNKNOWN;
	if (!p)
		return ERR_OK;
	if (p->n_dim > RANK_MAX)
		return err_set(err, ERR_UNIMPLEMENTED,
			"has %zu dimensions, at most %d are supported", p->n_dim, RANK_MAX);
	for (size_t i = 0; i < p->n_dim; i++) {
		enum err_code rc = read_dim(g, p->dim[i], &ret->dim[i], err);
		if (rc != ERR_OK)
			return rc;
	}
	ret->rank = (int32_t)p->n_dim;
	return ERR_OK;
}

static enum err_code read_element(int32_t number, enum dtype *ret, struct err *err)
{
	if (number <= DTYPE_UNDEFINED || number >= DTYPE_TENSOR)
		return err_set(err, ERR_INVALID_ARGUMENT, "element type %d is none", number);
	*ret = (enum dtype)number;
	return ERR_OK;
}

static enum err_code read_tensor_type(struct graph *g, const Onnx__TypeProto__Tensor *p,
	struct type *type, struct shape *shape, struct err *err)
{
	enum err_code rc = read_element(p->elem_type, &type->dtype, err);
	return rc == ERR_OK ? read_shape(g, p->shape, shape, err) : rc;
}

/* One level down from optional, sequence, map; NULL at the innermost. The order in which
   they may stand is optional, sequence, map, tensor, each at most once. */
static enum err_code
unwrap(const Onnx__TypeProto *p, struct type *type, const Onnx__TypeProto **ret, struct err *err)
{
	switch (p->value_case) {
	case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
		if (type->is_optional || type->is_sequence || type->map_key)
			break;
		type->is_optional = true;
		*ret = p->optional_type->elem_type;
		return ERR_OK;
	case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
		if (type->is_sequence || type->map_key)
			break;
		type->is_sequence = true;
		*ret = p->sequence_type->elem_type;
		return ERR_OK;
	case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
		if (type->map_key)
			break;
		*ret = p->map_type->value_type;
		return read_element(p->map_type->key_type, &type->map_key, err);
	case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
		return err_set(err, ERR_UNIMPLEMENTED, "sparse tensors as inputs or outputs");
	case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE:
		return err_set(err, ERR_UNIMPLEMENTED, "opaque types");
	default: return err_set(err, ERR_INVALID_ARGUMENT, "has no type");
	}
	return err_set(err, ERR_UNIMPLEMENTED, "types nested in this way");
}

enum err_code onnx_read_type(struct graph *g, const Onnx__TypeProto *proto, struct type *ret_type,
	struct shape *ret_shape, struct err *err)
{
	struct type type = { 0 };
	struct shape shape = SHAPE_UNKNOWN;
	const Onnx__TypeProto *p = proto;
	while (p && p->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) {
		enum err_code rc = unwrap(p, &type, &p, err);
		if (rc != ERR_OK)
			return rc;
	}
	if (!p)
		return err_set(err, ERR_INVALID_ARGUMENT, "has no type");
	enum err_code rc = read_tensor_type(g, p->tensor_type, &type, &shape, err);
	if (rc != ERR_OK)
		return rc;
	*ret_type = type;
	*ret_shape = type.is_sequence || type.map_key ? SHAPE_UNKNOWN : shape;
	return ERR_OK;
}
