/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl/tensor_file.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "loader/onnx/onnx.h"
#include "tools/npy.h"
#include "tools/tool_file.h"

enum format { FORMAT_NPY, FORMAT_PB, FORMAT_UNKNOWN };

static enum format format_of(const char *path)
{
	const char *dot = strrchr(path, '.');
	if (dot && strcmp(dot, ".npy") == 0)
		return FORMAT_NPY;
	return dot && strcmp(dot, ".pb") == 0 ? FORMAT_PB : FORMAT_UNKNOWN;
}

static enum err_code unknown_format(const char *path, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "%s: the name must end in .npy or .pb", path);
}

/* NumPy has arrays only. */
static enum err_code only_pb(const char *path, struct err *err)
{
	return err_set(
		err, ERR_INVALID_ARGUMENT, "%s: sequences and optionals go in .pb files", path);
}

static enum err_code pb_read(const char *path, const struct type *type, struct arena *arena,
	struct tensor *ret, struct err *err)
{
	struct slice bytes;
	const char *name;
	enum err_code rc = tool_file_read(path, arena, &bytes, err);
	if (rc != ERR_OK)
		return rc;
	rc = onnx_parse_value(bytes, type, arena, ret, &name, err);
	return rc == ERR_OK ? rc : err_prefix(err, "%s", path);
}

enum err_code tensor_file_read(const char *path, const struct type *type, struct arena *arena,
	struct tensor *ret, struct err *err)
{
	switch (format_of(path)) {
	case FORMAT_NPY:
		return type_is_tensor(type) ? npy_read(path, arena, ret, err) : only_pb(path, err);
	case FORMAT_PB:
		return pb_read(path, type, arena, ret, err);
	case FORMAT_UNKNOWN:
		break;
	}
	return unknown_format(path, err);
}

static enum err_code pb_write(FILE *to, const char *name, const struct type *type,
	const struct tensor *t, struct err *err)
{
	struct slice bytes;
	struct arena *arena = arena_new(1 << 16, 0);
	if (!arena)
		return err_oom(err);
	enum err_code rc = onnx_format_value(t, type, name, arena, &bytes, err);
	if (rc == ERR_OK)
		fwrite(bytes.ptr, 1, bytes.len, to);
	arena_free(arena);
	return rc;
}

enum err_code tensor_file_write(const char *path, const char *name, const struct type *type,
	const struct tensor *t, struct err *err)
{
	enum format format = format_of(path);
	if (format == FORMAT_UNKNOWN)
		return unknown_format(path, err);
	if (format == FORMAT_NPY && !type_is_tensor(type))
		return only_pb(path, err);
	FILE *to = fopen(path, "wb");
	if (!to)
		return file_err(err, errno, path);
	enum err_code rc =
		format == FORMAT_NPY ? npy_write(to, t, err) : pb_write(to, name, type, t, err);
	bool failed = ferror(to);
	if ((fclose(to) != 0 || failed) && rc == ERR_OK)
		rc = err_set(err, ERR_INTERNAL, "cannot write it");
	return rc == ERR_OK ? rc : err_prefix(err, "%s", path);
}
