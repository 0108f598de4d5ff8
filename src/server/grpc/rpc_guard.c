/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_guard.h"

#include <string.h>
#include "base/clock.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_LEN (sizeof(preface) - 1)

enum frame {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_RST_STREAM = 3,
	FRAME_WINDOW_UPDATE = 8,
	FRAME_CONTINUATION = 9,
};
#define FLAG_END_STREAM 1
#define FLAG_END_HEADERS 4

/* A flood of these is a flood of calls: those are counted where they are known. */
static bool is_counted_as_call(int type)
{
	return type == FRAME_HEADERS || type == FRAME_RST_STREAM || type == FRAME_CONTINUATION;
}

static bool is_control(int type, int flags, uint32_t len)
{
	if (type == FRAME_DATA)
		return len == 0 && !(flags & FLAG_END_STREAM);
	return !is_counted_as_call(type) && type != FRAME_WINDOW_UPDATE;
}

static bool on_block(struct rpc_guard *g, int type, int flags, uint32_t len)
{
	if (type == FRAME_HEADERS)
		g->block_bytes = g->block_frames = 0;
	else if (!g->in_block)
		return true; /* gRPC will say what it thinks of that */
	g->block_bytes += len;
	g->block_frames++;
	g->in_block = !(flags & FLAG_END_HEADERS);
	return len <= GUARD_BLOCK_BYTES && g->block_bytes <= GUARD_BLOCK_BYTES &&
		g->block_frames <= GUARD_BLOCK_FRAMES;
}

static bool on_frame(struct rpc_guard *g, int64_t now_ns)
{
	uint32_t len = (uint32_t)g->head[0] << 16 | (uint32_t)g->head[1] << 8 | g->head[2];
	int type = g->head[3], flags = g->head[4];
	g->head_len = 0;
	g->left = len;
	if (type == FRAME_HEADERS || type == FRAME_CONTINUATION)
		return on_block(g, type, flags, len);
	if (!is_control(type, flags, len))
		return true;
	if (now_ns / NS_PER_S != g->second) {
		g->second = now_ns / NS_PER_S;
		g->control = 0;
	}
	return len <= GUARD_BLOCK_BYTES && ++g->control <= GUARD_CONTROL_FRAMES;
}

static size_t take(const uint8_t *data, size_t n, uint8_t *to, uint32_t *len, size_t want)
{
	size_t more = want - *len < n ? want - *len : n;
	memcpy(to + *len, data, more);
	*len += (uint32_t)more;
	return more;
}

/* How many of these bytes were the preface; n + 1: they were not. */
static size_t check_preface(struct rpc_guard *g, const uint8_t *data, size_t n)
{
	size_t more = PREFACE_LEN - g->preface < n ? PREFACE_LEN - g->preface : n;
	if (memcmp(data, preface + g->preface, more) != 0)
		return n + 1;
	g->preface += (uint32_t)more;
	return more;
}

bool rpc_guard_bytes(struct rpc_guard *g, const uint8_t *data, size_t n, int64_t now_ns)
{
	size_t at = check_preface(g, data, n);
	while (at < n) {
		if (g->left > 0) {
			uint32_t pass = n - at < g->left ? (uint32_t)(n - at) : g->left;
			at += pass;
			g->left -= pass;
			continue;
		}
		at += take(data + at, n - at, g->head, &g->head_len, GUARD_HEAD_BYTES);
		if (g->head_len == GUARD_HEAD_BYTES && !on_frame(g, now_ns))
			return false;
	}
	return at == n;
}

bool rpc_guard_look(void *state, const uint8_t *data, size_t n)
{
	return rpc_guard_bytes(state, data, n, clock_now_ns());
}
