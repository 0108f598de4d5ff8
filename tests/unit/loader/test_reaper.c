/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include "loader/repo/reaper.h"

#define RELEASERS 3

static struct inbox inbox;
static struct reaper *reaper;
static struct err err;
static int gone;
static atomic_int unloaded;

static void on_gone(void *ctx, struct inbox_item *item)
{
	(void)ctx, (void)item;
	gone++;
}

static void on_unload(void *ctx, struct version *v)
{
	(void)ctx;
	ck_assert_int_eq(atomic_load(&v->refs), 0);
	atomic_fetch_add(&unloaded, 1);
}

static void setup(void)
{
	struct reaper_conf conf = { .inbox = &inbox, .on_unload = on_unload };
	gone = 0;
	atomic_store(&unloaded, 0);
	ck_assert_int_eq(inbox_init(&inbox, &err), ERR_OK);
	ck_assert_int_eq(reaper_new(&conf, &reaper, &err), ERR_OK);
}

static void teardown(void)
{
	inbox_done(&inbox);
}

struct releaser {
	pthread_t thread;
	pthread_barrier_t *start;
	struct version *v;
	struct inbox_item gone;
};

static void *release(void *ctx)
{
	struct releaser *r = ctx;
	pthread_barrier_wait(r->start);
	version_release(r->v);
	return NULL;
}

static struct version *given_version(struct inbox_item *to_tell)
{
	struct version *v = calloc(1, sizeof(*v));
	ck_assert_ptr_nonnull(v);
	atomic_init(&v->refs, 1);
	to_tell->take = on_gone;
	reaper_adopt(reaper, v, to_tell);
	return v;
}

static void await_gone(int n)
{
	while (gone < n) {
		inbox_take(&inbox, NULL);
		sched_yield();
	}
}

START_TEST(what_waits_is_freed_before_it_ends)
{
	struct inbox_item item[8];
	for (int i = 0; i < 8; i++)
		version_release(given_version(&item[i]));
	reaper_free(reaper);
	await_gone(8);
	ck_assert_int_eq(atomic_load(&unloaded), 8);
}
END_TEST

/* Its owner frees it when all versions have gone; who released them may be in it still. */
START_TEST(it_may_be_freed_when_the_last_version_has_gone)
{
	pthread_barrier_t start;
	struct releaser all[RELEASERS];
	pthread_barrier_init(&start, NULL, RELEASERS);
	for (int i = 0; i < RELEASERS; i++) {
		all[i] = (struct releaser){ .start = &start };
		all[i].v = given_version(&all[i].gone);
		ck_assert_int_eq(pthread_create(&all[i].thread, NULL, release, &all[i]), 0);
	}
	await_gone(RELEASERS);
	reaper_free(reaper);
	for (int i = 0; i < RELEASERS; i++)
		pthread_join(all[i].thread, NULL);
	pthread_barrier_destroy(&start);
}
END_TEST

Suite *suite_reaper(void);
Suite *suite_reaper(void)
{
	Suite *s = suite_create("reaper");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_waits_is_freed_before_it_ends);
	tcase_add_loop_test(t, it_may_be_freed_when_the_last_version_has_gone, 0, 20);
	suite_add_tcase(s, t);
	return s;
}
