/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/repo/rescan.h"

#include <poll.h>
#include "base/clock.h"

/* NOT DONE: scanning only the model that an event was about. A scan of 1,000 models takes
   some 10 ms, and they are SCAN_PAUSE_NS apart. */

#define SCAN_PAUSE_NS (50 * NS_PER_MS) /* between scans, however many events come */
#define SCAN_KEEP_BYTES ((size_t)4 << 20)

enum err_code rescan_init(struct rescan *s, struct lifecycle *lc, struct err *err)
{
	s->lc = lc;
	s->arena = arena_new(1 << 16, 0);
	return s->arena ? watch_new(&s->watch, err) : err_oom(err);
}

void rescan_done(struct rescan *s)
{
	watch_free(s->watch);
	arena_free(s->arena);
}

void rescan_now(struct rescan *s)
{
	s->due_ns = 0;
}

static bool wants_version(void *ctx, const char *model, int64_t number, int rank)
{
	struct rescan *s = ctx;
	return models_want_version(lifecycle_models(s->lc), model, number, rank);
}

static bool was_moved_in(void *ctx, const char *dir)
{
	struct rescan *s = ctx;
	return watch_moved_in(s->watch, dir);
}

static enum err_code scan_now(
	struct rescan *s, int64_t now_ns, int64_t *ret_next_ns, struct err *err)
{
	const struct repo_conf *c = &lifecycle_models(s->lc)->conf->c;
	struct scan scan;
	arena_reset(s->arena, SCAN_KEEP_BYTES);
	struct scan_place *place =
		ARENA_ARRAY(s->arena, struct scan_place, (size_t)c->n_models + 1);
	struct scan_conf conf = { .roots = c->roots, .places = place,
		.entries_max = c->entries_max, .strict_permissions = c->strict_permissions,
		.wants = wants_version, .moved_in = was_moved_in, .ctx = s };
	if (!place)
		return err_oom(err);
	for (int i = 0; i < c->n_models; i++)
		if (c->models[i].path)
			place[conf.n_places++] =
				(struct scan_place){ c->models[i].name, c->models[i].path };
	enum err_code rc = scan_run(&conf, s->arena, &scan, err);
	if (rc != ERR_OK)
		return rc;
	if (watch_follow(s->watch, c->roots, &scan))
		*ret_next_ns = clock_after(now_ns, SCAN_PAUSE_NS);
	int64_t next_ns = lifecycle_saw(s->lc, &scan, now_ns, clock_wall_ms());
	if (next_ns < *ret_next_ns)
		*ret_next_ns = next_ns;
	return ERR_OK;
}

void rescan_if_due(struct rescan *s, int64_t now_ns)
{
	struct err err;
	int64_t next_ns = INT64_MAX;
	if (now_ns < s->due_ns)
		return;
	if (scan_now(s, now_ns, &next_ns, &err) != ERR_OK) {
		err_prefix(&err, "the model repository could not be scanned");
		lifecycle_warn(s->lc, err.msg);
	}
	const char *trouble = watch_trouble(s->watch);
	if (trouble)
		lifecycle_warn(s->lc, trouble);
	int64_t poll_ns = clock_after(now_ns, lifecycle_models(s->lc)->conf->c.poll_ms * NS_PER_MS);
	s->scanned_ns = now_ns;
	s->due_ns = next_ns < poll_ns ? next_ns : poll_ns;
}

void rescan_sleep(struct rescan *s, int wake_fd, int64_t until_ns)
{
	struct pollfd fd[] = { { .fd = wake_fd, .events = POLLIN },
		{ .fd = watch_fd(s->watch), .events = POLLIN } };
	int64_t now_ns = clock_now_ns();
	until_ns = until_ns < s->due_ns ? until_ns : s->due_ns;
	int64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	int64_t wait_ms = wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS != 0);
	/* After a scan events are left to gather for a moment: a copy makes thousands. */
	bool deaf = now_ns - s->scanned_ns < SCAN_PAUSE_NS;
	int64_t deaf_ms = SCAN_PAUSE_NS / NS_PER_MS;
	if (deaf && wait_ms > deaf_ms)
		wait_ms = deaf_ms;
	(void)poll(fd, deaf ? 1 : 2, wait_ms > 3600000 ? 3600000 : (int)wait_ms);
	now_ns = clock_now_ns();
	if (now_ns - s->scanned_ns >= SCAN_PAUSE_NS && watch_read(s->watch))
		s->due_ns = now_ns;
}
