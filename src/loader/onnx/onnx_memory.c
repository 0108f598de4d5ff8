/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the tensors of a file, all of them within the reader's budget. */
#include "loader/onnx/onnx_reader.h"

#include "base/file.h"

static void free_mem(void *ctx)
{
	file_mem_free(ctx);
}

size_t onnx_memory_left(const struct onnx_reader *r)
{
	size_t used = arena_used_bytes(r->arena) - r->arena_start + r->mem.big_bytes;
	return used < r->memory_max ? r->memory_max - used : 0;
}

enum err_code onnx_alloc_mapped(struct onnx_reader *r, size_t bytes, void **ret, struct err *err)
{
	size_t left = onnx_memory_left(r);
	if (bytes > left)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"its tensors take %zu bytes, %zu are allowed", bytes, left);
	struct file_mem *m = ARENA_NEW(r->arena, struct file_mem);
	if (!m)
		return err_oom(err);
	enum err_code rc = file_mem_new(bytes, m, err);
	if (rc != ERR_OK)
		return rc;
	if (arena_adopt(r->arena, bytes, free_mem, m) != ERR_OK) {
		file_mem_free(m);
		return err_oom(err);
	}
	*ret = m->ptr;
	return ERR_OK;
}

enum err_code onnx_new_tensor(struct onnx_reader *r, enum dtype dtype, const struct shape *shape,
	struct tensor **ret, struct err *err)
{
	size_t bytes;
	if (tensor_bytes_overflow(dtype, shape, &bytes) || bytes > onnx_memory_left(r))
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"%s of shape %s does not fit in the memory allowed, %zu bytes",
			dtype_name(dtype), SHAPE_TEXT(shape), r->memory_max);
	struct tensor *t = ARENA_NEW(r->arena, struct tensor);
	if (!t)
		return err_oom(err);
	*t = (struct tensor){ .dtype = dtype, .shape = *shape };
	if (bytes >= PB_BIG_BYTES) {
		enum err_code rc = onnx_alloc_mapped(r, bytes, &t->data, err);
		if (rc != ERR_OK)
			return rc;
	} else {
		t->data = arena_alloc_aligned(r->arena, bytes ? bytes : 1, ARENA_ALIGN_TENSOR);
		if (!t->data)
			return err_oom(err);
	}
	*ret = t;
	return ERR_OK;
}
