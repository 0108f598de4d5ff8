/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How it goes: for systemd, the watchdog, and who looks into the log.
 */
#include "server/server_state.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "server/request.h"

#define LIST_BYTES_MAX (16u << 20)
/* The repository's thread rescans at least this much later than it is told to. */
#define REPO_LATE_NS (60 * NS_PER_S)

/* How late the repository's thread is; 0: it is not. */
static int64_t repo_late_ns(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	int64_t poll = s->config->repository->poll;
	pthread_mutex_unlock(&s->lock);
	int64_t since = clock_now_ns() - repo_last_round_ns(s->repo);
	return since > poll + REPO_LATE_NS ? since : 0;
}

/* All versions; NULL: no memory. The arena is the caller's. */
static struct version_status *list_versions(struct server *s, struct arena *arena, int *ret_n)
{
	struct version_status *all;
	if (!arena ||
		registry_list(repo_registry(s->repo), NULL, arena, &all, ret_n, NULL) != ERR_OK)
		return NULL;
	return all;
}

void server_status(struct server *s, char *buf, size_t size)
{
	int n = 0, ready = 0, failed = 0, loading = 0;
	struct arena *arena = arena_new(4096, LIST_BYTES_MAX);
	const struct version_status *all = list_versions(s, arena, &n);
	for (int i = 0; all && i < n; i++) {
		enum version_state state = all[i].state;
		ready += state == VERSION_READY;
		failed += state == VERSION_FAILED;
		loading += state > VERSION_FOUND && state < VERSION_READY;
	}
	arena_free(arena);
	int64_t late_s = repo_late_ns(s) / NS_PER_S;
	char late[80] = "";
	if (late_s > 0)
		snprintf(late, sizeof(late), "; the repository has not been read for %lld s",
			(long long)late_s);
	snprintf(buf, size, "versions: %d ready, %d loading, %d failed%s", ready, loading, failed,
		late);
}

uint64_t server_progress(struct server *s)
{
	/* Without a listener nothing but the pool can stand still. */
	if (s->http)
		return http_progress(s->http);
	return s->rpc ? rpc_progress(s->rpc) : (uint64_t)clock_now_ns();
}

bool server_is_stuck(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	int64_t limit = s->config->server->stuck_after;
	pthread_mutex_unlock(&s->lock);
	return pool_is_stuck(s->pool, limit);
}

void server_dump(struct server *s)
{
	int n = 0;
	struct arena *arena = arena_new(4096, LIST_BYTES_MAX);
	const struct version_status *all = list_versions(s, arena, &n);
	log_notice("state: %d requests, %d of them in HTTP, %d in gRPC; %d batches wait for %d "
		   "threads%s",
		request_inflight(), s->http ? http_in_flight(s->http) : 0,
		s->rpc ? rpc_in_flight(s->rpc) : 0, pool_queued(s->pool), pool_threads(s->pool),
		server_is_stuck(s) ? ", one of which is stuck" : "");
	for (int i = 0; all && i < n; i++)
		log_notice("state: %s/%lld is %s, %zu bytes%s%s%s%s", all[i].model,
			(long long)all[i].number, version_state_info(all[i].state)->text,
			all[i].memory_bytes, *all[i].labels ? ", labels " : "", all[i].labels,
			*all[i].reason ? ": " : "", all[i].reason);
	arena_free(arena);
}
