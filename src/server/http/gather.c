/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN. In a round (io.c) libmicrohttpd goes through the connections that are ready: each request
 * is read, decoded and would be run before the next one is looked at, although the model's weights
 * could be read once for all of them. So a quick request is held: its callback returns without an
 * answer, for which libmicrohttpd calls again in the next round, without sleeping. Between the two
 * what is held runs as one batch, here, and nobody was suspended, woken or waited for. The next
 * round makes the answers and the one after it sends them; what comes in meanwhile is held until
 * then, so that nobody waits for two batches, and the second one is larger. Who was alone spares
 * the next request all that.
 *
 * INVARIANTS
 *   1. A call is in the list from gather_join() to gather_run() or gather_leave(); its request is
 *      not submitted yet.
 *   2. What is held together is quick together (batcher_gathers()), request by request of a queue.
 */
#include "server/http/gather.h"

#include "server/batch/batcher.h"

#define HELD_MAX 32
#define ALONE_SKIPS 1

static int64_t rows_before(const struct gather *g, const struct batcher *b)
{
	int64_t rows = 0;
	for (const struct call *c = g->first; c; c = c->next)
		if (c->request->sig->queue == b)
			rows += c->request->rows;
	return rows;
}

bool gather_join(struct io *io, struct call *c)
{
	struct gather *g = &io->gather;
	const struct batcher *b = c->request->sig->queue;
	if (g->skips > 0) {
		g->skips--;
		return false;
	}
	/* What is held does not wait because the newcomer does not fit in. */
	if (g->n == HELD_MAX || !batcher_gathers(b, c->request, rows_before(g, b)))
		gather_run(io);
	if (g->n == 0 && !batcher_gathers(b, c->request, 0))
		return false;
	c->next = NULL;
	*(g->n ? &g->last->next : &g->first) = c;
	g->last = c;
	g->n++;
	c->stage = CALL_HELD;
	return true;
}

/* Submits the calls that are for the same queue as the first. Returns the others, in order. */
static struct call *submit_alike(struct call *list)
{
	struct batcher *b = list->request->sig->queue;
	struct call *rest = NULL, **rest_end = &rest;
	struct request *alike = NULL, **alike_end = &alike;
	for (struct call *c = list; c; c = c->next) {
		if (c->request->sig->queue == b) {
			c->stage = CALL_SUBMITTED;
			*alike_end = c->request;
			alike_end = &c->request->next;
		} else {
			*rest_end = c;
			rest_end = &c->next;
		}
	}
	*alike_end = NULL;
	*rest_end = NULL;
	batcher_submit_all(b, alike);
	return rest;
}

bool gather_run(struct io *io)
{
	struct gather *g = &io->gather;
	struct call *left = g->first;
	if (g->n == 1)
		g->skips = ALONE_SKIPS;
	*g = (struct gather){ .skips = g->skips };
	bool any = left;
	while (left)
		left = submit_alike(left);
	return any;
}

static bool take_out(struct gather *g, struct call *c)
{
	struct call *before = NULL, *at = g->first;
	while (at && at != c) {
		before = at;
		at = at->next;
	}
	if (!at)
		return false;
	*(before ? &before->next : &g->first) = c->next;
	if (g->last == c)
		g->last = before;
	g->n--;
	return true;
}

bool gather_leave(struct io *io, struct call *c)
{
	if (take_out(&io->gather, c)) {
		atomic_fetch_sub(&io->waiting, 1);
		return true;
	}
	/* Rare: it was queued, and its connection closed before its callback came again. */
	if (c->request && atomic_load(&c->wait) != CALL_DONE)
		request_cancel(c->request);
	return atomic_exchange(&c->wait, CALL_LEFT) == CALL_DONE;
}
