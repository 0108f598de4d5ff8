/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include "loader/registry.h"

static struct registry *registry;
static struct arena *arena;
static struct err err;
static atomic_int freed;

static void on_last_release(struct version *v)
{
	atomic_fetch_add(&freed, 1);
	version_free(v);
}

static struct version *given_version(int64_t number)
{
	struct version *v = calloc(1, sizeof(*v));
	v->model = "m";
	v->number = number;
	v->on_last_release = on_last_release;
	atomic_init(&v->refs, 1);
	return v;
}

static struct registry_version row(int64_t number, enum version_state state, struct version *v)
{
	return (struct registry_version){ .status = { .number = number, .state = state,
		.reason = state == VERSION_FAILED ? "node 'a' is bad" : "" }, .version = v };
}

/* m: 3 failed, 2 ready (stable), 1 draining; n: nothing. */
static void given_models(struct version *two)
{
	struct registry_version v[] = { row(3, VERSION_FAILED, NULL), row(2, VERSION_READY, two),
		row(1, VERSION_DRAINING, NULL), row(0, VERSION_UNLOADED, NULL) };
	struct registry_label label[] = { { "stable", 2 }, { "next", 3 }, { "safe", 2 } };
	struct registry_model m[] = { { "m", v, 4, label, 3 }, { "n", NULL, 0, NULL, 0 } };
	ck_assert_int_eq(registry_set(registry, m, 2, &err), ERR_OK);
}

static void setup(void)
{
	atomic_store(&freed, 0);
	arena = arena_new(1024, 0);
	ck_assert_int_eq(registry_new(&registry, &err), ERR_OK);
}

static void teardown(void)
{
	registry_free(registry);
	arena_free(arena);
}

static enum err_code acquire(const char *model, struct version_spec spec, int64_t *ret)
{
	struct version *v = NULL;
	enum err_code rc = registry_acquire(registry, slice_of(model), &spec, &v, &err);
	if (rc == ERR_OK) {
		*ret = v->number;
		version_release(v);
	}
	return rc;
}

#define LATEST ((struct version_spec){ .pick = VERSION_PICK_LATEST })
#define NUMBER(n) ((struct version_spec){ .pick = VERSION_PICK_NUMBER, .number = (n) })
#define LABEL(text) ((struct version_spec){ .pick = VERSION_PICK_LABEL, .label = SLICE_LIT(text) })

START_TEST(ready_versions_are_found_by_latest_number_and_label)
{
	struct version *two = given_version(2);
	int64_t is;
	given_models(two);
	version_release(two);
	ck_assert_int_eq(acquire("m", LATEST, &is), ERR_OK);
	ck_assert_int_eq(is, 2);
	ck_assert_int_eq(acquire("m", NUMBER(2), &is), ERR_OK);
	ck_assert_int_eq(acquire("m", LABEL("stable"), &is), ERR_OK);
	ck_assert_int_eq(is, 2);
}
END_TEST

START_TEST(what_is_not_ready_is_unavailable_and_what_is_not_there_not_found)
{
	struct version *two = given_version(2);
	int64_t is;
	given_models(two);
	version_release(two);
	ck_assert_int_eq(acquire("m", NUMBER(3), &is), ERR_UNAVAILABLE);
	ck_assert_str_eq(err.msg, "model 'm' version 3 is not ready: failed: node 'a' is bad");
	ck_assert_int_eq(acquire("m", NUMBER(1), &is), ERR_UNAVAILABLE);
	ck_assert_str_eq(err.msg, "model 'm' version 1 is not ready: draining");
	ck_assert_int_eq(acquire("m", LABEL("next"), &is), ERR_UNAVAILABLE);
	ck_assert_int_eq(acquire("n", LATEST, &is), ERR_UNAVAILABLE);
	ck_assert_int_eq(acquire("m", NUMBER(0), &is), ERR_NOT_FOUND);
	ck_assert_int_eq(acquire("m", NUMBER(9), &is), ERR_NOT_FOUND);
	ck_assert_str_eq(err.msg, "model 'm' has no version 9");
	ck_assert_int_eq(acquire("m", LABEL("none"), &is), ERR_NOT_FOUND);
	ck_assert_int_eq(acquire("mm", LATEST, &is), ERR_NOT_FOUND);
	ck_assert_int_eq(acquire("", LATEST, &is), ERR_NOT_FOUND);
}
END_TEST

