/* SPDX-License-Identifier: Apache-2.0 */
#include "server/inflate.h"

#include <limits.h>
#include <stdint.h>
#include <zlib.h>
#include "base/buf.h"

#define PIECE_BYTES 65536

/* windowBits as inflateInit2() wants them. */
static int window_bits(struct slice in, enum inflate_coding coding)
{
	if (coding == INFLATE_GZIP)
		return 16 + MAX_WBITS;
	const unsigned char *p = (const unsigned char *)in.ptr;
	bool has_zlib_header = in.len >= 2 && (p[0] & 0x0f) == 8 && (p[0] << 8 | p[1]) % 31 == 0;
	return has_zlib_header ? MAX_WBITS : -MAX_WBITS;
}

static enum err_code err_too_large(const struct buf *out, struct err *err)
{
	return err_set(err, ERR_RESOURCE_EXHAUSTED,
		"inflated, the data is larger than the limit of %zu bytes", out->bytes_max - 1);
}

/* One member, or the only one. */
static enum err_code inflate_member(z_stream *z, struct buf *out, struct err *err)
{
	for (;;) {
		char *to = buf_reserve(out, 1);
		if (!to)
			return err_too_large(out, err);
		size_t room = out->capacity - out->len;
		size_t left = out->bytes_max - out->len;
		z->next_out = (Bytef *)to;
		z->avail_out = (uInt)(room < left ? room : left);
		uInt before = z->avail_out;
		int rc = inflate(z, Z_NO_FLUSH);
		out->len += before - z->avail_out;
		if (out->len == out->bytes_max)
			return err_too_large(out, err);
		if (rc == Z_STREAM_END)
			return ERR_OK;
		if (rc == Z_BUF_ERROR || (rc == Z_OK && z->avail_in == 0 && z->avail_out > 0))
			return err_set(
				err, ERR_INVALID_ARGUMENT, "the compressed data is cut short");
		if (rc == Z_MEM_ERROR)
			return err_oom(err);
		if (rc != Z_OK)
			return err_set(err, ERR_INVALID_ARGUMENT, "the compressed data is corrupt");
	}
}

enum err_code inflate_bytes(struct slice in, enum inflate_coding coding, size_t bytes_max,
	struct arena *arena, struct slice *ret, struct err *err)
{
	/* One byte more: a body of just the limit still has its checksum to be read. */
	struct buf out = buf_of(arena, bytes_max + 1);
	z_stream z = { 0 };
	if (in.len == 0 || in.len > UINT_MAX)
		return err_set(
			err, ERR_INVALID_ARGUMENT, "the compressed data is empty or too long");
	if (inflateInit2(&z, window_bits(in, coding)) != Z_OK)
		return err_oom(err);
	z.next_in = (Bytef *)(uintptr_t)in.ptr;
	z.avail_in = (uInt)in.len;
	(void)buf_reserve(&out, PIECE_BYTES < bytes_max ? PIECE_BYTES : bytes_max);
	enum err_code rc = inflate_member(&z, &out, err);
	while (rc == ERR_OK && z.avail_in > 0 && coding == INFLATE_GZIP && *z.next_in == 0x1f) {
		inflateReset(&z);
		rc = inflate_member(&z, &out, err);
	}
	if (rc == ERR_OK && z.avail_in > 0)
		rc = err_set(err, ERR_INVALID_ARGUMENT, "something follows the compressed data");
	inflateEnd(&z);
	if (rc == ERR_OK)
		*ret = (struct slice){ out.ptr, out.len };
	return rc;
}
