/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_message.h"

#include <string.h>
#include "server/inflate.h"

static enum err_code join(const struct slice *piece, size_t n, struct arena *arena,
	struct slice *ret, struct err *err)
{
	size_t len = 0;
	for (size_t i = 0; i < n; i++)
		len += piece[i].len;
	char *to = arena_alloc(arena, len ? len : 1);
	if (!to)
		return err_oom(err);
	*ret = (struct slice){ to, len };
	for (size_t i = 0; i < n; i++) {
		memcpy(to, piece[i].ptr, piece[i].len);
		to += piece[i].len;
	}
	return ERR_OK;
}

enum err_code rpc_message_open(struct rpc_call *c, struct wire *ret, struct err *err)
{
	const struct grpc_byte_buffer *m = c->message;
	const grpc_slice_buffer *b = &m->data.raw.slice_buffer;
	struct arena *arena = c->request->arena;
	struct slice *piece = ARENA_ARRAY(arena, struct slice, b->count + 1);
	if (!piece)
		return err_oom(err);
	size_t n = b->count;
	for (size_t i = 0; i < n; i++)
		piece[i] = (struct slice){ (const char *)GRPC_SLICE_START_PTR(b->slices[i]),
			GRPC_SLICE_LENGTH(b->slices[i]) };
	if (m->data.raw.compression != GRPC_COMPRESS_NONE) {
		enum inflate_coding coding = m->data.raw.compression == GRPC_COMPRESS_GZIP
						     ? INFLATE_GZIP
						     : INFLATE_DEFLATE;
		struct slice whole = piece[0];
		if (n != 1)
			TRY(join(piece, n, arena, &whole, err));
		TRY(inflate_bytes(
			whole, coding, c->rpc->conf.message_bytes_max, arena, &piece[0], err));
		n = 1;
	}
	*ret = wire_over(piece, (int)n);
	return ERR_OK;
}
