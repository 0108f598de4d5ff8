/* SPDX-License-Identifier: Apache-2.0 */
#include "server/request.h"

#include <stdalign.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/stripe.h"
#include "server/batch/batcher.h"

#define ARENA_CHUNK (64u << 10)
#define KEEP_BYTES ((size_t)4 << 20)          /* of one recycled arena */
#define KEEP_BYTES_STRIPE ((size_t)32 << 20) /* of a stripe's recycled arenas */

/* What a core wrote last is in its caches: a thread gets its own requests again. */
static struct {
	alignas(STRIPE_BYTES) struct spares spares;
} idle[STRIPES] = { [0 ... STRIPES - 1] = { SPARES_INIT } };

static struct {
	alignas(STRIPE_BYTES) atomic_int inflight;
	struct request_limits limits;
	struct room room;
} pool = { .room = { .max = SIZE_MAX },
	.limits = { .inflight_max = 65536, .arena_bytes_max = (size_t)512 << 20 } };

void request_set_limits(const struct request_limits *l)
{
	if (l->inflight_max > 0)
		pool.limits.inflight_max = l->inflight_max;
	if (l->arena_bytes_max > 0)
		pool.limits.arena_bytes_max = l->arena_bytes_max;
	if (l->room_bytes_max > 0)
		atomic_store(&pool.room.max, l->room_bytes_max);
}

struct room *request_room(void)
{
	return &pool.room;
}

int request_inflight(void)
{
	return atomic_load(&pool.inflight);
}

static struct request *new_with_arena(unsigned stripe)
{
	struct request *r = malloc(sizeof(*r));
	if (!r)
		return NULL;
	r->arena = arena_new(ARENA_CHUNK, pool.limits.arena_bytes_max);
	if (!r->arena) {
		free(r);
		return NULL;
	}
	arena_share(r->arena, &pool.room);
	r->stripe = stripe;
	return r;
}

static void free_with_arena(struct spare *item)
{
	struct request *r = (struct request *)item;
	arena_free(r->arena);
	free(r);
}

struct request *request_new(void)
{
	struct request *r = NULL;
	if (atomic_fetch_add(&pool.inflight, 1) < pool.limits.inflight_max) {
		unsigned stripe = stripe_mine();
		r = (struct request *)spares_take(&idle[stripe].spares);
		if (!r)
			r = new_with_arena(stripe);
	}
	if (!r) {
		atomic_fetch_sub(&pool.inflight, 1);
		return NULL;
	}
	*r = (struct request){ .arena = r->arena, .stripe = r->stripe,
		.arrived_ns = clock_now_ns(), .deadline_ns = INT64_MAX };
	return r;
}

void request_free(struct request *r)
{
	if (!r)
		return;
	if (r->version)
		version_release(r->version);
	r->version = NULL;
	arena_reset(r->arena, room_is_scarce(&pool.room) ? 0 : KEEP_BYTES);
	if (!spares_give(&idle[r->stripe].spares, &r->spare, arena_held_bytes(r->arena),
		    KEEP_BYTES_STRIPE))
		free_with_arena(&r->spare);
	atomic_fetch_sub(&pool.inflight, 1);
}

bool request_tidy(void)
{
	bool any = false;
	for (int i = 0; i < STRIPES; i++)
		any |= spares_free_unused(&idle[i].spares, free_with_arena);
	return any;
}

enum err_code request_pin(struct request *r, struct registry *reg, struct slice model,
	const struct version_spec *spec, struct slice signature, struct err *err)
{
	struct version *v;
	enum err_code rc = registry_acquire(reg, model, spec, &v, err);
	if (rc != ERR_OK)
		return rc;
	if (r->version)
		version_release(r->version);
	r->version = v;
	return request_pick_signature(r, signature, err);
}

enum err_code request_pick_signature(struct request *r, struct slice signature, struct err *err)
{
	r->sig = version_signature(r->version, signature);
	if (!r->sig)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"Serving signature name: \"%.*s\" not found in signature def",
			SLICE_ARG(signature));
	r->in = ARENA_ARRAY(r->arena, struct tensor, (size_t)r->sig->n_in + 1);
	r->out = ARENA_ARRAY(r->arena, struct tensor, (size_t)r->sig->n_out + 1);
	r->wanted = ARENA_ARRAY(r->arena, bool, (size_t)r->sig->n_out + 1);
	if (!r->in || !r->out || !r->wanted)
		return err_oom(err);
	for (int i = 0; i < r->sig->n_in; i++)
		r->in[i] = tensor_absent();
	return ERR_OK;
}

static void want_all_if_none(struct request *r)
{
	for (int i = 0; i < r->sig->n_out; i++)
		if (r->wanted[i])
			return;
	for (int i = 0; i < r->sig->n_out; i++)
		r->wanted[i] = true;
}

enum err_code request_check(struct request *r, struct err *err)
{
	TRY(signature_check_carried(r->sig, err));
	TRY(signature_check(r->sig, r->in, &r->rows, err));
	want_all_if_none(r);
	r->in_bytes = 0;
	for (int i = 0; i < r->sig->n_in; i++)
		if (r->in[i].data)
			r->in_bytes += tensor_bytes(&r->in[i]);
	return ERR_OK;
}

enum err_code request_submit(struct request *r, struct err *err)
{
	TRY(request_check(r, err));
	return batcher_submit(r->sig->queue, r, err);
}

void request_cancel(struct request *r)
{
	batcher_cancel(r->sig->queue, r);
}
