/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_guard.h -- looks at the frames of HTTP/2 before gRPC does
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * gRPC 1.51 joins the pieces of a header block anew with each that comes, without a limit
 * of its own, and answers any number of settings. What passes through a relay is looked at
 * here: a block of headers beyond GUARD_BLOCK_BYTES or GUARD_BLOCK_FRAMES, more than
 * GUARD_CONTROL_FRAMES a second that carry nothing, or a beginning that is not HTTP/2's cut
 * the connection off. Everything else is gRPC's to judge.
 *
 * Threads: one. Memory: the caller's, zeroed at a connection's begin.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_BLOCK_BYTES 65536
#define GUARD_BLOCK_FRAMES 16
#define GUARD_CONTROL_FRAMES 1000

#define GUARD_HEAD_BYTES 9

struct rpc_guard {
	uint32_t preface;            /* bytes of it seen */
	uint32_t head_len;           /* of the next frame's head */
	uint8_t head[GUARD_HEAD_BYTES];
	uint32_t left;               /* of the payload that passes now */
	bool in_block;
	uint32_t block_bytes, block_frames;
	int64_t second;
	uint32_t control;            /* frames in it */
};

/* The next bytes; now_ns: clock_now_ns(). False: no more of this connection. */
bool rpc_guard_bytes(struct rpc_guard *g, const uint8_t *data, size_t n, int64_t now_ns);

/* The same for relay.h. */
bool rpc_guard_look(void *state, const uint8_t *data, size_t n);
