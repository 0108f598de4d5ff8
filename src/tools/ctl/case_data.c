/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl/case_data.h"

#include <inttypes.h>

#include "loader/onnx/onnx.h"
#include "tools/tool_file.h"
#include "tools/values.h"

enum err_code case_data_read(const char *dir, const char *what, int i, const struct type *type,
	struct arena *arena, struct tensor *ret, struct err *err)
{
	struct slice bytes;
	const char *name, *path = arena_printf(arena, "%s/%s_%d.pb", dir, what, i);
	enum err_code rc = path ? tool_file_read(path, arena, &bytes, err) : err_oom(err);
	if (rc != ERR_OK)
		return rc;
	rc = onnx_parse_value(bytes, type, arena, ret, &name, err);
	return rc == ERR_OK ? rc : err_prefix(err, "%s_%d.pb", what, i);
}

/* A map is two tensors: the one that has a key may have it anywhere. */
static int64_t find_key(const struct tensor *keys, const struct tensor *wanted, int64_t at)
{
	struct tensor one = *wanted, other = *keys;
	one.data = (char *)wanted->data + (size_t)at * dtype_bytes(wanted->dtype);
	one.shape = other.shape = SHAPE_SCALAR;
	for (int64_t i = 0; i < tensor_count(keys); i++) {
		other.data = (char *)keys->data + (size_t)i * dtype_bytes(keys->dtype);
		if (values_compare(&other, &one, 0, 0, NULL) == ERR_OK)
			return i;
	}
	return -1;
}

static enum err_code compare_maps(const struct tensor *got, const struct tensor *want, double rtol,
	double atol, struct err *err)
{
	const struct tensor *g = got->data, *w = want->data;
	if (g[0].dtype != w[0].dtype || !shape_equal(&g[0].shape, &w[0].shape))
		return err_set(err, ERR_FAILED_PRECONDITION,
			"a map of %s%s, expected one of %s%s", dtype_name(g[0].dtype),
			SHAPE_TEXT(&g[0].shape), dtype_name(w[0].dtype), SHAPE_TEXT(&w[0].shape));
	for (int64_t i = 0; i < tensor_count(&w[0]); i++) {
		int64_t at = find_key(&g[0], &w[0], i);
		if (at < 0)
			return err_set(
				err, ERR_FAILED_PRECONDITION, "key %" PRId64 " is missing", i);
		struct tensor a = g[1], b = w[1];
		a.data = (char *)a.data + (size_t)at * dtype_bytes(a.dtype);
		b.data = (char *)b.data + (size_t)i * dtype_bytes(b.dtype);
		a.shape = b.shape = SHAPE_SCALAR;
		if (values_compare(&a, &b, rtol, atol, err) != ERR_OK)
			return err_prefix(err, "key %" PRId64, i);
	}
	return ERR_OK;
}

static enum err_code compare_items(const struct tensor *got, const struct tensor *want, double rtol,
	double atol, struct err *err)
{
	if (got->dtype == DTYPE_TENSOR && want->dtype == DTYPE_TENSOR)
		return compare_maps(got, want, rtol, atol, err);
	return values_compare(got, want, rtol, atol, err);
}

enum err_code case_data_compare(const struct tensor *got, const struct tensor *want, double rtol,
	double atol, struct err *err)
{
	bool got_absent = got->shape.rank == RANK_UNKNOWN,
	     want_absent = want->shape.rank == RANK_UNKNOWN;
	if (got_absent && want_absent)
		return ERR_OK;
	if (got_absent || want_absent)
		return err_set(err, ERR_FAILED_PRECONDITION, "it is %s, expected it %s",
			got_absent ? "absent" : "there", want_absent ? "absent" : "there");
	if (want->dtype != DTYPE_TENSOR)
		return values_compare(got, want, rtol, atol, err);
	if (got->dtype != DTYPE_TENSOR || !shape_equal(&got->shape, &want->shape))
		return err_set(err, ERR_FAILED_PRECONDITION,
			"%s%s, expected a sequence of %" PRId64,
			got->dtype == DTYPE_TENSOR ? "a sequence of " : "a tensor of shape ",
			SHAPE_TEXT(&got->shape), want->shape.dim[0]);
	for (int64_t i = 0; i < want->shape.dim[0]; i++) {
		enum err_code rc = compare_items((const struct tensor *)got->data + i,
			(const struct tensor *)want->data + i, rtol, atol, err);
		if (rc != ERR_OK)
			return err_prefix(err, "element %" PRId64 " of the sequence", i);
	}
	return ERR_OK;
}
