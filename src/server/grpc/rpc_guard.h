/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_guard.h -- looks at the frames of HTTP/2 before gRPC does
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * gRPC 1.51 makes a call of every stream that it is sent, long before anybody here sees the
 * first of them; it joins the pieces of a header block anew with each that comes; it answers
 * any number of settings and pings. What passes through a relay is looked at here. Cut off
 * is a connection with
 *   - a beginning that is not HTTP/2's,
 *   - a block of headers beyond GUARD_BLOCK_BYTES, GUARD_BLOCK_FRAMES or RPC_FIELDS_MAX,
 *   - more streams reset by the client within a second than it may (rpc_waste.h),
 *   - more than streams_max streams that the server has not ended,
 *   - more than GUARD_CONTROL_FRAMES a second that carry nothing: headers of a stream that
 *     there was, and windows for which nothing was sent, too,
 *   - more than GUARD_SMALL_FRAMES a second with less than GUARD_SMALL_BYTES of data: gRPC
 *     keeps a piece of memory for each, or drops it when the stream is over.
 * Everything else is gRPC's to judge.
 *
 * Threads: one; conf's are any. Memory: the caller's, zeroed at a connection's begin.
 */
#pragma once

#include "server/grpc/rpc_fields.h"
#include "server/grpc/rpc_waste.h"
#include "server/net/relay.h"

#define GUARD_BLOCK_BYTES 65536
#define GUARD_BLOCK_FRAMES 16
#define GUARD_CONTROL_FRAMES 1000
#define GUARD_SMALL_FRAMES 100000
#define GUARD_SMALL_BYTES 64

#define GUARD_HEAD_BYTES 9

struct rpc_guard_conf {
	uint32_t streams_max;
	struct rpc_waste *resets; /* of all connections */
};

/* Where one way's next byte belongs. */
struct rpc_guard_reader {
	uint32_t head_len; /* of the next frame's head */
	uint32_t left;     /* of the payload that passes now */
	uint8_t head[GUARD_HEAD_BYTES];
};

struct rpc_guard {
	struct rpc_guard_reader way[2]; /* by enum relay_way */
	uint32_t preface;               /* bytes of it seen */
	bool in_block;  /* which the next frame has to go on with */
	bool in_fields; /* what passes now is the payload of a frame of a block */
	uint32_t priority_left; /* of that payload, before the fields */
	uint32_t block_bytes, block_frames;
	struct rpc_fields fields;
	uint32_t last_stream, streams;  /* the client's newest; those that nobody has ended */
	int64_t second;
	uint32_t control, resets, small; /* frames in it */
	uint32_t windows;               /* updates that what was sent is reason for */
};

/* The next bytes; now_ns: clock_now_ns(). False: no more of this connection. */
bool rpc_guard_bytes(const struct rpc_guard_conf *conf, struct rpc_guard *g, enum relay_way way,
	const uint8_t *data, size_t n, int64_t now_ns);

/* The same for relay.h; ctx: a struct rpc_guard_conf. */
bool rpc_guard_look(
	const void *ctx, void *state, enum relay_way way, const uint8_t *data, size_t n);
