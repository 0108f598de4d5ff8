/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_send.h"

#include <grpc/byte_buffer.h>
#include <string.h>
#include "server/grpc/rpc_late.h"
#include "server/grpc/rpc_life.h"

/* Up to this size a reply is copied into one slice. */
#define JOIN_BYTES 16384
#define PUSHBACK_MS "1000"

enum err_code rpc_reply(struct rpc_call *c, struct buf *b, struct err *err)
{
	enum err_code rc = buf_finish(b, &c->part[0], err);
	c->n_part = rc == ERR_OK;
	return rc;
}

static void on_slice_freed(void *ctx)
{
	rpc_life_unref(ctx);
}

static grpc_byte_buffer *joined(const struct rpc_call *c, size_t total)
{
	grpc_slice s = grpc_slice_malloc(total);
	uint8_t *to = GRPC_SLICE_START_PTR(s);
	for (int i = 0; i < c->n_part; i++) {
		if (c->part[i].len)
			memcpy(to, c->part[i].ptr, c->part[i].len);
		to += c->part[i].len;
	}
	grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&s, 1);
	grpc_slice_unref(s);
	return bytes;
}

/* The reply as gRPC sends it; big parts from where they lie. */
static grpc_byte_buffer *reply_bytes(struct rpc_call *c)
{
	grpc_slice s[RPC_PARTS_MAX];
	size_t total = 0;
	for (int i = 0; i < c->n_part; i++)
		total += c->part[i].len;
	/* The next request takes the place of this one before gRPC lets go of it. */
	if (total <= JOIN_BYTES || rpc_is_lasting(c))
		return joined(c, total);
	for (int i = 0; i < c->n_part; i++) {
		rpc_life_ref(c);
		s[i] = grpc_slice_new_with_user_data((void *)(uintptr_t)c->part[i].ptr,
			c->part[i].len, on_slice_freed, c);
	}
	grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(s, (size_t)c->n_part);
	for (int i = 0; i < c->n_part; i++)
		grpc_slice_unref(s[i]);
	return bytes;
}

static void add_opening(struct rpc_call *c, grpc_op *op, size_t *n)
{
	if (c->opened)
		return;
	c->opened = true;
	op[(*n)++] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
}

static void add_reply(struct rpc_call *c, grpc_op *op, size_t *n)
{
	c->sending = reply_bytes(c);
	if (c->is_watch) {
		grpc_byte_buffer_destroy(c->sent);
		c->sent = grpc_byte_buffer_copy(c->sending);
	}
	op[*n] = (grpc_op){ .op = GRPC_OP_SEND_MESSAGE };
	op[(*n)++].data.send_message.send_message = c->sending;
}

void rpc_send_status(struct rpc_call *c, enum err_code rc, const struct err *err)
{
	grpc_op op[4];
	size_t n = 0;
	grpc_slice text = grpc_empty_slice();
	grpc_metadata pushback = { .key = grpc_slice_from_static_string("grpc-retry-pushback-ms"),
		.value = grpc_slice_from_static_string(PUSHBACK_MS) };
	c->ended = true;
	rpc_late_note(c, RPC_WAIT_SENT);
	add_opening(c, op, &n);
	if (rc == ERR_OK && c->n_part)
		add_reply(c, op, &n);
	if (rc != ERR_OK)
		text = grpc_slice_from_copied_string(err->msg);
	op[n] = (grpc_op){ .op = GRPC_OP_SEND_STATUS_FROM_SERVER };
	op[n].data.send_status_from_server.status = (grpc_status_code)rc;
	op[n].data.send_status_from_server.status_details = &text;
	if (rc == ERR_UNAVAILABLE) {
		op[n].data.send_status_from_server.trailing_metadata_count = 1;
		op[n].data.send_status_from_server.trailing_metadata = &pushback;
	}
	n++;
	c->closes_with_status = rpc_life_take_close(c, &op[n]);
	rpc_life_start(c, op, n + c->closes_with_status, &c->on_sent);
	grpc_slice_unref(text);
}

void rpc_send_message(struct rpc_call *c)
{
	grpc_op op[2];
	size_t n = 0;
	rpc_late_note(c, RPC_WAIT_SENT);
	add_opening(c, op, &n);
	add_reply(c, op, &n);
	rpc_life_start(c, op, n, &c->on_sent);
}
