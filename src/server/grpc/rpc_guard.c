/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/rpc_guard.h"

#include <string.h>
#include "base/clock.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_LEN (sizeof(preface) - 1)

enum frame_type {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_RST_STREAM = 3,
	FRAME_WINDOW_UPDATE = 8,
	FRAME_CONTINUATION = 9,
};
#define FLAG_END_STREAM 1
#define FLAG_END_HEADERS 4
#define FLAG_PRIORITY 32
#define PRIORITY_BYTES 5
/* Who has taken data opens the stream's window again, and the connection's. */
#define WINDOWS_PER_DATA 2

struct frame {
	uint32_t len, stream;
	int type, flags;
};

static struct frame frame_of(const uint8_t *h)
{
	return (struct frame){
		.len = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2],
		.type = h[3],
		.flags = h[4],
		.stream = (uint32_t)(h[5] & 0x7f) << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] <<
		8 | h[8],
	};
}

/* --- streams --- */

static void on_stream_end(struct rpc_guard *g)
{
	/* Both sides may end one: then it is counted twice, in the client's favour. */
	if (g->streams > 0)
		g->streams--;
}

static bool is_new_stream(const struct rpc_guard *g, const struct frame *f)
{
	return f->type == FRAME_HEADERS && f->stream > g->last_stream;
}

static bool on_block(const struct rpc_guard_conf *conf, struct rpc_guard *g, const struct frame *f)
{
	if (f->type == FRAME_HEADERS) {
		if (is_new_stream(g, f)) {
			g->last_stream = f->stream;
			g->streams++;
		}
		g->block_bytes = g->block_frames = 0;
		g->fields = (struct rpc_fields){ 0 };
		g->priority_left = f->flags & FLAG_PRIORITY ? PRIORITY_BYTES : 0;
	} else if (!g->in_block) {
		return true; /* gRPC will say what it thinks of that */
	}
	g->in_fields = true;
	g->block_bytes += f->len;
	g->block_frames++;
	g->in_block = !(f->flags & FLAG_END_HEADERS);
	return f->len <= GUARD_BLOCK_BYTES && g->block_bytes <= GUARD_BLOCK_BYTES &&
		g->block_frames <= GUARD_BLOCK_FRAMES && g->streams <= conf->streams_max;
}

/* The payload of a frame of a block, as gRPC 1.51 reads it: of padding it knows nothing. */
static bool on_fields(struct rpc_guard *g, const uint8_t *data, uint32_t n)
{
	uint32_t skip = g->priority_left < n ? g->priority_left : n;
	g->priority_left -= skip;
	rpc_fields_count(&g->fields, data + skip, n - skip);
	return g->fields.n <= RPC_FIELDS_MAX;
}

/* --- frames --- */

/* A frame that carries nothing, as far as can be seen from its head. */
static bool is_control(struct rpc_guard *g, const struct frame *f)
{
	switch (f->type) {
	case FRAME_DATA: return f->len == 0 && !(f->flags & FLAG_END_STREAM);
	case FRAME_HEADERS: return !is_new_stream(g, f);
	case FRAME_CONTINUATION: return false; /* a block has so many at most */
	case FRAME_WINDOW_UPDATE:
		if (g->windows == 0)
			return true;
		g->windows--;
		return false;
	default: return true;
	}
}

static void note_second(struct rpc_guard *g, int64_t now_ns)
{
	if (now_ns / NS_PER_S == g->second)
		return;
	g->second = now_ns / NS_PER_S;
	g->control = g->resets = g->small = 0;
}

static bool within_budget(const struct rpc_guard_conf *conf, struct rpc_guard *g,
	const struct frame *f, int64_t now_ns)
{
	if (f->type != FRAME_RST_STREAM)
		return f->len <= GUARD_BLOCK_BYTES && ++g->control <= GUARD_CONTROL_FRAMES;
	on_stream_end(g);
	return rpc_waste_add(conf->resets, ++g->resets, now_ns);
}

static bool on_client_frame(const struct rpc_guard_conf *conf, struct rpc_guard *g,
	const struct frame *f, int64_t now_ns)
{
	g->in_fields = false;
	note_second(g, now_ns);
	if (f->type == FRAME_DATA && f->len < GUARD_SMALL_BYTES && ++g->small > GUARD_SMALL_FRAMES)
		return false;
	if (is_control(g, f) && !within_budget(conf, g, f, now_ns))
		return false;
	if (f->type == FRAME_HEADERS || f->type == FRAME_CONTINUATION)
		return on_block(conf, g, f);
	return true;
}

static void on_server_frame(struct rpc_guard *g, const struct frame *f)
{
	bool ends =
		(f->type == FRAME_HEADERS || f->type == FRAME_DATA) && (f->flags & FLAG_END_STREAM);
	if (ends || f->type == FRAME_RST_STREAM)
		on_stream_end(g);
	if (f->type == FRAME_DATA)
		g->windows += WINDOWS_PER_DATA;
}

/* --- bytes --- */

static size_t take_head(struct rpc_guard_reader *r, const uint8_t *data, size_t n)
{
	size_t more = GUARD_HEAD_BYTES - r->head_len < n ? GUARD_HEAD_BYTES - r->head_len : n;
	memcpy(r->head + r->head_len, data, more);
	r->head_len += (uint32_t)more;
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

/* How many of these bytes are the rest of a frame's payload; n + 1: it is cut off. */
static size_t pass(struct rpc_guard *g, enum relay_way way, const uint8_t *data, size_t n)
{
	struct rpc_guard_reader *r = &g->way[way];
	uint32_t here = n < r->left ? (uint32_t)n : r->left;
	r->left -= here;
	bool counts = way == RELAY_UP && g->in_fields;
	return counts && !on_fields(g, data, here) ? n + 1 : here;
}

bool rpc_guard_bytes(const struct rpc_guard_conf *conf, struct rpc_guard *g, enum relay_way way,
	const uint8_t *data, size_t n, int64_t now_ns)
{
	struct rpc_guard_reader *r = &g->way[way];
	size_t at = way == RELAY_UP ? check_preface(g, data, n) : 0;
	while (at < n) {
		if (r->left > 0) {
			at += pass(g, way, data + at, n - at);
			continue;
		}
		at += take_head(r, data + at, n - at);
		if (r->head_len < GUARD_HEAD_BYTES)
			continue;
		struct frame f = frame_of(r->head);
		r->head_len = 0;
		r->left = f.len;
		if (way == RELAY_DOWN)
			on_server_frame(g, &f);
		else if (!on_client_frame(conf, g, &f, now_ns))
			return false;
	}
	return at == n;
}

bool rpc_guard_look(
	const void *ctx, void *state, enum relay_way way, const uint8_t *data, size_t n)
{
	return rpc_guard_bytes(ctx, state, way, data, n, clock_now_ns());
}
