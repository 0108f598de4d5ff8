/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_sparse.c -- a SparseTensorProto as a dense tensor
 *
 * Indices are either positions in the flat tensor, [nnz], or coordinates, [nnz, rank];
 * ascending, no two alike.
 */
#include "loader/onnx/onnx_reader.h"

/* Two indices can claim any shape, and a small file can hold many of them: this, and so many times
   what the file says of them, bounds what all sparse tensors of a model cost. */
#define DENSE_BYTES_FREE ((size_t)1 << 30)
#define DENSE_RATIO 16

struct sparse {
	struct tensor *values, *indices;
	struct shape shape;
	int64_t nnz;
};

static enum err_code read_parts(struct onnx_reader *r, const Onnx__SparseTensorProto *p,
	struct sparse *s, struct err *err)
{
	if (!p->values || !p->indices)
		return err_set(err, ERR_INVALID_ARGUMENT, "needs values and indices");
	if (p->values->data_location || p->indices->data_location)
		return err_set(err, ERR_INVALID_ARGUMENT, "must not have external data");
	enum err_code rc = onnx_read_dims(p->dims, p->n_dims, &s->shape, err);
	if (rc == ERR_OK)
		rc = onnx_read_tensor(r, p->values, &s->values, err);
	if (rc == ERR_OK)
		rc = onnx_read_tensor(r, p->indices, &s->indices, err);
	return rc;
}

static enum err_code charge(struct onnx_reader *r, const struct sparse *s, struct err *err)
{
	size_t said = r->sparse_said_bytes + tensor_bytes(s->values) + tensor_bytes(s->indices);
	size_t most = DENSE_BYTES_FREE + DENSE_RATIO * said, bytes;
	if (tensor_bytes_overflow(s->values->dtype, &s->shape, &bytes) ||
		bytes > most - r->dense_bytes)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"shape %s is more than %zu bytes when dense, which are left of %zu for all "
			"sparse tensors",
			SHAPE_TEXT(&s->shape), most - r->dense_bytes, most);
	r->sparse_said_bytes = said;
	r->dense_bytes += bytes;
	return ERR_OK;
}

static enum err_code check_parts(struct sparse *s, struct err *err)
{
	if (s->values->dtype == DTYPE_STRING)
		return err_set(err, ERR_UNIMPLEMENTED, "of strings");
	if (s->values->shape.rank != 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "values have shape %s, must have rank 1",
			SHAPE_TEXT(&s->values->shape));
	s->nnz = s->values->shape.dim[0];
	const struct shape *is = &s->indices->shape;
	bool flat = is->rank == 1, coordinates = is->rank == 2 && is->dim[1] == s->shape.rank;
	if (s->indices->dtype != DTYPE_I64 || (!flat && !coordinates) || is->dim[0] != s->nnz)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"indices are %s %s, must be int64 [%lld] or [%lld,%d]",
			dtype_name(s->indices->dtype), SHAPE_TEXT(is), (long long)s->nnz,
			(long long)s->nnz, s->shape.rank);
	return ERR_OK;
}

/* Position of the i-th value in the flat tensor; -1: outside. */
static int64_t position(const struct sparse *s, int64_t i)
{
	const int64_t *index = s->indices->data;
	if (s->indices->shape.rank == 1)
		return index[i] < shape_count(&s->shape) ? index[i] : -1;
	int64_t at = 0;
	for (int d = 0; d < s->shape.rank; d++) {
		int64_t x = index[i * s->shape.rank + d];
		if (x < 0 || x >= s->shape.dim[d])
			return -1;
		at = at * s->shape.dim[d] + x;
	}
	return at < shape_count(&s->shape) ? at : -1;
}

static enum err_code scatter(const struct sparse *s, struct tensor *to, struct err *err)
{
	size_t size = dtype_bytes(to->dtype);
	if (tensor_bytes(to) < PB_BIG_BYTES)
		/* Mapped memory is zeros, and costs none until it is read. */
		memset(to->data, 0, tensor_bytes(to));
	int64_t last = -1;
	for (int64_t i = 0; i < s->nnz; i++) {
		int64_t at = position(s, i);
		if (at < 0)
			return err_set(err, ERR_INVALID_ARGUMENT, "index %lld is outside %s",
				(long long)i, SHAPE_TEXT(&s->shape));
		if (at <= last)
			return err_set(err, ERR_INVALID_ARGUMENT,
				"index %lld is not above the one before it", (long long)i);
		last = at;
		memcpy((char *)to->data + (size_t)at * size,
			(const char *)s->values->data + (size_t)i * size, size);
	}
	return ERR_OK;
}

enum err_code onnx_read_sparse(struct onnx_reader *r, const Onnx__SparseTensorProto *proto,
	struct tensor **ret, struct err *err)
{
	struct sparse s = { 0 };
	struct tensor *dense = NULL;
	enum err_code rc = read_parts(r, proto, &s, err);
	if (rc == ERR_OK)
		rc = check_parts(&s, err);
	if (rc == ERR_OK)
		rc = charge(r, &s, err);
	if (rc == ERR_OK)
		rc = onnx_new_tensor(r, s.values->dtype, &s.shape, &dense, err);
	if (rc == ERR_OK)
		rc = scatter(&s, dense, err);
	if (rc != ERR_OK)
		return err_prefix(err, "sparse tensor '%.120s'",
			proto->values && proto->values->name ? proto->values->name : "");
	*ret = dense;
	return ERR_OK;
}
