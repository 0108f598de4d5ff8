/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/tensor_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "loader/onnx.h"
#include "onnx.pb-c.h"
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

static enum err_code pb_read(const char *path, struct arena *arena, struct tensor *ret, struct err *err)
{
	struct slice bytes;
	const char *name;
	enum err_code rc = tool_file_read(path, arena, &bytes, err);
	if (rc != ERR_OK)
		return rc;
	rc = onnx_parse_tensor(bytes, arena, ret, &name, err);
	return rc == ERR_OK ? rc : err_prefix(err, "%s", path);
}

enum err_code tensor_file_read(const char *path, struct arena *arena, struct tensor *ret, struct err *err)
{
	switch (format_of(path)) {
	case FORMAT_NPY:
		return npy_read(path, arena, ret, err);
	case FORMAT_PB:
		return pb_read(path, arena, ret, err);
	case FORMAT_UNKNOWN:
		break;
	}
	return unknown_format(path, err);
}

static enum err_code pack(const Onnx__TensorProto *proto, FILE *to, struct err *err)
{
	size_t bytes = onnx__tensor_proto__get_packed_size(proto);
	uint8_t *out = malloc(bytes ? bytes : 1);
	if (!out)
		return err_oom(err);
	onnx__tensor_proto__pack(proto, out);
	fwrite(out, 1, bytes, to);
	free(out);
	return ERR_OK;
}

static enum err_code pb_write(FILE *to, const char *name, const struct tensor *t, struct err *err)
{
	const struct dtype_info *info = dtype_info(t->dtype);
	bool is_string = t->dtype == DTYPE_STRING;
	if (!is_string && info->file_bits != 8 * info->bytes)
		return err_set(err, ERR_UNIMPLEMENTED, "%s is not written to .pb", info->name);
	Onnx__TensorProto proto = ONNX__TENSOR_PROTO__INIT;
	proto.name = (char *)name;
	proto.data_type = (int32_t)t->dtype;
	proto.has_data_type = 1;
	proto.n_dims = (size_t)t->shape.rank;
	proto.dims = (int64_t *)t->shape.dim;
	if (!is_string) {
		proto.has_raw_data = 1;
		proto.raw_data = (ProtobufCBinaryData){ tensor_bytes(t), t->data };
		return pack(&proto, to, err);
	}
	proto.n_string_data = (size_t)tensor_count(t);
	proto.string_data = calloc(proto.n_string_data + 1, sizeof(*proto.string_data));
	if (!proto.string_data)
		return err_oom(err);
	const struct slice *s = t->data;
	for (size_t i = 0; i < proto.n_string_data; i++)
		proto.string_data[i] = (ProtobufCBinaryData){ s[i].len, (uint8_t *)s[i].ptr };
	enum err_code rc = pack(&proto, to, err);
	free(proto.string_data);
	return rc;
}

enum err_code tensor_file_write(const char *path, const char *name, const struct tensor *t, struct err *err)
{
	enum format format = format_of(path);
	if (format == FORMAT_UNKNOWN)
		return unknown_format(path, err);
	FILE *to = fopen(path, "wb");
	if (!to)
		return file_err(err, errno, path);
	enum err_code rc = format == FORMAT_NPY ? npy_write(to, t, err) : pb_write(to, name, t, err);
	bool failed = ferror(to);
	if ((fclose(to) != 0 || failed) && rc == ERR_OK)
		rc = err_set(err, ERR_INTERNAL, "cannot write it");
	return rc == ERR_OK ? rc : err_prefix(err, "%s", path);
}
