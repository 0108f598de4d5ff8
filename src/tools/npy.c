/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/npy.h"

#include <inttypes.h>
#include <string.h>

#include "base/parse.h"
#include "tools/tool_file.h"
#include "tools/values.h"

/* NumPy's descr without the byte order, and the type. */
static const struct npy_type {
	const char *descr;
	enum dtype dtype;
} npy_types[] = {
	{ "f4", DTYPE_F32 },
	{ "f8", DTYPE_F64 },
	{ "f2", DTYPE_F16 },
	{ "i1", DTYPE_I8 },
	{ "i2", DTYPE_I16 },
	{ "i4", DTYPE_I32 },
	{ "i8", DTYPE_I64 },
	{ "u1", DTYPE_U8 },
	{ "u2", DTYPE_U16 },
	{ "u4", DTYPE_U32 },
	{ "u8", DTYPE_U64 },
	{ "b1", DTYPE_BOOL },
	{ "c8", DTYPE_C64 },
	{ "c16", DTYPE_C128 },
};

#define NPY_TYPE_COUNT (sizeof(npy_types) / sizeof(npy_types[0]))
#define NPY_MAGIC "\x93NUMPY"
#define NPY_ALIGN 64

struct npy_head {
	enum dtype dtype;
	size_t string_bytes; /* of "|S5" */
	bool fortran;
	struct shape shape;
	size_t data_at;
};

/* What stands behind 'key': in the header's dictionary. */
static struct slice head_value(struct slice head, const char *key)
{
	char quoted[32];
	int n = snprintf(quoted, sizeof(quoted), "'%s':", key);
	const char *at = memmem(head.ptr, head.len, quoted, (size_t)n);
	if (!at)
		return (struct slice){ NULL, 0 };
	at += n;
	const char *end = head.ptr + head.len;
	while (at < end && *at == ' ')
		at++;
	return (struct slice){ at, (size_t)(end - at) };
}

static enum err_code parse_descr(struct slice v, struct npy_head *h, struct err *err)
{
	const char *end = v.len > 1 && *v.ptr == '\'' ? memchr(v.ptr + 1, '\'', v.len - 1) : NULL;
	if (!end || end - v.ptr < 4)
		return err_set(err, ERR_INVALID_ARGUMENT, "npy: 'descr' is no plain type");
	struct slice descr = { v.ptr + 2, (size_t)(end - v.ptr) - 2 };
	char order = v.ptr[1];
	uint64_t n;
	if (order == '|' && descr.ptr[0] == 'S' &&
		parse_u64((struct slice){ descr.ptr + 1, descr.len - 1 }, UINT32_MAX, &n)) {
		h->dtype = DTYPE_STRING;
		h->string_bytes = n;
		return ERR_OK;
	}
	for (size_t i = 0; i < NPY_TYPE_COUNT && order != '>'; i++) {
		if (slice_is(descr, npy_types[i].descr)) {
			h->dtype = npy_types[i].dtype;
			return ERR_OK;
		}
	}
	return err_set(err, ERR_INVALID_ARGUMENT,
		"npy: type '%c%.*s' is not read; little-endian numbers and bytes are", order,
		SLICE_ARG(descr));
}

static enum err_code parse_shape(struct slice v, struct npy_head *h, struct err *err)
{
	const char *end = v.len && *v.ptr == '(' ? memchr(v.ptr, ')', v.len) : NULL;
	if (!end)
		return err_set(err, ERR_INVALID_ARGUMENT, "npy: 'shape' is no tuple");
	for (const char *at = v.ptr + 1; at < end;) {
		if (*at == ' ' || *at == ',') {
			at++;
			continue;
		}
		size_t n = 0;
		while (at + n < end && at[n] != ',' && at[n] != ' ')
			n++;
		if (h->shape.rank == RANK_MAX || !parse_i64((struct slice){ at, n }, 0, INT64_MAX,
			&h->shape.dim[h->shape.rank]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				"npy: dimension '%.*s', or more than %d of them",
				(int)(n < 40 ? n : 40), at, RANK_MAX);
		h->shape.rank++;
		at += n;
	}
	return ERR_OK;
}

static enum err_code parse_head(struct slice bytes, struct npy_head *h, struct err *err)
{
	const unsigned char *u = (const unsigned char *)bytes.ptr;
	if (bytes.len < 12 || memcmp(bytes.ptr, NPY_MAGIC, 6) != 0 || u[6] < 1 || u[6] > 3)
		return err_set(err, ERR_INVALID_ARGUMENT, "not an .npy file of version 1, 2 or 3");
	size_t at = u[6] == 1 ? 10 : 12;
	size_t len = (size_t)u[8] | (size_t)u[9] << 8;
	if (u[6] > 1)
		len |= (size_t)u[10] << 16 | (size_t)u[11] << 24;
	if (len > bytes.len - at)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"npy: the header says %zu bytes, the file ends before", len);
	struct slice head = { bytes.ptr + at, len };
	h->data_at = at + len;
	struct slice order = head_value(head, "fortran_order");
	h->fortran = order.len > 0 && *order.ptr == 'T';
	enum err_code rc = parse_descr(head_value(head, "descr"), h, err);
	return rc == ERR_OK ? parse_shape(head_value(head, "shape"), h, err) : rc;
}

