/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program_frames.c -- what runs of a plan work in: frames and workspaces, kept for the next run
 *
 * Frames are kept with their plan, workspaces (any plan of the program fits into a large enough
 * one) with the program, last in first out. All lists and counts change under `lock`.
 */
#include <limits.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/pages.h"
#include "exec/run/program_impl.h"
#include "exec/run/work_room.h"

/* -- workspaces ------------------------------------------------------------------------------ */

/* NULL: no room, or no memory. */
static struct workspace *workspace_new(struct program *p, size_t bytes)
{
	if (!work_room_take(bytes))
		return NULL;
	struct workspace *w = pages_take(bytes);
	if (!w) {
		work_room_give(bytes);
		return NULL;
	}
	*w = (struct workspace){ .bytes = bytes };
	pthread_mutex_lock(&p->lock);
	p->workspace_bytes += bytes;
	pthread_mutex_unlock(&p->lock);
	return w;
}

static void free_list(struct workspace *list)
{
	while (list) {
		struct workspace *next = list->next;
		size_t bytes = list->bytes;
		pages_unmap(list, bytes);
		work_room_give(bytes);
		list = next;
	}
}

/* Takes one out of the idle ones, under the lock. */
static struct workspace *unlink_workspace(struct workspace **at)
{
	struct workspace *w = *at;
	*at = w->next;
	w->next = NULL;
	return w;
}

/* Idle ones make way: the first, or all of them. */
static void drop_idle(struct program *p, bool all)
{
	struct workspace *gone = NULL;
	pthread_mutex_lock(&p->lock);
	for (bool more = p->workspaces; more; more = all && p->workspaces) {
		struct workspace *w = unlink_workspace(&p->workspaces);
		p->workspace_bytes -= w->bytes;
		w->next = gone;
		gone = w;
	}
	pthread_mutex_unlock(&p->lock);
	free_list(gone);
}

/* One of at least that size from the list, or a new one. */
static struct workspace *workspace_take(struct program *p, size_t need)
{
	pthread_mutex_lock(&p->lock);
	struct workspace **at = &p->workspaces;
	while (*at && (*at)->bytes - WORKSPACE_HEAD < need)
		at = &(*at)->next;
	struct workspace *w = *at ? unlink_workspace(at) : NULL;
	pthread_mutex_unlock(&p->lock);
	size_t bytes = round_up(need + WORKSPACE_HEAD, 4096);
	for (int tries = 0; !w && tries < 2; tries++) {
		drop_idle(p, tries > 0);
		w = workspace_new(p, bytes);
	}
	return w;
}

static int one_more(int runs)
{
	return runs < INT_MAX ? runs + 1 : runs;
}

/* Under the lock: has a run needed as much not long ago? One that is alone in that is not
   expected to come again. */
static bool is_usual(struct program *p, size_t need)
{
	p->since_large = one_more(p->since_large);
	if (need <= WORK_SMALL_BYTES)
		return true;
	bool usual = p->large_need >= need / 2 && p->since_large <= WORK_UNUSED_MAX;
	p->large_need = need;
	p->since_large = 0;
	return usual;
}

/* Back to the list, from which those go that are not worth keeping. */
static void workspace_give(struct program *p, struct workspace *w, size_t need)
{
	struct workspace *gone = NULL;
	pthread_mutex_lock(&p->lock);
	if (!is_usual(p, need))
		w->unused = INT_MAX;
	else if (need >= w->bytes / 2)
		w->unused = 0;
	w->next = p->workspaces;
	p->workspaces = w;
	for (struct workspace **at = &p->workspaces; *at;) {
		(*at)->unused = one_more((*at)->unused);
		if (work_room_keeps((*at)->bytes, (*at)->unused)) {
			at = &(*at)->next;
			continue;
		}
		w = unlink_workspace(at);
		p->workspace_bytes -= w->bytes;
		w->next = gone;
		gone = w;
	}
	pthread_mutex_unlock(&p->lock);
	free_list(gone);
}

void program_drop_workspaces(struct program *p)
{
	drop_idle(p, true);
}

/* -- frames ---------------------------------------------------------------------------------- */

