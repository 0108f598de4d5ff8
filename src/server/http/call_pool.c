/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/call_pool.h"

#include <stdlib.h>

#define CHUNK_BYTES 16384
#define CALL_KEEP_BYTES ((size_t)8 << 20)   /* a picture as JSON, in and out */
#define CALLS_KEEP_BYTES ((size_t)32 << 20) /* of all idle calls of an IO thread */

static struct call *call_new(struct io *io)
{
	struct call *c = malloc(sizeof(*c));
	if (!c)
		return NULL;
	c->arena = arena_new(CHUNK_BYTES, io->http->conf.arena_bytes_max);
	if (!c->arena) {
		free(c);
		return NULL;
	}
	arena_share(c->arena, request_room());
	return c;
}

static void call_free(struct spare *item)
{
	struct call *c = (struct call *)item;
	arena_free(c->arena);
	free(c);
}

struct call *call_pool_take(struct io *io)
{
	struct call *c = (struct call *)spares_take(&io->calls);
	if (!c)
		c = call_new(io);
	if (c)
		*c = (struct call){ .http = io->http, .io = io, .arena = c->arena,
			.reply.json_len = -1 };
	return c;
}

void call_pool_release(struct io *io, struct call *c)
{
	request_free(c->request);
	arena_reset(c->arena, room_is_scarce(request_room()) ? 0 : CALL_KEEP_BYTES);
	if (!spares_give(&io->calls, &c->spare, arena_held_bytes(c->arena), CALLS_KEEP_BYTES))
		call_free(&c->spare);
}

bool call_pool_tidy(struct io *io)
{
	return spares_free_unused(&io->calls, call_free);
}

void call_pool_free(struct io *io)
{
	spares_free_all(&io->calls, call_free);
}
