/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/case_data.h"

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

enum err_code case_data_compare(const struct tensor *got, const struct tensor *want, double rtol, double atol,
	struct err *err)
{
	bool got_absent = got->shape.rank == RANK_UNKNOWN, want_absent = want->shape.rank == RANK_UNKNOWN;
	if (got_absent || want_absent)
		return got_absent == want_absent ? ERR_OK
			: err_set(err, ERR_FAILED_PRECONDITION, "it is %s, expected it %s",
				got_absent ? "absent" : "there", want_absent ? "absent" : "there");
	if (want->dtype != DTYPE_TENSOR)
		return values_compare(got, want, rtol, atol, err);
	if (got->dtype != DTYPE_TENSOR || !shape_equal(&got->shape, &want->shape))
		return err_set(err, ERR_FAILED_PRECONDITION, "%s%s, expected a sequence of %" PRId64,
			got->dtype == DTYPE_TENSOR ? "a sequence of " : "a tensor of shape ",
			SHAPE_TEXT(&got->shape), want->shape.dim[0]);
	for (int64_t i = 0; i < want->shape.dim[0]; i++) {
		enum err_code rc = values_compare((const struct tensor *)got->data + i,
			(const struct tensor *)want->data + i, rtol, atol, err);
		if (rc != ERR_OK)
			return err_prefix(err, "element %" PRId64 " of the sequence", i);
	}
	return ERR_OK;
}
