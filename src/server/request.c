/* SPDX-License-Identifier: Apache-2.0 */
#include "server/request.h"

#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "server/batcher.h"

#define ARENA_CHUNK (64u << 10)
#define KEEP_BYTES (4u << 20)        /* of one recycled arena */
#define KEEP_BYTES_ALL (128u << 20)  /* of all recycled arenas */

static struct {
	pthread_mutex_t lock;
	struct request *idle;
	size_t idle_bytes;
	atomic_int inflight;
	struct request_limits limits;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.limits = { .inflight_max = 65536, .arena_bytes_max = (size_t)512 << 20 } };

void request_set_limits(const struct request_limits *l)
{
	if (l->inflight_max > 0)
		pool.limits.inflight_max = l->inflight_max;
	if (l->arena_bytes_max > 0)
		pool.limits.arena_bytes_max = l->arena_bytes_max;
}

int request_inflight(void)
{
	return atomic_load(&pool.inflight);
}

static struct request *take_idle(void)
{
	pthread_mutex_lock(&pool.lock);
	struct request *r = pool.idle;
	if (r) {
		pool.idle = r->next;
		pool.idle_bytes -= arena_held_bytes(r->arena);
	}
	pthread_mutex_unlock(&pool.lock);
	return r;
}

struct request *request_new(void)
{
	if (atomic_fetch_add(&pool.inflight, 1) >= pool.limits.inflight_max) {
		atomic_fetch_sub(&pool.inflight, 1);
		return NULL;
	}
	struct request *r = take_idle();
	struct arena *arena = r ? r->arena : NULL;
	if (!r) {
		r = malloc(sizeof(*r));
		arena = r ? arena_new(ARENA_CHUNK, pool.limits.arena_bytes_max) : NULL;
		if (!arena) {
			free(r);
			atomic_fetch_sub(&pool.inflight, 1);
			return NULL;
		}
	}
	*r = (struct request){ .arena = arena, .arrived_ns = clock_now_ns(), .deadline_ns = INT64_MAX };
	return r;
}

void request_free(struct request *r)
{
	if (!r)
		return;
	if (r->version)
		version_release(r->version);
	r->version = NULL;
	arena_reset(r->arena, KEEP_BYTES);
	pthread_mutex_lock(&pool.lock);
	bool keep = pool.idle_bytes + arena_held_bytes(r->arena) <= KEEP_BYTES_ALL;
	if (keep) {
		r->next = pool.idle;
		pool.idle = r;
		pool.idle_bytes += arena_held_bytes(r->arena);
	}
	pthread_mutex_unlock(&pool.lock);
	if (!keep) {
		arena_free(r->arena);
		free(r);
	}
	atomic_fetch_sub(&pool.inflight, 1);
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

enum err_code request_submit(struct request *r, struct err *err)
{
	enum err_code rc = signature_check_carried(r->sig, err);
	if (rc == ERR_OK)
		rc = signature_check(r->sig, r->in, &r->rows, err);
	if (rc != ERR_OK)
		return rc;
	want_all_if_none(r);
	r->in_bytes = 0;
	for (int i = 0; i < r->sig->n_in; i++)
		if (r->in[i].data)
			r->in_bytes += tensor_bytes(&r->in[i]);
	return batcher_submit(r->sig->queue, r, err);
}

void request_cancel(struct request *r)
{
	batcher_cancel(r->sig->queue, r);
}