static bool may_make_frame(const struct plan *e)
{
	return !e->device || (e->n_frame < LANES_MAX && !(e->no_room && e->n_frame > 0));
}

/* Gives up the place that a frame was to have. true: others will do. */
static bool give_up_frame(struct program *p, struct plan *e, enum err_code why)
{
	pthread_mutex_lock(&p->lock);
	bool others = --e->n_frame > 0 && e->device && why == ERR_RESOURCE_EXHAUSTED;
	e->no_room |= others;
	pthread_cond_broadcast(&p->frame_back);
	pthread_mutex_unlock(&p->lock);
	return others;
}

/* An idle frame, or a new one; NULL where there is neither, and ERR_OK. */
static enum err_code frame_try(
	struct program *p, struct plan *e, struct frame **ret, struct err *err)
{
	pthread_mutex_lock(&p->lock);
	struct frame *f = e->frames;
	bool make = !f && may_make_frame(e);
	if (f)
		e->frames = f->next;
	e->n_frame += make;
	pthread_mutex_unlock(&p->lock);
	enum err_code rc = make ? frame_new(e, &f, err) : ERR_OK;
	*ret = rc == ERR_OK ? f : NULL;
	return rc != ERR_OK && give_up_frame(p, e, rc) ? ERR_OK : rc;
}

static enum err_code frame_take(
	struct program *p, struct plan *e, struct frame **ret, struct err *err)
{
	enum err_code rc = frame_try(p, e, ret, err);
	while (rc == ERR_OK && !*ret) {
		pthread_mutex_lock(&p->lock);
		while (!e->frames && !may_make_frame(e))
			pthread_cond_wait(&p->frame_back, &p->lock);
		pthread_mutex_unlock(&p->lock);
		rc = frame_try(p, e, ret, err);
	}
	return rc;
}

static void frame_give(struct program *p, struct plan *e, struct frame *f)
{
	pthread_mutex_lock(&p->lock);
	f->next = e->frames;
	e->frames = f;
	pthread_cond_broadcast(&p->frame_back);
	pthread_mutex_unlock(&p->lock);
}

/* -- running --------------------------------------------------------------------------------- */

/* In a workspace, or in what its lane has. */
static enum err_code run_in(struct program *p, struct plan *e, struct frame *f, struct plan_run *r,
	struct err *err)
{
	if (f->lane) {
		r->mem = f->lane->host_mem;
		return plan_run(e, f, r, err);
	}
	size_t need = plan_workspace_bytes(e);
	struct workspace *w = workspace_take(p, need);
	if (!w)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"intermediate results of these shapes take %zu bytes, which there is no "
			"room for",
			need);
	r->mem = (char *)w + WORKSPACE_HEAD;
	enum err_code rc = plan_run(e, f, r, err);
	workspace_give(p, w, need);
	return rc;
}

/* Frames that a run on each makes ready: what a device does at first (recording, lazy loading)
   is not to be a request's time. */
#define RUNS_TO_BE_READY 4

static enum err_code run_on_all(
	struct program *p, struct plan *e, struct plan_run *r, struct err *err)
{
	struct frame *held[LANES_MAX];
	int n = 0;
	enum err_code rc = frame_take(p, e, &held[0], err);
	while (rc == ERR_OK && held[n]) {
		for (int i = 0; i < RUNS_TO_BE_READY && rc == ERR_OK; i++)
			rc = run_in(p, e, held[n], r, err);
		if (++n == LANES_MAX || rc != ERR_OK)
			break;
		rc = frame_try(p, e, &held[n], err);
	}
	for (int i = 0; i < n; i++)
		frame_give(p, e, held[i]);
	return rc;
}

enum err_code program_run_plan(
	struct program *p, struct plan *e, struct plan_run *r, struct err *err)
{
	struct frame *f;
	if (r->every_lane && e->device)
		return run_on_all(p, e, r, err);
	enum err_code rc = frame_take(p, e, &f, err);
	if (rc != ERR_OK)
		return rc;
	rc = run_in(p, e, f, r, err);
	frame_give(p, e, f);
	return rc;
}