/* Element i of the file, where the file counts its first dimension fastest. */
static int64_t fortran_index(const struct shape *s, int64_t i)
{
	int64_t at = 0, step = 1, stride[RANK_MAX];
	shape_strides(s, stride);
	for (int d = 0; d < s->rank; d++) {
		at += i / stride[d] % s->dim[d] * step;
		step *= s->dim[d];
	}
	return at;
}

static void copy_elements(const struct npy_head *h, const char *from, struct tensor *t)
{
	int64_t n = tensor_count(t);
	size_t step = h->dtype == DTYPE_STRING ? h->string_bytes : dtype_bytes(h->dtype);
	if (h->dtype != DTYPE_STRING && !h->fortran) {
		memcpy(t->data, from, (size_t)n * step);
		return;
	}
	for (int64_t i = 0; i < n; i++) {
		const char *src =
			from + (size_t)(h->fortran ? fortran_index(&h->shape, i) : i) * step;
		if (h->dtype == DTYPE_STRING)
			((struct slice *)t->data)[i] = (struct slice){ src, strnlen(src, step) };
		else
			memcpy((char *)t->data + (size_t)i * step, src, step);
	}
}

enum err_code npy_parse(
	struct slice bytes, struct arena *arena, struct tensor *ret, struct err *err)
{
	struct npy_head h = { 0 };
	enum err_code rc = parse_head(bytes, &h, err);
	if (rc != ERR_OK)
		return rc;
	/* Before anything is allocated for it: is all of it there? */
	size_t step = h.dtype == DTYPE_STRING ? h.string_bytes : dtype_bytes(h.dtype);
	int64_t n;
	size_t want;
	if (shape_count_overflows(&h.shape, &n) || __builtin_mul_overflow((size_t)n, step, &want) ||
		want > bytes.len - h.data_at)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"npy: %s%s does not fit into the file's %zu bytes", dtype_name(h.dtype),
			SHAPE_TEXT(&h.shape), bytes.len);
	rc = values_new(h.dtype, &h.shape, arena, ret, err);
	if (rc == ERR_OK)
		copy_elements(&h, bytes.ptr + h.data_at, ret);
	return rc;
}

enum err_code npy_read(const char *path, struct arena *arena, struct tensor *ret, struct err *err)
{
	struct slice bytes;
	enum err_code rc = tool_file_read(path, arena, &bytes, err);
	if (rc != ERR_OK)
		return rc;
	rc = npy_parse(bytes, arena, ret, err);
	return rc == ERR_OK ? rc : err_prefix(err, "%s", path);
}

enum err_code npy_write(FILE *to, const struct tensor *t, struct err *err)
{
	const char *descr = NULL;
	for (size_t i = 0; i < NPY_TYPE_COUNT; i++) {
		if (npy_types[i].dtype == t->dtype)
			descr = npy_types[i].descr;
	}
	if (!descr)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s has no form in .npy; write .pb",
			dtype_name(t->dtype));
	char head[512];
	int n = snprintf(head, sizeof(head), "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
		dtype_bytes(t->dtype) == 1 ? '|' : '<', descr);
	for (int d = 0; d < t->shape.rank; d++)
		n += snprintf(head + n, sizeof(head) - (size_t)n, "%" PRId64 ",%s", t->shape.dim[d],
			d + 1 < t->shape.rank ? " " : "");
	n += snprintf(head + n, sizeof(head) - (size_t)n, "), }");
	/* Blanks and a newline fill up to where the data is aligned. */
	int total = (10 + n + 1 + NPY_ALIGN - 1) / NPY_ALIGN * NPY_ALIGN, len = total - 10;
	fwrite(NPY_MAGIC "\x01\x00", 1, 8, to);
	fputc(len & 0xff, to);
	fputc(len >> 8, to);
	fprintf(to, "%s%*s\n", head, len - n - 1, "");
	fwrite(t->data, 1, tensor_bytes(t), to);
	return ferror(to) ? err_set(err, ERR_INTERNAL, "cannot write") : ERR_OK;
}