/* As clients of OpenVINO's server ask when they mean any version. */
START_TEST(number_0_is_the_latest_unless_there_is_a_version_0)
{
	struct version *two = given_version(2);
	int64_t is;
	given_models(two);
	ck_assert_int_eq(acquire("m", NUMBER(0), &is), ERR_NOT_FOUND);

	struct registry_version v[] = { row(2, VERSION_READY, two) };
	struct registry_model m[] = { { "m", v, 1, NULL, 0 } };
	ck_assert_int_eq(registry_set(registry, m, 1, &err), ERR_OK);
	version_release(two);

	ck_assert_int_eq(acquire("m", NUMBER(0), &is), ERR_OK);
	ck_assert_int_eq(is, 2);
}
END_TEST

START_TEST(the_list_has_a_row_per_version_and_one_for_an_empty_model)
{
	struct version *two = given_version(2);
	struct version_status *status;
	struct slice name = SLICE_LIT("n");
	int n;
	given_models(two);
	version_release(two);
	ck_assert_int_eq(registry_list(registry, NULL, arena, &status, &n, &err), ERR_OK);
	ck_assert_int_eq(n, 5);
	ck_assert_int_eq(status[0].number, 3);
	ck_assert_str_eq(status[0].reason, "node 'a' is bad");
	ck_assert_str_eq(status[0].labels, "next");
	ck_assert_str_eq(status[1].labels, "stable,safe");
	ck_assert_str_eq(status[4].model, "n");
	ck_assert_int_eq(status[4].number, -1);
	ck_assert_int_eq(registry_list(registry, &name, arena, &status, &n, &err), ERR_OK);
	ck_assert_int_eq(n, 1);
	name = SLICE_LIT("x");
	ck_assert_int_eq(registry_list(registry, &name, arena, &status, &n, &err), ERR_NOT_FOUND);
}
END_TEST

START_TEST(m38_a_version_lives_until_its_last_request_is_done)
{
	struct version *two = given_version(2), *held;
	struct version_spec latest = LATEST;
	given_models(two);
	version_release(two);
	ck_assert_int_eq(registry_acquire(registry, SLICE_LIT("m"), &latest, &held, &err), ERR_OK);
	ck_assert_int_eq(registry_set(registry, NULL, 0, &err), ERR_OK);
	ck_assert_int_eq(atomic_load(&freed), 0);
	version_release(held);
	ck_assert_int_eq(atomic_load(&freed), 1);
}
END_TEST

/* Readers acquire as fast as they can while the version is replaced: each gets a live one. */
#define READERS 3
#define SWAPS 2000

static atomic_bool stop;

static void *read_on(void *arg)
{
	struct version_spec latest = LATEST;
	struct arena *own = arena_new(4096, 0);
	struct version_status *status;
	struct err e;
	long n = 0;
	int rows;
	while (!atomic_load(&stop)) {
		struct version *v;
		if (registry_acquire(registry, SLICE_LIT("m"), &latest, &v, &e) != ERR_OK)
			continue;
		if (atomic_load(&v->refs) > 0 && v->number > 0)
			n++;
		version_release(v);
		if (n % 64 == 0 && registry_list(registry, NULL, own, &status, &rows, &e) == ERR_OK)
			arena_reset(own, SIZE_MAX);
	}
	arena_free(own);
	*(long *)arg = n;
	return NULL;
}

START_TEST(versions_are_swapped_under_readers)
{
	pthread_t thread[READERS];
	long done[READERS];
	atomic_store(&stop, false);
	for (int i = 0; i < READERS; i++)
		pthread_create(&thread[i], NULL, read_on, &done[i]);
	for (int i = 1; i <= SWAPS; i++) {
		struct version *v = given_version(i);
		struct registry_version r = row(i, VERSION_READY, v);
		struct registry_model m = { "m", &r, 1, NULL, 0 };
		ck_assert_int_eq(registry_set(registry, &m, 1, &err), ERR_OK);
		version_release(v);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_eq(registry_set(registry, NULL, 0, &err), ERR_OK);
	ck_assert_int_eq(atomic_load(&freed), SWAPS);
}
END_TEST

Suite *suite_registry(void);
Suite *suite_registry(void)
{
	Suite *s = suite_create("registry");
	TCase *t = tcase_create("core");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, ready_versions_are_found_by_latest_number_and_label);
	tcase_add_test(t, what_is_not_ready_is_unavailable_and_what_is_not_there_not_found);
	tcase_add_test(t, number_0_is_the_latest_unless_there_is_a_version_0);
	tcase_add_test(t, the_list_has_a_row_per_version_and_one_for_an_empty_model);
	tcase_add_test(t, m38_a_version_lives_until_its_last_request_is_done);
	tcase_add_test(t, versions_are_swapped_under_readers);
	suite_add_tcase(s, t);
	return s;
}
