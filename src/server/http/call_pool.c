/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/call_pool.h"

#include <stdlib.h>

#define CHUNK_BYTES 16384
#define CALL_KEEP_BYTES (8u << 20)   /* a picture as JSON, in and out */
#define CALLS_KEEP_BYTES (32u << 20) /* of all idle calls of an IO thread, but for one chunk each */
#define CALLS_KEPT 1024              /* per IO thread */

struct call *call_pool_take(struct io *io)
{
	struct call *c = io->idle;
	if (c) {
		io->idle = c->next;
		io->n_idle--;
		io->idle_bytes -= arena_held_bytes(c->arena);
	} else {
		c = malloc(sizeof(*c));
		struct arena *arena =
			c ? arena_new(CHUNK_BYTES, io->http->conf.arena_bytes_max) : NULL;
		if (!arena) {
			free(c);
			return NULL;
		}
		c->arena = arena;
	}
	*c = (struct call){ .http = io->http, .arena = c->arena, .reply.json_len = -1 };
	return c;
}

void call_pool_release(struct io *io, struct call *c)
{
	request_free(c->request);
	c->request = NULL;
	arena_reset(c->arena, CALL_KEEP_BYTES);
	if (io->idle_bytes + arena_held_bytes(c->arena) > CALLS_KEEP_BYTES)
		arena_reset(c->arena, CHUNK_BYTES);
	if (io->n_idle >= CALLS_KEPT) {
		arena_free(c->arena);
		free(c);
		return;
	}
	c->next = io->idle;
	io->idle = c;
	io->n_idle++;
	io->idle_bytes += arena_held_bytes(c->arena);
}

void call_pool_free(struct io *io)
{
	while (io->idle) {
		struct call *c = io->idle;
		io->idle = c->next;
		arena_free(c->arena);
		free(c);
	}
}
